//! What the JSON files beside a vocabulary say: `tokenizer_config.json`,
//! `special_tokens_map.json` and `added_tokens.json`.
//!
//! They are put together as Transformers does: `special_tokens_map.json` and
//! `added_tokens.json` are older forms, which are read only where `tokenizer_config.json` has
//! no `added_tokens_decoder`, and then win over what else it says.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::{AddedToken, Model};

use super::source::{self, Bare, without_mark};
use super::{ADDED, CONFIG, SPECIAL};
use crate::DataError;

/// The named special tokens, in the order in which Transformers adds those that are missing,
/// with the name that a BERT has for them where no file says another.
const NAMED: [(&str, Option<&str>); 7] = [
    ("bos_token", None),
    ("eos_token", None),
    ("unk_token", Some("[UNK]")),
    ("sep_token", Some("[SEP]")),
    ("pad_token", Some("[PAD]")),
    ("cls_token", Some("[CLS]")),
    ("mask_token", Some("[MASK]")),
];

/// Lists of further special tokens; current Transformers writes the first, older the second.
const EXTRA: [&str; 2] = ["extra_special_tokens", "additional_special_tokens"];

/// A lower `model_max_length` leaves no room for a text between its special tokens.
const SHORTEST: u64 = 16;

/// The settings of a folder.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// The class that reads the folder in Transformers.
    pub(super) class: Option<String>,
    /// Absent: as the tokenizer has it.
    do_lower_case: Option<bool>,
    /// Absent: as the tokenizer has it. `null`: accents are stripped when lower-casing.
    strip_accents: Option<Option<bool>>,
    tokenize_chinese_chars: Option<bool>,
    /// Whether special tokens in a text are read like any other words.
    split_special_tokens: bool,
    /// The most tokens of a text, special ones included, if a file says so.
    model_max_length: Option<u64>,
    /// Tokens that have an id of their own, by the id that a file gives them.
    added: BTreeMap<u32, AddedToken>,
    /// Special tokens that a file names, in its order.
    named: Vec<(String, AddedToken)>,
    /// Special tokens that a file lists without a name.
    extra: Vec<AddedToken>,
}

impl Settings {
    /// Reads the settings of a folder; files that are absent say nothing.
    ///
    /// # Errors
    /// When a file is no JSON object, or naming the key whose value cannot be used.
    pub(super) fn read(folder: &Path) -> Result<Settings, DataError> {
        let path = folder.join(CONFIG);
        let mut keys = Keys { map: object(&path)?.unwrap_or_default(), path: &path };
        let mut settings = Settings::default();
        match keys.take::<BTreeMap<u32, Token>>("added_tokens_decoder")? {
            Some(added) => {
                let tokens = added.into_iter().map(|(id, token)| (id, token.added(false)));
                settings.added = tokens.collect();
                settings.read_keys(&mut keys)?;
            }
            None => {
                settings.read_keys(&mut keys)?;
                let mut special: Vec<String> =
                    settings.extra.iter().map(|token| token.content.clone()).collect();
                let path = folder.join(SPECIAL);
                if let Some(map) = object(&path)? {
                    // Transformers 5 takes the tokens of this list as special, but not where
                    // added_tokens.json has them, too.
                    let of_map = map.get(EXTRA[0]).and_then(Value::as_array);
                    let of_map = of_map.into_iter().flatten().filter_map(Value::as_str);
                    special.extend(of_map.map(str::to_owned));
                    settings.read_special(&mut Keys { map, path: &path })?;
                }
                special.extend(settings.named.iter().map(|(_, token)| token.content.clone()));
                settings.read_added(&folder.join(ADDED), &special)?;
            }
        }
        Ok(settings)
    }

