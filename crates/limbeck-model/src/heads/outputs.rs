//! Logits and their gradients, whichever head a model has.

use std::ops::Range;

use super::classification::{self, ClassLogits};
use super::masked_word::{self, WordVectors};
use super::span::{self, SpanGradients, SpanLogits};
use crate::config::{Head, ProblemType};
use crate::encoder::{BackwardBuffers, Mode};
use crate::error::{ModelError, Result};
use crate::model::Model;

/// What a head says of a batch: logits, and the gradients that losses leave for them.
#[derive(Debug)]
pub enum Outputs {
    /// Of a span head.
    Span {
        /// Two a token.
        logits: SpanLogits,
        /// Their gradients.
        gradients: SpanGradients,
    },
    /// Of a classification head.
    Classification {
        /// What the logits mean.
        problem: ProblemType,
        /// One a label for each sequence.
        logits: ClassLogits,
        /// Their gradients, `[sequences, labels]`.
        gradients: Vec<f32>,
    },
    /// Of a masked-word head, whose logits are never there all at once: see [`Words`].
    MaskedWord(Words),
}

/// What a masked-word head says of a batch: word vectors, and the logits of one chunk of them.
#[derive(Debug, Default)]
pub struct Words {
    /// Of the masked rows.
    pub vectors: WordVectors,
    logits: Vec<f32>,
}

impl Words {
    /// Calls `loss(rows, logits)` for chunk after chunk of the masked rows. It turns the logits
    /// (`[rows of the chunk, vocabulary]`) into their gradient, which goes to the word vectors
    /// and into `gradients` at once.
    ///
    /// # Errors
    /// When the model has another head, and what `loss` returns.
    pub fn learn<E: From<ModelError>>(
        &mut self,
        model: &Model,
        buffers: &mut BackwardBuffers,
        gradients: &mut [f32],
        mut loss: impl FnMut(Range<usize>, &mut [f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Words { vectors, logits } = self;
        for chunk in masked_word::chunks(vectors.len(), model.config.vocab_size) {
            let logits = masked_word::logits(model, vectors, chunk.clone(), logits)?;
            loss(chunk.clone(), logits)?;
            masked_word::learn(model, vectors, chunk, logits, buffers, gradients)?;
        }
        Ok(())
    }
}

/// Where sequences begin in a batch, and which of its rows are masked.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The first row of each sequence, and the number of rows, `[sequences + 1]`.
    pub starts: &'a [usize],
    /// The masked rows; none but for a masked-word head.
    pub masked: &'a [u32],
}

/// What a loss looks at by itself: the logits of one softmax, or one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Over the tokens of a sequence: where the answer starts.
    Start,
    /// Over the tokens of a sequence: where the answer ends.
    End,
    /// Over the labels.
    Class,
    /// The one number of a regression; no softmax.
    Value,
}

impl Outputs {
    /// Those of a head, empty.
    pub fn of(head: &Head) -> Outputs {
        match head {
            Head::Span => {
                Outputs::Span { logits: SpanLogits::default(), gradients: SpanGradients::default() }
            }
            Head::Classification(classes) => Outputs::Classification {
                problem: classes.problem(),
                logits: ClassLogits::default(),
                gradients: Vec::new(),
            },
            Head::MaskedWord => Outputs::MaskedWord(Words::default()),
        }
    }

    /// The rows that the head reads, rising, in `rows`; none where it reads all.
    pub fn read<'a>(&self, places: Places<'_>, rows: &'a mut Vec<usize>) -> Option<&'a [usize]> {
        rows.clear();
        match self {
            Outputs::Span { .. } => return None,
            Outputs::Classification { .. } => {
                rows.extend(places.starts.iter().take(places.starts.len().saturating_sub(1)));
            }
            Outputs::MaskedWord(_) => rows.extend(places.masked.iter().map(|&row| row as usize)),
        }
        Some(rows)
    }

