//! What a tokenizer does, apart from the files that say it.
//!
//! Two tokenizers are the same where every text becomes the same ids. So what is compared are
//! the parts that decide this, in one spelling each: a `vocab.txt` and the `tokenizer.json` that
//! Transformers makes of it are the same.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokenizers::{AddedToken, ModelWrapper};

use super::Tokenizer;

/// Everything that decides which ids a text becomes.
#[derive(Serialize)]
pub(super) struct Meaning {
    normalizer: Value,
    pre_tokenizer: Value,
    /// The kind of the model and its numbers, without the vocabulary.
    model: Value,
    /// Tokens by id, added ones among them. One id can have two: added tokens are numbered on from
    /// the number of different entries, which is too early where a `vocab.txt` has one twice.
    vocabulary: BTreeMap<u32, BTreeSet<String>>,
    /// How added tokens are found, by content.
    added: BTreeMap<String, Value>,
    split_special_tokens: bool,
    /// The tokens at the beginning, between two texts, and in the place of a word.
    special: [Option<u32>; 3],
}

impl Meaning {
    pub(super) fn of(tokenizer: &Tokenizer) -> Meaning {
        let inner = &tokenizer.inner;
        let mut vocabulary = BTreeMap::new();
        // The empty line of a vocab.txt is no token.
        let mut insert = |content: String, id: u32| {
            if !content.is_empty() && !tokenizer.is_spare(&content) {
                vocabulary.entry(id).or_insert_with(BTreeSet::new).insert(content);
            }
        };
        inner.get_vocab(false).into_iter().for_each(|(content, id)| insert(content, id));
        let added = inner.get_added_tokens_decoder();
        for (&id, token) in &added {
            insert(token.content.clone(), id);
        }
        let added = added.into_values().filter(|token| !tokenizer.is_spare(&token.content));
        let mask = tokenizer.mask.filter(|id| vocabulary.contains_key(id));
        Meaning {
            normalizer: normalizer(value(inner.get_normalizer())),
            pre_tokenizer: sequence(value(inner.get_pre_tokenizer()), "pretokenizers"),
            model: model(inner.get_model()),
            vocabulary,
            added: added.map(|token| (token.content.clone(), flags(&token))).collect(),
            split_special_tokens: inner.get_encode_special_tokens(),
            special: [Some(tokenizer.cls), Some(tokenizer.sep), mask],
        }
    }

    /// A hash over all of it, and over the number of ids from which on tokens are unknown.
    pub(super) fn fingerprint(&self, vocab_size: usize) -> String {
        let text = value((self, vocab_size)).to_string();
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }

    /// The first thing in which another tokenizer differs, as a sentence.
    pub(super) fn difference(&self, other: &Meaning) -> Option<String> {
        self.case(other)
            .or_else(|| parts("normalise text", &self.normalizer, &other.normalizer))
            .or_else(|| parts("split words", &self.pre_tokenizer, &other.pre_tokenizer))
            .or_else(|| self.kind(other))
            .or_else(|| self.word(other))
            .or_else(|| self.special_token(other))
            .or_else(|| self.added_token(other))
    }

    /// How two normalisers of BERT differ.
    fn case(&self, other: &Meaning) -> Option<String> {
        let is_bert = |value: &Value| kind(value) == "BertNormalizer";
        if !is_bert(&self.normalizer) || !is_bert(&other.normalizer) {
            return None;
        }
        let does = [
            ("lowercase", "lowercases"),
            ("strip_accents", "strips accents"),
            ("handle_chinese_chars", "separates Chinese characters"),
            ("clean_text", "removes control characters"),
        ];
        let differs = |key: &str| self.normalizer.get(key) != other.normalizer.get(key);
        let (_, does) = does.into_iter().find(|(key, _)| differs(key))?;
        Some(format!("one {does}, the other does not"))
    }

    fn kind(&self, other: &Meaning) -> Option<String> {
        let (one, two) = (kind(&self.model), kind(&other.model));
        if one != two {
            return Some(format!("the model is {one} in one and {two} in the other"));
        }
        let (Some(mine), Some(theirs)) = (self.model.as_object(), other.model.as_object()) else {
            return None;
        };
        let key = mine.keys().chain(theirs.keys()).find(|&key| mine.get(key) != theirs.get(key))?;
        let show = |fields: &Map<String, Value>| match fields.get(key) {
            Some(Value::Array(_) | Value::Object(_)) => "another list".to_owned(),
            value => value.map_or_else(|| "absent".to_owned(), Value::to_string),
        };
        Some(format!("`{key}` is {} in one and {} in the other", show(mine), show(theirs)))
    }

