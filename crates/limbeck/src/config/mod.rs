//! The typed configuration of a run, and how it is put together.
//!
//! Recipes, `--set` and flags are [`Layer`]s over the defaults, in this order, the
//! later ones winning. A layer may only hold keys that the [table of
//! settings](settings) knows.
//!
//! # Layout
//! - [`settings`]: every key with its flag, its kind of value and its meaning.
//! - [`layer`]: partial configurations and how they are laid over one another.
//! - [`recipe`]: reads recipe files and what they extend, with the line of every error.
//! - [`plan`]: recipes, `--set` and flags to the stages that will run.
//! - [`check`]: what the values must keep to; [`defaults`]: those that depend on the task;
//!   [`effects`]: those that were given and have no effect.
//! - [`suggest`]: the nearest known key.

pub mod check;
pub mod defaults;
pub mod effects;
pub mod layer;
pub mod plan;
pub mod recipe;
pub mod settings;
pub mod suggest;

use std::path::PathBuf;

use clap::ValueEnum;
use limbeck_data::FeatureOptions;
use limbeck_data::corpus::{Documents, MaskingKind};
use limbeck_train::options::{
    DistillOptions, LengthOptions, OptimizerOptions, ScheduleOptions, SparsityOptions, TrainOptions,
};
use serde::{Deserialize, Deserializer, Serialize};

pub use layer::Layer;
pub use limbeck_runtime::folder::Task;

/// Everything that decides the outcome of one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// What is learnt.
    pub task: Task,
    /// How often it is done, each time with the next seed and in a folder of its own, `run-1`,
    /// `run-2` and so on; 0: once, in the folder itself.
    #[serde(skip_serializing_if = "is_zero")]
    pub runs: usize,
    /// Folders or `stage:NAME`s of the teachers; with any, the run distils.
    #[serde(deserialize_with = "one_or_many")]
    pub teacher: Vec<String>,
    /// Where the weights come from.
    pub model: ModelSection,
    /// The data files.
    pub data: DataSection,
    /// Plain text and the words that are masked in it.
    pub text: TextSection,
    /// How questions and paragraphs become features.
    pub features: FeatureOptions,
    /// The optimiser.
    pub optim: OptimizerOptions,
    /// The learning rate over the steps.
    pub schedule: ScheduleOptions,
    /// Length and rhythm.
    pub train: TrainOptions,
    /// The losses against the teachers.
    pub distill: DistillOptions,
    /// Training for every length budget.
    pub lengths: LengthOptions,
    /// Which weights are off.
    pub sparsity: SparsityOptions,
    /// Decoding and scoring.
    pub eval: EvalSection,
    /// Where results go.
    pub output: OutputSection,
}

/// The model that a run starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSection {
    /// A model folder, the id of a model of the Hugging Face Hub, or `stage:NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The layers to keep, counted from 0; empty keeps all.
    pub layers: Vec<usize>,
    /// How many layers to keep; 0 keeps all, those past the model's last are drawn at random.
    pub num_layers: usize,
    /// Attention heads to keep in every layer; 0 keeps all.
    pub heads: usize,
    /// Feed-forward neurons to keep in every layer, or the width of a new model's feed-forward
    /// parts; 0 keeps all, and is four times the hidden size of a new model.
    pub intermediate_size: usize,
    /// A `config.json` of a new model, which pretraining begins with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
    /// Width of a new model; with `num_layers` and `heads` all that it must know.
    pub hidden_size: usize,
    /// Which layers `num_layers` keeps.
    pub layer_choice: LayerChoice,
    /// Which heads and neurons stay.
    pub importance: Importance,
    /// Chooses which heads and neurons go, where chance does.
    pub pruning_seed: u64,
    /// Another activation than the one in `config.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_act: Option<String>,
    /// Another number of segment embeddings than in `config.json`; new ones are drawn
    /// at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_vocab_size: Option<usize>,
    /// Another dropout of hidden states than in `config.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_dropout: Option<f64>,
    /// Another dropout of attention probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention_dropout: Option<f64>,
    /// Another dropout before the head, where the model has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_dropout: Option<f64>,
    /// Another deviation of weights that are drawn at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initializer_range: Option<f64>,
}

