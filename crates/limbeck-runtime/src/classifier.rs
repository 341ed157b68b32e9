//! From text to labels: the path of `classify`, and of programs that embed a classifier.
//!
//! A server that wants the texts of several requests in one batch takes an
//! [`OpenClassifier`] apart: [`Sequence::new`] on the threads
//! that take requests, [`class_logits`] on the one that holds the model, and
//! [`Classified::new`] with each request's logits.

use std::path::Path;

use limbeck_data::{Sequence, Tokenizer};
use limbeck_model::Classes;
use limbeck_model::inference::InferenceModel;

use crate::error::Result;
use crate::folder::OpenClassifier;
use crate::logits::{Memory, class_logits};
use crate::text::{Classified, Text};

/// A classifier with its tokenizer and all memory that a text needs.
pub struct Classifier {
    model: InferenceModel<'static>,
    tokenizer: Tokenizer,
    classes: Classes,
    max_length: usize,
    memory: Memory,
}

impl Classifier {
    /// Opens a model folder.
    ///
    /// # Errors
    /// As [`OpenClassifier::open`].
    pub fn open(dir: &Path) -> Result<Self> {
        Ok(Classifier::new(OpenClassifier::open(dir)?))
    }

    /// Takes an opened folder.
    pub fn new(opened: OpenClassifier) -> Self {
        let OpenClassifier { model, tokenizer, classes, max_length, .. } = opened;
        Classifier { model, tokenizer, classes, max_length, memory: Memory::default() }
    }

    /// The model that classifies.
    pub fn model(&self) -> &InferenceModel<'static> {
        &self.model
    }

    /// What the logits mean.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// Classifies a text, or what two texts are to each other.
    ///
    /// # Errors
    /// When the tokenizer is not the model's.
    pub fn classify(&mut self, text: &str, pair: Option<&str>) -> Result<Classified> {
        let classified = self.classify_all(&[Text { text, pair }])?;
        Ok(classified.into_iter().next().expect("labels for one text"))
    }

    /// Classifies several texts, in order. They go through in ragged batches of a bounded
    /// size.
    ///
    /// # Errors
    /// As [`Classifier::classify`], for any of the texts.
    pub fn classify_all(&mut self, texts: &[Text<'_>]) -> Result<Vec<Classified>> {
        let sequences = texts
            .iter()
            .map(|text| Sequence::new(&self.tokenizer, text.text, text.pair, self.max_length))
            .collect::<Result<Vec<_>, _>>()?;
        let logits = class_logits(&self.model, &sequences, &mut self.memory)?;
        let labelled = sequences.iter().zip(&logits);
        Ok(labelled
            .map(|(sequence, logits)| Classified::new(&self.classes, logits, sequence.truncated))
            .collect())
    }
}
