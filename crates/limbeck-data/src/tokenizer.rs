//! The tokenizer of a model folder, and the byte offsets of its tokens.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use tokenizers::models::bpe::Vocab;
use tokenizers::models::wordpiece::WordPieceBuilder;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, ModelWrapper, NormalizerWrapper};

use crate::error::to_u32;
use crate::text::is_mark;
use crate::{DataError, files};

/// Every file that belongs to a tokenizer; the first two are alternatives.
const FILES: [&str; 4] =
    ["tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json"];

/// The files of a tokenizer that [`Tokenizer::create`] makes, in the order in which it writes
/// them: where the last one is, all are.
pub(crate) const CREATED: [&str; 3] = ["vocab.txt", "tokenizer_config.json", "tokenizer.json"];

/// Cuts text into wordpieces, as the model it came with was trained to read them.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    folder: PathBuf,
    cls: u32,
    sep: u32,
    mask: Option<u32>,
    vocab_size: usize,
    fingerprint: String,
}

/// The tokens of a text, without special tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// One id a token.
    pub ids: Vec<u32>,
    /// First byte and byte past the last of each token, in the text as it was given.
    pub offsets: Vec<(u32, u32)>,
}

/// What is read of `tokenizer_config.json` and `special_tokens_map.json`.
#[derive(Default, Deserialize)]
struct Settings {
    do_lower_case: Option<bool>,
    /// Absent: as the tokenizer has it. `null`: accents are stripped when lower-casing.
    #[serde(default, deserialize_with = "present")]
    strip_accents: Option<Option<bool>>,
    tokenize_chinese_chars: Option<bool>,
    cls_token: Option<Value>,
    sep_token: Option<Value>,
    unk_token: Option<Value>,
    pad_token: Option<Value>,
    mask_token: Option<Value>,
}

fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<bool>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl Settings {
    /// The settings of a folder; those of `tokenizer_config.json` come first.
    fn read(folder: &Path, hasher: &mut blake3::Hasher) -> Result<Settings, DataError> {
        let mut settings: Settings = Settings::read_file(&folder.join(FILES[2]), hasher)?;
        let map: Settings = Settings::read_file(&folder.join(FILES[3]), hasher)?;
        settings.cls_token = settings.cls_token.or(map.cls_token);
        settings.sep_token = settings.sep_token.or(map.sep_token);
        settings.unk_token = settings.unk_token.or(map.unk_token);
        settings.pad_token = settings.pad_token.or(map.pad_token);
        settings.mask_token = settings.mask_token.or(map.mask_token);
        Ok(settings)
    }

    fn read_file(path: &Path, hasher: &mut blake3::Hasher) -> Result<Settings, DataError> {
        if !path.exists() {
            return Ok(Settings::default());
        }
        let bytes = read(path, hasher)?;
        serde_json::from_slice(&bytes).map_err(DataError::json(path))
    }

    /// The normaliser of BERT with these settings in the place of `old`'s.
    fn normalizer(&self, old: &BertNormalizer) -> BertNormalizer {
        BertNormalizer::new(
            old.clean_text,
            self.tokenize_chinese_chars.unwrap_or(old.handle_chinese_chars),
            self.strip_accents.unwrap_or(old.strip_accents),
            self.do_lower_case.unwrap_or(old.lowercase),
        )
    }
}

/// A special token is written as a string, or as an object with the string in `content`.
fn content<'a>(token: &'a Option<Value>, default: &'a str) -> &'a str {
    match token {
        Some(Value::String(text)) => text,
        Some(Value::Object(fields)) => {
            fields.get("content").and_then(Value::as_str).unwrap_or(default)
        }
        _ => default,
    }
}

