//! The model that a command runs, with the options that belong to it.

use std::path::Path;

use anyhow::{Context, Result};
use limbeck_data::{DecodeOptions, FeatureOptions, SquadData, Tokenizer};
use limbeck_model::folder::{Limbeck, resolve};
use limbeck_model::inference::InferenceModel;
use limbeck_model::{LoadReport, ModelConfig};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::{EvalSection, Layer, RunConfig, Task};
use crate::console::Console;
use crate::exit::InputError;

/// A model, its tokenizer, and how it wants to be asked.
pub struct Subject {
    /// The model.
    pub model: InferenceModel<'static>,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// The task, from flags or the model's notes.
    pub task: Option<Task>,
    /// How questions and contexts become features.
    pub features: FeatureOptions,
    eval: EvalSection,
}

impl Subject {
    /// Opens a model. Its `limbeck.json` says how it was trained; `flags` win over that.
    pub fn open(name: &str, flags: &Layer, console: Console) -> Result<Subject> {
        let dir = resolve(name)?;
        let (model, load) = InferenceModel::open(&dir)?;
        report_missing(&load, console);
        let tokenizer = Tokenizer::from_folder(&dir)?;
        check_vocabulary(&tokenizer, model.config(), &dir)?;
        let notes = Limbeck::open(&dir)?.unwrap_or_default();
        let given = |key: &str| flags.get(key).is_some();

        let part = |key: &str| notes.config.get(key);
        let mut base = RunConfig::default();
        if let Some(value) = part("features") {
            base.features = read(value, "config.features", &dir)?;
        }
        if let Some(value) = part("eval") {
            base.eval = read(value, "config.eval", &dir)?;
        }
        if let Some(threshold) = notes.null_score_diff_threshold {
            base.eval.null_score_diff_threshold = Some(f64::from(threshold));
        }
        let own_task: Option<Task> =
            part("task").map(|value| read(value, "config.task", &dir)).transpose()?;
        let config: RunConfig = Layer::of(&base)?.under(flags).into_table().try_into()?;
        let mut features = config.features;
        let positions = model.config().max_position_embeddings;
        if !given("features.max_length") {
            fit(&mut features, positions);
        }
        check_length(&features, model.config(), &dir)?;
        features.validate()?;
        let task = if given("task") { Some(config.task) } else { own_task };
        Ok(Subject { model, tokenizer, task, features, eval: config.eval })
    }

    /// The task: that of flags or notes, else what the data looks like.
    pub fn task_for(&self, data: &SquadData) -> Task {
        let looks_like_two = data.version.trim_start_matches('v').starts_with('2')
            || data.questions.iter().any(|question| question.is_impossible);
        self.task.unwrap_or(if looks_like_two { Task::SquadV2 } else { Task::Squad })
    }

    /// How logits become answers of this task.
    pub fn decode(&self, task: Task) -> DecodeOptions {
        decode_options(&self.eval, task)
    }
}

/// The decoder's options for a task.
pub fn decode_options(eval: &EvalSection, task: Task) -> DecodeOptions {
    DecodeOptions {
        n_best_size: eval.n_best_size,
        max_answer_length: eval.max_answer_length,
        null_score_diff_threshold: eval.null_score_diff_threshold.unwrap_or(0.0),
        max_context: eval.max_context,
        allow_null: task == Task::SquadV2,
    }
}

/// What a command that computes with floats says of a folder whose weights take one byte
/// each.
pub const READ_AS_FLOATS: &str = "weights of one byte each, read as floats";

/// Tells which tensors are not in the folder: answers of such a model mean nothing.
pub fn report_missing(load: &LoadReport, console: Console) {
    if !load.missing.is_empty() {
        let missing = load.missing.join(", ");
        console.message(&format!("not in the model folder, drawn at random: {missing}"));
    }
}

/// Makes windows that nobody asked for fit a model of few positions: a third of them for
/// the question, a fourth of the rest for the overlap, where the usual sizes are larger.
pub fn fit(features: &mut FeatureOptions, positions: usize) {
    if features.max_length > positions {
        features.max_length = positions;
        features.max_query_length = features.max_query_length.min(positions / 3);
        features.doc_stride = features.doc_stride.min(positions / 6);
    }
}

/// Refuses a tokenizer that names tokens the model has no embedding for.
pub fn check_vocabulary(tokenizer: &Tokenizer, config: &ModelConfig, dir: &Path) -> Result<()> {
    let (tokens, embeddings) = (tokenizer.vocab_size(), config.vocab_size);
    if tokens > embeddings {
        let what = format!("the tokenizer has {tokens} tokens, the model {embeddings} embeddings");
        let advice = "put the model's own tokenizer beside it";
        return Err(InputError::new(what, dir.display().to_string(), advice).into());
    }
    Ok(())
}

/// Refuses windows that are longer than the model's position embeddings reach.
pub fn check_length(features: &FeatureOptions, config: &ModelConfig, dir: &Path) -> Result<()> {
    let (length, positions) = (features.max_length, config.max_position_embeddings);
    if length > positions {
        let what =
            format!("`features.max_length` is {length}, the model reaches {positions} tokens");
        let advice = format!("give --max-length {positions} or less");
        return Err(InputError::new(what, dir.display().to_string(), advice).into());
    }
    Ok(())
}

fn read<T: DeserializeOwned>(value: &Value, key: &str, dir: &Path) -> Result<T> {
    serde_json::from_value(value.clone())
        .map_err(|error| {
            let place = dir.join(limbeck_model::folder::NOTES_FILE).display().to_string();
            InputError::new(format!("`{key}` cannot be read: {error}"), place, "")
        })
        .context("the model's notes")
}