impl Default for ModelSection {
    fn default() -> Self {
        Self {
            path: None,
            layers: Vec::new(),
            num_layers: 0,
            heads: 0,
            config: None,
            hidden_size: 0,
            intermediate_size: 0,
            layer_choice: LayerChoice::First,
            importance: Importance::Random,
            pruning_seed: 42,
            hidden_act: None,
            type_vocab_size: None,
            hidden_dropout: None,
            attention_dropout: None,
            head_dropout: None,
            initializer_range: None,
        }
    }
}

/// Which layers a student keeps, when a number is all that is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerChoice {
    /// The first, as SigOpt's search did.
    First,
    /// Evenly spread ones, the last among them.
    Even,
}

/// What makes heads and neurons important.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Importance {
    /// The gradient of the loss to a gate on the part.
    Gradient,
    /// The norm of the part's weights.
    Magnitude,
    /// Chance.
    Random,
}

/// The data files of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSection {
    /// Files to learn from: questions in SQuAD form, or texts in the form of the task.
    #[serde(deserialize_with = "one_or_many")]
    pub train: Vec<PathBuf>,
    /// To be evaluated on while training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev: Option<PathBuf>,
    /// Texts of other sources to be evaluated on as well, as MNLI has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev_mismatched: Option<PathBuf>,
    /// Only the first training questions or texts; 0 takes all.
    pub max_train_questions: usize,
    /// Only the first development questions or texts; 0 takes all.
    pub max_dev_questions: usize,
    /// Keeps tokenised features for the next start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
}

/// Plain text to learn a language from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextSection {
    /// A folder with a tokenizer, or a file of one; none: that of the model or the teacher, or
    /// else one is trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// Entries of a vocabulary that is trained, at most.
    pub vocab_size: usize,
    /// Whether its tokenizer knows small letters only.
    pub lower_case: bool,
    /// What separates documents.
    pub documents: Documents,
    /// What is masked together.
    pub masking: MaskingKind,
    /// The share of tokens to be guessed.
    pub mask_probability: f64,
    /// The share of windows to be evaluated on, where no file is given for that.
    pub validation_share: f64,
    /// Chooses those windows and their masks.
    pub validation_seed: u64,
}

impl Default for TextSection {
    fn default() -> Self {
        Self {
            tokenizer: None,
            vocab_size: 30_522,
            lower_case: true,
            documents: Documents::Lines,
            masking: MaskingKind::WholeWord,
            mask_probability: 0.15,
            validation_share: 0.05,
            validation_seed: 42,
        }
    }
}

/// How logits become answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalSection {
    /// Candidates kept for a question.
    pub n_best_size: usize,
    /// The longest answer, in tokens.
    pub max_answer_length: usize,
    /// Say "no answer" when its score leads the best span's by more than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_score_diff_threshold: Option<f64>,
    /// Take a token only from the window where it has the most context.
    pub max_context: bool,
}

impl Default for EvalSection {
    fn default() -> Self {
        Self {
            n_best_size: 20,
            max_answer_length: 30,
            null_score_diff_threshold: None,
            max_context: false,
        }
    }
}

/// Where the results of a run go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputSection {
    /// The folder of the results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// What beside `train.jsonl` is told of the run: `tensorboard`, `mlflow=ADDRESS`, `none`.
    #[serde(deserialize_with = "one_or_many")]
    pub track: Vec<String>,
    /// In MLflow, the model that the result becomes a version of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub register_model: Option<String>,
    /// Remove the local copy of what was uploaded, once all of it was read back and compared.
    pub remove_local: bool,
}

impl Default for OutputSection {
    fn default() -> Self {
        let track = vec!["tensorboard".to_owned()];
        Self { dir: None, track, register_model: None, remove_local: false }
    }
}

/// Serde's test for what stays unwritten.
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A list of strings, or one string alone.
fn one_or_many<'de, D: Deserializer<'de>, T: From<String>>(from: D) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a string or a list of strings")]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    let texts = match OneOrMany::deserialize(from)? {
        OneOrMany::One(text) => vec![text],
        OneOrMany::Many(texts) => texts,
    };
    Ok(texts.into_iter().map(T::from).collect())
}
