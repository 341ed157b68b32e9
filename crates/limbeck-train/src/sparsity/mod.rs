//! Sparse training: a mask for every chosen matrix, and how it changes from step to step.
//!
//! What is off is exactly zero between two steps: masks are applied after every update, in one
//! sweep. Gradients stay whole, so that a weight that is off has one to be judged by.
//!
//! RigL and gradual pruning take weights away before a step's forward pass, so that the step's
//! own batch, which no weight has seen yet, gives the gradients by which RigL chooses what
//! comes; the update then uses them. No further batch is needed.
//!
//! # Layout
//! - here: what a step does with the masks
//! - `masks`: the bits; `select`: the smallest of very many numbers
//! - `levels`: which matrices are masked, and how sparse
//! - `initial`: the first masks; `rhythm`: when they change, and how much
//! - `account`: what a run tells about them

mod account;
mod initial;
mod levels;
mod masks;
mod rhythm;
mod select;
#[cfg(test)]
mod tests;

use limbeck_kernels::profile;
use limbeck_model::Model;

use crate::error::Result;
use crate::optimizer::Moments;
use crate::options::{Scope, SparsityOptions};
pub use account::{Account, MatrixAccount};
use masks::Units;
pub use masks::{Masks, Matrix};
use rhythm::Rhythm;
use select::Selector;

/// The masks of a run.
#[derive(Debug)]
pub struct Sparsity {
    masks: Masks,
    rhythm: Rhythm,
    scope: Scope,
    reset_moments: bool,
    /// Weights that are on in each unit at the start, where pruning goes on from there.
    first: Vec<usize>,
    /// Weights that went in the present step and as many of which will come, for each unit.
    gone: Vec<usize>,
    /// The bits before the present change.
    before: Vec<u64>,
    changing: bool,
    changed: usize,
    selector: Selector,
}

impl Sparsity {
    /// The masks of a run that starts from `model`; `None` where nothing is to be masked.
    ///
    /// # Errors
    /// When an option makes no sense for the model or the length of the run.
    pub fn new(
        options: &SparsityOptions,
        model: &Model,
        total_steps: usize,
        seed: u64,
    ) -> Result<Option<Sparsity>> {
        options.validate()?;
        let mut selector = Selector::default();
        let matrices = levels::matrices(options, model)?;
        if matrices.is_empty() {
            return Ok(None);
        }
        let rhythm = Rhythm::new(options, total_steps)?;
        let masks = initial::masks(options, model, matrices, seed, &mut selector);
        let mut units = Units::all(&masks, options.scope);
        let counts = std::iter::from_fn(|| Some(masks.count_on(&units.next(&masks)?)));
        let first = counts.collect();
        Ok(Some(Sparsity {
            before: masks.bits().to_vec(),
            gone: Vec::new(),
            rhythm,
            scope: options.scope,
            reset_moments: options.reset_moments,
            first,
            changing: false,
            changed: 0,
            selector,
            masks,
        }))
    }

    /// The masks as they are.
    pub fn masks(&self) -> &Masks {
        &self.masks
    }

    pub(crate) fn masks_mut(&mut self) -> &mut Masks {
        &mut self.masks
    }

    /// Weights that came or went for good in the last change.
    pub fn changed(&self) -> usize {
        self.changed
    }

    /// What was shortened to fit the run, a line each.
    pub fn told(&self) -> &[String] {
        self.rhythm.told()
    }

    /// Whether masks are as sparse before `step` as they will be at the end.
    pub fn has_arrived(&self, step: usize) -> bool {
        self.rhythm.has_arrived(step)
    }

    /// Sets what is off to zero.
    pub fn apply(&self, parameters: &mut [f32]) {
        self.masks.apply(parameters);
    }

    /// To be called before the forward pass of `step`, counted from 0: takes weights away where
    /// it is time. Returns whether masks change in this step, which must then be finished before
    /// the state is saved.
    pub fn begin_step(&mut self, step: usize, parameters: &mut [f32]) -> bool {
        self.changing = false;
        let Some(change) = self.rhythm.change(step) else { return false };
        let _timer = profile::timer("mask changes", || 0.0);
        self.before.copy_from_slice(self.masks.bits());
        self.gone.clear();
        let mut units = Units::all(&self.masks, self.scope);
        while let Some(unit) = units.next(&self.masks) {
            let on = self.masks.count_on(&unit);
            let go = change.go(on, self.first[self.gone.len()], self.masks.wanted(&unit));
            self.masks.turn_off_smallest(&unit, go, parameters, &mut self.selector);
            self.gone.push(go);
        }
        self.changing = true;
        self.masks.apply(parameters);
        true
    }

    /// To be called between backward and update: gives as many weights back as went, where the
    /// gradients are largest.
    pub(crate) fn before_update(&mut self, gradients: &[f32], moments: &mut Moments) {
        if !self.changing {
            return;
        }
        let _timer = profile::timer("mask changes", || 0.0);
        if self.rhythm.regrows() {
            let mut units = Units::all(&self.masks, self.scope);
            for &come in &self.gone {
                let Some(unit) = units.next(&self.masks) else { break };
                self.masks.turn_on_largest(&unit, come, gradients, &mut self.selector, |place| {
                    if self.reset_moments {
                        moments.first[place] = 0.0;
                        moments.second[place] = 0.0;
                    }
                });
            }
        }
        self.changing = false;
        let pairs = self.masks.bits().iter().zip(&self.before);
        self.changed = pairs.map(|(now, before)| (now ^ before).count_ones() as usize).sum();
    }
}

/// The share of a whole, 0 of nothing.
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// A count that a share of `size` weights rounds to.
fn rounded(share: f64, size: usize) -> usize {
    (share * size as f64).round() as usize
}
