//! Rows of files with their labels understood.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::labels::LabelReader;
use super::{TextTask, named, table};
use crate::rows::{self, Content, Place};
use crate::{DataError, random};

/// Rows that are named where many are left out.
const FIRST: usize = 3;

/// A row as the file has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub place: Place,
    /// `None` where it is missing or empty.
    pub text: Option<String>,
    pub pair: Option<String>,
    pub label: Option<Value>,
}

/// The rows of one file of labelled texts, and the messages that reading it gave.
#[derive(Debug, Default)]
pub(super) struct File {
    pub rows: Vec<Row>,
    /// The lines of rows that lack columns.
    pub short: Vec<usize>,
    /// Messages about the file for the user, a sentence each.
    pub notices: Vec<String>,
}

/// A text or a pair of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The text, or the first of two.
    pub text: String,
    /// The second of two.
    pub pair: Option<String>,
    /// The number of its label, or its value in a regression; `None` where the file has none.
    pub label: Option<f32>,
}

/// A row that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The file that holds the row.
    pub path: PathBuf,
    /// The row's line, or its number in a file without lines.
    pub place: Place,
    /// Why the row was left out, as the end of a sentence whose subject is the row.
    pub reason: &'static str,
}

/// What texts are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// To learn from: a row without text or label is left out.
    Learn,
    /// To score a model by: every row is kept, and those without a label do not count.
    Score,
    /// To be labelled: every row is kept, and no label is looked at.
    Predict,
}

/// The examples of a task's files, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct TextData {
    /// The task.
    pub task: TextTask,
    /// The names of the labels, by their numbers; none of a regression.
    pub labels: Vec<String>,
    /// The examples.
    pub examples: Vec<Example>,
    /// Rows that were left out.
    pub left_out: Vec<LeftOut>,
    /// What a user should know of the files, a sentence each.
    pub notices: Vec<String>,
}

