//! The TSV files of GLUE: one row a line, fields between tabs, quotes like any character.

use std::path::Path;

use super::data::Row;
use super::task::Columns;
use crate::DataError;

/// Rows in the file's order, and the lines of those that were left out.
pub(super) type Rows = (Vec<Row>, Vec<usize>);

/// Where the fields of a row are.
struct Places {
    text: usize,
    pair: Option<usize>,
    label: Option<usize>,
}

/// Reads the rows of a file's `text`; `path` names it in errors.
pub(super) fn rows(path: &Path, text: &str, columns: &Columns) -> Result<Rows, DataError> {
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty()).peekable();
    let header = lines.peek().map_or("", |(_, line)| line);
    let places = match (Places::of_header(header, columns), columns.without_header) {
        (Ok(places), _) => {
            lines.next();
            places
        }
        (Err(_), Some((text, label))) => Places { text, pair: None, label: Some(label) },
        (Err(missing), None) => {
            let message = format!(
                "line 1: there is no column `{missing}`; the file must be of the task, with its \
                 header and tabs between the columns"
            );
            return Err(DataError::file(path, message));
        }
    };
    let (mut rows, mut left_out) = (Vec::new(), Vec::new());
    for (line, content) in lines {
        match places.row(line, content) {
            Ok(row) => rows.push(row),
            Err(_) if columns.leaves_short_rows_out => left_out.push(line),
            Err((has, needs)) => {
                let message = format!("line {line}: {has} columns, of {needs} that are needed");
                return Err(DataError::file(path, message));
            }
        }
    }
    Ok((rows, left_out))
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
            line,
            text: owned(self.text),
            pair: self.pair.map(owned),
            label: self.label.map(owned),
        })
    }
}
