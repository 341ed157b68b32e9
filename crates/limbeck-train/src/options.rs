//! What a training run can be told: the serde types that flags and recipes fill.
//!
//! # Layout
//! - here: optimiser, schedule, length and rhythm
//! - `distill`: what is learnt from teachers
//! - `lengths`: training for every length budget
//! - `sparsity`: which weights are off
//! - `room`: what is counted in steps in a run that is too short for it

mod distill;
mod lengths;
mod room;
mod sparsity;

use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};
pub use distill::{DistanceKind, DistillOptions, HiddenStates, MapsKind, Projection, SoftKind};
pub use lengths::{CountFrom, Direction, LengthOptions, Sampling};
pub(crate) use room::{Ends, Fitted, period_in};
pub(crate) use sparsity::ModuleLevel;
pub use sparsity::{InitialMask, LevelOf, Scope, SparseEmbeddings, SparseMethod, SparsityOptions};

/// How the learning rate moves after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// Falls in a straight line to zero at the last step.
    Linear,
    /// Stays at the peak.
    Constant,
    /// Half a cosine from the peak to zero at the last step.
    Cosine,
    /// Stays at the peak until the cool-down, then a tenth of it from a third of the cool-down
    /// on, and a hundredth from two thirds on.
    ThreeStage,
    /// Up to the peak and down to next to nothing, with the first moment's decay the other way
    /// round (Smith, 2018); the numbers are those of PyTorch's `OneCycleLR`.
    OneCycle,
    /// From `range_start` up to the peak by equal factors: a learning-rate range test.
    RangeExponential,
    /// The same in equal steps.
    RangeLinear,
}

/// How a one-cycle schedule goes from one rate to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Anneal {
    /// In a straight line.
    Linear,
    /// Along half a cosine.
    Cosine,
}

/// The learning rate over the steps of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct ScheduleOptions {
    /// The shape after warm-up.
    pub kind: ScheduleKind,
    /// Share of all steps over which the rate rises from zero (below 1), or a
    /// count of steps (1 and above).
    pub warmup: f64,
    /// The last share or count of steps, where the shape has a cool-down.
    pub cooldown: f64,
    /// One-cycle: the share of all steps after which the peak is reached.
    pub pct_start: f64,
    /// One-cycle: the peak divided by this is the first rate.
    pub div_factor: f64,
    /// One-cycle: the first rate divided by this is the last.
    pub final_div_factor: f64,
    /// One-cycle: the way between rates.
    pub anneal: Anneal,
    /// One-cycle: whether `beta_1` falls while the rate rises, and rises while it falls.
    pub cycle_momentum: bool,
    /// One-cycle: `beta_1` at the peak.
    pub base_momentum: f64,
    /// One-cycle: `beta_1` at both ends.
    pub max_momentum: f64,
    /// Range test: the rate of the first step.
    pub range_start: f64,
    /// Range test: the loss that tells where the rate is too high.
    #[serde(skip_serializing_if = "RangeLoss::is_training")]
    pub range_loss: RangeLoss,
}

/// The loss that a range test goes by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RangeLoss {
    /// That of each step's own batch, smoothed.
    #[default]
    Training,
    /// That of the development sample, wherever the run is evaluated, as Numenta's range tests have
    /// it.
    Evaluation,
}

impl RangeLoss {
    /// Whether it is what a configuration that does not say means.
    fn is_training(&self) -> bool {
        *self == RangeLoss::Training
    }
}

impl Default for ScheduleOptions {
    fn default() -> Self {
        Self {
            kind: ScheduleKind::Linear,
            warmup: 0.0,
            cooldown: 0.4,
            pct_start: 0.3,
            div_factor: 25.0,
            final_div_factor: 1e4,
            anneal: Anneal::Linear,
            cycle_momentum: true,
            base_momentum: 0.85,
            max_momentum: 0.95,
            range_start: 1e-5,
            range_loss: RangeLoss::Training,
        }
    }
}

/// How a learning rate grows with the features of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LearningRateScale {
    /// Not at all.
    #[default]
    None,
    /// As they do (Goyal et al., 2017).
    Linear,
    /// As their square root does.
    Sqrt,
}

/// AdamW (Loshchilov and Hutter, 2019) and its variants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerOptions {
    /// The peak learning rate.
    pub learning_rate: f64,
    /// How it grows with the features of a step.
    pub scale_learning_rate: LearningRateScale,
    /// The features of a step for which `learning_rate` is right, where it grows.
    pub base_batch_size: usize,
    /// Decay of the first moment.
    pub beta_1: f64,
    /// Decay of the second moment.
    pub beta_2: f64,
    /// Keeps the denominator from zero.
    pub epsilon: f64,
    /// `true`: the denominator is `sqrt(v + epsilon²)`; `false`: `sqrt(v) + epsilon`.
    pub epsilon_inside_root: bool,
    /// Divide the moments by `1 - beta^t`, as in the paper.
    pub bias_correction: bool,
    /// Decoupled weight decay, of weights and embeddings only.
    pub weight_decay: f64,
    /// Gradients are scaled down to this global norm; 0 turns clipping off.
    pub max_grad_norm: f64,
}

impl Default for OptimizerOptions {
    fn default() -> Self {
        Self {
            learning_rate: 5e-5,
            scale_learning_rate: LearningRateScale::None,
            base_batch_size: 32,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            epsilon_inside_root: false,
            bias_correction: true,
            weight_decay: 0.01,
            max_grad_norm: 1.0,
        }
    }
}

