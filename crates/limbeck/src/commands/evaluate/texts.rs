//! Labels of every text of a file, and their scores.

use std::path::Path;

use anyhow::Result;
use limbeck_data::glue::predictions::{self, PREDICTIONS};
use limbeck_data::glue::{TextData, Use};
use limbeck_data::metrics::Metrics;
use limbeck_train::folder::write_json;
use limbeck_train::observer::Observer;
use limbeck_train::ranks::Ranks;
use serde_json::{Map, Value};

use super::Outputs;
use crate::cli::answering::PredictArgs;
use crate::commands::subject::texts::TextSubject;
use crate::console::{Console, columns};
use crate::exit::{Ending, InputError};
use crate::interrupt;
use crate::progress::Progress;

/// Runs `evaluate` for a classifier.
pub(super) fn evaluate(
    args: &PredictArgs,
    mismatched: Option<&Path>,
    console: Console,
) -> Result<Ending> {
    let (subject, outputs) = open(args, console)?;
    let read = |path: &Path| subject.read(path, Use::Score, args.limit, console);
    let mut set = read(&args.data)?;
    set.mismatched = mismatched.map(read).transpose()?.map(Box::new);
    let mut progress = Progress::new(console);
    let Some(evaluation) = set.evaluate(&subject.model, &mut Ranks::alone(), &mut progress)? else {
        return Ok(Ending::Interrupted);
    };
    drop(progress);
    submit(args, &outputs, &set.data, &evaluation.logits, console)?;
    if let Some(out) = outputs.out() {
        predictions::write(out, PREDICTIONS, &set.data, &evaluation.logits)?;
        write_json(&out.join("metrics.json"), &evaluation.metrics)?;
    }
    outputs.deliver()?;
    console.result(&evaluation.metrics, || as_text(&evaluation.metrics))?;
    Ok(Ending::Done)
}

/// Runs `predict` for a classifier.
pub(super) fn predict(args: &PredictArgs, console: Console) -> Result<Ending> {
    let (subject, outputs) = open(args, console)?;
    let set = subject.read(&args.data, Use::Predict, args.limit, console)?;
    let mut progress = Progress::new(console);
    progress.stage("classifying", Some(set.data.examples.len() as u64));
    let Some(logits) = set.logits(&subject.model, &mut Ranks::alone(), &mut progress)? else {
        return Ok(Ending::Interrupted);
    };
    drop(progress);
    let submitted = submit(args, &outputs, &set.data, &logits, console)?;
    if let Some(out) = outputs.out() {
        predictions::write(out, PREDICTIONS, &set.data, &logits)?;
    }
    outputs.deliver()?;
    if submitted && args.out.is_none() && !console.json {
        return Ok(Ending::Done);
    }
    if let Some(out) = args.out.as_ref().filter(|_| !console.json) {
        let path = out.join(PREDICTIONS);
        console.message(&format!("{} labels are in {}", logits.len(), path.display()));
        return Ok(Ending::Done);
    }
    let texts = predictions::texts(&set.data, &logits);
    let by_index: Map<String, Value> = (0..)
        .zip(&texts)
        .map(|(index, text): (usize, _)| (index.to_string(), text.as_str().into()))
        .collect();
    console.result(&by_index, || {
        let lines = texts.iter().enumerate().map(|(index, text)| format!("{index}\t{text}"));
        lines.collect::<Vec<_>>().join("\n")
    })?;
    Ok(Ending::Done)
}

/// Writes the file for GLUE's server, if one is asked for, and says so.
fn submit(
    args: &PredictArgs,
    outputs: &Outputs,
    data: &TextData,
    logits: &[Vec<f32>],
    console: Console,
) -> Result<bool> {
    let (Some(local), Some(folder)) = (outputs.submission(), &args.submission) else {
        return Ok(false);
    };
    let Some(name) = data.task.submission(&args.data) else {
        let what = format!("--submission is for tasks of GLUE, not `{}`", data.task);
        return Err(InputError::new(what, &args.model, "use --out").into());
    };
    predictions::write(local, name, data, logits)?;
    console.message(&format!(
        "{} predictions are in {}",
        logits.len(),
        folder.join(name).display()
    ));
    Ok(true)
}

/// Opens the classifier, once there is a place for the results.
fn open(args: &PredictArgs, console: Console) -> Result<(TextSubject, Outputs)> {
    interrupt::install()?;
    let outputs = Outputs::open(args)?;
    let subject = TextSubject::open(&args.model, &args.settings.layer, &args.length, console)?;
    Ok((subject, outputs))
}

/// The metrics one under the other.
fn as_text(metrics: &Metrics) -> String {
    let rows: Vec<_> = metrics.iter().map(|(key, value)| (key, format!("{value:.4}"))).collect();
    columns(&rows)
}
