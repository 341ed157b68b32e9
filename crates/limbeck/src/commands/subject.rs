//! The model that a command runs, with the options that belong to it.
//!
//! # Layout
//! - here: a model that answers questions, and what both kinds need
//! - [`texts`]: a classifier

pub mod texts;

use std::path::Path;

use anyhow::Result;
use limbeck_data::{DecodeOptions, FeatureOptions, SquadData, Tokenizer};
use limbeck_model::folder::NamedPlans;
use limbeck_model::inference::InferenceModel;
use limbeck_model::{HeadKind, LoadReport, ModelConfig};
use limbeck_runtime::OpenModel;

use crate::cli::lengths::LengthArgs;
use crate::commands::models::resolve;
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
    /// Whether its weights take one byte each.
    pub quantized: bool,
    /// Its length plans by name.
    pub plans: NamedPlans,
    eval: EvalSection,
}

impl Subject {
    /// Opens a model. Its `limbeck.json` says how it was trained; `flags` win over that.
    pub fn open(
        name: &str,
        flags: &Layer,
        length: &LengthArgs,
        console: Console,
    ) -> Result<Subject> {
        let dir = resolve(name)?;
        let OpenModel { model, load, tokenizer, task, features, decode, plans } =
            OpenModel::open(&dir)?;
        report_missing(&load, console);
        let eval = EvalSection {
            n_best_size: decode.n_best_size,
            max_answer_length: decode.max_answer_length,
            null_score_diff_threshold: Some(decode.null_score_diff_threshold),
            max_context: decode.max_context,
        };
        let base = RunConfig { features, eval, ..RunConfig::default() };
        let config: RunConfig = Layer::of(&base)?.under(flags).into_table().try_into()?;
        let features = config.features;
        check_length(&features, model.config(), &dir)?;
        features.validate()?;
        let plan = length.plan(model.config(), features.max_length, &plans)?;
        let model = model.with_lengths(plan)?;
        if let Some(task) = config.task.texts().filter(|_| flags.get("task").is_some()) {
            let what = format!("{task} is a task of texts, and the model answers questions");
            return Err(
                InputError::new(what, name, "give a model that was fine-tuned on it").into()
            );
        }
        let task = if flags.get("task").is_some() { Some(config.task) } else { task };
        let quantized = load.quantized;
        let eval = config.eval;
        for (flag, count) in
            [("--n-best-size", eval.n_best_size), ("--max-answer-length", eval.max_answer_length)]
        {
            if count == 0 {
                let what = format!("{flag} 0 leaves no answer");
                return Err(InputError::new(what, name, "give 1 or more").into());
            }
        }
        Ok(Subject { model, tokenizer, task, features, quantized, plans, eval })
    }

    /// The task: that of flags or notes, else what the data looks like.
    pub fn task_for(&self, data: &SquadData) -> Task {
        self.task.unwrap_or_else(|| task_of(data))
    }

    /// How logits become answers of this task.
    pub fn decode(&self, task: Task) -> DecodeOptions {
        decode_options(&self.eval, task)
    }
}

/// Whether a model labels texts instead of answering questions.
pub fn is_classifier(model: &str) -> Result<bool> {
    Ok(ModelConfig::open(&resolve(model)?)?.head.kind() == HeadKind::Classification)
}

/// The task that data looks like.
pub fn task_of(data: &SquadData) -> Task {
    let looks_like_two = data.version.trim_start_matches('v').starts_with('2')
        || data.questions.iter().any(|question| question.is_impossible)
        // Where others are answered, an empty list says that there is no answer.
        || data.questions.iter().any(|question| question.lists_no_answer)
            && data.questions.iter().any(|question| !question.answers.is_empty());
    if looks_like_two { Task::SquadV2 } else { Task::Squad }
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
