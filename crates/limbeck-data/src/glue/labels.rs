//! From what a file writes to the number of a label.

use std::collections::BTreeSet;

use serde_json::Value;

use super::data::{ModelLabels, Row};
use super::task::{Labels, TextTask};

/// How sets of `datasets` write a label that is not to be known.
const HIDDEN: &str = "-1";

/// How SNLI and MNLI write that the annotators did not agree.
const DISAGREED: &str = "-";

/// Reads the labels of a task.
pub(super) struct LabelReader {
    task: TextTask,
    /// The names, in the order of the model's numbers.
    pub names: Vec<String>,
    /// For each number of the task the number among `names`.
    numbers: Vec<usize>,
}

impl LabelReader {
    /// A reader for files with these rows, and for a model that may have names of its own.
    pub fn new<'a>(
        task: TextTask,
        model: ModelLabels<'_>,
        rows: impl Iterator<Item = &'a Row>,
    ) -> LabelReader {
        let own: Vec<String> = match (task.labels(), model) {
            (Labels::Named(names) | Labels::Numbered(names), _) => {
                names.iter().map(|&name| name.to_owned()).collect()
            }
            (Labels::Value, _) => Vec::new(),
            (Labels::Open, ModelLabels::Learnt(names)) => names.to_vec(),
            (Labels::Open, _) => found(rows),
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

    /// The number of a label, or its value in a regression; `None` where it is missing or hidden.
    pub fn read(&self, label: Option<&Value>) -> Result<Option<f32>, String> {
        let Some(text) = label.map(written).transpose()?.filter(|text| !self.is_hidden(text))
        else {
            return Ok(None);
        };
        if self.task.is_regression() {
            let number = text.parse::<f32>().ok().filter(|number| number.is_finite());
            return number.map(Some).ok_or_else(|| format!("the label `{text}` is not a number"));
        }
        match self.by_name(&text).or_else(|| self.by_number(&text)) {
            Some(number) => Ok(Some(number as f32)),
            None => Err(format!("the label `{text}` is none of {}", self.names.join(", "))),
        }
    }

    fn is_hidden(&self, text: &str) -> bool {
        match self.task {
            _ if text.is_empty() => true,
            TextTask::Classify => false,
            TextTask::Regress => text.eq_ignore_ascii_case("nan"),
            // From 0 to 5.
            TextTask::Stsb => text == HIDDEN || text.eq_ignore_ascii_case("nan"),
            _ => text == HIDDEN || text == DISAGREED,
        }
    }

    fn by_name(&self, text: &str) -> Option<usize> {
        let of_task = self.task.label_names().is_some();
        let loosely = |name: &str| name.to_ascii_lowercase().replace(['-', ' '], "_");
        let place = |is: &dyn Fn(&str) -> bool| self.names.iter().position(|name| is(name));
        place(&|name| name == text)
            .or_else(|| place(&|name| name.eq_ignore_ascii_case(text)))
            .or_else(|| place(&|name| whole(name) == text))
            .or_else(|| place(&|name| of_task && loosely(name) == loosely(text)))
    }

    fn by_number(&self, text: &str) -> Option<usize> {
        // Where a label's name is a number, another number is another label.
        let named_by_numbers = || self.names.iter().any(|name| name.parse::<f64>().is_ok());
        let number = match self.task.labels() {
            Labels::Open if named_by_numbers() => return None,
            // What the task asks is true or not: where 1 says that it is.
            Labels::Numbered(_) if text.eq_ignore_ascii_case("true") => 1,
            Labels::Numbered(_) if text.eq_ignore_ascii_case("false") => 0,
            _ => text.parse::<usize>().ok()?,
        };
        self.numbers.get(number).copied()
    }
}

/// A label as one text: `1`, `1.0` and `"1"` are the same.
fn written(label: &Value) -> Result<String, String> {
    match label {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(whole(text.trim()).to_owned()),
        Value::Number(_) | Value::Bool(_) => Ok(whole(&label.to_string()).to_owned()),
        Value::Array(_) => {
            Err("the label is a list; one label is learnt of a text, a text or a number".to_owned())
        }
        Value::Object(_) => Err("the label is an object; give a text or a number".to_owned()),
    }
}

/// A number without the zeros behind its point, as programs write whole numbers in a column in which
/// some are missing; any other text as it is.
fn whole(text: &str) -> &str {
    let Some((number, zeros)) = text.split_once('.') else { return text };
    let digits = number.strip_prefix('-').unwrap_or(number);
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let has_zeros = !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0');
    if is_whole && has_zeros { number } else { text }
}

/// The labels that files name, numbers in their order before names in theirs.
fn found<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<String> {
    let texts = rows.filter_map(|row| written(row.label.as_ref()?).ok());
    let distinct: BTreeSet<String> = texts.filter(|text| !text.is_empty()).collect();
    let mut names: Vec<String> = distinct.into_iter().collect();
    // The sort is stable: names stay in their order behind the numbers.
    names.sort_by_key(|name| name.parse::<i64>().unwrap_or(i64::MAX));
    names
}

/// For each of `own` its place among `names`, where both name the same labels.
fn order_among(own: &[String], names: &[String]) -> Option<Vec<usize>> {
    let place = |name: &String| {
        let exactly = names.iter().position(|other| other == name);
        exactly.or_else(|| names.iter().position(|other| other.eq_ignore_ascii_case(name)))
    };
    let places: Vec<usize> = own.iter().map(place).collect::<Option<_>>()?;
    let distinct: BTreeSet<_> = places.iter().collect();
    (distinct.len() == names.len()).then_some(places)
}