impl Tokenizer {
    /// The tokenizer of a model folder: `tokenizer.json`, or else `vocab.txt` (WordPiece, one
    /// token a line); `tokenizer_config.json` and `special_tokens_map.json` where present.
    /// What the file says of truncation and padding is dropped.
    ///
    /// # Errors
    /// When neither file is there, one cannot be read, or the vocabulary lacks the tokens
    /// that mark the beginning (`[CLS]`) and the separation (`[SEP]`).
    pub fn from_folder(folder: &Path) -> Result<Tokenizer, DataError> {
        let mut hasher = blake3::Hasher::new();
        let settings = Settings::read(folder, &mut hasher)?;
        let (path, inner) = if folder.join(FILES[0]).exists() {
            let path = folder.join(FILES[0]);
            let inner = from_json(&path, &settings, &mut hasher)?;
            (path, inner)
        } else if folder.join(FILES[1]).exists() {
            let path = folder.join(FILES[1]);
            let inner = from_vocabulary(&path, &settings, &mut hasher)?;
            (path, inner)
        } else {
            let message = "no tokenizer here: the folder needs tokenizer.json or vocab.txt";
            return Err(DataError::file(folder, message));
        };
        let id_of = |token: &str| {
            let message = format!("the vocabulary has no {token}, which every input needs");
            inner.token_to_id(token).ok_or_else(|| DataError::file(&path, message))
        };
        let cls = id_of(content(&settings.cls_token, "[CLS]"))?;
        let sep = id_of(content(&settings.sep_token, "[SEP]"))?;
        let mask = inner.token_to_id(content(&settings.mask_token, "[MASK]"));
        // Ids may have gaps, so the largest one counts, not the number of tokens.
        let largest = inner.get_vocab(true).into_values().max().unwrap_or(0);
        Ok(Tokenizer {
            inner,
            folder: folder.to_owned(),
            cls,
            sep,
            mask,
            vocab_size: largest as usize + 1,
            fingerprint: hasher.finalize().to_hex().to_string(),
        })
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
        let mut hasher = blake3::Hasher::new();
        let settings = Settings::read(folder, &mut hasher)?;
        let mut inner = from_vocabulary(&vocabulary, &settings, &mut hasher)?;
        if let [Some(cls), Some(sep)] = ["[CLS]", "[SEP]"].map(|token| inner.token_to_id(token)) {
            let [cls, sep] = [("[CLS]", cls), ("[SEP]", sep)].map(|(t, id)| (t.to_owned(), id));
            inner.with_post_processor(Some(BertProcessing::new(sep, cls)));
        }
        inner.with_decoder(Some(tokenizers::decoders::wordpiece::WordPiece::default()));
        let refused = |error: tokenizers::Error| DataError::file(&json, error.to_string());
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
        Ok(Encoded { ids: encoding.get_ids().to_vec(), offsets })
    }

