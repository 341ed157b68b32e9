//! The losses that a run can minimise.
//!
//! A loss over logits is one file with a type that implements [`Loss`]; a run holds a list of them
//! with their weights. [`Intermediate`] looks at what lies before the logits. [`WordLosses`] are
//! those of masked words, whose logits are never there all at once.

mod hard;
mod intermediate;
mod projection;
mod soft;
mod words;

use limbeck_data::Batch;
use limbeck_model::heads::{Outputs, Part};

pub use hard::HardLoss;
pub use intermediate::Intermediate;
pub use projection::Projection;
pub use soft::SoftLoss;
pub use words::WordLosses;

/// A loss over what a head says, for every head: it sees one [`Part`] at a time.
pub trait Loss {
    /// Its name in `train.jsonl`: `loss_<name>`.
    fn name(&self) -> &str;

    /// Adds `weight` times the gradient of the loss of one part of a sequence to `gradient`, and
    /// returns `weight` times the loss.
    fn term(
        &self,
        batch: &Batch,
        sequence: usize,
        part: Part,
        logits: &[f32],
        weight: f64,
        gradient: &mut [f32],
    ) -> f64;
}

/// Adds `weight` (above 0) times the gradient of a loss to those of `outputs`, and returns the
/// loss itself: the mean over the sequences of the batch of the mean over their parts.
pub fn add(loss: &dyn Loss, batch: &Batch, outputs: &mut Outputs, weight: f64) -> f64 {
    let scale = weight * outputs.share() / batch.sequences() as f64;
    let sum = outputs.sum_over_parts(&batch.starts, |sequence, part, logits, gradient| {
        loss.term(batch, sequence, part, logits, scale, gradient)
    });
    sum / weight
}

/// A loss and its weight in the sum.
pub struct Weighted {
    /// Its share, above 0: a loss without weight is left out of the list.
    pub weight: f64,
    /// The loss.
    pub loss: Box<dyn Loss>,
}

impl Weighted {
    /// A loss with its weight.
    pub fn new(weight: f64, loss: impl Loss + 'static) -> Self {
        Weighted { weight, loss: Box::new(loss) }
    }
}
