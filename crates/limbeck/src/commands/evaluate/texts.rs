//! Labels of every text of a file, and their scores.

use std::path::{Path, PathBuf};

use anyhow::Result;
use limbeck_data::glue::{ModelLabels, TextData, TextFeatures, TextTask, predictions};
use limbeck_data::metrics::Metrics;
use limbeck_model::folder::{Limbeck, resolve};
use limbeck_model::inference::InferenceModel;
use limbeck_runtime::OpenClassifier;
use limbeck_train::evaluation::TextEvaluationSet;
use limbeck_train::folder::write_json;
use limbeck_train::observer::Observer;
use limbeck_train::ranks::Ranks;
use serde_json::{Map, Value};

use super::make_out;
use crate::cli::answering::PredictArgs;
use crate::commands::subject::report_missing;
use crate::config::{RunConfig, Task};
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
    let asked = Asked::open(args, console)?;
    let mut set = asked.read(&args.data, true)?;
    set.mismatched = mismatched.map(|path| asked.read(path, true)).transpose()?.map(Box::new);
    let mut progress = Progress::new(console);
    let Some(evaluation) = set.evaluate(&asked.model, &mut Ranks::alone(), &mut progress)? else {
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
    let asked = Asked::open(args, console)?;
    let set = asked.read(&args.data, false)?;
    let mut progress = Progress::new(console);
    progress.stage("classifying", Some(set.data.examples.len() as u64));
    let Some(logits) = set.logits(&asked.model, &mut Ranks::alone(), &mut progress)? else {
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

/// A classifier and how its texts are read.
struct Asked {
    model: InferenceModel<'static>,
    tokenizer: limbeck_data::Tokenizer,
    labels: Vec<String>,
    task: TextTask,
    max_length: usize,
    limit: usize,
}

impl Asked {
    fn open(args: &PredictArgs, console: Console) -> Result<Asked> {
        interrupt::install()?;
        make_out(args)?;
        let dir = resolve(&args.model)?;
        let OpenClassifier { model, tokenizer, load, classes, max_length, plans, .. } =
            OpenClassifier::open(&dir)?;
        report_missing(&load, console);
        let flags = &args.settings.layer;
        let given: RunConfig = flags.clone().into_table().try_into()?;
        let task = match flags.get("task") {
            Some(_) => Some(given.task),
            None => task_of(&dir)?,
        };
        let Some(task) = task.and_then(Task::texts) else {
            let what = "the model labels texts, and the task does not say which";
            let advice = "give --task with the name of a task of texts, such as sst2 or classify";
            return Err(InputError::new(what, &args.model, advice).into());
        };
        let has = classes.labels.len();
        let needs = match task.label_names() {
            Some(names) => names.len(),
            None if task.is_regression() => 1,
            None => has,
        };
        if has != needs {
            let what = format!("the model has {has} labels, the task {task} {needs}");
            let advice = "give --task with the name of the model's task";
            return Err(InputError::new(what, &args.model, advice).into());
        }
        let max_length = match flags.get("features.max_length") {
            Some(_) => given.features.max_length,
            None => max_length,
        };
        let positions = model.config().max_position_embeddings;
        if max_length > positions {
            let what = format!("--max-length {max_length}: the model reaches {positions} tokens");
            let advice = format!("give {positions} or less");
            return Err(InputError::new(what, dir.display().to_string(), advice).into());
        }
        let plan = args.length.plan(model.config(), max_length, &plans)?;
        let model = model.with_lengths(plan)?;
        let (labels, limit) = (classes.labels, args.limit);
        Ok(Asked { model, tokenizer, labels, task, max_length, limit })
    }

    /// The texts of a file, ready for the model.
    fn read(&self, path: &Path, needs_labels: bool) -> Result<TextEvaluationSet> {
        let paths: [PathBuf; 1] = [path.to_owned()];
        let labels = ModelLabels::Learnt(&self.labels);
        let mut data = TextData::read(&paths, self.task, needs_labels, labels)?;
        if self.limit > 0 {
            data.limit(self.limit);
        }
        if data.examples.is_empty() {
            let place = path.display().to_string();
            return Err(InputError::new("there is no text", place, "").into());
        }
        let features = TextFeatures::build(&data, &self.tokenizer, self.max_length)?;
        Ok(TextEvaluationSet { data, features, mismatched: None })
    }
}

/// The task that a model's notes say it was trained for.
fn task_of(dir: &Path) -> Result<Option<Task>> {
    let notes = Limbeck::open(dir)?.unwrap_or_default();
    let task = notes.config.get("task").cloned();
    Ok(task.and_then(|task| serde_json::from_value(task).ok()))
}

/// The metrics one under the other.
fn as_text(metrics: &Metrics) -> String {
    let rows: Vec<_> = metrics.iter().map(|(key, value)| (key, format!("{value:.4}"))).collect();
    columns(&rows)
}
