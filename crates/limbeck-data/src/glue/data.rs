//! Rows of files with their labels understood.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::task::Labels;
use super::{TextTask, lines, table};
use crate::{DataError, random};

/// A row as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// From 1.
    pub line: usize,
    pub text: String,
    pub pair: Option<String>,
    pub label: Option<String>,
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

/// The examples of a task's files, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct TextData {
    /// The task.
    pub task: TextTask,
    /// The names of the labels, by their numbers; none of a regression.
    pub labels: Vec<String>,
    /// The examples.
    pub examples: Vec<Example>,
    /// Rows that were left out because they lack columns, as some of the official Quora file do:
    /// file and line.
    pub left_out: Vec<(PathBuf, usize)>,
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
    /// one of the task's, or is empty where `needs_labels`.
    pub fn read(
        paths: &[PathBuf],
        task: TextTask,
        needs_labels: bool,
        model: ModelLabels<'_>,
    ) -> Result<TextData, DataError> {
        let mut files = Vec::with_capacity(paths.len());
        let mut left_out = Vec::new();
        for path in paths {
            let (rows, short) = read_rows(path, task)?;
            left_out.extend(short.into_iter().map(|line| (path.clone(), line)));
            files.push((path.as_path(), rows));
        }
        let reader = LabelReader::new(task, model, &files);
        let mut examples = Vec::with_capacity(files.iter().map(|(_, rows)| rows.len()).sum());
        for (path, rows) in files {
            for row in rows {
                let label = reader.read(&row, needs_labels).map_err(|reason| {
                    DataError::file(path, format!("line {}: {reason}", row.line))
                })?;
                examples.push(Example { text: row.text, pair: row.pair, label });
            }
        }
        Ok(TextData { task, labels: reader.names, examples, left_out })
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

fn read_rows(path: &Path, task: TextTask) -> Result<table::Rows, DataError> {
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => DataError::file(path, "is not UTF-8 text"),
        _ => DataError::io("read", path)(error),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let own = matches!(task, TextTask::Classify | TextTask::Regress);
    if own && lines::looks_like_lines(text) {
        return Ok((lines::rows(path, text)?, Vec::new()));
    }
    table::rows(path, text, &task.columns())
}

/// From what a file writes to the number of a label.
struct LabelReader {
    task: TextTask,
    names: Vec<String>,
    /// For each number of the task the number among `names`.
    numbers: Vec<usize>,
}

impl LabelReader {
    fn new(task: TextTask, model: ModelLabels<'_>, files: &[(&Path, Vec<Row>)]) -> LabelReader {
        let own: Vec<String> = match (task.labels(), model) {
            (Labels::Named(names) | Labels::Numbered(names), _) => {
                names.iter().map(|&name| name.to_owned()).collect()
            }
            (Labels::Value, _) => Vec::new(),
            (Labels::Open, ModelLabels::Learnt(names)) => names.to_vec(),
            (Labels::Open, _) => found(files),
        };
        let names = match model {
            ModelLabels::None => own.as_slice(),
            ModelLabels::Former(names) | ModelLabels::Learnt(names) => names,
        };
        match order_among(&own, names) {
            Some(numbers) => LabelReader { task, names: names.to_vec(), numbers },
            None => LabelReader { task, numbers: (0..own.len()).collect(), names: own },
        }
    }

    fn read(&self, row: &Row, needs_labels: bool) -> Result<Option<f32>, String> {
        let text = row.label.as_deref().map_or("", str::trim);
        let hidden = text.is_empty() || (text == "-1" && self.task.label_names().is_some());
        if hidden {
            return match needs_labels {
                true => Err("there is no label to learn from or to score by".to_owned()),
                false => Ok(None),
            };
        }
        if self.task.is_regression() {
            let number = text.parse::<f32>().ok().filter(|number| number.is_finite());
            return number.map(Some).ok_or_else(|| format!("the label `{text}` is not a number"));
        }
        let by_name = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        // Where a label's name is a number, another number is another label.
        let named_by_numbers = || self.names.iter().any(|name| name.parse::<f64>().is_ok());
        let by_number = || match self.task.labels() {
            Labels::Open if named_by_numbers() => None,
            _ => self.numbers.get(text.parse::<usize>().ok()?).copied(),
        };
        match by_name.or_else(by_number) {
            Some(number) => Ok(Some(number as f32)),
            None => Err(format!("the label `{text}` is none of {}", self.names.join(", "))),
        }
    }
}

/// The labels that files name, numbers in their order before names in theirs.
fn found(files: &[(&Path, Vec<Row>)]) -> Vec<String> {
    let rows = files.iter().flat_map(|(_, rows)| rows);
    let texts = rows.filter_map(|row| row.label.as_deref().map(str::trim));
    let distinct: BTreeSet<&str> = texts.filter(|text| !text.is_empty()).collect();
    let mut names: Vec<&str> = distinct.into_iter().collect();
    // The sort is stable: names stay in their order behind the numbers.
    names.sort_by_key(|name| name.parse::<u64>().unwrap_or(u64::MAX));
    names.into_iter().map(str::to_owned).collect()
}

/// For each of `own` its place among `names`, where both name the same labels.
fn order_among(own: &[String], names: &[String]) -> Option<Vec<usize>> {
    let place = |name: &String| names.iter().position(|other| other.eq_ignore_ascii_case(name));
    let places: Vec<usize> = own.iter().map(place).collect::<Option<_>>()?;
    let distinct: BTreeSet<_> = places.iter().collect();
    (distinct.len() == names.len()).then_some(places)
}
