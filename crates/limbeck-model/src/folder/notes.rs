//! `limbeck.json`: what Limbeck remembers of a model beside what transformers reads.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::aside::Aside;
use super::plans::NamedPlans;
use super::read_json;
use crate::error::Result;

/// Name of the notes in a model folder.
pub const NOTES_FILE: &str = "limbeck.json";

/// The content of a model folder's `limbeck.json`. Keys of later versions are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limbeck {
    /// The version of Limbeck that wrote the folder.
    #[serde(default)]
    pub version: String,
    /// The answer is "none" where the null answer's score exceeds the best span's by
    /// more than this; chosen on evaluation data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null_score_diff_threshold: Option<f32>,
    /// Tokens of a window in training, special tokens included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// Tokens from window to window in training, in the sense of `doc_stride_meaning`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc_stride: Option<usize>,
    /// What `doc_stride` counts: `overlap` or `advance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc_stride_meaning: Option<String>,
    /// Metrics of the model when it was saved, under the names of `metrics.json`.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub metrics: Value,
    /// Length plans that can be asked for by name.
    #[serde(default, skip_serializing_if = "NamedPlans::is_empty")]
    pub length_plans: NamedPlans,
    /// The resolved configuration of the run that made the model.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub config: Value,
    /// All other keys.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Limbeck {
    /// Reads the notes of a model folder; `None` if it has none, being another's work.
    ///
    /// # Errors
    /// Names the file and the place in it that cannot be understood.
    pub fn open(dir: &Path) -> Result<Option<Limbeck>> {
        let path = dir.join(NOTES_FILE);
        if path.is_file() { read_json(&path).map(Some) } else { Ok(None) }
    }

    /// Writes the notes into a model folder.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let path = dir.join(NOTES_FILE);
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| crate::ModelError::file(&path, error.to_string()))?;
        text.push('\n');
        Aside::write_bytes(&path, text.as_bytes())?.publish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_survive_reading_and_writing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Limbeck::open(folder.path()).unwrap(), None);
        let text = r#"{"version": "9.9", "null_score_diff_threshold": -1.1, "later": [3]}"#;
        std::fs::write(folder.path().join(NOTES_FILE), text).unwrap();
        let notes = Limbeck::open(folder.path()).unwrap().unwrap();
        assert_eq!(notes.null_score_diff_threshold, Some(-1.1));
        notes.save(folder.path()).unwrap();
        let read: Value = read_json(&folder.path().join(NOTES_FILE)).unwrap();
        assert_eq!(read, serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn a_damaged_file_is_an_error_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NOTES_FILE), "{\"max_length\": \"long\"}").unwrap();
        let message = Limbeck::open(folder.path()).unwrap_err().to_string();
        assert!(message.contains(NOTES_FILE) && message.contains("line 1"), "{message}");
    }
}
