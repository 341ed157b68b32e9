//! A tokenizer from the file of its vocabulary, before tokens are added: `tokenizer.json`, or
//! `vocab.txt`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use tokenizers::models::bpe::Vocab;
use tokenizers::models::wordpiece::WordPieceBuilder;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{AddedToken, NormalizerWrapper};

use super::settings::{Settings, Token};
use crate::DataError;
use crate::error::to_u32;

/// How a Git LFS pointer begins.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// A tokenizer without added tokens, and those of its file by their ids.
pub(super) type Bare = (tokenizers::Tokenizer, BTreeMap<u32, AddedToken>);

/// The bytes of a tokenizer's file.
///
/// # Errors
/// When it cannot be read, is empty or a Git LFS pointer.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let bytes = std::fs::read(path).map_err(DataError::io("read", path))?;
    if bytes.starts_with(POINTER) {
        let folder = path.parent().unwrap_or(Path::new("."));
        let message = format!(
            "is a Git LFS pointer, not the file itself: run `git lfs pull` in {}",
            folder.display()
        );
        return Err(DataError::file(path, message));
    }
    if without_mark(&bytes).trim_ascii().is_empty() {
        return Err(DataError::file(path, "is empty; copy or download it again"));
    }
    Ok(bytes)
}

/// The bytes without the byte order mark that editors on Windows put before them.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// A token of `tokenizer.json`.
#[derive(Deserialize)]
struct Added {
    id: u32,
    #[serde(flatten)]
    token: Token,
}

/// The tokenizer in a `tokenizer.json`, without truncation and padding.
pub(super) fn from_json(path: &Path, settings: &Settings) -> Result<Bare, DataError> {
    let refused =
        |error: &dyn std::fmt::Display| DataError::file(path, format!("not a tokenizer: {error}"));
    let bytes = read(path)?;
    let mut json: Value =
        serde_json::from_slice(without_mark(&bytes)).map_err(|error| refused(&error))?;
    let added = match json.get_mut("added_tokens").map(Value::take) {
        None | Some(Value::Null) => Vec::new(),
        Some(tokens) => {
            serde_json::from_value::<Vec<Added>>(tokens).map_err(|error| refused(&error))?
        }
    };
    // They are added with those of the other files, in the order of their ids.
    if let Some(fields) = json.as_object_mut() {
        fields.insert("added_tokens".to_owned(), Value::Array(Vec::new()));
    }
    let added = added.into_iter().map(|Added { id, token }| (id, token.added(false))).collect();
    let bytes = serde_json::to_vec(&json).map_err(|error| refused(&error))?;
    let mut inner = tokenizers::Tokenizer::from_bytes(&bytes).map_err(|error| refused(&error))?;
    inner.with_truncation(None).map_err(|error| refused(&error))?;
    inner.with_padding(None);
    // Where the two files disagree, Transformers follows tokenizer_config.json.
    if let Some(NormalizerWrapper::BertNormalizer(old)) = inner.get_normalizer() {
        let normalizer = settings.normalizer(old);
        inner.with_normalizer(Some(normalizer)).map_err(|error| refused(&error))?;
    }
    Ok((inner, added))
}

/// BERT's tokenizer with the vocabulary in a `vocab.txt`, WordPiece with one token a line.
pub(super) fn from_vocabulary(path: &Path, settings: &Settings) -> Result<Bare, DataError> {
    let refused = |error: tokenizers::Error| DataError::file(path, error.to_string());
    if let Some(class) = settings.class.as_deref().filter(|class| class.contains("Japanese")) {
        let message = format!(
            "is the vocabulary of a {class}, which finds words by a dictionary; only the words of \
             BERT's own tokenizer can be found here"
        );
        return Err(DataError::file(path, message));
    }
    let vocabulary = vocabulary(path)?;
    let unknown = settings.name_of("unk_token");
    if !vocabulary.contains_key(unknown) {
        let message = format!("the vocabulary has no {unknown}, which unknown words become");
        return Err(DataError::file(path, message));
    }
    let model = WordPieceBuilder::new()
        .vocab(vocabulary)
        .unk_token(unknown.to_owned())
        .build()
        .map_err(refused)?;
    let mut inner = tokenizers::Tokenizer::new(model);
    let normalizer = settings.normalizer(&BertNormalizer::default());
    inner.with_normalizer(Some(normalizer)).map_err(refused)?;
    inner.with_pre_tokenizer(Some(BertPreTokenizer));
    Ok((inner, BTreeMap::new()))
}

/// The ids of tokens in a `vocab.txt`. An empty line has an id, too, so that those behind it keep
/// theirs; a token given twice has its last id. White space at the end of a line, and so the
/// carriage return of Windows, is not part of a token.
fn vocabulary(path: &Path) -> Result<Vocab, DataError> {
    let bytes = read(path)?;
    let bytes = without_mark(&bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
        DataError::file(path, format!("line {line} is not UTF-8"))
    })?;
    let mut vocabulary = Vocab::default();
    for (id, token) in text.lines().enumerate() {
        vocabulary.insert(token.trim_end().to_owned(), to_u32("the vocabulary", id)?);
    }
    Ok(vocabulary)
}