    /// The ids of the tokens of `text` alone, faster than [`Tokenizer::encode`].
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn ids(&self, text: &str) -> Result<Vec<u32>, DataError> {
        let encoding = self.inner.encode_fast(text, false);
        let encoding = encoding.map_err(|error| DataError::Tokenizer(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The id of the token that stands for a word to be guessed, `[MASK]`.
    ///
    /// # Errors
    /// When the vocabulary has none.
    pub fn mask(&self) -> Result<u32, DataError> {
        let message = "the vocabulary has no [MASK], which stands for words to be guessed";
        self.mask.ok_or_else(|| DataError::file(&self.folder, message))
    }

    /// By id, whether a token continues the word of the one before it.
    pub fn continuations(&self) -> Vec<bool> {
        let prefix = match self.inner.get_model() {
            ModelWrapper::WordPiece(model) => model.continuing_subword_prefix.as_str(),
            _ => "##",
        };
        let mut continues = vec![false; self.vocab_size];
        for (token, id) in self.inner.get_vocab(true) {
            continues[id as usize] = token.starts_with(prefix) && token != prefix;
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

    /// A hash of the files that decide what [`Tokenizer::encode`] returns, as hexadecimal.
    pub fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    /// Copies the tokenizer's files, those that exist, into another folder.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn save(&self, folder: &Path) -> Result<(), DataError> {
        for name in FILES {
            let source = self.folder.join(name);
            if source.exists() {
                let bytes = std::fs::read(&source).map_err(DataError::io("read", &source))?;
                files::replace(&folder.join(name), &bytes)?;
            }
        }
        Ok(())
    }
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

fn read(path: &Path, hasher: &mut blake3::Hasher) -> Result<Vec<u8>, DataError> {
    let bytes = std::fs::read(path).map_err(DataError::io("read", path))?;
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(&bytes);
    Ok(bytes)
}

fn from_json(
    path: &Path,
    settings: &Settings,
    hasher: &mut blake3::Hasher,
) -> Result<tokenizers::Tokenizer, DataError> {
    let refused =
        |error: tokenizers::Error| DataError::file(path, format!("not a tokenizer: {error}"));
    let bytes = read(path, hasher)?;
    let mut inner = tokenizers::Tokenizer::from_bytes(&bytes).map_err(refused)?;
    inner.with_truncation(None).map_err(refused)?;
    inner.with_padding(None);
    // Where the two files disagree, Transformers follows tokenizer_config.json.
    if let Some(NormalizerWrapper::BertNormalizer(old)) = inner.get_normalizer() {
        let normalizer = settings.normalizer(old);
        inner.with_normalizer(Some(normalizer)).map_err(refused)?;
    }
    Ok(inner)
}

fn from_vocabulary(
    path: &Path,
    settings: &Settings,
    hasher: &mut blake3::Hasher,
) -> Result<tokenizers::Tokenizer, DataError> {
    let refused = |error: tokenizers::Error| DataError::file(path, error.to_string());
    let bytes = read(path, hasher)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
        DataError::file(path, format!("line {line} is not UTF-8"))
    })?;
    let mut vocabulary = Vocab::default();
    for (id, token) in text.lines().enumerate() {
        // A token given twice has its last id, as in the original reader.
        vocabulary.insert(token.to_owned(), to_u32("the vocabulary", id)?);
    }
    let unknown = content(&settings.unk_token, "[UNK]");
    if !vocabulary.contains_key(unknown) {
        let message = format!("the vocabulary has no {unknown}, which unknown words become");
        return Err(DataError::file(path, message));
    }
    let special: Vec<AddedToken> = [
        content(&settings.pad_token, "[PAD]"),
        unknown,
        content(&settings.cls_token, "[CLS]"),
        content(&settings.sep_token, "[SEP]"),
        content(&settings.mask_token, "[MASK]"),
    ]
    .into_iter()
    .filter(|&token| vocabulary.contains_key(token))
    .map(|token| AddedToken::from(token, true))
    .collect();
    let model = WordPieceBuilder::new()
        .vocab(vocabulary)
        .unk_token(unknown.to_owned())
        .build()
        .map_err(refused)?;
    let mut inner = tokenizers::Tokenizer::new(model);
    let normalizer = settings.normalizer(&BertNormalizer::default());
    inner.with_normalizer(Some(normalizer)).map_err(refused)?;
    inner.with_pre_tokenizer(Some(BertPreTokenizer));
    inner.add_special_tokens(special).map_err(refused)?;
    Ok(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{tokenizer, write_vocabulary};

    fn slices(text: &str) -> Vec<&str> {
        let encoded = tokenizer().encode(text).unwrap();
        encoded.offsets.iter().map(|&(start, end)| &text[start as usize..end as usize]).collect()
    }

    fn error_of(folder: &Path) -> String {
        Tokenizer::from_folder(folder).unwrap_err().to_string()
    }

    #[test]
    fn tokens_are_slices_of_any_text() {
        assert_eq!(slices("The cats sat."), ["The", "cat", "s", "sat", "."]);
        assert_eq!(slices(" Café CAFÉ"), ["Café", "CAFÉ"]);
        assert_eq!(slices("cafe\u{301}, cat"), ["cafe\u{301}", ",", "cat"]);
        assert_eq!(slices("cafe\u{301}\u{302}"), ["cafe\u{301}\u{302}"]);
        assert_eq!(slices("日本 東京🦀"), ["日", "本", "東", "京", "🦀"]);
        assert_eq!(slices("שָׁלוֹם the\u{202e} cat"), ["שָׁלוֹם", "the", "cat"]);
        assert_eq!(slices("the\0cat"), ["the", "c", "a", "t"]);
        assert_eq!(slices("\u{200b}\u{7}"), [""; 0]);
        assert_eq!(slices(""), [""; 0]);
    }

    #[test]
    fn a_long_text_is_not_cut() {
        assert_eq!(tokenizer().encode(&"cat ".repeat(100_000)).unwrap().ids.len(), 100_000);
    }

    #[test]
    fn settings_beside_the_vocabulary_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        write_vocabulary(folder.path());
        let ids = |settings: &str, text: &str| {
            std::fs::write(folder.path().join(FILES[2]), settings).unwrap();
            Tokenizer::from_folder(folder.path()).unwrap().encode(text).unwrap().ids
        };
        let lower = ids("{}", "cafe");
        assert_eq!(lower, ids(r#"{"do_lower_case": true}"#, "CAFÉ"));
        assert_ne!(lower, ids(r#"{"do_lower_case": false}"#, "CAFE"));
        assert_ne!(lower, ids(r#"{"strip_accents": false}"#, "Café"));
        assert_eq!(ids(r#"{"tokenize_chinese_chars": false}"#, "日本").len(), 1);
        let first = ids(r#"{"cls_token": {"content": "the"}}"#, "the");
        let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
        assert_eq!(first, [tokenizer.cls()]);
    }

    #[test]
    fn padding_and_truncation_of_the_file_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let json = r###"{"version":"1.0",
            "truncation":{"direction":"Right","max_length":2,"strategy":"LongestFirst","stride":0},
            "padding":{"strategy":{"Fixed":8},"direction":"Right","pad_to_multiple_of":null,
                       "pad_id":0,"pad_type_id":0,"pad_token":"[PAD]"},
            "added_tokens":[],
            "normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,
                          "strip_accents":null,"lowercase":true},
            "pre_tokenizer":{"type":"BertPreTokenizer"},"post_processor":null,"decoder":null,
            "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",
                     "max_input_chars_per_word":100,
                     "vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"cat":9}}}"###;
        std::fs::write(folder.path().join("tokenizer.json"), json).unwrap();
        let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
        assert_eq!(tokenizer.encode("Cat cat cat").unwrap().ids, [9, 9, 9]);
        assert_eq!((tokenizer.cls(), tokenizer.sep(), tokenizer.vocab_size()), (2, 3, 10));
        // The settings win where the two files disagree.
        std::fs::write(folder.path().join(FILES[2]), r#"{"do_lower_case": false}"#).unwrap();
        let cased = Tokenizer::from_folder(folder.path()).unwrap();
        assert_eq!(cased.encode("Cat cat").unwrap().ids, [1, 9]);
        assert_ne!(cased.fingerprint(), tokenizer.fingerprint());
    }

    #[test]
    fn a_folder_without_a_usable_tokenizer_is_told_what_it_needs() {
        let folder = tempfile::tempdir().unwrap();
        assert!(error_of(folder.path()).contains("needs tokenizer.json or vocab.txt"));
        std::fs::write(folder.path().join("vocab.txt"), "[UNK]\n[SEP]\ncat\n").unwrap();
        assert!(error_of(folder.path()).contains("has no [CLS]"));
        std::fs::write(folder.path().join("vocab.txt"), "[CLS]\n[SEP]\n").unwrap();
        assert!(error_of(folder.path()).contains("has no [UNK]"));
        std::fs::write(folder.path().join("vocab.txt"), b"[CLS]\n\xFF\n").unwrap();
        assert!(error_of(folder.path()).contains("line 2 is not UTF-8"));
        std::fs::write(folder.path().join("tokenizer.json"), "{\"version\":").unwrap();
        assert!(error_of(folder.path()).contains("tokenizer.json: not a tokenizer"));
    }

    #[test]
    fn saving_copies_the_files_that_exist() {
        let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write_vocabulary(source.path());
        let tokenizer = Tokenizer::from_folder(source.path()).unwrap();
        tokenizer.save(target.path()).unwrap();
        assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 1);
        let copy = Tokenizer::from_folder(target.path()).unwrap();
        assert_eq!(copy.fingerprint(), tokenizer.fingerprint());
        copy.save(target.path()).unwrap();
    }
}