    /// Computes the logits from `hidden` (`[rows, hidden]`), and sets their gradients to zero;
    /// of masked words what [`Words::learn`] makes them of.
    ///
    /// # Errors
    /// When the model has another head, or a sequence has no tokens.
    pub fn forward(
        &mut self,
        model: &Model,
        places: Places<'_>,
        hidden: &[f32],
        mode: Mode,
    ) -> Result<()> {
        match self {
            Outputs::Span { logits, gradients } => {
                span::forward(model, hidden, mode, logits)?;
                gradients.clear(logits.start.len());
            }
            Outputs::Classification { logits, gradients, .. } => {
                classification::forward(model, places.starts, hidden, mode, logits)?;
                gradients.clear();
                gradients.resize(logits.values.len(), 0.0);
            }
            Outputs::MaskedWord(words) => {
                masked_word::forward(model, places.masked, hidden, &mut words.vectors)?;
            }
        }
        Ok(())
    }

    /// From the gradients of the logits to that of the last hidden state, which is left in
    /// `buffers.hidden_gradient`, and to those of the head's parameters, added to `gradients`.
    ///
    /// `places`, `hidden` and `mode` must be those of the [`Outputs::forward`] before.
    ///
    /// # Errors
    /// When the model has another head.
    pub fn backward(
        &mut self,
        model: &Model,
        places: Places<'_>,
        hidden: &[f32],
        mode: Mode,
        buffers: &mut BackwardBuffers,
        parameters: &mut [f32],
    ) -> Result<()> {
        match self {
            Outputs::Span { logits, gradients } => {
                span::backward(model, hidden, mode, logits, gradients, buffers, parameters)
            }
            Outputs::Classification { logits, gradients, .. } => {
                let starts = places.starts;
                classification::backward(
                    model, starts, mode, logits, gradients, buffers, parameters,
                )
            }
            Outputs::MaskedWord(words) => {
                let rows = hidden.len() / model.config.hidden_size;
                masked_word::backward(model, rows, &mut words.vectors, buffers, parameters)
            }
        }
    }

    /// The weight of a part in the loss of its sequence: a span has two parts, of which the mean
    /// is taken.
    pub fn share(&self) -> f64 {
        match self {
            Outputs::Span { .. } => 0.5,
            Outputs::Classification { .. } | Outputs::MaskedWord(_) => 1.0,
        }
    }

    /// The logits of a part of a sequence, of a head that has the part. Masked words have no
    /// parts, because their logits are not kept: nothing.
    pub fn part(&self, starts: &[usize], sequence: usize, part: Part) -> &[f32] {
        match (self, part) {
            (Outputs::Span { logits, .. }, Part::End) => {
                &logits.end[starts[sequence]..starts[sequence + 1]]
            }
            (Outputs::Span { logits, .. }, _) => {
                &logits.start[starts[sequence]..starts[sequence + 1]]
            }
            (Outputs::Classification { logits, .. }, _) => {
                let labels = logits.values.len() / (starts.len() - 1);
                &logits.values[sequence * labels..(sequence + 1) * labels]
            }
            (Outputs::MaskedWord(_), _) => &[],
        }
    }

    /// Calls `term(sequence, part, logits, gradients)` for every part of every sequence, and adds
    /// up what it returns. Masked words have none: [`Words::learn`] is theirs.
    pub fn sum_over_parts(
        &mut self,
        starts: &[usize],
        mut term: impl FnMut(usize, Part, &[f32], &mut [f32]) -> f64,
    ) -> f64 {
        let mut sum = 0.0;
        match self {
            Outputs::Span { logits, gradients } => {
                for (sequence, pair) in starts.windows(2).enumerate() {
                    let rows = pair[0]..pair[1];
                    let start = &mut gradients.start[rows.clone()];
                    sum += term(sequence, Part::Start, &logits.start[rows.clone()], start);
                    let end = &mut gradients.end[rows.clone()];
                    sum += term(sequence, Part::End, &logits.end[rows], end);
                }
            }
            Outputs::Classification { problem, logits, gradients } => {
                let part = match problem {
                    ProblemType::Regression => Part::Value,
                    _ => Part::Class,
                };
                let labels = (logits.values.len() / (starts.len() - 1).max(1)).max(1);
                let parts = logits.values.chunks_exact(labels);
                for (sequence, (logits, gradients)) in
                    parts.zip(gradients.chunks_exact_mut(labels)).enumerate()
                {
                    sum += term(sequence, part, logits, gradients);
                }
            }
            Outputs::MaskedWord(_) => {}
        }
        sum
    }
}
