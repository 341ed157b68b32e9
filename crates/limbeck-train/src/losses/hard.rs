//! Cross-entropy against the labelled span (Devlin et al., 2019, §4.2).

use limbeck_data::Batch;
use limbeck_kernels::loss::cross_entropy;
use limbeck_model::heads::span::{SpanGradients, SpanLogits};

use super::{Side, SpanLoss, sum_over_softmaxes};

/// `(CE(start) + CE(end)) / 2`, the mean over sequences.
#[derive(Debug, Default)]
pub struct HardLoss;

impl SpanLoss for HardLoss {
    fn name(&self) -> &str {
        "hard"
    }

    fn add(
        &mut self,
        batch: &Batch,
        logits: &SpanLogits,
        weight: f64,
        gradients: &mut SpanGradients,
    ) -> f64 {
        let scale = weight * 0.5 / batch.sequences() as f64;
        let sum =
            sum_over_softmaxes(batch, logits, gradients, |sequence, side, logits, gradient| {
                let target = match side {
                    Side::Start => batch.start_positions[sequence],
                    Side::End => batch.end_positions[sequence],
                };
                cross_entropy(logits, target as usize, scale, gradient)
            });
        sum / weight
    }
}
