//! A model folder, opened: weights, tokenizer, and how it wants to be asked.

use std::path::Path;

use limbeck_data::glue::TextTask;
use limbeck_data::{DecodeOptions, FeatureOptions, Tokenizer, model_max_length};
use limbeck_model::folder::{Limbeck, NOTES_FILE, NamedPlans};
use limbeck_model::inference::InferenceModel;
use limbeck_model::{Classes, Head, HeadKind, LoadReport, ModelConfig};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Result, RuntimeError};

/// What is learnt and how it is scored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Task {
    /// SQuAD 1.1: every question has its answer in the paragraph.
    #[default]
    Squad,
    /// SQuAD 2.0: some questions have none.
    SquadV2,
    /// Labels of texts or of pairs of texts.
    Texts(TextTask),
    /// Masked words of plain text.
    Pretrain,
}

impl Task {
    /// All of them.
    fn all() -> impl Iterator<Item = Task> {
        let others = TextTask::ALL.map(Task::Texts);
        [Task::Squad, Task::SquadV2, Task::Pretrain].into_iter().chain(others)
    }

    /// Whether contexts are cut into windows beside their questions.
    pub fn has_windows(self) -> bool {
        matches!(self, Task::Squad | Task::SquadV2)
    }

    /// The task of a classifier, if it is one.
    pub fn texts(self) -> Option<TextTask> {
        match self {
            Task::Squad | Task::SquadV2 | Task::Pretrain => None,
            Task::Texts(task) => Some(task),
        }
    }
}

impl From<Task> for &'static str {
    fn from(task: Task) -> &'static str {
        match task {
            Task::Squad => "squad",
            Task::SquadV2 => "squad_v2",
            Task::Texts(task) => task.name(),
            Task::Pretrain => "pretrain",
        }
    }
}

impl TryFrom<String> for Task {
    type Error = String;

    fn try_from(name: String) -> Result<Task, String> {
        Task::all().find(|&task| name == <&str>::from(task)).ok_or_else(|| {
            let names: Vec<&str> = Task::all().map(<&str>::from).collect();
            format!("unknown task `{name}`, expected one of {}", names.join(", "))
        })
    }
}

/// A model, its tokenizer, and what its notes say of how it was trained.
#[derive(Debug)]
pub struct OpenModel {
    /// The model.
    pub model: InferenceModel<'static>,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// What was found in the folder and what was not.
    pub load: LoadReport,
    /// What it was trained for, if the notes say.
    pub task: Option<Task>,
    /// How questions and contexts become windows. They fit the model's positions.
    pub features: FeatureOptions,
    /// How logits become answers.
    pub decode: DecodeOptions,
    /// Length plans that can be asked for by name.
    pub plans: NamedPlans,
}

impl OpenModel {
    /// Opens the folder of a model that answers questions.
    ///
    /// # Errors
    /// When a file is missing or damaged, the tokenizer is not the model's, or the model is
    /// a classifier.
    pub fn open(dir: &Path) -> Result<OpenModel> {
        let (model, load, tokenizer) = open_parts(dir, HeadKind::Span)?;
        let notes = Limbeck::open(dir)?.unwrap_or_default();
        let Habits { task, features, decode } = Habits::of(&notes, model.config(), dir)?;
        let plans = notes.length_plans;
        Ok(OpenModel { model, tokenizer, load, task, features, decode, plans })
    }
}

/// How a model that answers questions wants to be asked, as its notes say.
#[derive(Debug)]
pub struct Habits {
    /// What it was trained for, if the notes say.
    pub task: Option<Task>,
    /// How questions and contexts become windows. They fit the model's positions.
    pub features: FeatureOptions,
    /// How logits become answers.
    pub decode: DecodeOptions,
}

impl Habits {
    /// Reads the notes of the model in `dir`.
    ///
    /// # Errors
    /// When a part of them cannot be understood.
    pub fn of(notes: &Limbeck, config: &ModelConfig, dir: &Path) -> Result<Habits> {
        let task: Option<Task> = part(notes, "task", dir)?;
        let own: Option<FeatureOptions> = part(notes, "features", dir)?;
        let is_own = own.is_some();
        let mut features = own.unwrap_or_default();
        if !is_own {
            fit(&mut features, model_max_length(dir)?.unwrap_or(usize::MAX));
        }
        let mut decode: DecodeOptions = part(notes, "eval", dir)?.unwrap_or_default();
        if let Some(threshold) = notes.null_score_diff_threshold {
            decode.null_score_diff_threshold = f64::from(threshold);
        }
        decode.allow_null = task == Some(Task::SquadV2);
        fit(&mut features, config.max_position_embeddings);
        Ok(Habits { task, features, decode })
    }
}

