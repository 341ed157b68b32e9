//! Logits of many features or texts, in batches of a bounded number of rows.

use std::borrow::Borrow;
use std::ops::{ControlFlow, Range};

use limbeck_data::{Batch, Examples, Features, Sequence, decode};
use limbeck_model::encoder::Tokens;
use limbeck_model::heads::span::SpanLogits;
use limbeck_model::inference::{InferenceMemory, InferenceModel};

use crate::error::{Result, RuntimeError};

/// Rows of one forward pass: enough for full speed, few enough to stay small.
pub const BATCH_ROWS: usize = 4096;

/// What batches of features need. Grows to the largest batch and stays.
#[derive(Debug, Default)]
pub struct Memory {
    inference: InferenceMemory,
    batch: Batch,
    indices: Vec<usize>,
}

/// The rows of a batch as the encoder takes them.
pub fn tokens(batch: &Batch) -> Tokens<'_> {
    Tokens {
        input_ids: &batch.input_ids,
        token_type_ids: &batch.token_type_ids,
        starts: &batch.starts,
    }
}

/// Calls `take(features, batch, logits)` for batches of consecutive features of `range`, in
/// order, until it asks to stop. Returns whether all have been taken without that.
///
/// # Errors
/// When a token, segment or length is beyond the model's tables, the model has no span head, and
/// what `take` returns.
pub fn each_batch<E: From<RuntimeError>>(
    model: &InferenceModel<'_>,
    features: &dyn Examples,
    range: Range<usize>,
    memory: &mut Memory,
    mut take: impl FnMut(Range<usize>, &Batch, &SpanLogits) -> Result<ControlFlow<()>, E>,
) -> Result<bool, E> {
    let Memory { inference, batch, indices } = memory;
    let mut left = range;
    while !left.is_empty() {
        let taken = fill(features, &mut left, indices, batch);
        let logits = model.span_logits(tokens(batch), inference).map_err(RuntimeError::from)?;
        if take(taken, batch, logits)?.is_break() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The same for a classifier: `take(examples, batch, logits)` has one logit a label for each
/// example.
///
/// # Errors
/// When a token, segment or length is beyond the model's tables, the model has no
/// classification head, and what `take` returns.
pub fn each_class_batch<E: From<RuntimeError>>(
    model: &InferenceModel<'_>,
    examples: &dyn Examples,
    range: Range<usize>,
    memory: &mut Memory,
    mut take: impl FnMut(Range<usize>, &Batch, &[f32]) -> Result<ControlFlow<()>, E>,
) -> Result<bool, E> {
    let Memory { inference, batch, indices } = memory;
    let mut left = range;
    while !left.is_empty() {
        let taken = fill(examples, &mut left, indices, batch);
        let logits = model.class_logits(tokens(batch), inference).map_err(RuntimeError::from)?;
        if take(taken, batch, logits)?.is_break() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Calls `take(examples, batch, model)` for batches of consecutive examples of `range` whose
/// masked words the model has read, so that it can be asked for their logits with the memory,
/// until it asks to stop. Returns whether all have been taken without that.
///
/// # Errors
/// When a token, segment or length is beyond the model's tables, the model has no masked-word
/// head, and what `take` returns.
pub fn each_masked_batch<E: From<RuntimeError>>(
    model: &InferenceModel<'_>,
    examples: &dyn Examples,
    range: Range<usize>,
    memory: &mut Memory,
    mut take: impl FnMut(Range<usize>, &Batch, &mut InferenceMemory) -> Result<ControlFlow<()>, E>,
) -> Result<bool, E> {
    let Memory { inference, batch, indices } = memory;
    let mut left = range;
    while !left.is_empty() {
        let taken = fill(examples, &mut left, indices, batch);
        let read = model.read_words(tokens(batch), &batch.masked_rows, inference);
        read.map_err(RuntimeError::from)?;
        if take(taken, batch, inference)?.is_break() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes the next examples of `left`, one at least and no more than a batch holds, into `batch`.
fn fill(
    examples: &dyn Examples,
    left: &mut Range<usize>,
    indices: &mut Vec<usize>,
    batch: &mut Batch,
) -> Range<usize> {
    let first = left.start;
    let mut rows = 0;
    indices.clear();
    while left.start < left.end {
        rows += examples.rows_of(left.start);
        if rows > BATCH_ROWS && !indices.is_empty() {
            break;
        }
        indices.push(left.start);
        left.start += 1;
    }
    examples.batch(indices, batch);
    first..left.start
}

/// The logits of the features of a range; those of others are 0. `progress(features)` hears of each batch; `None` when it
/// asked to stop.
///
/// # Errors
/// When the features were made with a tokenizer that is not the model's.
pub fn span_logits(
    model: &InferenceModel<'_>,
    features: &Features,
    range: Range<usize>,
    memory: &mut Memory,
    mut progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<decode::SpanLogits>> {
    let mut all = decode::SpanLogits::new(features);
    let finished = each_batch(model, features, range, memory, |range, batch, logits| {
        let done = range.len();
        for (feature, rows) in range.zip(batch.starts.windows(2)) {
            all.set(feature, &logits.start[rows[0]..rows[1]], &logits.end[rows[0]..rows[1]]);
        }
        Ok::<_, RuntimeError>(progress(done))
    })?;
    Ok(finished.then_some(all))
}

/// The logits of sequences, in order: for each one a label. Sequences of several requests may
/// go together; what one gives does not depend on the others.
///
/// # Errors
/// When a sequence was made with a tokenizer that is not the model's or is longer than the
/// model reads, or the model has no classification head.
pub fn class_logits<S: Borrow<Sequence>>(
    model: &InferenceModel<'_>,
    sequences: &[S],
    memory: &mut Memory,
) -> Result<Vec<Vec<f32>>> {
    let mut all = Vec::with_capacity(sequences.len());
    let Memory { inference, batch, .. } = memory;
    let mut rest = sequences;
    while !rest.is_empty() {
        batch.clear();
        let mut taken = 0;
        for sequence in rest.iter().map(S::borrow) {
            if taken > 0 && batch.rows() + sequence.rows() > BATCH_ROWS {
                break;
            }
            sequence.append(batch);
            taken += 1;
        }
        let logits = model.class_logits(tokens(batch), inference)?;
        let labels = (logits.len() / taken).max(1);
        all.extend(logits.chunks_exact(labels).map(<[f32]>::to_vec));
        rest = &rest[taken..];
    }
    Ok(all)
}
