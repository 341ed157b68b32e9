//! Plain text to learn a language from: files of any size, tokenised once into a mapped file,
//! cut into windows without padding, with words to guess.
//!
//! # Layout
//! * `documents`: text files as a stream of documents.
//! * `tokens`: their tokens in one mapped file, built in parallel.
//! * [`windows`](Windows): `[CLS] tokens [SEP]`, shared out among training and validation.
//! * [`masking`](Masking): which tokens are to be guessed, and what stands in their place.
//! * [`vocabulary`]: WordPiece vocabularies trained from text.

mod documents;
mod masking;
mod tokens;
pub mod vocabulary;
mod windows;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use documents::fingerprint;
pub use masking::{Masking, MaskingKind};
pub use tokens::{Corpus, CorpusReport};
pub use windows::Windows;

/// Text files, and what in them is a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    /// The files, read one after the other.
    pub paths: Vec<PathBuf>,
    /// What separates documents.
    pub documents: Documents,
}

/// What separates the documents of a text file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Documents {
    /// Every line is one.
    #[default]
    Lines,
    /// Empty lines stand between them.
    BlankLines,
}

#[cfg(test)]
mod tests;
