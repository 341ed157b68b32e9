//! The losses that a run can minimise.
//!
//! A loss over span logits is one file with a type that implements [`SpanLoss`]; a run holds a
//! list of them with their weights. [`Intermediate`] looks at what lies before the logits.

mod hard;
mod intermediate;
mod projection;
mod soft;

use limbeck_data::Batch;
use limbeck_model::heads::span::{SpanGradients, SpanLogits};

pub use hard::HardLoss;
pub use intermediate::Intermediate;
pub use projection::Projection;
pub use soft::SoftLoss;

/// A loss over the start and end logits of a batch.
pub trait SpanLoss {
    /// Its name in `train.jsonl`: `loss_<name>`.
    fn name(&self) -> &str;

    /// Adds `weight` (above 0) times the gradient of the loss to `gradients` and returns the loss
    /// itself: the mean over the sequences of the batch.
    fn add(
        &mut self,
        batch: &Batch,
        logits: &SpanLogits,
        weight: f64,
        gradients: &mut SpanGradients,
    ) -> f64;
}

/// A loss and its weight in the sum.
pub struct Weighted {
    /// Its share, above 0: a loss without weight is left out of the list.
    pub weight: f64,
    /// The loss.
    pub loss: Box<dyn SpanLoss>,
}

impl Weighted {
    /// A loss with its weight.
    pub fn new(weight: f64, loss: impl SpanLoss + 'static) -> Self {
        Weighted { weight, loss: Box::new(loss) }
    }
}

/// Calls `term(sequence, logits, gradients)` for the start logits and for the end
/// logits of every sequence, and adds up what it returns.
pub(crate) fn sum_over_softmaxes(
    batch: &Batch,
    logits: &SpanLogits,
    gradients: &mut SpanGradients,
    mut term: impl FnMut(usize, Side, &[f32], &mut [f32]) -> f64,
) -> f64 {
    let mut sum = 0.0;
    for (sequence, pair) in batch.starts.windows(2).enumerate() {
        let rows = pair[0]..pair[1];
        let start = &mut gradients.start[rows.clone()];
        sum += term(sequence, Side::Start, &logits.start[rows.clone()], start);
        let end = &mut gradients.end[rows.clone()];
        sum += term(sequence, Side::End, &logits.end[rows], end);
    }
    sum
}

/// Which end of the span a softmax is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Start,
    End,
}
