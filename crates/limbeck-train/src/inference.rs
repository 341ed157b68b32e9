//! Logits of many features, in batches of a bounded number of rows.

use std::ops::Range;

use limbeck_data::{Batch, Features};
use limbeck_model::heads::span::SpanLogits;
use limbeck_model::inference::{InferenceMemory, InferenceModel};

use crate::error::Result;
use crate::learner::tokens;
use crate::observer::Observer;

/// Rows of one forward pass: enough for full speed, few enough to stay small.
const BATCH_ROWS: usize = 4096;

/// A model and the memory of its forward passes.
pub struct Predictor<'a> {
    model: &'a InferenceModel<'a>,
    memory: InferenceMemory,
}

impl<'a> Predictor<'a> {
    /// Takes memory when the first batch comes.
    pub fn new(model: &'a InferenceModel<'a>) -> Self {
        Predictor { model, memory: InferenceMemory::default() }
    }

    /// Calls `take(features, batch, logits)` for batches of consecutive features of
    /// `range`, in order. Stops early, with `false`, when the observer asks for it.
    ///
    /// # Errors
    /// When a token, segment or length is beyond the model's tables, and what `take`
    /// returns.
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
            let logits = self.model.span_logits(tokens(&batch), &mut self.memory)?;
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
    model: &InferenceModel<'_>,
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
