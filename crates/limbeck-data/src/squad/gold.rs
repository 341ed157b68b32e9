//! Gold answers in the forms in which they are written.

use serde_json::{Map, Value};

use super::Answer;
use crate::rows::python;

/// What a question's row says of its answers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    /// Those that could be read.
    pub answers: Vec<Answer>,
    /// Whether there is a list of them, and it holds none.
    pub lists_none: bool,
    /// What is odd about those that could not be read.
    pub odd: Vec<&'static str>,
}

/// Reads `answers`, in any of its forms, or a single answer in columns of its own.
pub(super) fn answers(fields: &Map<String, Value>) -> Answers {
    let mut read = Answers::default();
    let start = || fields.get("answer_start").or_else(|| fields.get("start"));
    if let Some(value) = fields.get("answers") {
        read.take(value, start());
    } else if let Some(texts) = fields.get("answers.text") {
        // As `datasets` flattens the struct of two lists.
        read.take(&parsed(texts), fields.get("answers.answer_start").map(parsed).as_ref());
    } else if let Some(text) =
        ["answer_text", "answer", "text"].iter().find_map(|&key| fields.get(key))
    {
        match text {
            // A data frame has an empty field where there is no answer.
            Value::Null => read.lists_none = true,
            text => read.take(text, start()),
        }
    }
    read.lists_none &= read.answers.is_empty();
    read
}

/// Whether a value says yes; or what is odd about it.
pub(super) fn is_true(value: Option<&Value>) -> Result<bool, &'static str> {
    match value {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(Value::Number(number)) => Ok(number.as_f64().is_some_and(|number| number != 0.0)),
        Some(Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "1.0" | "yes" | "t" | "y" => Ok(true),
            "" | "false" | "0" | "0.0" | "no" | "f" | "n" | "none" | "null" | "nan" => Ok(false),
            _ => Err("has an `is_impossible` that is neither true nor false"),
        },
        Some(_) => Err("has an `is_impossible` that is neither true nor false"),
    }
}

/// A text or a number, as a text.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(match whole(number.as_f64()) {
            // A data frame makes whole numbers fractions where some are missing.
            Some(whole) if number.is_f64() => whole.to_string(),
            _ => number.to_string(),
        }),
        _ => None,
    }
}

fn whole(number: Option<f64>) -> Option<i64> {
    number.filter(|number| number.fract() == 0.0 && number.abs() < 1e15).map(|number| number as i64)
}

/// Where an answer begins, if the value says so: a number that is whole and not negative, perhaps
/// written as text.
fn start_of(value: Option<&Value>) -> Option<usize> {
    let number = match value? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        // One start where there is one answer.
        Value::Array(list) if list.len() == 1 => return start_of(list.first()),
        _ => None,
    };
    usize::try_from(whole(number)?).ok()
}

/// What a field of CSV stands for, where it holds a list or an object.
fn parsed(value: &Value) -> Value {
    let text = value.as_str().map(str::trim_start);
    let nested =
        text.filter(|text| text.starts_with(['{', '[', '(']) || text.starts_with("array("));
    let read = nested.and_then(python::value_of);
    read.filter(|read| read.is_array() || read.is_object()).unwrap_or_else(|| value.clone())
}

impl Answers {
    /// Takes the value of `answers`; `start` is what stands beside it.
    fn take(&mut self, value: &Value, start: Option<&Value>) {
        match value {
            Value::String(text) if text.trim().is_empty() => self.lists_none = true,
            Value::String(_) => match parsed(value) {
                Value::String(text) => self.push(&Value::String(text), start),
                nested => self.take(&nested, start),
            },
            Value::Array(list) => {
                self.lists_none = true;
                let starts = start.and_then(Value::as_array);
                for (index, one) in list.iter().enumerate() {
                    match one {
                        Value::Object(object) => self.take_object(object),
                        one => self.push(one, starts.and_then(|starts| starts.get(index))),
                    }
                }
            }
            Value::Object(object) => self.take_object(object),
            other => self.push(other, start),
        }
    }

    /// `{"text": [...], "answer_start": [...]}`, or one answer.
    fn take_object(&mut self, object: &Map<String, Value>) {
        let start = object.get("answer_start").or_else(|| object.get("start"));
        match object.get("text").or_else(|| object.get("answer_text")) {
            Some(Value::Array(texts)) => {
                self.lists_none = true;
                let starts = start.and_then(Value::as_array);
                for (index, text) in texts.iter().enumerate() {
                    self.push(text, starts.and_then(|starts| starts.get(index)));
                }
            }
            Some(text) => self.push(text, start),
            None => self.odd.push("has an answer without `text`"),
        }
    }

    fn push(&mut self, text: &Value, start: Option<&Value>) {
        match text_of(text) {
            // "There is none", where a list had to hold something.
            Some(text) if text.trim().is_empty() => self.lists_none = true,
            Some(text) => self.answers.push(Answer { text, start: start_of(start) }),
            None if text.is_null() => self.odd.push("has an answer that is null"),
            None => self.odd.push("has an answer that is no text"),
        }
    }
}
