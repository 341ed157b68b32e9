//! The state of a run between two steps: everything that the rest of it depends on.
//!
//! It is one file, replaced whole, so there is always a complete one. Random numbers
//! and the order of batches follow from the seed and the step, so they need no state.

use std::path::{Path, PathBuf};

use limbeck_model::folder::{NamedValues, SafetensorsFile, write_safetensors};
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};
use crate::learner::Learner;
use crate::run::Pace;

/// What a run knows beside parameters and moments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Names the features and the model that the run began with.
    pub inputs: String,
    /// Optimiser steps done.
    pub step: usize,
    /// Whether the last step of an epoch takes what is left of it. Earlier versions did not say so,
    /// and went on with the next epoch.
    pub steps_end_with_epochs: bool,
    /// The threshold of null scores of the last evaluation.
    pub threshold: Option<f64>,
    /// The step of the last evaluation.
    pub evaluated_at: usize,
    /// The best score of an evaluation so far.
    pub best_score: Option<f64>,
    /// The step of that evaluation.
    pub best_step: usize,
    /// Evaluations since then.
    pub evaluations_since_best: usize,
    /// Sums since the last line of `train.jsonl`.
    pub window: Window,
}

impl Progress {
    /// Whether steps were taken that this version would not take.
    pub(crate) fn steps_crossed_epochs(&self, pace: &Pace) -> bool {
        self.step > 0 && !self.steps_end_with_epochs && !pace.is_even()
    }
}

/// Sums over the steps since the last line of `train.jsonl`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Window {
    /// How many steps.
    pub steps: usize,
    /// Of the weighted losses.
    pub loss: f64,
    /// Of each loss by itself.
    pub parts: Vec<f64>,
    /// Of the gradients' norms.
    pub gradient_norm: f64,
    /// Of the batches' tokens.
    pub tokens: usize,
    /// Of the steps' seconds.
    pub seconds: f64,
    /// Of the seconds among them in which other processes were waited for.
    pub waited: f64,
    /// Of the weights whose masks changed.
    pub mask_changes: usize,
}

/// The tensor of the masks' bits.
const MASKS: &str = "masks";

/// Where the state of the run in a folder is kept.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("checkpoint").join("state.safetensors")
}

/// Writes the state of a run into its folder.
///
/// # Errors
/// When the disk is full or the folder cannot be written; the last state is kept.
pub fn save(folder: &Path, learner: &Learner, progress: &Progress) -> Result<()> {
    let path = path(folder);
    let parent = path.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent).map_err(TrainError::io("create", parent))?;
    let text = serde_json::to_string(progress)
        .map_err(|error| TrainError::File { path: path.clone(), reason: error.to_string() })?;
    let state = learner.state();
    let shapes: Vec<[usize; 1]> = state.iter().map(|(_, values)| [values.len()]).collect();
    let mut tensors: Vec<NamedValues<'_>> = (state.iter().zip(&shapes))
        .map(|((name, values), shape)| NamedValues { name, shape, values: (*values).into() })
        .collect();
    let masks = learner.sparsity().map_or(&[][..], |sparsity| sparsity.masks().bits());
    let shape = [masks.len()];
    if !masks.is_empty() {
        // First: words want to lie at multiples of eight bytes.
        tensors.insert(0, NamedValues { name: MASKS, shape: &shape, values: masks.into() });
    }
    write_safetensors(&path, &tensors, &[("progress", &text)])?;
    Ok(())
}

/// Brings `learner` to the state in the folder; `None` when there is none yet.
///
/// # Errors
/// When the file is damaged or of a model of another size.
pub fn load(folder: &Path, learner: &mut Learner) -> Result<Option<Progress>> {
    let path = path(folder);
    if !path.is_file() {
        return Ok(None);
    }
    let damaged = |reason: String| TrainError::File {
        path: path.clone(),
        reason: format!("{reason}; start afresh with --overwrite"),
    };
    let file = SafetensorsFile::open(&path).map_err(|error| damaged(error.to_string()))?;
    let progress: Progress = file
        .metadata()
        .get("progress")
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or_else(|| damaged("has no readable progress".into()))?;
    for (name, values) in learner.state() {
        file.expect(name, &[values.len()]).map_err(|error| damaged(error.to_string()))?;
    }
    for (name, values) in learner.state_mut() {
        file.read_into(name, values)?;
    }
    if let Some(masks) = learner.masks_mut() {
        file.read_words_into(MASKS, masks.bits_mut()).map_err(|e| damaged(e.to_string()))?;
    }
    learner.optimizer.steps = progress.step;
    Ok(Some(progress))
}

/// Removes the state of a finished run: three times its model's size.
///
/// # Errors
/// When the file is there and cannot be removed.
pub fn remove(folder: &Path) -> Result<()> {
    let path = path(folder);
    let parent = path.parent().unwrap_or(folder);
    match std::fs::remove_dir_all(parent) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::io("remove", parent)(error))
        }
        _ => Ok(()),
    }
}
