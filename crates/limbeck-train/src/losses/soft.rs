//! Against a teacher's softmax (Hinton, Vinyals and Dean, 2015).

use std::sync::Arc;

use limbeck_data::Batch;
use limbeck_kernels::loss::{
    divergence, one_sided_cross_entropy, soft_cross_entropy, squared_error,
};
use limbeck_model::heads::Part;

use super::Loss;
use crate::options::SoftKind;
use crate::teacher::TeacherLogits;

/// `T² (KL(start) + KL(end)) / 2` or `T² KL(class)`, teacher against student, or the
/// cross-entropies in the place of `T² KL`; in a regression the squared error, without a
/// temperature. The mean over sequences. A span's softmaxes run over the tokens of one sequence:
/// there is no padding.
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

impl Loss for SoftLoss {
    fn name(&self) -> &str {
        &self.name
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
        let teacher = self.teacher.part(batch.features[sequence], part);
        match (part, self.kind) {
            (Part::Value, _) => squared_error(logits, teacher, weight, gradient),
            (_, SoftKind::Divergence) => {
                divergence(logits, teacher, self.temperature, weight, gradient)
            }
            (_, SoftKind::CrossEntropy) => {
                soft_cross_entropy(logits, teacher, self.temperature, weight, gradient)
            }
            (_, SoftKind::OneSided) => {
                one_sided_cross_entropy(logits, teacher, self.temperature, weight, gradient)
            }
        }
    }
}
