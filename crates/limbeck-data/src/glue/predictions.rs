//! `predictions.tsv`: predictions in the form in which GLUE takes them, and the same under the name
//! that it asks for.

use std::fmt::Write;
use std::path::Path;

use super::TextData;
use super::score::{best, value};
use super::task::Labels;
use crate::{DataError, files};

/// Name of the file.
pub const PREDICTIONS: &str = "predictions.tsv";

/// The name of the label predicted for each example, as the task's files write it, or the
/// predicted number.
pub fn texts(data: &TextData, logits: &[Vec<f32>]) -> Vec<String> {
    let text = |logits: &Vec<f32>| match data.task.labels() {
        Labels::Value => format!("{:.3}", value(logits)),
        Labels::Numbered(own) => {
            let name = data.labels.get(best(logits));
            let number = |name: &String| own.iter().position(|own| own.eq_ignore_ascii_case(name));
            // Names that are not the task's have its numbers.
            name.and_then(number).unwrap_or(best(logits)).to_string()
        }
        Labels::Named(_) | Labels::Open => {
            data.labels.get(best(logits)).cloned().unwrap_or_default()
        }
    };
    logits.iter().map(text).collect()
}

/// Writes index and prediction of every example into the file `name` of `folder`, under a header.
///
/// # Errors
/// When the file cannot be written.
pub fn write(
    folder: &Path,
    name: &str,
    data: &TextData,
    logits: &[Vec<f32>],
) -> Result<(), DataError> {
    let mut content = "index\tprediction\n".to_owned();
    for (index, text) in texts(data, logits).iter().enumerate() {
        // Writing to a string does not fail.
        let _ = writeln!(content, "{index}\t{text}");
    }
    files::replace(&folder.join(name), content.as_bytes())
}