/// A classifier, its tokenizer, and what its logits mean.
#[derive(Debug)]
pub struct OpenClassifier {
    /// The model.
    pub model: InferenceModel<'static>,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// What was found in the folder and what was not.
    pub load: LoadReport,
    /// Labels and how they belong to the logits.
    pub classes: Classes,
    /// Tokens that are read of a text; see [`text_length`].
    pub max_length: usize,
    /// Length plans that can be asked for by name.
    pub plans: NamedPlans,
}

impl OpenClassifier {
    /// Opens the folder of a model with a classification head.
    ///
    /// # Errors
    /// When a file is missing or damaged, the tokenizer is not the model's, or the model is
    /// no classifier.
    pub fn open(dir: &Path) -> Result<OpenClassifier> {
        let (model, load, tokenizer) = open_parts(dir, HeadKind::Classification)?;
        let notes = Limbeck::open(dir)?.unwrap_or_default();
        let max_length = text_length(&notes, model.config(), dir)?;
        let Head::Classification(classes) = model.config().head.clone() else {
            return Err(wrong_head(dir, HeadKind::Classification, model.config().head.kind()));
        };
        let plans = notes.length_plans;
        Ok(OpenClassifier { model, tokenizer, load, classes, max_length, plans })
    }
}

/// Tokens that a classifier reads of a text, special ones included: as many as in training, if its
/// notes say, else as many as its tokenizer makes and it has positions.
///
/// # Errors
/// When the tokenizer's settings cannot be read.
pub fn text_length(notes: &Limbeck, config: &ModelConfig, dir: &Path) -> Result<usize> {
    let length = match notes.max_length {
        Some(length) => length,
        None => model_max_length(dir)?.unwrap_or(usize::MAX),
    };
    Ok(length.min(config.max_position_embeddings))
}

/// Opens what every model folder has, once the head is known to be the one that is needed.
fn open_parts(
    dir: &Path,
    needed: HeadKind,
) -> Result<(InferenceModel<'static>, LoadReport, Tokenizer)> {
    let found = ModelConfig::open(dir)?.head.kind();
    if found != needed {
        return Err(wrong_head(dir, needed, found));
    }
    let (model, load) = InferenceModel::open(dir)?;
    let mut tokenizer = Tokenizer::from_folder(dir)?;
    check_vocabulary(&mut tokenizer, model.config(), dir)?;
    Ok((model, load, tokenizer))
}

fn wrong_head(dir: &Path, needed: HeadKind, found: HeadKind) -> RuntimeError {
    let reason = match (needed, found) {
        (HeadKind::Span, HeadKind::Classification) => {
            "the model classifies whole texts and has no span head to answer questions with; \
             give one that was fine-tuned on questions"
        }
        (HeadKind::Span, _) => {
            "the model has no span head to answer questions with; give one that was fine-tuned \
             on questions"
        }
        (HeadKind::Classification, _) => {
            "the model is no classifier; give one whose config.json names a class \
             ...ForSequenceClassification under `architectures`"
        }
        (HeadKind::MaskedWord, _) => {
            "the model guesses no masked words; give one whose config.json names a class \
             ...ForMaskedLM under `architectures`"
        }
    };
    RuntimeError::Folder { path: dir.to_owned(), reason: reason.to_owned() }
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

/// Fits a tokenizer to a model, and refuses one that names tokens the model has no embedding for.
///
/// # Errors
/// Says how many there are of each.
pub fn check_vocabulary(tokenizer: &mut Tokenizer, config: &ModelConfig, dir: &Path) -> Result<()> {
    tokenizer.fit_to(config.vocab_size);
    let (tokens, embeddings) = (tokenizer.vocab_size(), config.vocab_size);
    if tokens <= embeddings {
        return Ok(());
    }
    let reason = format!(
        "the tokenizer has {tokens} tokens, the model {embeddings} embeddings; put the model's \
         own tokenizer beside it"
    );
    Err(RuntimeError::Folder { path: dir.to_owned(), reason })
}

/// A part of the configuration that made the model.
fn part<T: DeserializeOwned>(notes: &Limbeck, key: &str, dir: &Path) -> Result<Option<T>> {
    let Some(value) = notes.config.get(key) else { return Ok(None) };
    serde_json::from_value(value.clone()).map(Some).map_err(|error| RuntimeError::Folder {
        path: dir.join(NOTES_FILE),
        reason: format!("`config.{key}` cannot be read: {error}"),
    })
}
