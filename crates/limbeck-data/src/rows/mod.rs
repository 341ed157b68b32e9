//! Data files of any container: text that may be compressed or UTF-16, and rows with named fields
//! out of JSON, JSON lines, CSV, TSV and Parquet.
//!
//! What a file is, its content decides; of CSV and TSV, the name has a say in what separates the
//! columns.
//!
//! # Layout
//! * [`open`](open()) and [`text`](text()): what is read of any file, a stream or all of it.
//! * `kind`: names what a file is, where it is none that can be read.
//! * `json`: JSON and JSON lines. `mend`: what Python writes into JSON that is none.
//! * `table`: CSV and TSV, `quotes`: whether their quotes are as they must be, `python`: lists and
//!   objects in their fields. `parquet`: Parquet.

mod json;
mod kind;
mod mend;
mod open;
mod parquet;
pub(crate) mod python;
mod quotes;
mod table;
mod text;

use std::fmt;
use std::path::Path;

use serde_json::{Map, Value};

use crate::DataError;

pub(crate) use json::name_of;
pub use open::open;
pub use text::{decoded, text};

/// What a file holds, by its outermost form.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Document {
    /// One JSON value.
    Json(Value),
    /// Rows with their places.
    Rows(Vec<Row>),
}

/// A row of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Where it stands.
    pub place: Place,
    /// Its fields, in the file's order. Those of CSV and TSV are texts.
    pub fields: Map<String, Value>,
}

/// Where a row stands in its file. It is shown as `line 7` or `row 7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The line on which it begins, from 1.
    Line(usize),
    /// Its number, from 1, in a file that knows no lines.
    Row(usize),
}

/// The rows of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The rows, in the file's order.
    pub rows: Vec<Row>,
    /// What stands beside the rows in a JSON object, such as `version`.
    pub beside: Map<String, Value>,
    /// What was replaced while the file was read, as one sentence; to be told once.
    pub notice: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(line) => write!(f, "line {line}"),
            Place::Row(row) => write!(f, "row {row}"),
        }
    }
}

/// Reads the rows of a file: a JSON list of objects, an object with such a list as `data`, an object
/// of columns as pandas and `datasets` write it, JSON lines, CSV or TSV with a header, or Parquet;
/// text may be compressed or UTF-16, as [`text`](text()) reads it.
///
/// # Errors
/// When the file cannot be read or is none of these; the message says what it is, or names the line
/// or row that is no row.
pub fn rows(path: &Path) -> Result<Rows, DataError> {
    let (document, notice) = document(path)?;
    Ok(Rows { notice, ..of_document(path, document)? })
}

/// A file that is not read as rows yet where it is a table.
pub(crate) enum Content {
    /// CSV, TSV or another table.
    Table(String),
    /// The rows of anything else.
    Rows(Rows),
}

/// Reads a file whose tables may have a form of their own; [`of_table`] reads those that have not.
///
/// # Errors
/// As [`rows`](rows()).
pub(crate) fn content(path: &Path) -> Result<Content, DataError> {
    let bytes = open::bytes(path)?;
    if parquet::is_parquet(&bytes) {
        let rows = parquet::rows(path, bytes)?;
        return Ok(Content::Rows(Rows { rows, ..Rows::default() }));
    }
    let text = text::decoded(path, bytes)?;
    if !json::looks_like_json(&text) {
        return Ok(Content::Table(text));
    }
    let (document, notice) = json::document(path, text)?;
    Ok(Content::Rows(Rows { notice, ..of_document(path, document)? }))
}

/// The rows of a table's `text`; `path` names it in errors.
///
/// # Errors
/// As [`rows`](rows()).
pub(crate) fn of_table(path: &Path, text: &str) -> Result<Rows, DataError> {
    if text.trim().is_empty() {
        return Err(DataError::file(path, "is empty"));
    }
    let (rows, notice) = table::rows(path, text)?;
    Ok(Rows { rows, notice, ..Rows::default() })
}

fn of_document(path: &Path, document: Document) -> Result<Rows, DataError> {
    match document {
        Document::Rows(rows) => Ok(Rows { rows, ..Rows::default() }),
        Document::Json(value) => json::rows_of(path, value),
    }
}

/// Reads a file as it is nested; and what was replaced in it, as one sentence.
pub(crate) fn document(path: &Path) -> Result<(Document, Option<String>), DataError> {
    let bytes = open::bytes(path)?;
    if parquet::is_parquet(&bytes) {
        return Ok((Document::Rows(parquet::rows(path, bytes)?), None));
    }
    let text = text::decoded(path, bytes)?;
    if json::looks_like_json(&text) {
        return json::document(path, text);
    }
    if text.trim().is_empty() {
        return Err(DataError::file(path, "is empty"));
    }
    let (rows, notice) = table::rows(path, &text)?;
    Ok((Document::Rows(rows), notice))
}

/// What bytes are that a file or a stream begins with, where they are no UTF-8 text; as the end of a
/// sentence on it.
pub fn refusal(start: &[u8]) -> Option<&'static str> {
    let compressed =
        || open::starts_compressed(start).map(|_| "is compressed; decompress it first");
    let utf_16 = || text::is_utf_16(start).then_some("is UTF-16; convert it to UTF-8");
    kind::of_bytes(start).or_else(compressed).or_else(utf_16)
}

/// The rows that one JSON value holds.
pub(crate) fn rows_in(path: &Path, value: Value) -> Result<Vec<Row>, DataError> {
    Ok(json::rows_of(path, value)?.rows)
}

#[cfg(test)]
mod tests;
