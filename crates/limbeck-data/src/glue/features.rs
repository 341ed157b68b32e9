//! Texts as sequences of tokens, with their labels.

use rayon::prelude::*;

use super::TextData;
use crate::{Batch, DataError, Examples, Sequence, Tokenizer};

/// The sequences of a data set, in memory: texts are short.
#[derive(Debug, Clone)]
pub struct TextFeatures {
    sequences: Vec<Sequence>,
    labels: Vec<f32>,
}

impl TextFeatures {
    /// Tokenises every example; what exceeds `max_length` tokens is cut as [`Sequence::new`]
    /// tells. An example without a label counts as label 0, which only predicting may look at.
    ///
    /// # Errors
    /// When `max_length` leaves no room for text, or a text cannot be tokenised.
    pub fn build(
        data: &TextData,
        tokenizer: &Tokenizer,
        max_length: usize,
    ) -> Result<TextFeatures, DataError> {
        let sequence = |example: &super::Example| {
            Sequence::new(tokenizer, &example.text, example.pair.as_deref(), max_length)
        };
        let sequences = data.examples.par_iter().map(sequence).collect::<Result<_, _>>()?;
        let labels = data.examples.iter().map(|example| example.label.unwrap_or(0.0)).collect();
        Ok(TextFeatures { sequences, labels })
    }

    /// The sequences, in the data's order.
    pub fn sequences(&self) -> &[Sequence] {
        &self.sequences
    }

    /// How many were cut.
    pub fn truncated(&self) -> usize {
        self.sequences.iter().filter(|sequence| sequence.truncated).count()
    }

    /// Tokens of all sequences together, special tokens included.
    pub fn rows(&self) -> usize {
        self.sequences.iter().map(Sequence::rows).sum()
    }
}

impl Examples for TextFeatures {
    fn len(&self) -> usize {
        self.sequences.len()
    }

    fn rows_of(&self, index: usize) -> usize {
        self.sequences[index].rows()
    }

    fn append(&self, index: usize, batch: &mut Batch) {
        self.sequences[index].append(batch);
        batch.labels.push(self.labels[index]);
        batch.features.push(index);
    }
}
