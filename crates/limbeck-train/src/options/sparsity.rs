//! Sparse training: which weights are off, and how that changes.

use serde::{Deserialize, Serialize};

use super::{require, steps_of};
use crate::error::{Result, TrainError};

/// How the masks of a run change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SparseMethod {
    /// Not at all.
    Static,
    /// The smallest weights go, those with the largest gradients come (RigL; Evci et al., 2020).
    Rigl,
    /// From dense to the level, along a cubic curve (Zhu and Gupta, 2017).
    Gmp,
}

/// Among which weights one is compared with the others, or where counts are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Each row of each matrix by itself: the weights of one output, or of one token.
    Row,
    /// Each matrix by itself.
    Layer,
    /// All matrices together.
    Global,
}

/// Which weights a new mask leaves on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitialMask {
    /// Those that the seed draws, what is not zero before what is.
    Random,
    /// The largest.
    Magnitude,
}

/// What the level is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LevelOf {
    /// Every masked matrix.
    Matrices,
    /// The whole model: the masked matrices are as much sparser as the rest is dense.
    Model,
}

/// Which embedding tables are masked beside the encoder's linear layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SparseEmbeddings {
    /// None.
    None,
    /// Those of words.
    Words,
    /// Those of words, positions and segments.
    All,
}

/// Sparse training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SparsityOptions {
    /// The share of weights that are off; 0 masks nothing but what
    /// [`SparsityOptions::modules`] and [`SparsityOptions::keep`] say.
    pub level: f64,
    /// How masks change.
    pub method: SparseMethod,
    /// What the level is a share of.
    pub of: LevelOf,
    /// Which embedding tables are masked.
    pub embeddings: SparseEmbeddings,
    /// Levels of some matrices, as `PATTERN=LEVEL`: the first pattern that matches a tensor's
    /// name counts, `*` stands for any text.
    pub modules: Vec<String>,
    /// Where the counts of a new mask are kept.
    pub distribution: Scope,
    /// Which weights a new mask leaves on.
    pub initial: InitialMask,
    /// Among which weights RigL and gradual pruning compare.
    pub scope: Scope,
    /// RigL: the share of the weights that are on which first go; it falls to 0 along half a
    /// cosine.
    pub fraction: f64,
    /// Steps between two changes of the masks.
    pub period: usize,
    /// Share of all steps (below 1) or count of steps (from 1) before masks first change.
    pub warmup: f64,
    /// Gradual pruning: share or count of the last steps, in which masks change no more.
    pub cooldown: f64,
    /// RigL: weights that come begin with moments of zero.
    pub reset_moments: bool,
    /// What is zero in a sparse matrix of the starting model stays zero.
    pub keep: bool,
}

impl Default for SparsityOptions {
    fn default() -> Self {
        Self {
            level: 0.0,
            method: SparseMethod::Static,
            of: LevelOf::Matrices,
            embeddings: SparseEmbeddings::Words,
            modules: Vec::new(),
            distribution: Scope::Row,
            initial: InitialMask::Random,
            scope: Scope::Global,
            fraction: 0.3,
            period: 100,
            warmup: 100.0,
            cooldown: 0.4,
            reset_moments: false,
            keep: true,
        }
    }
}

/// The level of the matrices whose names match a pattern.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModuleLevel {
    pub pattern: String,
    pub level: f64,
}

impl SparsityOptions {
    /// Whether masks beyond the zeros of the starting model are asked for.
    pub fn masks(&self) -> bool {
        self.level > 0.0 || !self.modules.is_empty()
    }

    /// Checks every value.
    ///
    /// # Errors
    /// Names the first that cannot work.
    pub fn validate(&self) -> Result<()> {
        let share = |value: f64, option| {
            let holds = (0.0..1.0).contains(&value);
            require(holds, option, || format!("{value} is not from 0 to below 1"))
        };
        share(self.level, "sparsity.level")?;
        share(self.fraction, "sparsity.fraction")?;
        require(self.period > 0, "sparsity.period", || "0 steps are no period".into())?;
        steps_of(self.warmup, usize::MAX, "sparsity.warmup")?;
        steps_of(self.cooldown, usize::MAX, "sparsity.cooldown")?;
        self.module_levels().map(|_| ())
    }

    /// What [`SparsityOptions::modules`] says.
    pub(crate) fn module_levels(&self) -> Result<Vec<ModuleLevel>> {
        let read = |text: &String| {
            let (pattern, level) = text.rsplit_once('=')?;
            let level = level.trim().parse().ok().filter(|level| (0.0..1.0).contains(level))?;
            Some(ModuleLevel { pattern: pattern.trim().to_owned(), level })
        };
        let refuse = |text: &String| TrainError::Option {
            option: "sparsity.modules",
            reason: format!("{text:?} is not a pattern, `=` and a level from 0 to below 1"),
        };
        self.modules.iter().map(|text| read(text).ok_or_else(|| refuse(text))).collect()
    }
}
