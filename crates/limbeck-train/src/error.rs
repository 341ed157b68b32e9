//! What can go wrong in a run.

use std::path::PathBuf;

use limbeck_data::DataError;
use limbeck_model::ModelError;
use limbeck_runtime::RuntimeError;

use crate::ranks::RanksError;
use crate::trackers::TrackerError;

/// An error of this crate. Its text is one line and complete.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// From the data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// From a model or its folder.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// From a model that runs.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Between the processes of a run.
    #[error(transparent)]
    Ranks(#[from] RanksError),
    /// From `train.jsonl` or TensorBoard.
    #[error(transparent)]
    Tracker(#[from] TrackerError),
    /// A file or folder refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `create`, `read`, `write`, ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// An option has a value that cannot work.
    #[error("{option}: {reason}")]
    Option {
        /// The option, as recipes spell it.
        option: &'static str,
        /// What is wrong, and what to set instead.
        reason: String,
    },
    /// The loss or the gradient is no longer a number.
    #[error(
        "step {step}: the {what} is {value}; lower optim.learning_rate or lengthen the warm-up. \
         A checkpoint from before, where there is one, is kept"
    )]
    Diverged {
        /// The optimiser step, from 1.
        step: usize,
        /// `loss`, `gradient norm` or `largest weight`.
        what: &'static str,
        /// What it became.
        value: f64,
    },
    /// The output folder cannot be used as it is.
    #[error("{}: {reason}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
}

impl TrainError {
    pub(crate) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| TrainError::Io { action, path, source }
    }
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, TrainError>;
