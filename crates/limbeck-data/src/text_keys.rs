//! The names under which texts, pairs of texts and their labels come in: the columns and keys of
//! files, of lines on standard input and of a server's requests.
//!
//! Names are compared without regard to case. Whatever has another name is handed back, so that
//! nothing is dropped without a word.

use serde_json::{Map, Value};

/// The names of a text, or of the first of two, each with the names that the second may have beside
/// it: Limbeck's own, those of Transformers' tokenizers, of GLUE and of the sets in `datasets`.
const TEXTS: [(&str, &[&str]); 10] = [
    ("text", &["pair", "text_pair"]),
    ("text1", &["text2"]),
    ("text_a", &["text_b"]),
    ("sentence", &[]),
    ("sentence1", &["sentence2"]),
    ("sentence_a", &["sentence_b"]),
    ("question1", &["question2"]),
    ("premise", &["hypothesis"]),
    ("question", &["sentence", "passage"]),
    ("#1 string", &["#2 string"]),
];

/// The names of a label.
const LABELS: [&str; 3] = ["label", "labels", "gold_label"];

/// What a label is called in words, beside its number.
const LABEL_NAMES: [&str; 2] = ["label_text", "label_name"];

/// The names of what tells one row from another; the first that is there is a line's id.
const IDS: [&str; 16] = [
    "id",
    "idx",
    "index",
    "guid",
    "uid",
    "pairid",
    "pair_id",
    "promptid",
    "captionid",
    "qid",
    "qid1",
    "qid2",
    "#1 id",
    "#2 id",
    // The index of a table, as R and pandas write it.
    "",
    "__index_level_0__",
];

/// How pandas calls columns without a name.
const UNNAMED: &str = "unnamed: ";

/// A text or a pair of them, as an object or a row of a table gives it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Keyed {
    /// What tells it from others.
    pub id: Option<Value>,
    /// The text, or the first of two; `None` where it is null.
    pub text: Option<String>,
    /// The second of two.
    pub pair: Option<String>,
    /// The label as it is written; `None` where it is missing or null.
    pub label: Option<Value>,
    /// What has a name that means nothing here.
    pub unknown: Vec<(String, Value)>,
}

/// Why an object is not a text or a pair of texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No key has the name of a text.
    #[error("there is no text: name it `text` (a second one `pair`), or as {}", names())]
    NoText,
    /// A text is something else.
    #[error("`{0}` must be a text")]
    NotText(String),
    /// Two keys say different things where one is wanted.
    #[error("`{0}` and `{1}` are both there and differ: give one of them")]
    Ambiguous(String, String),
    /// A second text without the first one of its pair.
    #[error("`{0}` is the second text of a pair, and there is no first one beside it")]
    Alone(String),
    /// What is unknown may be a second text.
    #[error("`{0}` means nothing here: if it is the second text call it `pair`, else leave it out")]
    Unknown(String),
}

/// The names of texts but `text`, for messages.
fn names() -> String {
    let name = |(first, seconds): &(&str, &[&str])| match seconds.first() {
        Some(second) => format!("`{first}` and `{second}`"),
        None => format!("`{first}`"),
    };
    TEXTS[1..TEXTS.len() - 1].iter().map(name).collect::<Vec<_>>().join(", ")
}

/// A name as names are compared.
fn plain(name: &str) -> String {
    name.trim().to_ascii_lowercase()
}

/// Whether a key or column of this name holds the text, or the first of two.
pub fn is_text(name: &str) -> bool {
    let name = plain(name);
    TEXTS.iter().any(|(first, _)| *first == name)
}

/// Whether it holds a text, be it the first or the second.
pub fn is_any_text(name: &str) -> bool {
    let name = plain(name);
    TEXTS.iter().any(|(first, seconds)| *first == name || seconds.contains(&name.as_str()))
}

/// Whether it holds the label; `more` are names that a task has beside the usual ones.
pub fn is_label(name: &str, more: &[&str]) -> bool {
    let name = plain(name);
    LABELS.contains(&name.as_str()) || more.iter().any(|more| more.eq_ignore_ascii_case(&name))
}

/// Whether it holds neither text nor label, but is known: an id, or the name of a label.
pub fn is_harmless(name: &str) -> bool {
    let name = plain(name);
    IDS.contains(&name.as_str())
        || LABEL_NAMES.contains(&name.as_str())
        || name.strip_prefix(UNNAMED).is_some_and(|rest| rest.parse::<u32>().is_ok())
}

