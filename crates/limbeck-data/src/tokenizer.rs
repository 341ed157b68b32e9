//! The tokenizer of a model folder, and the byte offsets of its tokens.

mod meaning;
mod settings;
mod source;

use std::path::{Path, PathBuf};

use tokenizers::ModelWrapper;
use tokenizers::processors::bert::BertProcessing;

use crate::error::to_u32;
use crate::text::is_mark;
use crate::{DataError, files};

use meaning::Meaning;
use settings::Settings;

const JSON: &str = "tokenizer.json";
const VOCABULARY: &str = "vocab.txt";
const CONFIG: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";

/// Every file that belongs to a tokenizer; the first two are alternatives.
pub const TOKENIZER_FILES: [&str; 5] = [JSON, VOCABULARY, CONFIG, SPECIAL, ADDED];

/// The files of a tokenizer that [`Tokenizer::create`] makes, in the order in which it writes
/// them: where the last one is, all are.
pub(crate) const CREATED: [&str; 3] = [VOCABULARY, CONFIG, JSON];

/// Cuts text into wordpieces, as the model it came with was trained to read them.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    folder: PathBuf,
    cls: u32,
    sep: u32,
    mask: Option<u32>,
    vocab_size: usize,
    /// The padding and the mask token where they are not in the model's vocabulary. No input needs
    /// them, and they may have an id for which a model has no embedding.
    spare: Vec<(String, u32)>,
    /// What stands for words outside the vocabulary, and for what is spare.
    unknown: u32,
}

/// The tokens of a text, without special tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// One id a token.
    pub ids: Vec<u32>,
    /// First byte and byte past the last of each token, in the text as it was given.
    pub offsets: Vec<(u32, u32)>,
}

impl Tokenizer {
    /// The tokenizer of a model folder: `tokenizer.json`, or else `vocab.txt` (WordPiece, one
    /// token a line); `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`
    /// where present, with the meaning that Transformers gives them.
    /// What the file says of truncation and padding is dropped.
    ///
    /// # Errors
    /// When neither file is there, one cannot be read, or the vocabulary lacks the tokens
    /// that mark the beginning (`[CLS]`) and the separation (`[SEP]`).
    pub fn from_folder(folder: &Path) -> Result<Tokenizer, DataError> {
        let settings = Settings::read(folder)?;
        let (path, bare) = if folder.join(JSON).exists() {
            let path = folder.join(JSON);
            let bare = source::from_json(&path, &settings)?;
            (path, bare)
        } else if folder.join(VOCABULARY).exists() {
            let path = folder.join(VOCABULARY);
            let bare = source::from_vocabulary(&path, &settings)?;
            (path, bare)
        } else {
            return Err(DataError::file(folder, no_tokenizer(folder)));
        };
        let (inner, spare) = settings.add_tokens(bare).map_err(|error| {
            DataError::file(&path, format!("its added tokens are refused: {error}"))
        })?;
        let id_of = |token: &str| {
            let message = format!("the vocabulary has no {token}, which every input needs");
            inner.token_to_id(token).ok_or_else(|| DataError::file(&path, message))
        };
        let cls = id_of(settings.name_of("cls_token"))?;
        let sep = id_of(settings.name_of("sep_token"))?;
        let mask = inner.token_to_id(settings.name_of("mask_token"));
        let unknown = inner.token_to_id(settings.name_of("unk_token")).unwrap_or(sep);
        let folder = folder.to_owned();
        let mut tokenizer =
            Tokenizer { inner, folder, cls, sep, mask, unknown, vocab_size: 0, spare };
        // Ids may have gaps, so the largest one counts, not the number of tokens. The empty line
        // of a vocab.txt is no token.
        let tokens = tokenizer.inner.get_vocab(true).into_iter();
        let needed = tokens.filter(|(token, _)| !token.is_empty() && !tokenizer.is_spare(token));
        tokenizer.vocab_size = needed.map(|(_, id)| id as usize + 1).max().unwrap_or(0);
        Ok(tokenizer)
    }

