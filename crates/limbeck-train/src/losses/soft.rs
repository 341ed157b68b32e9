//! Against a teacher's softmax (Hinton, Vinyals and Dean, 2015).

use std::sync::Arc;

use limbeck_data::Batch;
use limbeck_kernels::loss::{divergence, soft_cross_entropy};
use limbeck_model::heads::span::{SpanGradients, SpanLogits};

use super::{Side, SpanLoss, sum_over_softmaxes};
use crate::options::SoftKind;
use crate::teacher::TeacherLogits;

/// `T² (KL(start) + KL(end)) / 2`, teacher against student, or the cross-entropies in the place
/// of `T² KL`; the mean over sequences. Every softmax runs over the tokens of one sequence: there
/// is no padding.
#[derive(Debug)]
pub struct SoftLoss {
    name: String,
    teacher: Arc<TeacherLogits>,
    temperature: f64,
    kind: SoftKind,
}

impl SoftLoss {
    /// The loss against one teacher. With several, each has a loss of its own: the
    /// weighted sum has the gradient of the divergence from the mixture of their
    /// softmaxes.
    pub fn new(
        name: impl Into<String>,
        teacher: Arc<TeacherLogits>,
        temperature: f64,
        kind: SoftKind,
    ) -> Self {
        SoftLoss { name: name.into(), teacher, temperature, kind }
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
        let (teacher, temperature, kind) = (&self.teacher, self.temperature, self.kind);
        let sum =
            sum_over_softmaxes(batch, logits, gradients, |sequence, side, logits, gradient| {
                let (start, end) = teacher.feature(batch.features[sequence]);
                let teacher = if side == Side::Start { start } else { end };
                match kind {
                    SoftKind::Divergence => {
                        divergence(logits, teacher, temperature, scale, gradient)
                    }
                    SoftKind::CrossEntropy => {
                        soft_cross_entropy(logits, teacher, temperature, scale, gradient)
                    }
                }
            });
        sum / weight
    }
}
