//! What can go wrong in a search.

use std::path::{Path, PathBuf};

/// An error of this crate. Its text is one line and complete.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A file refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `open`, `read`, `write`, `lock`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The description of a space or of its metrics cannot be used.
    #[error("{place}: {reason}")]
    Space {
        /// The key, such as `parameters.layers`.
        place: String,
        /// What is wrong, and what to write instead.
        reason: String,
    },
    /// A study's file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Study {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A trial cannot do what was asked of it.
    #[error("trial {number}: {reason}")]
    Trial {
        /// The trial.
        number: usize,
        /// Why not.
        reason: String,
    },
}

/// The result of this crate's functions.
pub type Result<T, E = SearchError> = std::result::Result<T, E>;

impl SearchError {
    pub(crate) fn io(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn space(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Space { place: place.into(), reason: reason.into() }
    }

    pub(crate) fn trial(number: usize, reason: impl Into<String>) -> Self {
        Self::Trial { number, reason: reason.into() }
    }
}
