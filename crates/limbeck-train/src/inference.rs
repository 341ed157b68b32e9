//! Logits of many features, in batches of a bounded number of rows.

use std::ops::Range;

use limbeck_data::{Batch, Features};
use limbeck_model::Model;
use limbeck_model::encoder::{self, InferenceBuffers, Mode, PackedWeights};
use limbeck_model::heads::span::{self, SpanLogits};

use crate::error::Result;
use crate::learner::tokens;
use crate::observer::Observer;

/// Rows of one forward pass: enough for full speed, few enough to stay small.
const BATCH_ROWS: usize = 4096;

/// A model ready to answer: its weights packed once, its buffers kept.
pub struct Predictor<'a> {
    model: &'a Model,
    packed: PackedWeights,
    memory: Memory,
}

/// What a forward pass without gradients needs.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    buffers: InferenceBuffers,
    logits: SpanLogits,
}

impl Memory {
    /// The logits of one batch.
    ///
    /// # Errors
    /// When a token, segment or length is beyond the model's tables.
    pub fn logits(
        &mut self,
        model: &Model,
        packed: &PackedWeights,
        batch: &Batch,
    ) -> Result<&SpanLogits> {
        model.check_tokens(tokens(batch))?;
        let hidden = encoder::infer(model, Some(packed), tokens(batch), &mut self.buffers);
        span::forward(model, hidden, Mode::Evaluate, &mut self.logits);
        Ok(&self.logits)
    }
}

impl<'a> Predictor<'a> {
    /// Packs the weights that `model` has now.
    pub fn new(model: &'a Model) -> Self {
        Predictor { model, packed: PackedWeights::new(model), memory: Memory::default() }
    }

    /// Start and end logits of one batch, one a row.
    ///
    /// # Errors
    /// When a token, segment or length is beyond the model's tables.
    pub fn logits(&mut self, batch: &Batch) -> Result<&SpanLogits> {
        self.memory.logits(self.model, &self.packed, batch)
    }

    /// Calls `take(features, batch, logits)` for batches of consecutive features of
    /// `range`, in order. Stops early, with `false`, when the observer asks for it.
    ///
    /// # Errors
    /// As [`Predictor::logits`], and what `take` returns.
    pub fn each_batch(
        &mut self,
        features: &Features,
        range: Range<usize>,
        observer: &mut dyn Observer,
        mut take: impl FnMut(Range<usize>, &Batch, &SpanLogits) -> Result<()>,
    ) -> Result<bool> {
        let mut batch = Batch::default();
        let mut indices = Vec::new();
        let mut next = range.start;
        while next < range.end {
            if observer.should_stop() {
                return Ok(false);
            }
            indices.clear();
            let mut rows = 0;
            while next < range.end {
                rows += features.rows_of(next);
                if rows > BATCH_ROWS && !indices.is_empty() {
                    break;
                }
                indices.push(next);
                next += 1;
            }
            features.batch(&indices, &mut batch);
            let logits = self.logits(&batch)?;
            take(next - indices.len()..next, &batch, logits)?;
            observer.advance(indices.len() as u64);
        }
        Ok(true)
    }
}

/// The logits of all features; `None` when the observer asked to stop.
///
/// # Errors
/// When the features were made with a tokenizer that is not the model's.
pub fn span_logits(
    model: &Model,
    features: &Features,
    observer: &mut dyn Observer,
) -> Result<Option<limbeck_data::decode::SpanLogits>> {
    let mut all = limbeck_data::decode::SpanLogits::new(features);
    let finished = Predictor::new(model).each_batch(
        features,
        0..features.len(),
        observer,
        |range, batch, logits| {
            for (feature, rows) in range.zip(batch.starts.windows(2)) {
                let (start, end) = all.feature_mut(feature);
                start.copy_from_slice(&logits.start[rows[0]..rows[1]]);
                end.copy_from_slice(&logits.end[rows[0]..rows[1]]);
            }
            Ok(())
        },
    )?;
    Ok(finished.then_some(all))
}
