//! A model that plans are tried on, and what it reads: questions, or texts with labels.

use std::path::Path;

use anyhow::Result;
use limbeck_data::glue::score::main_metric;
use limbeck_data::glue::{TextData, TextTask, Use};
use limbeck_data::{Features, Gold, Purpose, Question, SquadData};
use limbeck_model::inference::InferenceModel;
use limbeck_train::evaluation::EvaluationSet;
use serde_json::{Value, json};

use super::trial::Trial;
use crate::cli::lengths::LengthArgs;
use crate::commands::questions;
use crate::commands::subject::texts::TextSubject;
use crate::commands::subject::{Subject, is_classifier};
use crate::config::Layer;
use crate::console::Console;
use crate::exit::InputError;

/// A model, its tokenizer, and how it reads.
pub enum Reader {
    /// It answers questions.
    Questions(Subject),
    /// It labels texts.
    Texts(TextSubject),
}

/// What plans are scored on.
#[derive(Clone)]
pub enum Data {
    /// For a model that answers questions.
    Questions(SquadData),
    /// For a classifier.
    Texts(TextData),
}

/// By what plans are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Mean F1 of answers in per cent; where questions may have no answer, at the best
    /// threshold.
    F1,
    /// The main score of a task of texts.
    OfTexts(TextTask),
}

impl Reader {
    /// Opens a model. Its `limbeck.json` says how it was trained; `flags` win over that.
    pub fn open(name: &str, flags: &Layer, console: Console) -> Result<Reader> {
        let none = LengthArgs::default();
        Ok(match is_classifier(name)? {
            true => Reader::Texts(TextSubject::open(name, flags, &none, console)?),
            false => Reader::Questions(Subject::open(name, flags, &none, console)?),
        })
    }

    /// What the model is scored on: the first `limit` questions or texts of a file, or all.
    pub fn read(&self, path: &Path, limit: usize, console: Console) -> Result<Data> {
        if let Reader::Texts(subject) = self {
            return Ok(Data::Texts(subject.reading.read(path, Use::Score, limit, console)?));
        }
        let data = questions::read(path, Gold::Read, limit, console)?;
        let has_gold = |question: &Question| question.is_impossible || !question.answers.is_empty();
        if !data.questions.iter().any(has_gold) {
            let what = "no question has an answer to score against";
            return Err(InputError::new(what, path.display().to_string(), "").into());
        }
        Ok(Data::Questions(data))
    }

    /// Makes data ready to try plans on.
    ///
    /// # Errors
    /// When it cannot be tokenised, or is of the other kind.
    pub fn trial(&self, data: Data) -> Result<Trial> {
        match (self, data) {
            (Reader::Questions(subject), Data::Questions(data)) => {
                let (tokenizer, options) = (&subject.tokenizer, &subject.features);
                let (features, _) = Features::build(&data, tokenizer, options, Purpose::Predict)?;
                let decode = subject.decode(subject.task_for(&data));
                Ok(Trial::of(EvaluationSet { data, features, decode, tune_threshold: false }))
            }
            (Reader::Texts(subject), Data::Texts(data)) => Ok(Trial::of(subject.set(data)?)),
            _ => anyhow::bail!("questions are for a model that answers, texts for a classifier"),
        }
    }

    /// The model.
    pub fn model(&self) -> &InferenceModel<'static> {
        match self {
            Reader::Questions(subject) => &subject.model,
            Reader::Texts(subject) => &subject.model,
        }
    }

    /// Tokens of the longest sequence that it reads.
    pub fn max_length(&self) -> usize {
        match self {
            Reader::Questions(subject) => subject.features.max_length,
            Reader::Texts(subject) => subject.reading.max_length,
        }
    }

    /// By what its plans are compared.
    pub fn metric(&self) -> Metric {
        match self {
            Reader::Questions(_) => Metric::F1,
            Reader::Texts(subject) => Metric::OfTexts(subject.reading.task),
        }
    }

    /// What decides how it reads data and is scored by it.
    pub fn identity(&self, data: &Data) -> Value {
        match (self, data) {
            (Reader::Questions(subject), Data::Questions(data)) => json!({
                "data": data.fingerprint().to_hex().as_str(),
                "features": subject.features,
                "decode": subject.decode(subject.task_for(data)),
            }),
            (Reader::Texts(subject), Data::Texts(data)) => json!({
                "data": data.fingerprint().to_hex().as_str(),
                "max_length": subject.reading.max_length,
            }),
            _ => Value::Null,
        }
    }
}

impl Data {
    /// How many questions or texts there are.
    pub fn len(&self) -> usize {
        match self {
            Data::Questions(data) => data.questions.len(),
            Data::Texts(data) => data.examples.len(),
        }
    }

    /// Keeps `count` of them, drawn by `seed`, in their order.
    pub fn sample(&mut self, count: usize, seed: u64) {
        match self {
            Data::Questions(data) => data.sample(count, seed),
            Data::Texts(data) => data.sample(count, seed),
        }
    }
}

impl Metric {
    /// Its key in files, as `evaluate` has it.
    pub fn key(self) -> &'static str {
        match self {
            Metric::F1 => "f1",
            Metric::OfTexts(task) => main_metric(task),
        }
    }

    /// Its name in sentences.
    pub fn name(self) -> String {
        match self {
            Metric::F1 => "F1".to_owned(),
            Metric::OfTexts(_) => self.key().replace('_', " "),
        }
    }

    /// Its name on an axis.
    pub fn axis(self) -> String {
        match self {
            Metric::F1 => "F1 in per cent".to_owned(),
            Metric::OfTexts(_) => self.name(),
        }
    }

    /// A score with the digits that matter.
    pub fn text(self, score: f64) -> String {
        match self {
            Metric::F1 => format!("{score:.2}"),
            Metric::OfTexts(_) => format!("{score:.4}"),
        }
    }

    /// The task that it is of.
    pub fn task(self) -> &'static str {
        match self {
            Metric::F1 => "questions",
            Metric::OfTexts(task) => task.name(),
        }
    }

    /// What is scored, several of them.
    pub fn things(self) -> &'static str {
        match self {
            Metric::F1 => "questions",
            Metric::OfTexts(_) => "texts",
        }
    }

    /// What goes through the model in one piece.
    pub fn piece(self) -> &'static str {
        match self {
            Metric::F1 => "window",
            Metric::OfTexts(_) => "text",
        }
    }
}
