//! CSV and TSV with a header, quoted as RFC 4180 says.

use std::path::Path;

use serde_json::{Map, Value};

use super::quotes::{self, Inner};
use super::{Place, Row};
use crate::DataError;

/// Reads the rows of a table's `text`, and says what a user should know of them; `path` names it in
/// errors.
pub(super) fn rows(path: &Path, text: &str) -> Result<(Vec<Row>, Option<String>), DataError> {
    // Excel may say in a line of its own what separates the columns.
    let (said, skipped) = match text.lines().next() {
        Some(line) if line.starts_with("sep=") && line.len() == 5 => {
            (line.bytes().last(), text.find('\n').map_or(text.len(), |at| at + 1))
        }
        _ => (None, 0),
    };
    let (lines_before, text) = (usize::from(skipped > 0), &text[skipped..]);
    let delimiter = said.unwrap_or_else(|| delimiter(path, text));
    let inner = [Inner::Twice, Inner::Escaped]
        .into_iter()
        .find(|inner| quotes::fault(text, delimiter, *inner).is_none());
    let notice = match (inner, quotes::fault(text, delimiter, Inner::Twice)) {
        (None, Some(fault)) if delimiter == b'\t' => {
            let why = fault.message(lines_before);
            Some(format!("quotes are read as characters: {why}"))
        }
        (None, Some(fault)) => return Err(DataError::file(path, fault.message(lines_before))),
        _ => None,
    };
    let is_escaped = inner == Some(Inner::Escaped);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(notice.is_none())
        .double_quote(!is_escaped)
        .escape(is_escaped.then_some(b'\\'))
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut records = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader
        .read_record(&mut record)
        .map_err(|error| DataError::file(path, format!("cannot be read as a table: {error}")))?
    {
        records.push(std::mem::take(&mut record));
    }
    let mut records = records.into_iter();
    let mut names = names(path, records.next().unwrap_or_default())?;
    let line = |record: &csv::StringRecord| {
        let Some(position) = record.position() else { return 0 };
        // Empty lines before a record belong to it for the reader.
        let before = text[position.byte() as usize..].bytes();
        let empty = before.take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let empty = empty.filter(|&byte| byte == b'\n').count();
        lines_before + position.line() as usize + empty
    };
    // White space alone is no row of a single column.
    let records: Vec<_> = records
        .filter(|record| record.iter().any(|field| record.len() > 1 || !field.trim().is_empty()))
        .collect();
    if !records.is_empty() && records.iter().all(|record| record.len() == names.len() + 1) {
        // R writes the names of rows under no header; others end every row with a delimiter.
        let ends_empty = records.iter().all(|record| record.iter().next_back() == Some(""));
        names.insert(if ends_empty { names.len() } else { 0 }, String::new());
    }
    let rows = records.iter().map(|record| row(path, &names, line(record), record));
    Ok((rows.collect::<Result<_, _>>()?, notice))
}

fn row(
    path: &Path,
    names: &[String],
    line: usize,
    record: &csv::StringRecord,
) -> Result<Row, DataError> {
    if record.len() != names.len() {
        let (has, needs) = (record.len(), names.len());
        let swallows = record.iter().any(|field| field.contains('\n'));
        let why = match swallows {
            true => "; a field that begins with a quote goes on to the next quote, over lines",
            false => "",
        };
        let message = format!("line {line}: it has {has} columns, and the header {needs}{why}");
        return Err(DataError::file(path, message));
    }
    let fields: Map<String, Value> = names
        .iter()
        .zip(record)
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, field)| (name.clone(), Value::String(field.to_owned())))
        .collect();
    Ok(Row { place: Place::Line(line), fields })
}

/// The names of the columns. One without a name is the index of a data frame: it is passed over.
fn names(path: &Path, header: csv::StringRecord) -> Result<Vec<String>, DataError> {
    let names: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    let twice = |&(at, name): &(usize, &String)| !name.is_empty() && names[..at].contains(name);
    match names.iter().enumerate().find(twice) {
        Some((_, name)) => {
            Err(DataError::file(path, format!("line 1: two columns have the name `{name}`")))
        }
        None => Ok(names),
    }
}

/// What separates the columns: what the file's name says, where the header has it, or else what the
/// header has most of.
fn delimiter(path: &Path, text: &str) -> u8 {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let name = [".gz", ".zst"]
        .into_iter()
        .fold(name.as_str(), |name, end| name.strip_suffix(end).unwrap_or(name));
    let of_name = if name.ends_with(".csv") { b',' } else { b'\t' };
    let header = text.trim_start().lines().next().unwrap_or_default();
    let count = |delimiter: u8| {
        let mut in_quotes = false;
        let outside = header.bytes().filter(|&byte| {
            in_quotes ^= byte == b'"';
            byte == delimiter && !in_quotes
        });
        outside.count()
    };
    if count(of_name) > 0 {
        return of_name;
    }
    let others = [b'\t', b',', b';', b'|'];
    let most = others.into_iter().rev().max_by_key(|&delimiter| count(delimiter));
    most.filter(|&delimiter| count(delimiter) > 0).unwrap_or(of_name)
}
