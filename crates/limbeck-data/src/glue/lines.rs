//! Lines of JSON: `{"text": "...", "pair": "...", "label": "..."}`.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::data::Row;
use crate::DataError;

/// A line as it is written; other keys are passed over.
#[derive(Deserialize)]
struct Line {
    text: String,
    #[serde(default)]
    pair: Option<String>,
    #[serde(default)]
    label: Option<Value>,
}

/// Whether a file looks like this rather than like a table.
pub(super) fn looks_like_lines(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Reads the rows of a file's `text`; `path` names it in errors.
pub(super) fn rows(path: &Path, text: &str) -> Result<Vec<Row>, DataError> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let refused =
                |reason: String| DataError::file(path, format!("line {number}: {reason}"));
            let read: Line = serde_json::from_str(line).map_err(|e| refused(e.to_string()))?;
            let label = match read.label {
                None | Some(Value::Null) => None,
                Some(Value::String(label)) => Some(label),
                Some(label @ (Value::Number(_) | Value::Bool(_))) => Some(label.to_string()),
                Some(_) => return Err(refused("`label` must be a text or a number".to_owned())),
            };
            Ok(Row { line: number, text: read.text, pair: read.pair, label })
        })
        .collect()
}