/// Whether a value of an unknown name may be a text that somebody wants to be read: several words.
pub fn may_be_text(value: &Value) -> bool {
    let is_word = |word: &&str| word.chars().any(char::is_alphabetic);
    value.as_str().is_some_and(|text| text.split_whitespace().filter(is_word).count() > 1)
}

impl Keyed {
    /// Reads an object, or a row of a table; `more_labels` are names that a task has for its
    /// labels beside the usual ones.
    ///
    /// # Errors
    /// When there is no text, or two that do not belong together.
    pub fn read(row: Map<String, Value>, more_labels: &[&str]) -> Result<Keyed, KeyError> {
        let mut keyed = Keyed::default();
        let (mut texts, mut labels, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in row {
            let known = plain(&name);
            if is_any_text(&known) {
                texts.push((known, name, value));
            } else if is_label(&known, more_labels) {
                labels.push((name, value));
            } else if let Some(rank) = IDS.iter().position(|id| *id == known) {
                ids.push((rank, value));
            } else if !is_harmless(&known) {
                keyed.unknown.push((name, value));
            }
        }
        [keyed.text, keyed.pair] = texts_of(texts)?;
        keyed.label = one_of(labels)?.map(|(_, value)| value);
        ids.sort_by_key(|(rank, _)| *rank);
        keyed.id = ids.into_iter().map(|(_, value)| value).find(|value| !value.is_null());
        Ok(keyed)
    }

    /// What is unknown and may be the second text of a pair: where there is one already, nothing
    /// may.
    pub fn may_be_pair(&self) -> Option<&str> {
        let mut unknown = self.unknown.iter().filter(|_| self.pair.is_none());
        unknown.find(|(_, value)| may_be_text(value)).map(|(name, _)| name.as_str())
    }

    /// As [`Keyed::read`] for a line or a request, which stands alone: what may be a second text
    /// is refused.
    ///
    /// # Errors
    /// As [`Keyed::read`], and for a text of an unknown name.
    pub fn read_alone(row: Map<String, Value>) -> Result<Keyed, KeyError> {
        let keyed = Keyed::read(row, &[])?;
        match keyed.may_be_pair() {
            Some(name) => Err(KeyError::Unknown(name.to_owned())),
            None => Ok(keyed),
        }
    }
}

/// The name as it is compared, as it is written, and what stands under it.
type Named = (String, String, Value);

/// The first and the second text among keys that are known to be texts.
fn texts_of(texts: Vec<Named>) -> Result<[Option<String>; 2], KeyError> {
    let is_there =
        |wanted: &str| texts.iter().any(|(known, _, value)| known == wanted && !is_nothing(value));
    // The names that belong together and of which the most are there; the first of equals.
    let covered = |(first, seconds): &(&str, &[&str])| {
        let seconds = seconds.iter().any(|second| is_there(second));
        2 * usize::from(is_there(first)) + usize::from(seconds)
    };
    let is_named = |(first, _): &&(&str, &[&str])| texts.iter().any(|(known, ..)| known == first);
    let best = TEXTS.iter().filter(is_named).rev().max_by_key(|names| covered(names));
    let Some((first, seconds)) = best else {
        return Err(match texts.into_iter().next() {
            Some((_, name, _)) => KeyError::Alone(name),
            None => KeyError::NoText,
        });
    };
    let (mut text, mut pair, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for (known, name, value) in texts {
        if known == *first {
            text.push((name, value));
        } else if seconds.contains(&known.as_str()) {
            pair.push((name, value));
        } else if !is_nothing(&value) {
            others.push((name, value));
        }
    }
    let (text, pair) = (one_of(text)?, one_of(pair)?);
    // Under a third name the same may stand again, and nothing else.
    for (name, value) in others {
        if ![&text, &pair].into_iter().flatten().any(|(_, chosen)| *chosen == value) {
            let chosen = text.map_or_else(|| (*first).to_owned(), |(chosen, _)| chosen);
            return Err(KeyError::Ambiguous(chosen, name));
        }
    }
    let as_text = |named: Option<(String, Value)>| match named {
        None => Ok(None),
        Some((_, Value::String(text))) => Ok(Some(text)),
        Some((name, _)) => Err(KeyError::NotText(name)),
    };
    Ok([as_text(text)?, as_text(pair)?])
}

/// What stands under several names of one thing, which must be the same everywhere.
fn one_of(named: Vec<(String, Value)>) -> Result<Option<(String, Value)>, KeyError> {
    let mut there = named.into_iter().filter(|(_, value)| !value.is_null());
    let Some(mut chosen) = there.next() else { return Ok(None) };
    for other in there {
        if is_nothing(&chosen.1) {
            chosen = other;
        } else if !is_nothing(&other.1) && other.1 != chosen.1 {
            return Err(KeyError::Ambiguous(chosen.0, other.0));
        }
    }
    Ok(Some(chosen))
}

/// Whether nothing is said: null, or an empty text, as empty fields of tables are.
fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: Value) -> Result<Keyed, KeyError> {
        let Value::Object(row) = json else { panic!("not an object") };
        Keyed::read(row, &["score"])
    }