    fn read_keys(&mut self, keys: &mut Keys<'_>) -> Result<(), DataError> {
        self.class = keys.take("tokenizer_class")?;
        self.do_lower_case = keys.take("do_lower_case")?;
        // Null means something here, so it is not as if the key were absent.
        self.strip_accents = match keys.map.get("strip_accents") {
            Some(_) => Some(keys.take("strip_accents")?),
            None => None,
        };
        self.tokenize_chinese_chars = keys.take("tokenize_chinese_chars")?;
        // Where there is no limit, Transformers writes a number of 31 digits.
        let length = keys.map.get("model_max_length").or(keys.map.get("max_len"));
        self.model_max_length = length.and_then(Value::as_u64);
        self.split_special_tokens = keys.take("split_special_tokens")?.unwrap_or(false);
        self.read_special(keys)
    }

    /// Takes over the special tokens of a file, those of an earlier one being kept where this one
    /// says nothing.
    fn read_special(&mut self, keys: &mut Keys<'_>) -> Result<(), DataError> {
        // A model's own named tokens, such as `image_token`, are added like the usual ones.
        let is_token = |(key, value): (&String, &Value)| {
            (key.ends_with("_token") && (value.is_string() || value.is_object()))
                .then(|| key.clone())
        };
        let names: Vec<String> = keys.map.iter().filter_map(is_token).collect();
        for name in names {
            if let Some(token) = keys.take::<Token>(&name)? {
                self.set_named(name, token);
            }
        }
        let mut lists = EXTRA.into_iter();
        let extra = lists.find_map(|key| keys.take::<Extra>(key).transpose()).transpose()?;
        match extra {
            Some(Extra::List(tokens)) => {
                for token in tokens.into_iter().map(|token| token.added(true)) {
                    if !self.extra.iter().any(|known| known.content == token.content) {
                        self.extra.push(token);
                    }
                }
            }
            Some(Extra::Named(tokens)) => {
                for (name, token) in tokens {
                    let token =
                        serde_json::from_value(token).map_err(DataError::json(keys.path))?;
                    self.set_named(name, token);
                }
            }
            None => {}
        }
        Ok(())
    }

    /// Reads `added_tokens.json`, which gives ids by tokens. Of its tokens those are special that
    /// are in `special`.
    fn read_added(&mut self, path: &Path, special: &[String]) -> Result<(), DataError> {
        let Some(map) = object(path)? else { return Ok(()) };
        for (content, id) in map {
            let id = id.as_u64().and_then(|id| u32::try_from(id).ok()).ok_or_else(|| {
                DataError::file(path, format!("the id of {content:?} is {id}, not a whole number"))
            })?;
            let is_special = special.contains(&content);
            self.added.insert(id, AddedToken::from(content, is_special));
        }
        Ok(())
    }

