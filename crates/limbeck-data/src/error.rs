use std::path::{Path, PathBuf};

/// What can be wrong with data, tokenizers and prediction files.
///
/// Every message is one line: what is wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system refused to read or write a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason it gave.
        source: std::io::Error,
    },
    /// A file is not the JSON that it should be.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// A file can be read, but what it says cannot be used.
    #[error("{}: {message}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, where in the file, and what to do.
        message: String,
    },
    /// An option has a value that cannot work.
    #[error("{option}: {message}")]
    Option {
        /// The option, as written in recipes.
        option: &'static str,
        /// What is wrong and what to set instead.
        message: String,
    },
    /// A question or its paragraph cannot be used.
    #[error("question {id:?}: {message}")]
    Question {
        /// The question's id in the data.
        id: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// There is more data than the program's 32-bit indices can hold.
    #[error("{what} is too large: {count}, at most {} can be held", u32::MAX)]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        count: usize,
    },
    /// The tokenizer refused a text.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
}

impl DataError {
    pub(crate) fn io(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> DataError + use<> {
        let path = path.to_owned();
        move |source| DataError::Io { action, path, source }
    }

    pub(crate) fn json(path: &Path) -> impl FnOnce(serde_json::Error) -> DataError + use<> {
        let path = path.to_owned();
        move |source| DataError::Json { path, source }
    }

    pub(crate) fn file(path: &Path, message: impl Into<String>) -> DataError {
        DataError::File { path: path.to_owned(), message: message.into() }
    }
}

/// Narrows a count to the 32 bits that features are stored in.
pub(crate) fn to_u32(what: &'static str, count: usize) -> Result<u32, DataError> {
    u32::try_from(count).map_err(|_| DataError::TooLarge { what, count })
}
