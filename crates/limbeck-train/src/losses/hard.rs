//! Against the labels: cross-entropy of a span (Devlin et al., 2019, §4.2) or of a class, squared
//! error of a regression.

use limbeck_data::Batch;
use limbeck_kernels::loss::{cross_entropy, squared_error};
use limbeck_model::heads::Part;

use super::Loss;

/// `(CE(start) + CE(end)) / 2`, `CE(class)` or `(value - label)²`, the mean over sequences.
#[derive(Debug, Default)]
pub struct HardLoss;

impl Loss for HardLoss {
    fn name(&self) -> &str {
        "hard"
    }

    fn term(
        &self,
        batch: &Batch,
        sequence: usize,
        part: Part,
        logits: &[f32],
        weight: f64,
        gradient: &mut [f32],
    ) -> f64 {
        let target = match part {
            Part::Start => batch.start_positions[sequence] as usize,
            Part::End => batch.end_positions[sequence] as usize,
            Part::Class => batch.labels[sequence] as usize,
            Part::Value => {
                return squared_error(logits, &[batch.labels[sequence]], weight, gradient);
            }
        };
        cross_entropy(logits, target, weight, gradient)
    }
}