/// The names that a model has for its labels already.
#[derive(Debug, Clone, Copy)]
pub enum ModelLabels<'a> {
    /// There are none.
    None,
    /// Of a model to start from, which may have learnt another task.
    Former(&'a [String]),
    /// Of a model that has learnt this task.
    Learnt(&'a [String]),
}

impl TextData {
    /// Reads the files of a task.
    ///
    /// A label is written as its name or as its number. The names are those of the task, or
    /// those that the files hold; a model that has the same ones in another order or case keeps
    /// its own.
    ///
    /// # Errors
    /// Names the file and the line that cannot be used: a column is missing, or a label is not
    /// one of the task's; or there is no label in any row that is to learn from or to score by.
    pub fn read(
        paths: &[PathBuf],
        task: TextTask,
        purpose: Use,
        model: ModelLabels<'_>,
    ) -> Result<TextData, DataError> {
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            files.push((path.as_path(), read_file(path, task, purpose)?));
        }
        let rows = || files.iter().flat_map(|(_, file)| &file.rows);
        let reader = LabelReader::new(task, model, rows());
        let labels = reader.names.clone();
        let examples = Vec::with_capacity(rows().count());
        let mut data = TextData { task, labels, examples, left_out: vec![], notices: vec![] };
        for (path, file) in files {
            data.take(path, file, &reader, purpose)?;
        }
        match data.left_out.first() {
            Some(first) if data.examples.is_empty() => {
                let message =
                    format!("{}: {}, and no other row is whole either", first.place, first.reason);
                Err(DataError::file(&first.path, message))
            }
            _ => Ok(data),
        }
    }

    /// Takes the rows of a file, as far as they are of use.
    fn take(
        &mut self,
        path: &Path,
        file: File,
        reader: &LabelReader,
        purpose: Use,
    ) -> Result<(), DataError> {
        let told = file.notices.into_iter().map(|notice| format!("{}: {notice}", path.display()));
        self.notices.extend(told);
        let left_out = |place, reason| LeftOut { path: path.to_owned(), place, reason };
        let short =
            file.short.into_iter().map(|line| left_out(Place::Line(line), "it lacks columns"));
        self.left_out.extend(short);
        let (mut empty, mut unlabelled, mut labelled) = (Odd::default(), Odd::default(), 0);
        for Row { place, text, pair, label } in file.rows {
            let label = match purpose {
                Use::Predict => None,
                Use::Learn | Use::Score => reader
                    .read(label.as_ref())
                    .map_err(|reason| DataError::file(path, format!("{place}: {reason}")))?,
            };
            let lacks_pair = self.task.columns().pair_is_needed && pair.is_none();
            let reason = match (&text, label) {
                (None, _) => Some("there is no text"),
                _ if lacks_pair => Some("there is no second text"),
                (_, None) => Some("there is no label"),
                _ => None,
            };
            if let Some(reason) = reason.filter(|_| purpose == Use::Learn) {
                self.left_out.push(left_out(place, reason));
                continue;
            }
            if text.is_none() || lacks_pair {
                empty.note(place);
            }
            match label {
                Some(_) => labelled += 1,
                None => unlabelled.note(place),
            }
            let pair = pair.or_else(|| lacks_pair.then(String::new));
            self.examples.push(Example { text: text.unwrap_or_default(), pair, label });
        }
        if let (Use::Score, 0, Some(first)) = (purpose, labelled, unlabelled.first) {
            let message = format!("{first}: there is no label to score by, nor in any other row");
            return Err(DataError::file(path, message));
        }
        if purpose == Use::Score {
            self.notices.extend(unlabelled.told(path, "without a label, which do not count"));
        }
        self.notices.extend(empty.told(path, "without a text, read as if it were empty"));
        Ok(())
    }

    /// What a user should know of the files: their notices, and which rows were left out.
    pub fn told(&self) -> Vec<String> {
        let mut told = self.notices.clone();
        let count = self.left_out.len();
        let first: Vec<_> = self.left_out.iter().take(FIRST).map(LeftOut::to_string).collect();
        let rest = count.saturating_sub(FIRST);
        if count > 0 {
            let rows = if count == 1 { "row is" } else { "rows are" };
            let more = if rest > 0 { format!("; and {rest} more") } else { String::new() };
            told.push(format!("{count} {rows} left out: {}{more}", first.join("; ")));
        }
        told
    }

    /// Keeps the first `count` examples.
    pub fn limit(&mut self, count: usize) {
        self.examples.truncate(count);
    }

    /// Keeps `count` examples, drawn by `seed`, in their order.
    pub fn sample(&mut self, count: usize, seed: u64) {
        let mut is_drawn = random::drawn(count, self.examples.len(), seed).into_iter();
        self.examples.retain(|_| is_drawn.next().unwrap_or(false));
    }

    /// A hash over what a model reads and is scored by: the examples with their labels.
    pub fn fingerprint(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        // Each text is preceded by its length, so no two data sets give the same bytes.
        let text = |hasher: &mut blake3::Hasher, text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        text(&mut hasher, self.task.name());
        hasher.update(&(self.labels.len() as u64).to_le_bytes());
        self.labels.iter().for_each(|label| text(&mut hasher, label));
        for example in &self.examples {
            text(&mut hasher, &example.text);
            hasher.update(&[u8::from(example.pair.is_some())]);
            text(&mut hasher, example.pair.as_deref().unwrap_or_default());
            hasher.update(&example.label.unwrap_or(f32::NAN).to_le_bytes());
        }
        hasher.finalize()
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}: {}", self.path.display(), self.place, self.reason)
    }
}

/// Rows of which something is to be told.
#[derive(Debug, Default)]
struct Odd {
    count: usize,
    first: Option<Place>,
}

impl Odd {
    fn note(&mut self, place: Place) {
        self.count += 1;
        self.first.get_or_insert(place);
    }

    fn told(&self, path: &Path, what: &str) -> Option<String> {
        let rows = if self.count == 1 { "row" } else { "rows" };
        let first = self.first?;
        Some(format!("{}: {} {rows} {what}; the first is {first}", path.display(), self.count))
    }
}

/// The rows of a file: GLUE's own tables as they are written, all else by the names of its fields.
fn read_file(path: &Path, task: TextTask, purpose: Use) -> Result<File, DataError> {
    let read = match rows::content(path)? {
        Content::Table(text) if table::is_of_glue(path, &text, task) => {
            return table::rows(path, &text, &task.columns());
        }
        Content::Table(text) => rows::of_table(path, &text)?,
        Content::Rows(rows) => rows,
    };
    named::rows(path, read, task, purpose)
}
