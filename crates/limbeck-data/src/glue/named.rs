//! Rows whose fields have names, out of JSON, CSV, TSV or Parquet.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::Value;

use super::data::{File, Row, Use};
use super::task::TextTask;
use crate::DataError;
use crate::rows::{self, Place, Rows};
use crate::text_keys::{self, Keyed};

/// Words from which on the name of a column looks like a row.
const WORDS_OF_A_ROW: usize = 3;

/// Takes the texts and labels out of a file's rows; `path` names it in errors.
pub(super) fn rows(
    path: &Path,
    read: Rows,
    task: TextTask,
    purpose: Use,
) -> Result<File, DataError> {
    let Rows { rows, notice, .. } = read;
    let refused = |message: String| DataError::file(path, message);
    let labels = task.columns().label;
    let names = names(&rows);
    let mut file = File { notices: notice.into_iter().collect(), ..File::default() };
    let guess = match names.iter().any(|name| text_keys::is_any_text(name)) || rows.is_empty() {
        true => Guess::default(),
        false => Guess::of(&rows, &names, labels).map_err(refused)?,
    };
    file.notices.extend(guess.notice());
    let has_labels = names.iter().any(|name| text_keys::is_label(name, labels));
    if purpose != Use::Predict && !has_labels && !rows.is_empty() {
        return Err(refused(format!(
            "there are no labels: name them `label`; {}",
            there_are(&names)
        )));
    }
    let mut unknown = Unknown::default();
    for rows::Row { place, fields } in rows {
        let refused = |reason: String| DataError::file(path, format!("{place}: {reason}"));
        let fields = fields.into_iter().map(|(name, value)| (guess.renamed(name), value)).collect();
        let keyed = Keyed::read(fields, labels).map_err(|error| refused(error.to_string()))?;
        if keyed.pair.is_some() && task.columns().pair.is_empty() {
            return Err(refused(format!("the task {task} is of one text, and there are two")));
        }
        unknown.note(&keyed, place);
        let is_there = |text: &String| !text.trim().is_empty();
        let Keyed { text, pair, label, .. } = keyed;
        let pair = match task.columns().pair_is_needed {
            true => pair.filter(is_there),
            false => pair,
        };
        file.rows.push(Row { place, text: text.filter(is_there), pair, label });
    }
    let has_pairs = file.rows.iter().any(|row| row.pair.is_some());
    if task.columns().pair_is_needed && !has_pairs && !file.rows.is_empty() {
        return Err(refused(format!(
            "the task {task} compares two texts, and there is no second one: name it `pair`"
        )));
    }
    let may_have_pairs = !has_pairs && !task.columns().pair.is_empty();
    file.notices.extend(unknown.told(may_have_pairs).map_err(refused)?);
    Ok(file)
}

/// The names of all fields, in the order of their coming.
fn names(rows: &[rows::Row]) -> Vec<&str> {
    let mut seen = HashSet::new();
    let all = rows.iter().flat_map(|row| row.fields.keys());
    all.map(String::as_str).filter(|name| seen.insert(*name)).collect()
}

/// What is there, for messages about what is not.
fn there_are(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("there are {}", names.join(", "))
}

/// Which columns of unknown names are the texts, where none has a known one.
#[derive(Debug, Default)]
struct Guess {
    text: Option<String>,
    pair: Option<String>,
}

impl Guess {
    /// The one or two columns that hold texts, as Transformers' `run_glue.py` takes them.
    fn of(rows: &[rows::Row], names: &[&str], labels: &[&str]) -> Result<Guess, String> {
        let is_long = |name: &&str| name.split_whitespace().count() > WORDS_OF_A_ROW;
        if let Some(name) = names.iter().find(|name| is_long(name)) {
            return Err(format!(
                "the first line must name the columns, such as `text` and `label`; `{name}` looks \
                 like a text"
            ));
        }
        let is_free =
            |name: &&str| !text_keys::is_label(name, labels) && !text_keys::is_harmless(name);
        let some = |name: &str, is: fn(&Value) -> bool| {
            rows.iter().any(|row| row.fields.get(name).is_some_and(is))
        };
        let free = || names.iter().copied().filter(is_free);
        let mut texts: Vec<&str> =
            free().filter(|name| some(name, text_keys::may_be_text)).collect();
        if texts.is_empty() {
            texts = free().filter(|name| some(name, Value::is_string)).collect();
        }
        match texts[..] {
            [text] => Ok(Guess { text: Some(text.to_owned()), pair: None }),
            [text, pair] => Ok(Guess { text: Some(text.to_owned()), pair: Some(pair.to_owned()) }),
            _ => Err(format!("{}; {}", text_keys::KeyError::NoText, there_are(names))),
        }
    }

    fn notice(&self) -> Option<String> {
        let text = self.text.as_ref()?;
        Some(match &self.pair {
            None => format!("nothing is called `text`: `{text}` is read as the text"),
            Some(pair) => format!(
                "nothing is called `text`: `{text}` and `{pair}` are read as the text and its pair"
            ),
        })
    }

    fn renamed(&self, name: String) -> String {
        match Some(&name) {
            same if same == self.text.as_ref() => "text".to_owned(),
            same if same == self.pair.as_ref() => "pair".to_owned(),
            _ => name,
        }
    }
}

/// Fields whose names mean nothing: for each whether it may be a text, and where first.
#[derive(Debug, Default)]
struct Unknown(BTreeMap<String, Option<Place>>);

impl Unknown {
    fn note(&mut self, row: &Keyed, place: Place) {
        for (name, value) in &row.unknown {
            let text = self.0.entry(name.clone()).or_default();
            if text.is_none() && text_keys::may_be_text(value) {
                *text = Some(place);
            }
        }
    }

    /// What to tell of them; a text is refused where rows `may_have_pairs`.
    fn told(self, may_have_pairs: bool) -> Result<Option<String>, String> {
        let text = self.0.iter().find_map(|(name, place)| Some((name, (*place)?)));
        if let Some((name, place)) = text.filter(|_| may_have_pairs) {
            return Err(format!("{place}: {}", text_keys::KeyError::Unknown(name.clone())));
        }
        let names: Vec<String> = self.0.into_keys().map(|name| format!("`{name}`")).collect();
        Ok((!names.is_empty()).then(|| format!("passed over: {}", names.join(", "))))
    }
}
