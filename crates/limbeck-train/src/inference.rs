//! Logits of many features, in batches of a bounded number of rows.

use std::ops::Range;

use limbeck_data::{Batch, Features, decode};
use limbeck_model::heads::span::SpanLogits;
use limbeck_model::inference::{InferenceMemory, InferenceModel};

use crate::error::Result;
use crate::learner::tokens;
use crate::observer::Observer;

/// Rows of one forward pass: enough for full speed, few enough to stay small.
const BATCH_ROWS: usize = 4096;

/// What batches of features need. Grows to the largest batch and stays.
#[derive(Debug, Default)]
pub struct Memory {
    inference: InferenceMemory,
    batch: Batch,
    indices: Vec<usize>,
}

/// Calls `take(features, batch, logits)` for batches of consecutive features of `range`, in
/// order. Stops early, with `false`, when the observer asks for it.
///
/// # Errors
/// When a token, segment or length is beyond the model's tables, and what `take` returns.
pub fn each_batch(
    model: &InferenceModel<'_>,
    features: &Features,
    range: Range<usize>,
    memory: &mut Memory,
    observer: &mut dyn Observer,
    mut take: impl FnMut(Range<usize>, &Batch, &SpanLogits) -> Result<()>,
) -> Result<bool> {
    let Memory { inference, batch, indices } = memory;
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
        features.batch(indices, batch);
        let logits = model.span_logits(tokens(batch), inference)?;
        take(next - indices.len()..next, batch, logits)?;
        observer.advance(indices.len() as u64);
    }
    Ok(true)
}

/// The logits of all features; `None` when the observer asked to stop.
///
/// # Errors
/// When the features were made with a tokenizer that is not the model's.
pub fn span_logits(
    model: &InferenceModel<'_>,
    features: &Features,
    memory: &mut Memory,
    observer: &mut dyn Observer,
) -> Result<Option<decode::SpanLogits>> {
    let mut all = decode::SpanLogits::new(features);
    let every = 0..features.len();
    let finished = each_batch(model, features, every, memory, observer, |range, batch, logits| {
        for (feature, rows) in range.zip(batch.starts.windows(2)) {
            let (start, end) = all.feature_mut(feature);
            start.copy_from_slice(&logits.start[rows[0]..rows[1]]);
            end.copy_from_slice(&logits.end[rows[0]..rows[1]]);
        }
        Ok(())
    })?;
    Ok(finished.then_some(all))
}
