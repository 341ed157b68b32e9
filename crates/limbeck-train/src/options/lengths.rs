//! Training for every length budget (Length-Adaptive Transformer; Kim and Cho, 2021).

use serde::{Deserialize, Serialize};

use super::require;
use crate::error::Result;

/// More shortened passes than anybody takes a step.
const MAX_SANDWICH: usize = 64;

/// How the share of tokens that leave after a layer is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// Evenly from 0 to the bound.
    Uniform,
    /// Every token leaves with the probability of the bound.
    Binomial,
    /// Always the bound.
    Fixed,
}

/// What a length is counted from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CountFrom {
    /// A sequence's own tokens: every sequence loses the same share.
    #[default]
    Sequence,
    /// The longest input (`features.max_length`), as if all were padded to it: padding leaves first,
    /// so that a sequence loses tokens only where fewer go on than it has. Length-Adaptive
    /// Transformer and Dynamic-TinyBERT count so.
    MaxLength,
}

impl CountFrom {
    /// Whether it is what a configuration that does not say means.
    fn is_sequence(&self) -> bool {
        *self == CountFrom::Sequence
    }
}

/// Which way the divergence between a shortened pass and the whole one is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// `KL(whole ‖ shortened)`: the whole pass is the teacher.
    Forward,
    /// `KL(shortened ‖ whole)`, as the Length-Adaptive Transformer's code has it.
    Reverse,
}

/// Passes in which tokens leave from layer to layer, beside the whole one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LengthOptions {
    /// Whether a step has them.
    pub adaptive: bool,
    /// Passes with lengths drawn at random, beside the whole and the shortest one.
    pub num_sandwich: usize,
    /// The largest share of a layer's tokens that leaves after it.
    pub drop_ratio_bound: f64,
    /// How that share is drawn.
    pub sampling: Sampling,
    /// What lengths are counted from.
    #[serde(skip_serializing_if = "CountFrom::is_sequence")]
    pub count_from: CountFrom,
    /// The probability with which a shortened pass goes past a layer.
    pub layer_dropout_prob: f64,
    /// Where that probability is 0: up to so many of the last layers are left out of a
    /// shortened pass, of the shortest one so many.
    pub layer_dropout_bound: usize,
    /// Whether the whole pass goes past layers with that probability too.
    pub layer_dropout_whole: bool,
    /// The divergence that shortened passes minimise.
    pub divergence: Direction,
    /// Whether the first token may leave too. It never does when the model answers.
    pub drop_first: bool,
}

impl Default for LengthOptions {
    fn default() -> Self {
        Self {
            adaptive: false,
            num_sandwich: 2,
            drop_ratio_bound: 0.2,
            sampling: Sampling::Uniform,
            count_from: CountFrom::Sequence,
            layer_dropout_prob: 0.0,
            layer_dropout_bound: 0,
            layer_dropout_whole: false,
            divergence: Direction::Forward,
            drop_first: false,
        }
    }
}

impl LengthOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// Names the first that cannot work.
    pub fn validate(&self) -> Result<()> {
        let passes = self.num_sandwich;
        require(passes <= MAX_SANDWICH, "lengths.num_sandwich", || {
            format!("{passes} is not from 0 to {MAX_SANDWICH}")
        })?;
        for (share, option) in [
            (self.drop_ratio_bound, "lengths.drop_ratio_bound"),
            (self.layer_dropout_prob, "lengths.layer_dropout_prob"),
        ] {
            let holds = (0.0..1.0).contains(&share);
            require(holds, option, || format!("{share} is not from 0 to below 1"))?;
        }
        Ok(())
    }
}