    fn set_named(&mut self, name: String, token: Token) {
        let token = token.added(true);
        match self.named.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = token,
            None => self.named.push((name, token)),
        }
    }

    /// The token that a file has for this name.
    fn given(&self, name: &str) -> Option<&AddedToken> {
        self.named.iter().find(|(known, _)| known == name).map(|(_, token)| token)
    }

    /// What the special token of this name is in a text, as `cls_token`; the default of BERT
    /// where no file says another.
    pub(super) fn name_of(&self, name: &str) -> &str {
        let default = NAMED.into_iter().find(|(known, _)| *known == name);
        let default = default.and_then(|(_, content)| content).unwrap_or("");
        self.given(name).map_or(default, |token| &token.content)
    }

    /// The special tokens with a name: the usual ones in their order, and then a model's own.
    fn named(&self) -> Vec<(&str, AddedToken)> {
        let mut tokens: Vec<(&str, AddedToken)> = Vec::new();
        for (name, default) in NAMED {
            let default = default.map(|content| AddedToken::from(content, true));
            if let Some(token) = self.given(name).cloned().or(default) {
                tokens.push((name, token));
            }
        }
        let is_own = |name: &str| NAMED.iter().all(|(known, _)| *known != name);
        let own = self.named.iter().filter(|(name, _)| is_own(name));
        tokens.extend(own.map(|(name, token)| (name.as_str(), token.clone())));
        tokens
    }

    /// The most tokens of a text, if a file names a number that can be meant.
    pub(super) fn longest(&self) -> Option<usize> {
        let length = self.model_max_length.filter(|&length| length >= SHORTEST)?;
        usize::try_from(length).ok()
    }

    /// Adds the tokens of a tokenizer's own file and those of these settings, in the order in
    /// which Transformers does, which decides the ids of those that are not in the vocabulary; and
    /// names the padding and the mask token where they are among these: no input needs them.
    pub(super) fn add_tokens(
        &self,
        (mut inner, own): Bare,
    ) -> tokenizers::Result<(tokenizers::Tokenizer, Vec<(String, u32)>)> {
        let mut by_id = own;
        by_id.extend(self.added.clone());
        let mut tokens: Vec<AddedToken> = Vec::new();
        for token in by_id.into_values() {
            match tokens.iter_mut().find(|known| known.content == token.content) {
                Some(known) => *known = token,
                None => tokens.push(token),
            }
        }
        let in_model = |token: &AddedToken| inner.get_model().token_to_id(&token.content).is_some();
        let mut spare = Vec::new();
        for (name, token) in self.named() {
            let is_default = self.given(name).is_none();
            let may_lack = ["pad_token", "mask_token"].contains(&name);
            let is_known = tokens.iter_mut().find(|known| known.content == token.content);
            if may_lack && !in_model(&token) {
                spare.push(token.content.clone());
            }
            match is_known {
                Some(known) => known.special = true,
                // Nobody has asked for what only BERT's own vocabulary is known to have.
                None if is_default && !in_model(&token) => {}
                None => tokens.push(token),
            }
        }
        for token in &self.extra {
            if tokens.iter().all(|known| known.content != token.content) {
                tokens.push(token.clone());
            }
        }
        inner.add_tokens(tokens)?;
        inner.set_encode_special_tokens(self.split_special_tokens);
        let ids = spare.into_iter().filter_map(|token| {
            let id = inner.token_to_id(&token)?;
            Some((token, id))
        });
        let spare = ids.collect();
        Ok((inner, spare))
    }

    /// The normaliser of BERT with these settings in the place of `old`'s.
    pub(super) fn normalizer(&self, old: &BertNormalizer) -> BertNormalizer {
        BertNormalizer::new(
            old.clean_text,
            self.tokenize_chinese_chars.unwrap_or(old.handle_chinese_chars),
            self.strip_accents.unwrap_or(old.strip_accents),
            self.do_lower_case.unwrap_or(old.lowercase),
        )
    }
}

/// A token in a file: a string, or an object with the string in `content`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Token {
    Text(String),
    Fields {
        content: String,
        #[serde(default)]
        single_word: bool,
        #[serde(default)]
        lstrip: bool,
        #[serde(default)]
        rstrip: bool,
        normalized: Option<bool>,
        #[serde(default)]
        special: bool,
    },
}

impl Token {
    /// The token, made special where the place that it was found at says so.
    pub(super) fn added(self, make_special: bool) -> AddedToken {
        match self {
            Token::Text(content) => AddedToken::from(content, make_special),
            Token::Fields { content, single_word, lstrip, rstrip, normalized, special } => {
                let special = special || make_special;
                let normalized = normalized.unwrap_or(!special);
                AddedToken { content, single_word, lstrip, rstrip, normalized, special }
            }
        }
    }
}

/// Further special tokens, with names of their own or without.
#[derive(Deserialize)]
#[serde(untagged)]
enum Extra {
    List(Vec<Token>),
    Named(Map<String, Value>),
}

/// The keys of a file that are not read yet.
struct Keys<'a> {
    map: Map<String, Value>,
    path: &'a Path,
}

impl Keys<'_> {
    /// The value of a key; `None` where it is absent or null.
    fn take<T: serde::de::DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, DataError> {
        let Some(value) = self.map.remove(key).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let text = value.to_string();
        serde_json::from_value(value).map(Some).map_err(|_| {
            let shown: String = text.chars().take(60).collect();
            DataError::file(self.path, format!("`{key}` cannot be {shown}"))
        })
    }
}

/// The object in a JSON file; `None` where there is no such file.
fn object(path: &Path) -> Result<Option<Map<String, Value>>, DataError> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = source::read(path)?;
    serde_json::from_slice(without_mark(&bytes)).map(Some).map_err(DataError::json(path))
}
