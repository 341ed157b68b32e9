//! The TSV files of GLUE: one row a line, fields between tabs, quotes like any character.

use std::path::Path;

use serde_json::Value;

use super::data::{File, Row};
use super::task::{Columns, TextTask};
use crate::DataError;
use crate::rows::Place;
use crate::text_keys;

/// The columns of which each of GLUE's tables of pairs has one, beside its texts.
const NUMBERED: [&str; 4] = ["index", "id", "#1 ID", "Logic"];

/// Where the fields of a row are.
struct Places {
    text: usize,
    pair: Option<usize>,
    label: Option<usize>,
}

/// Whether a table is a task's file as GLUE gives it, in which quotes mean nothing: by the names of
/// its columns, or because it has none.
pub(super) fn is_of_glue(path: &Path, text: &str, task: TextTask) -> bool {
    let columns = task.columns();
    if matches!(task, TextTask::Classify | TextTask::Regress) || is_called_csv(path) {
        return false;
    }
    let header = header(text);
    if Places::of_header(header, &columns).is_err() {
        let mut names = header.split(['\t', ',', ';', '|']).map(|name| name.trim_matches('"'));
        return columns.without_header.is_some() && !names.any(text_keys::is_text);
    }
    // What other programs write: the index of a data frame, `idx` and `label` of `datasets`.
    let is_foreign = |name: &str| {
        let is_label = text_keys::is_label(name, &[]);
        name.is_empty() || name == "idx" || (is_label && !columns.label.contains(&name))
    };
    let names = || header.split('\t').map(str::trim);
    let is_numbered = names().any(|name| NUMBERED.contains(&name));
    (is_numbered || !columns.pair_is_needed) && !names().any(is_foreign)
}

fn header(text: &str) -> &str {
    text.lines().find(|line| !line.is_empty()).unwrap_or_default()
}

fn is_called_csv(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    [".csv", ".csv.gz", ".csv.zst"].iter().any(|end| name.ends_with(end))
}

/// Reads the rows of a file's `text`; `path` names it in errors.
pub(super) fn rows(path: &Path, text: &str, columns: &Columns) -> Result<File, DataError> {
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty()).peekable();
    let places = match (Places::of_header(header(text), columns), columns.without_header) {
        (Ok(places), _) => {
            lines.next();
            places
        }
        (Err(_), Some((text, label))) => Places { text, pair: None, label: Some(label) },
        (Err(missing), None) => {
            let message = format!("line 1: there is no column `{missing}`");
            return Err(DataError::file(path, message));
        }
    };
    let mut file = File::default();
    let mut quoting = Quoting::default();
    for (line, content) in lines {
        match places.row(line, content) {
            Ok(row) => {
                quoting.note(row.text.as_deref());
                quoting.note(row.pair.as_deref());
                file.rows.push(row);
            }
            Err(_) if columns.leaves_short_rows_out => file.short.push(line),
            Err((has, needs)) => {
                let message = format!("line {line}: {has} columns, of {needs} that are needed");
                return Err(DataError::file(path, message));
            }
        }
    }
    file.notices.extend(quoting.notice());
    Ok(file)
}

impl Places {
    /// Finds the columns by their names, or tells which is missing.
    fn of_header(header: &str, columns: &Columns) -> Result<Places, &'static str> {
        let names: Vec<&str> = header.split('\t').map(str::trim).collect();
        let place = |wanted: &[&'static str]| {
            names.iter().position(|name| wanted.contains(name)).ok_or(wanted.first().copied())
        };
        let text = place(columns.text).map_err(Option::unwrap_or_default)?;
        let pair = match place(columns.pair) {
            Err(Some(missing)) if columns.pair_is_needed => return Err(missing),
            found => found.ok(),
        };
        Ok(Places { text, pair, label: place(columns.label).ok() })
    }

    /// Cuts a line into its row, or says how many columns it has and how many it needs.
    fn row(&self, line: usize, content: &str) -> Result<Row, (usize, usize)> {
        let fields: Vec<&str> = content.split('\t').collect();
        let needs =
            1 + [Some(self.text), self.pair, self.label].into_iter().flatten().max().unwrap_or(0);
        if fields.len() < needs {
            return Err((fields.len(), needs));
        }
        let owned = |place: usize| fields[place].to_owned();
        Ok(Row {
            place: Place::Line(line),
            text: Some(owned(self.text)),
            pair: self.pair.map(owned),
            label: self.label.map(owned).map(Value::String),
        })
    }
}

/// Whether texts look as if a program had put them into quotes.
#[derive(Default)]
struct Quoting {
    /// In quotes, with quotes inside that stand twice.
    quoted: usize,
    /// With a quote at the beginning that is one of the text.
    raw: usize,
}

impl Quoting {
    fn note(&mut self, text: Option<&str>) {
        let Some(inner) = text.and_then(|text| text.strip_prefix('"')) else { return };
        match inner.strip_suffix('"') {
            Some(inner) if inner.replace("\"\"", "").contains('"') => self.raw += 1,
            Some(inner) => self.quoted += usize::from(inner.contains("\"\"")),
            None => self.raw += 1,
        }
    }

    fn notice(&self) -> Option<String> {
        let looks_quoted = self.raw == 0 && self.quoted > 0;
        looks_quoted.then(|| {
            format!(
                "{} texts look quoted by a program, and are read with their quotes, as GLUE's files \
                 have none of that kind; save the file as CSV or JSON lines to be rid of them",
                self.quoted
            )
        })
    }
}