/// The length and rhythm of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainOptions {
    /// Passes over the training features; may be a fraction.
    pub epochs: f64,
    /// Optimiser steps, instead of `epochs`, when above 0.
    pub max_steps: usize,
    /// Features in one forward pass.
    pub batch_size: usize,
    /// Forward passes whose gradients are averaged into one optimiser step, over all features in
    /// them. The last step of an epoch takes what is left of it.
    pub gradient_accumulation_steps: usize,
    /// Fixes the order of the features, dropout and newly drawn weights.
    pub seed: u64,
    /// Dropout while training; `false` turns every dropout off.
    pub dropout: bool,
    /// Keep only what enters each layer and compute the rest again in backward.
    pub recompute: bool,
    /// Tokens in one pass through the model: a larger batch goes through in parts whose gradients
    /// add up to its own, within rounding. Sequences stay whole. 0 sets no limit.
    pub max_tokens_per_pass: usize,
    /// Steps between two resumable checkpoints; 0 keeps only what evaluation saves
    /// and the last.
    pub save_steps: usize,
    /// Steps between two evaluations on the development file; 0 evaluates after
    /// every epoch.
    pub eval_steps: usize,
    /// Steps between two lines of `train.jsonl`.
    pub logging_steps: usize,
    /// Stop after this many evaluations without a better score; 0 never stops early.
    pub early_stop_patience: usize,
    /// The metric by which the best model is kept, instead of the task's own score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_metric: Option<String>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            epochs: 2.0,
            max_steps: 0,
            batch_size: 16,
            gradient_accumulation_steps: 1,
            seed: 42,
            dropout: true,
            recompute: false,
            max_tokens_per_pass: 0,
            save_steps: 500,
            eval_steps: 0,
            logging_steps: 10,
            early_stop_patience: 0,
            best_metric: None,
        }
    }
}

/// More epochs than anybody trains: beyond it, the count is a slip of the hand.
const MAX_EPOCHS: f64 = 1e6;

/// More batches than anybody averages over.
const MAX_ACCUMULATION: usize = 1 << 20;

/// Refuses `option` unless `holds`.
fn require(holds: bool, option: &'static str, reason: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(TrainError::Option { option, reason: reason() }) }
}

/// The steps that a share of all (below 1) or a count of them (from 1) stands for.
pub(crate) fn steps_of(value: f64, total_steps: usize, option: &'static str) -> Result<usize> {
    require(value.is_finite() && value >= 0.0, option, || {
        format!("{value} is neither a share of the steps nor a count of them")
    })?;
    Ok(if value < 1.0 { (value * total_steps as f64).ceil() } else { value } as usize)
}

impl OptimizerOptions {
    /// The peak learning rate of a run whose steps take so many features: those of all its
    /// processes together, which divide a batch and do not multiply it.
    pub fn peak_rate(&self, train: &TrainOptions) -> f64 {
        let features = (train.batch_size * train.gradient_accumulation_steps) as f64;
        let factor = features / self.base_batch_size as f64;
        self.learning_rate
            * match self.scale_learning_rate {
                LearningRateScale::None => 1.0,
                LearningRateScale::Linear => factor,
                LearningRateScale::Sqrt => factor.sqrt(),
            }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// Names the first that cannot work.
    pub fn validate(&self) -> Result<()> {
        let number = |value: f64, option| {
            let holds = value.is_finite() && value >= 0.0;
            require(holds, option, || format!("{value} is not a number of 0 or more"))
        };
        number(self.learning_rate, "optim.learning_rate")?;
        let holds = self.base_batch_size > 0;
        require(holds, "optim.base_batch_size", || "0 features make no batch".into())?;
        number(self.epsilon, "optim.epsilon")?;
        number(self.weight_decay, "optim.weight_decay")?;
        number(self.max_grad_norm, "optim.max_grad_norm")?;
        // In the precision that the update computes with: a row without a gradient has
        // moments of zero, and zero must not be divided by zero.
        let inside = self.epsilon_inside_root;
        let epsilon = if inside { self.epsilon * self.epsilon } else { self.epsilon };
        require(epsilon as f32 > 0.0, "optim.epsilon", || {
            format!("{} is too small to keep a division from zero", self.epsilon)
        })?;
        for (beta, option) in [(self.beta_1, "optim.beta_1"), (self.beta_2, "optim.beta_2")] {
            let holds = (0.0..1.0).contains(&(beta as f32));
            require(holds, option, || format!("{beta} is not between 0 and 1"))?;
        }
        Ok(())
    }
}

impl TrainOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// Names the first that cannot work.
    pub fn validate(&self) -> Result<()> {
        let holds = self.epochs > 0.0 && self.epochs <= MAX_EPOCHS;
        require(holds || self.max_steps > 0, "train.epochs", || {
            format!("{} is not a number above 0 and up to {MAX_EPOCHS}", self.epochs)
        })?;
        require(self.batch_size > 0, "train.batch_size", || "0 features make no batch".into())?;
        let batches = self.gradient_accumulation_steps;
        let holds = (1..=MAX_ACCUMULATION).contains(&batches);
        require(holds, "train.gradient_accumulation_steps", || {
            format!("{batches} is not from 1 to {MAX_ACCUMULATION}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learning_rate_grows_with_the_batch_only_when_asked() {
        let train = TrainOptions {
            batch_size: 16,
            gradient_accumulation_steps: 8,
            ..TrainOptions::default()
        };
        let peak = |scale_learning_rate| {
            let optim = OptimizerOptions { scale_learning_rate, ..OptimizerOptions::default() };
            optim.peak_rate(&train)
        };
        assert_eq!(peak(LearningRateScale::None), 5e-5);
        assert_eq!(peak(LearningRateScale::Linear), 2e-4);
        assert_eq!(peak(LearningRateScale::Sqrt), 1e-4);
        let none = OptimizerOptions { base_batch_size: 0, ..OptimizerOptions::default() };
        assert!(none.validate().unwrap_err().to_string().contains("optim.base_batch_size"));
    }
}
