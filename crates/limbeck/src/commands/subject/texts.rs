//! A classifier that a command runs, and how its texts are read.

use std::path::Path;

use anyhow::Result;
use limbeck_data::Tokenizer;
use limbeck_data::glue::{ModelLabels, TextData, TextFeatures, TextTask, Use};
use limbeck_model::folder::{Limbeck, NamedPlans};
use limbeck_model::inference::InferenceModel;
use limbeck_model::{Head, ModelConfig};
use limbeck_runtime::OpenClassifier;
use limbeck_runtime::folder::text_length;
use limbeck_train::evaluation::TextEvaluationSet;

use super::report_missing;
use crate::cli::lengths::LengthArgs;
use crate::commands::models::resolve;
use crate::config::{Layer, RunConfig, Task};
use crate::console::Console;
use crate::exit::InputError;

/// A classifier, its tokenizer, and how it wants its texts.
pub struct TextSubject {
    /// The model.
    pub model: InferenceModel<'static>,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// How its texts are read.
    pub reading: Reading,
}

/// How the texts of a classifier are read.
pub struct Reading {
    /// What it labels.
    pub task: TextTask,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// Tokens that are read of a text.
    pub max_length: usize,
}

impl TextSubject {
    /// Opens a classifier. Its `limbeck.json` says how it was trained; `flags` win over that.
    pub fn open(
        name: &str,
        flags: &Layer,
        length: &LengthArgs,
        console: Console,
    ) -> Result<TextSubject> {
        let dir = resolve(name)?;
        let OpenClassifier { model, tokenizer, load, plans, .. } = OpenClassifier::open(&dir)?;
        report_missing(&load, console);
        let reading = Reading::of(&dir, model.config(), flags)?;
        let model = with_lengths(model, length, reading.max_length, &plans)?;
        Ok(TextSubject { model, tokenizer, reading })
    }

    /// The texts of a file, the first `limit` or all, ready for the model.
    pub fn read(
        &self,
        path: &Path,
        purpose: Use,
        limit: usize,
        console: Console,
    ) -> Result<TextEvaluationSet> {
        self.set(self.reading.read(path, purpose, limit, console)?)
    }

    /// Makes texts ready for the model.
    pub fn set(&self, data: TextData) -> Result<TextEvaluationSet> {
        let features = TextFeatures::build(&data, &self.tokenizer, self.reading.max_length)?;
        Ok(TextEvaluationSet { data, features, mismatched: None })
    }
}

impl Reading {
    /// How the classifier in `dir` reads, as flags or its notes say.
    pub fn of(dir: &Path, config: &ModelConfig, flags: &Layer) -> Result<Reading> {
        let place = || dir.display().to_string();
        let notes = Limbeck::open(dir)?.unwrap_or_default();
        let given: RunConfig = flags.clone().into_table().try_into()?;
        let task = match flags.get("task") {
            Some(_) => Some(given.task),
            None => notes.config.get("task").and_then(|t| serde_json::from_value(t.clone()).ok()),
        };
        let Some(task) = task.and_then(Task::texts) else {
            let what = "the model labels texts, and the task does not say which";
            let advice = "give --task with the name of a task of texts, such as sst2 or classify";
            return Err(InputError::new(what, place(), advice).into());
        };
        let labels = match &config.head {
            Head::Classification(classes) => classes.labels.clone(),
            Head::Span | Head::MaskedWord => Vec::new(),
        };
        let has = labels.len();
        let needs = match task.label_names() {
            Some(names) => names.len(),
            None if task.is_regression() => 1,
            None => has,
        };
        if has != needs {
            let what = format!("the model has {has} labels, the task {task} {needs}");
            let advice = "give --task with the name of the model's task";
            return Err(InputError::new(what, place(), advice).into());
        }
        let max_length = length_of_texts(dir, &notes, config, flags)?;
        Ok(Reading { task, labels, max_length })
    }

    /// The texts of a file, the first `limit` or all. What is odd about the file is told.
    pub fn read(
        &self,
        path: &Path,
        purpose: Use,
        limit: usize,
        console: Console,
    ) -> Result<TextData> {
        let labels = ModelLabels::Learnt(&self.labels);
        let mut data = TextData::read(&[path.to_owned()], self.task, purpose, labels)?;
        data.told().iter().for_each(|line| console.message(line));
        if limit > 0 {
            data.limit(limit);
        }
        if data.examples.is_empty() {
            let place = path.display().to_string();
            return Err(InputError::new("there is no text", place, "").into());
        }
        Ok(data)
    }
}

/// A classifier from which tokens leave as the flags say.
pub fn with_lengths(
    model: InferenceModel<'static>,
    length: &LengthArgs,
    max_length: usize,
    plans: &NamedPlans,
) -> Result<InferenceModel<'static>> {
    let plan = length.plan(model.config(), max_length, plans)?;
    Ok(model.with_lengths(plan)?)
}

/// Tokens that the classifier in `dir` reads of a text, as flags or its notes say.
pub fn length_of_texts(
    dir: &Path,
    notes: &Limbeck,
    config: &ModelConfig,
    flags: &Layer,
) -> Result<usize> {
    let given: RunConfig = flags.clone().into_table().try_into()?;
    let max_length = match flags.get("features.max_length") {
        Some(_) => given.features.max_length,
        None => text_length(notes, config, dir)?,
    };
    check_text_length(max_length, config, dir)?;
    Ok(max_length)
}

/// Refuses to read more of a text than the model has positions for.
pub fn check_text_length(max_length: usize, config: &ModelConfig, dir: &Path) -> Result<()> {
    let positions = config.max_position_embeddings;
    if max_length > positions {
        let what = format!("--max-length {max_length}: the model reaches {positions} tokens");
        let advice = format!("give {positions} or less");
        return Err(InputError::new(what, dir.display().to_string(), advice).into());
    }
    Ok(())
}