    /// Takes the padding and the mask token, where they are not in the model's vocabulary, as
    /// tokens of this model if it has embeddings for them. Without that they count as unknown.
    pub fn fit_to(&mut self, embeddings: usize) {
        let ids = self.spare.iter().map(|&(_, id)| id as usize + 1);
        let known = ids.filter(|&needed| needed <= embeddings).max().unwrap_or(0);
        self.vocab_size = self.vocab_size.max(known);
    }

    /// Writes the files of a new tokenizer into a folder, as Transformers' BERT has them, and
    /// opens it: WordPiece with these entries, in the order of their ids. Among them must be
    /// `[UNK]`, `[CLS]` and `[SEP]`.
    ///
    /// # Errors
    /// When a file cannot be written, or one of those tokens is missing.
    pub fn create(
        folder: &Path,
        entries: &[String],
        lower_case: bool,
    ) -> Result<Tokenizer, DataError> {
        let [vocabulary, config, json] = CREATED.map(|name| folder.join(name));
        files::replace(&vocabulary, (entries.join("\n") + "\n").as_bytes())?;
        let settings = serde_json::json!({
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": lower_case,
            "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]",
            "cls_token": "[CLS]", "mask_token": "[MASK]",
        });
        files::replace(&config, format!("{settings:#}\n").as_bytes())?;
        let settings = Settings::read(folder)?;
        let refused = |error: tokenizers::Error| DataError::file(&json, error.to_string());
        let bare = source::from_vocabulary(&vocabulary, &settings)?;
        let (mut inner, _) = settings.add_tokens(bare).map_err(refused)?;
        if let [Some(cls), Some(sep)] = ["[CLS]", "[SEP]"].map(|token| inner.token_to_id(token)) {
            let [cls, sep] = [("[CLS]", cls), ("[SEP]", sep)].map(|(t, id)| (t.to_owned(), id));
            inner.with_post_processor(Some(BertProcessing::new(sep, cls)));
        }
        inner.with_decoder(Some(tokenizers::decoders::wordpiece::WordPiece::default()));
        let text = inner.to_string(false).map_err(refused)?;
        files::replace(&json, text.as_bytes())?;
        Tokenizer::from_folder(folder)
    }

    /// The tokens of `text`, without special tokens, whatever its length.
    ///
    /// # Errors
    /// When the text exceeds 4 GB, or the vocabulary can neither express a part of it nor
    /// has an unknown token.
    pub fn encode(&self, text: &str) -> Result<Encoded, DataError> {
        to_u32("a text's length in bytes", text.len())?;
        let encoding = self
            .inner
            .encode(text, false)
            .map_err(|error| DataError::Tokenizer(error.to_string()))?;
        // No token ends past the text, whose length fits as checked above.
        let mut offsets: Vec<(u32, u32)> =
            encoding.get_offsets().iter().map(|&(start, end)| (start as u32, end as u32)).collect();
        if !text.is_ascii() {
            keep_marks(text, &mut offsets);
        }
        Ok(Encoded { ids: self.known(encoding.get_ids()), offsets })
    }

    /// The ids of the tokens of `text` alone, faster than [`Tokenizer::encode`].
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn ids(&self, text: &str) -> Result<Vec<u32>, DataError> {
        let encoding = self.inner.encode_fast(text, false);
        let encoding = encoding.map_err(|error| DataError::Tokenizer(error.to_string()))?;
        Ok(self.known(encoding.get_ids()))
    }

    /// The ids of a text with the unknown token in the place of those that the model lacks.
    fn known(&self, ids: &[u32]) -> Vec<u32> {
        let known = |&id: &u32| if (id as usize) < self.vocab_size { id } else { self.unknown };
        ids.iter().map(known).collect()
    }

