//! Divergence from a teacher's softmax (Hinton, Vinyals and Dean, 2015).

use std::sync::Arc;

use limbeck_data::Batch;
use limbeck_kernels::loss::divergence;
use limbeck_model::heads::span::{SpanGradients, SpanLogits};

use super::{Side, SpanLoss, sum_over_softmaxes};
use crate::teacher::TeacherLogits;

/// `T² (KL(start) + KL(end)) / 2`, teacher against student, the mean over sequences.
/// Every softmax runs over the tokens of one sequence: there is no padding.
#[derive(Debug)]
pub struct SoftLoss {
    name: String,
    teacher: Arc<TeacherLogits>,
    temperature: f64,
}

impl SoftLoss {
    /// The loss against one teacher. With several, each has a loss of its own: the
    /// weighted sum has the gradient of the divergence from the mixture of their
    /// softmaxes.
    pub fn new(name: impl Into<String>, teacher: Arc<TeacherLogits>, temperature: f64) -> Self {
        SoftLoss { name: name.into(), teacher, temperature }
    }
}

impl SpanLoss for SoftLoss {
    fn name(&self) -> &str {
        &self.name
    }

    fn add(
        &mut self,
        batch: &Batch,
        logits: &SpanLogits,
        weight: f64,
        gradients: &mut SpanGradients,
    ) -> f64 {
        let scale = weight * 0.5 / batch.sequences() as f64;
        let (teacher, temperature) = (&self.teacher, self.temperature);
        let sum =
            sum_over_softmaxes(batch, logits, gradients, |sequence, side, logits, gradient| {
                let (start, end) = teacher.feature(batch.features[sequence]);
                let teacher = if side == Side::Start { start } else { end };
                divergence(logits, teacher, temperature, scale, gradient)
            });
        sum / weight
    }
}
