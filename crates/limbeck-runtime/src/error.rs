//! What can go wrong when a model runs.

use std::path::PathBuf;

use limbeck_data::DataError;
use limbeck_model::ModelError;

/// An error of this crate. Its text is one line and complete.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// From the tokenizer, the questions or their features.
    #[error(transparent)]
    Data(#[from] DataError),
    /// From the model or its folder.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The parts of a model folder do not fit together.
    #[error("{}: {reason}", path.display())]
    Folder {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// The result of this crate's functions.
pub type Result<T, E = RuntimeError> = std::result::Result<T, E>;