    fn word(&self, other: &Meaning) -> Option<String> {
        let ids = self.vocabulary.keys().chain(other.vocabulary.keys());
        let differs = |id: &&u32| self.vocabulary.get(id) != other.vocabulary.get(id);
        let id = ids.filter(differs).min()?;
        let show = |meaning: &Meaning| meaning.tokens(*id).unwrap_or_else(|| "absent".to_owned());
        Some(format!("token {id} is {} in one and {} in the other", show(self), show(other)))
    }

    /// The tokens that have an id.
    fn tokens(&self, id: u32) -> Option<String> {
        let tokens = self.vocabulary.get(&id)?.iter().map(|token| format!("`{token}`"));
        Some(tokens.collect::<Vec<String>>().join(" and "))
    }

    fn added_token(&self, other: &Meaning) -> Option<String> {
        let contents = self.added.keys().chain(other.added.keys());
        let differs = |content: &&String| self.added.get(*content) != other.added.get(*content);
        let content = contents.filter(differs).min()?;
        let (Some(one), Some(two)) = (self.added.get(content), other.added.get(content)) else {
            return Some(format!("`{content}` is an added token in one, not in the other"));
        };
        let mut keys = one.as_object().into_iter().flat_map(Map::keys);
        let key = keys.find(|key| one.get(key) != two.get(key))?;
        let show = |flags: &Value| flags.get(key).map_or_else(String::new, Value::to_string);
        Some(format!(
            "`{key}` of the added token `{content}` is {} in one and {} in the other",
            show(one),
            show(two)
        ))
    }

    fn special_token(&self, other: &Meaning) -> Option<String> {
        if self.split_special_tokens != other.split_special_tokens {
            return Some("one reads special tokens in a text as words, the other does not".into());
        }
        let roles = ["at the beginning", "between two texts", "in the place of a word"];
        let places = roles.into_iter().zip(self.special.iter().zip(&other.special));
        let (role, (one, two)) = places.into_iter().find(|(_, (one, two))| one != two)?;
        let show = |id: &Option<u32>| {
            let tokens = id.and_then(|id| self.tokens(id));
            tokens.unwrap_or_else(|| "none".to_owned())
        };
        Some(format!("the token {role} is {} in one and {} in the other", show(one), show(two)))
    }
}

/// A difference between two parts that are JSON.
fn parts(what: &str, one: &Value, two: &Value) -> Option<String> {
    let (kind_one, kind_two) = (kind(one), kind(two));
    match (one == two, kind_one == kind_two) {
        (true, _) => None,
        (_, true) => Some(format!("they {what} differently, both with {kind_one}")),
        _ => Some(format!("they {what} differently: {kind_one} in one, {kind_two} in the other")),
    }
}

/// The type of a part, as `tokenizer.json` names it.
fn kind(part: &Value) -> &str {
    part.get("type").and_then(Value::as_str).unwrap_or("nothing")
}

fn value(part: impl Serialize) -> Value {
    // Parts are plain data with string keys, which always can be written.
    serde_json::to_value(part).unwrap_or_default()
}

/// How an added token is found in a text.
fn flags(token: &AddedToken) -> Value {
    let AddedToken { content: _, single_word, lstrip, rstrip, normalized, special } = token;
    json!({
        "single_word": single_word,
        "lstrip": lstrip,
        "rstrip": rstrip,
        "normalized": normalized,
        "special": special,
    })
}

/// The kind and the numbers of a model. Of kinds other than WordPiece it is everything, since
/// merges and scores decide with the vocabulary.
fn model(model: &ModelWrapper) -> Value {
    let ModelWrapper::WordPiece(pieces) = model else { return value(model) };
    json!({
        "type": "WordPiece",
        "unk_token": pieces.unk_token,
        "continuing_subword_prefix": pieces.continuing_subword_prefix,
        "max_input_chars_per_word": pieces.max_input_chars_per_word,
    })
}

/// One spelling of a normaliser: accents that are stripped when lower-casing are stripped or not.
fn normalizer(part: Value) -> Value {
    let mut part = sequence(part, "normalizers");
    let members = match part.get_mut("normalizers") {
        Some(Value::Array(members)) => members,
        _ => std::slice::from_mut(&mut part),
    };
    for member in members.iter_mut().filter(|member| kind(member) == "BertNormalizer") {
        if member.get("strip_accents").is_none_or(Value::is_null) {
            member["strip_accents"] = member.get("lowercase").cloned().unwrap_or_default();
        }
    }
    part
}

/// One spelling of parts that follow each other: a sequence of one part is that part, and one of
/// none is nothing.
fn sequence(part: Value, key: &str) -> Value {
    match part.get(key).and_then(Value::as_array).map(Vec::as_slice) {
        Some([]) => Value::Null,
        Some([only]) => sequence(only.clone(), key),
        _ => part,
    }
}
