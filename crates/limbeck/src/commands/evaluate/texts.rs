//! Labels of every text of a file, and their scores.

use std::path::Path;

use anyhow::Result;
use limbeck_data::glue::predictions;
use limbeck_data::metrics::Metrics;
use limbeck_train::folder::write_json;
use limbeck_train::observer::Observer;
use limbeck_train::ranks::Ranks;
use serde_json::{Map, Value};

use super::make_out;
use crate::cli::answering::PredictArgs;
use crate::commands::subject::texts::TextSubject;
use crate::console::{Console, columns};
use crate::exit::Ending;
use crate::interrupt;
use crate::progress::Progress;

/// Runs `evaluate` for a classifier.
pub(super) fn evaluate(
    args: &PredictArgs,
    mismatched: Option<&Path>,
    console: Console,
) -> Result<Ending> {
    let subject = open(args, console)?;
    let read = |path: &Path| subject.read(path, true, args.limit);
    let mut set = read(&args.data)?;
    set.mismatched = mismatched.map(read).transpose()?.map(Box::new);
    let mut progress = Progress::new(console);
    let Some(evaluation) = set.evaluate(&subject.model, &mut Ranks::alone(), &mut progress)? else {
        return Ok(Ending::Interrupted);
    };
    drop(progress);
    if let Some(out) = &args.out {
        predictions::write(out, &set.data, &evaluation.logits)?;
        write_json(&out.join("metrics.json"), &evaluation.metrics)?;
    }
    console.result(&evaluation.metrics, || as_text(&evaluation.metrics))?;
    Ok(Ending::Done)
}

/// Runs `predict` for a classifier.
pub(super) fn predict(args: &PredictArgs, console: Console) -> Result<Ending> {
    let subject = open(args, console)?;
    let set = subject.read(&args.data, false, args.limit)?;
    let mut progress = Progress::new(console);
    progress.stage("classifying", Some(set.data.examples.len() as u64));
    let Some(logits) = set.logits(&subject.model, &mut Ranks::alone(), &mut progress)? else {
        return Ok(Ending::Interrupted);
    };
    drop(progress);
    if let Some(out) = &args.out {
        predictions::write(out, &set.data, &logits)?;
        if !console.json {
            let path = out.join(predictions::PREDICTIONS);
            console.message(&format!("{} labels are in {}", logits.len(), path.display()));
            return Ok(Ending::Done);
        }
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

/// Opens the classifier, once there is a place for the results.
fn open(args: &PredictArgs, console: Console) -> Result<TextSubject> {
    interrupt::install()?;
    make_out(args)?;
    TextSubject::open(&args.model, &args.settings.layer, &args.length, console)
}

/// The metrics one under the other.
fn as_text(metrics: &Metrics) -> String {
    let rows: Vec<_> = metrics.iter().map(|(key, value)| (key, format!("{value:.4}"))).collect();
    columns(&rows)
}