    #[track_caller]
    fn assert_texts(json: Value, text: &str, pair: Option<&str>) {
        let keyed = read(json).unwrap();
        assert_eq!((keyed.text.as_deref(), keyed.pair.as_deref()), (Some(text), pair));
        assert!(keyed.unknown.is_empty());
    }

    #[test]
    fn texts_and_pairs_are_found_under_every_name_that_the_field_uses() {
        for (first, seconds) in TEXTS {
            assert_texts(json!({ first: "a b" }), "a b", None);
            for second in seconds {
                let upper = second.to_ascii_uppercase();
                assert_texts(json!({ "label": 1, upper: "c", first: "a" }), "a", Some("c"));
            }
        }
        assert_texts(json!({"text": "a", "pair": null, "id": 7, "Unnamed: 0": 3}), "a", None);
        assert_texts(json!({"text": "a", "pair": ""}), "a", Some(""));
        assert_texts(json!({"text": "a", "text_pair": "b", "pair": "b"}), "a", Some("b"));
        assert_texts(json!({"text": "a", "text_pair": "b", "pair": null}), "a", Some("b"));
        assert_texts(json!({"text": "a", "sentence": "a"}), "a", None);
        assert_texts(json!({"text": null, "sentence": "a"}), "a", None);
        assert_eq!(read(json!({"text": null})).unwrap().text, None);
    }

    #[test]
    fn labels_and_ids_are_found_and_what_is_unknown_is_handed_back() {
        for name in ["label", "Labels", "gold_label", "score"] {
            assert_eq!(read(json!({"text": "a", name: 2})).unwrap().label, Some(json!(2)));
        }
        let keyed = read(json!({"idx": 4, "text": "a", "id": "x", "note": "n"})).unwrap();
        assert_eq!((keyed.id, keyed.label), (Some(json!("x")), None));
        assert_eq!(keyed.unknown, [("note".to_owned(), json!("n"))]);
        let keyed = read(json!({"text": "a", "label": 1, "label_text": "very good"})).unwrap();
        assert_eq!((keyed.label, keyed.unknown.len()), (Some(json!(1)), 0));
    }

    #[test]
    fn what_contradicts_itself_is_refused_by_its_names() {
        for (json, parts) in [
            (json!({"label": 1}), ["`text`", "`premise` and `hypothesis`"]),
            (json!({"text": "a", "text_pair": "b", "pair": "c"}), ["`text_pair`", "`pair`"]),
            (json!({"text": "a", "sentence": "b"}), ["`text`", "`sentence`"]),
            (json!({"text": "a", "sentence2": "b"}), ["`text`", "`sentence2`"]),
            (json!({"hypothesis": "b"}), ["`hypothesis`", "no first"]),
            (json!({"text": 7}), ["`text`", "must be a text"]),
            (json!({"text": "a", "pair": ["b"]}), ["`pair`", "must be a text"]),
            (json!({"text": "a", "label": 1, "labels": 0}), ["`label`", "`labels`"]),
        ] {
            let message = read(json).unwrap_err().to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }

    #[test]
    fn an_unknown_text_is_refused_where_it_may_be_the_second_one() {
        let read = |json: Value| Keyed::read_alone(json.as_object().unwrap().clone());
        let refused = read(json!({"text": "a", "reply": "Not so good."})).unwrap_err();
        assert_eq!(refused, KeyError::Unknown("reply".to_owned()));
        for unknown in [json!("news"), json!("2024-01-01 10:00"), json!(3), json!(["a b"])] {
            assert_eq!(read(json!({"text": "a", "x": unknown})).unwrap().unknown.len(), 1);
        }
        assert!(read(json!({"text": "a", "pair": "b", "reason": "They differ."})).is_ok());
    }
}
