//! A small tokenizer and model for tests.

use std::path::Path;

use limbeck_data::{FeatureOptions, Tokenizer};

const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nwho\nwhere\ncat\nsat\nmat\non\nthe\n\
                          .\n?\nada\nlives\nin\noslo\n";

/// Writes a vocabulary.
pub fn write_vocabulary(folder: &Path) {
    std::fs::write(folder.join("vocab.txt"), VOCABULARY).unwrap();
}

/// A tokenizer of a few words.
pub fn tokenizer() -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    write_vocabulary(folder.path());
    Tokenizer::from_folder(folder.path()).unwrap()
}

/// Windows of at most 16 tokens: 12 of the context beside a question of one, 2 of them
/// shared with the window before.
pub fn options() -> FeatureOptions {
    FeatureOptions { max_length: 16, doc_stride: 2, max_query_length: 8, ..Default::default() }
}
