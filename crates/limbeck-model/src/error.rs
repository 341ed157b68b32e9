//! What can go wrong with a model, each as one line a user can act on.

use std::path::{Path, PathBuf};

use crate::config::HeadKind;

/// An error of this crate.
///
/// Its text is complete: it holds the text of what caused it, so that one line is
/// enough and nothing is said twice.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A key of a configuration has a value that cannot be used.
    #[error("`{key}` is {value}: {reason}")]
    Config {
        /// The key as the file spells it.
        key: String,
        /// Its value, as JSON.
        value: String,
        /// Why it cannot be used, and what to do.
        reason: String,
    },

    /// An error with the file it was found in.
    #[error("{}: {cause}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        cause: Box<ModelError>,
    },

    /// A file could not be read or written.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `rename`, ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        cause: std::io::Error,
    },

    /// What a model says is no number.
    #[error(
        "the model's logits are no finite numbers: its weights are damaged, or it was trained at \
         too high a learning rate"
    )]
    NotFinite,

    /// A length plan that fits no model, or not this one.
    #[error("{0}")]
    Lengths(String),

    /// A file as a whole is not what it should be.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },

    /// A model is asked for what its head cannot give.
    #[error("the model has a {found}; this needs a {needed}")]
    Head {
        /// The head that it would take.
        needed: HeadKind,
        /// The head that the model has.
        found: HeadKind,
    },

    /// Input does not fit a model's tables.
    #[error("the input does not fit the model: {0}; was it made with this model's tokenizer?")]
    Tokens(String),

    /// One tensor of a file is not what it should be.
    #[error("{}: tensor `{name}` {reason}", path.display())]
    Tensor {
        /// The file or folder.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// What is wrong with it; continues the sentence "tensor `x` ...".
        reason: String,
    },

    /// Layers or heads were asked for that the model does not have.
    #[error("{0}")]
    Selection(String),
}

/// The result of everything in this crate that can fail.
pub type Result<T, E = ModelError> = std::result::Result<T, E>;

impl ModelError {
    /// The same error, saying which file it was found in.
    pub(crate) fn in_file(self, path: &Path) -> ModelError {
        ModelError::InFile { path: path.to_owned(), cause: Box::new(self) }
    }

    /// Turns an I/O error into one that names the file; for `map_err`.
    pub(crate) fn io(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> ModelError {
        let path = path.to_owned();
        move |cause| ModelError::Io { action, path, cause }
    }

    /// An error about a whole file.
    pub(crate) fn file(path: &Path, reason: impl Into<String>) -> ModelError {
        ModelError::File { path: path.to_owned(), reason: reason.into() }
    }

    /// An error about one tensor of a file.
    pub(crate) fn tensor(path: &Path, name: &str, reason: impl Into<String>) -> ModelError {
        ModelError::Tensor { path: path.to_owned(), name: name.to_owned(), reason: reason.into() }
    }

    /// An error about one key of a configuration.
    pub(crate) fn config(
        key: &str,
        value: impl std::fmt::Display,
        reason: impl Into<String>,
    ) -> ModelError {
        ModelError::Config { key: key.to_owned(), value: value.to_string(), reason: reason.into() }
    }
}
