//! JSON: lists, objects of rows or columns, and lines.

use std::path::Path;

use serde_json::{Map, Value};

use super::mend::mend;
use super::{Document, Place, Row, Rows};
use crate::DataError;

/// Whether a text is JSON rather than a table.
pub(super) fn looks_like_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// Reads JSON or JSON lines; and what was replaced, as one sentence.
pub(super) fn document(path: &Path, text: String) -> Result<(Document, Option<String>), DataError> {
    match values(path, &text) {
        Ok(document) => Ok((document, None)),
        Err(error) => {
            let (text, mended) = mend(&text);
            if mended.halves + mended.numbers == 0 {
                return Err(error);
            }
            Ok((values(path, &text)?, mended.notice()))
        }
    }
}

/// One value, or rows where there are several.
fn values(path: &Path, text: &str) -> Result<Document, DataError> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let first = match stream.next() {
        Some(first) => first.map_err(DataError::json(path))?,
        None => return Err(DataError::file(path, "is empty")),
    };
    if text[stream.byte_offset()..].trim().is_empty() {
        return Ok(Document::Json(first));
    }
    let mut rows = Vec::new();
    let (mut line, mut end) = (1, 0);
    let mut next = Some(Ok(first));
    while let Some(value) = next {
        let value = value.map_err(DataError::json(path))?;
        // The value stands between the end of the one before and here.
        let read = &text[end..stream.byte_offset()];
        let before = &read[..read.len() - read.trim_start().len()];
        let place = Place::Line(line + newlines(before));
        line += newlines(read);
        end = stream.byte_offset();
        rows.push(row(path, place, value)?);
        next = stream.next();
    }
    Ok(Document::Rows(rows))
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|&byte| byte == b'\n').count()
}

fn row(path: &Path, place: Place, value: Value) -> Result<Row, DataError> {
    match value {
        Value::Object(fields) => Ok(Row { place, fields }),
        other => {
            let message =
                format!("{place} is {}, not an object with named fields", name_of(&other));
            Err(DataError::file(path, message))
        }
    }
}

/// What a JSON value is, with its article.
pub(crate) fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The rows that one JSON value holds.
pub(super) fn rows_of(path: &Path, value: Value) -> Result<Rows, DataError> {
    match value {
        Value::Array(list) => Ok(Rows { rows: numbered(path, list)?, ..Rows::default() }),
        Value::Object(object) => of_object(path, object),
        other => {
            let message =
                format!("is {}; rows are wanted: objects with named fields", name_of(&other));
            Err(DataError::file(path, message))
        }
    }
}

fn numbered(path: &Path, list: Vec<Value>) -> Result<Vec<Row>, DataError> {
    (1..).zip(list).map(|(number, value)| row(path, Place::Row(number), value)).collect()
}

fn of_object(path: &Path, mut object: Map<String, Value>) -> Result<Rows, DataError> {
    if object.get("data").is_some_and(Value::is_array)
        && let Some(Value::Array(data)) = object.remove("data")
    {
        // pandas, orient="split": the names of the columns stand beside the rows.
        if let Some(names) = object.get("columns").and_then(names) {
            return Ok(Rows { rows: split(path, &names, data)?, ..Rows::default() });
        }
        return Ok(Rows { rows: numbered(path, data)?, beside: object, notice: None });
    }
    if let Some(Value::Object(data)) = object.get_mut("data") {
        let data = std::mem::take(data);
        object.remove("data");
        return Ok(Rows { beside: object, ..of_object(path, data)? });
    }
    let rows = if !object.is_empty() && object.values().all(Value::is_array) {
        of_columns(path, object)?
    } else if !object.is_empty() && object.values().all(Value::is_object) {
        of_nested(path, object)?
    } else {
        vec![Row { place: Place::Row(1), fields: object }]
    };
    Ok(Rows { rows, ..Rows::default() })
}

fn names(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

/// `{"columns": ["a", "b"], "data": [[1, 2], ...]}`.
fn split(path: &Path, names: &[String], data: Vec<Value>) -> Result<Vec<Row>, DataError> {
    let row = |(number, value): (usize, Value)| match value {
        Value::Array(values) if values.len() == names.len() => {
            let fields = names.iter().cloned().zip(values).collect();
            Ok(Row { place: Place::Row(number), fields })
        }
        _ => {
            let message = format!("row {number} is no list of {} values", names.len());
            Err(DataError::file(path, message))
        }
    };
    (1..).zip(data).map(row).collect()
}

/// `{"a": [1, 2], "b": [3, 4]}`.
fn of_columns(path: &Path, object: Map<String, Value>) -> Result<Vec<Row>, DataError> {
    let mut rows: Vec<Map<String, Value>> = Vec::new();
    let mut first: Option<(String, usize)> = None;
    for (name, column) in object {
        let Value::Array(values) = column else { continue };
        let (first_name, len) = first.get_or_insert_with(|| (name.clone(), values.len()));
        if values.len() != *len {
            let message = format!(
                "is an object of columns of different lengths: `{first_name}` has {len} values, \
                 `{name}` {}",
                values.len()
            );
            return Err(DataError::file(path, message));
        }
        rows.resize_with(values.len(), Map::new);
        for (row, value) in rows.iter_mut().zip(values) {
            row.insert(name.clone(), value);
        }
    }
    let rows = (1..).zip(rows);
    Ok(rows.map(|(number, fields)| Row { place: Place::Row(number), fields }).collect())
}

/// `{"a": {"0": 1, "1": 2}, ...}` or `{"0": {"a": 1, ...}, ...}`, as pandas writes them.
fn of_nested(path: &Path, object: Map<String, Value>) -> Result<Vec<Row>, DataError> {
    let is_index =
        |object: &Map<String, Value>| object.keys().all(|key| key.parse::<i64>().is_ok());
    if is_index(&object) {
        return numbered(path, object.into_iter().map(|(_, row)| row).collect());
    }
    if !object.values().all(|column| column.as_object().is_some_and(is_index)) {
        return Ok(vec![Row { place: Place::Row(1), fields: object }]);
    }
    let columns = object.into_iter().map(|(name, column)| {
        let values = match column {
            Value::Object(values) => values.into_iter().map(|(_, value)| value).collect(),
            _ => Vec::new(),
        };
        (name, Value::Array(values))
    });
    of_columns(path, columns.collect())
}
