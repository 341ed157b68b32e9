//! What is learnt from teachers beside the labels.

use limbeck_kernels::attention::{MapLoss, Maps};
use limbeck_kernels::distance::Distance;
use serde::{Deserialize, Serialize};

use super::require;
use crate::error::Result;

/// The form of the loss against a teacher's logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SoftKind {
    /// `T² · KL(teacher ‖ student)` (Hinton, Vinyals and Dean, 2015).
    Divergence,
    /// `-Σ p_teacher log p_student` without `T²` (TinyBERT; Jiao et al., 2020, §3.1).
    CrossEntropy,
    /// The same with the temperature on the teacher's side alone, as Numenta's sparse
    /// Transformers have it.
    OneSided,
}

/// A distance of hidden states or attention maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DistanceKind {
    /// The mean squared error.
    Mse,
    /// One minus the cosine, row by row.
    Cosine,
}

impl DistanceKind {
    pub(crate) fn distance(self) -> Distance {
        match self {
            DistanceKind::Mse => Distance::SquaredError,
            DistanceKind::Cosine => Distance::Cosine,
        }
    }
}

/// What of attention is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MapsKind {
    /// Before the softmax, as TinyBERT does.
    Scores,
    /// After the softmax and before dropout.
    Probabilities,
}

/// Which hidden states are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HiddenStates {
    /// The embeddings' output and that of every student layer.
    All,
    /// The embeddings' output and that of the last layer.
    Ends,
}

/// When the student's hidden states go through a learned projection before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Projection {
    /// Where student and teacher have different widths.
    Auto,
    /// Always, as Intel's Dynamic-TinyBERT does.
    Always,
}

/// What is learnt from teachers beside the labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DistillOptions {
    /// Weight of the soft loss, against the teacher's logits.
    pub alpha_soft: f64,
    /// Weight of the hard loss: cross-entropy against the labels.
    pub alpha_hard: f64,
    /// Temperature `T` on both sides of the soft loss.
    pub temperature: f64,
    /// Pretraining: the temperature of the last step, reached in a straight line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_end: Option<f64>,
    /// Pretraining: the share of the soft loss; that of the loss against the words is the rest.
    pub factor: f64,
    /// Pretraining: the factor of the last step, reached in a straight line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor_end: Option<f64>,
    /// The form of the soft loss.
    pub soft_loss: SoftKind,
    /// Weights of the teachers, in their order; empty: all alike.
    pub teacher_weights: Vec<f64>,
    /// Weight of the distance of hidden states: a sum over the compared ones.
    pub alpha_hidden: f64,
    /// Weight of the distance of attention maps: a sum over the student's layers.
    pub alpha_attention: f64,
    /// How hidden states are compared.
    pub hidden_loss: DistanceKind,
    /// How attention maps are compared.
    pub attention_loss: DistanceKind,
    /// What of attention is compared.
    pub attention_maps: MapsKind,
    /// Which hidden states are compared.
    pub hidden_states: HiddenStates,
    /// The teacher's layer, counted from 0, that each of the student's layers learns from;
    /// empty: spread evenly, the last from the last.
    pub layer_map: Vec<usize>,
    /// When hidden states are projected.
    pub projection: Projection,
}

impl Default for DistillOptions {
    fn default() -> Self {
        Self {
            alpha_soft: 0.5,
            alpha_hard: 0.5,
            temperature: 2.0,
            temperature_end: None,
            factor: 1.0,
            factor_end: None,
            soft_loss: SoftKind::Divergence,
            teacher_weights: Vec::new(),
            alpha_hidden: 0.0,
            alpha_attention: 0.0,
            hidden_loss: DistanceKind::Mse,
            attention_loss: DistanceKind::Mse,
            attention_maps: MapsKind::Scores,
            hidden_states: HiddenStates::All,
            layer_map: Vec::new(),
            projection: Projection::Auto,
        }
    }
}

impl DistillOptions {
    /// Checks every value, for this many teachers.
    ///
    /// # Errors
    /// Names the first that cannot work.
    pub fn validate(&self, teachers: usize) -> Result<()> {
        let alphas = [
            (self.alpha_soft, "distill.alpha_soft"),
            (self.alpha_hard, "distill.alpha_hard"),
            (self.alpha_hidden, "distill.alpha_hidden"),
            (self.alpha_attention, "distill.alpha_attention"),
        ];
        for (alpha, option) in alphas {
            let holds = alpha.is_finite() && alpha >= 0.0;
            require(holds, option, || format!("{alpha} is not a number of 0 or more"))?;
        }
        require(alphas.iter().any(|(alpha, _)| *alpha > 0.0), "distill.alpha_soft", || {
            "all weights are 0: there is nothing to learn".into()
        })?;
        let temperatures = [
            (Some(self.temperature), "distill.temperature"),
            (self.temperature_end, "distill.temperature_end"),
        ];
        for (temperature, option) in temperatures {
            let holds = temperature.is_none_or(|t| t.is_finite() && t > 0.0);
            require(holds, option, || {
                format!("{} is not a number above 0", temperature.unwrap_or_default())
            })?;
        }
        let factors =
            [(Some(self.factor), "distill.factor"), (self.factor_end, "distill.factor_end")];
        for (factor, option) in factors {
            let holds = factor.is_none_or(|factor| (0.0..=1.0).contains(&factor));
            require(holds, option, || {
                format!("{} is not from 0 to 1", factor.unwrap_or_default())
            })?;
        }
        require(teachers < 2 || !self.looks_inside(), "teacher", || {
            format!(
                "hidden states and attention are learnt from one teacher, and there are {teachers}"
            )
        })?;
        let weights = &self.teacher_weights;
        let holds = weights.is_empty()
            || weights.len() == teachers
                && weights.iter().all(|w| w.is_finite() && *w >= 0.0)
                && weights.iter().sum::<f64>() > 0.0;
        require(holds, "distill.teacher_weights", || {
            format!("{weights:?} does not give each of {teachers} teachers a weight of 0 or more")
        })
    }

    /// Whether hidden states or attention are compared.
    pub fn looks_inside(&self) -> bool {
        self.alpha_hidden > 0.0 || self.alpha_attention > 0.0
    }

    /// The loss over attention maps.
    pub(crate) fn map_loss(&self) -> MapLoss {
        let maps = match self.attention_maps {
            MapsKind::Scores => Maps::Scores,
            MapsKind::Probabilities => Maps::Probabilities,
        };
        MapLoss { maps, distance: self.attention_loss.distance() }
    }

    /// The share of each of `teachers` in the soft loss; they add up to 1.
    pub fn teacher_shares(&self, teachers: usize) -> Vec<f64> {
        if self.teacher_weights.is_empty() {
            return vec![1.0 / teachers as f64; teachers];
        }
        let total: f64 = self.teacher_weights.iter().sum();
        self.teacher_weights.iter().map(|weight| weight / total).collect()
    }
}