    /// The id of the token that stands for a word to be guessed, `[MASK]`.
    ///
    /// # Errors
    /// When the vocabulary has none.
    pub fn mask(&self) -> Result<u32, DataError> {
        let message = "the vocabulary has no [MASK], which stands for words to be guessed";
        let mask = self.mask.filter(|&mask| (mask as usize) < self.vocab_size);
        mask.ok_or_else(|| DataError::file(&self.folder, message))
    }

    /// By id, whether a token continues the word of the one before it.
    pub fn continuations(&self) -> Vec<bool> {
        let prefix = match self.inner.get_model() {
            ModelWrapper::WordPiece(model) => model.continuing_subword_prefix.as_str(),
            _ => "##",
        };
        let mut continues = vec![false; self.vocab_size];
        for (token, id) in self.inner.get_vocab(true) {
            // What is spare may have no place here.
            if let Some(continues) = continues.get_mut(id as usize) {
                *continues = token.starts_with(prefix) && token != prefix;
            }
        }
        continues
    }

    /// The id of the token that begins every input, `[CLS]`.
    pub fn cls(&self) -> u32 {
        self.cls
    }

    /// The id of the token that ends the question and the context, `[SEP]`.
    pub fn sep(&self) -> u32 {
        self.sep
    }

    /// One more than the largest id; a model needs at least as many embeddings.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The id of a token of the vocabulary, if it has that token.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// A hash over all that decides what [`Tokenizer::encode`] returns, as hexadecimal, whatever
    /// files say it.
    pub fn fingerprint(&self) -> String {
        Meaning::of(self).fingerprint(self.vocab_size)
    }

    /// The first thing in which another tokenizer cuts texts differently, as a sentence without
    /// its full stop; `None` where every text becomes the same tokens. A padding or a mask token
    /// that is not in the vocabulary is left out of account.
    pub fn difference(&self, other: &Tokenizer) -> Option<String> {
        Meaning::of(self).difference(&Meaning::of(other))
    }

    /// Whether a token is outside the model's vocabulary and needed by no input.
    fn is_spare(&self, token: &str) -> bool {
        self.spare.iter().any(|(spare, _)| spare == token)
    }

    /// Copies the tokenizer's files, those that exist, into another folder.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn save(&self, folder: &Path) -> Result<(), DataError> {
        for name in TOKENIZER_FILES {
            let source = self.folder.join(name);
            if source.exists() {
                let bytes = std::fs::read(&source).map_err(DataError::io("read", &source))?;
                files::replace(&folder.join(name), &bytes)?;
            }
        }
        Ok(())
    }
}

/// The most tokens of a text, special ones included, that the tokenizer of a folder makes where
/// nobody asks for another number: `model_max_length` of `tokenizer_config.json`, if it is one.
///
/// # Errors
/// When that file cannot be read.
pub fn model_max_length(folder: &Path) -> Result<Option<usize>, DataError> {
    Ok(Settings::read(folder)?.longest())
}

/// Lets each token end behind the combining marks that follow its last letter. They make no
/// token once accents are stripped, but a slice without them would be another word.
fn keep_marks(text: &str, offsets: &mut [(u32, u32)]) {
    for index in 0..offsets.len() {
        let next = offsets.get(index + 1).map_or(text.len(), |&(start, _)| start as usize);
        let end = &mut offsets[index].1;
        let marks = text.get(*end as usize..next).unwrap_or("");
        *end += marks.chars().take_while(|&c| is_mark(c)).map(char::len_utf8).sum::<usize>() as u32;
    }
}

/// Why a folder has no tokenizer, and what to do.
fn no_tokenizer(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let needed = "no tokenizer here: the folder needs tokenizer.json or vocab.txt";
    if let Some(name) = names.iter().find(|name| name.ends_with("vocab.txt")) {
        return format!("{needed}; rename {name} to vocab.txt");
    }
    let others = ["spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "vocab.json"];
    match names.iter().find(|name| others.contains(&name.as_str())) {
        Some(name) => format!(
            "{needed}; {name} is of another kind, which Transformers saves as tokenizer.json"
        ),
        None => needed.to_owned(),
    }
}

#[cfg(test)]
mod tests;
