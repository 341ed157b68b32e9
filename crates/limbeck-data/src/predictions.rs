//! The files that predictions are kept in: `predictions.json`, `nbest_predictions.json` and
//! `null_odds.json`, each an object by question id, in the order of the data.

use std::collections::HashMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use crate::metrics::Predictions;
use crate::{DataError, Decoded, SquadData, files};

/// The predicted text of each question.
pub const PREDICTIONS: &str = "predictions.json";
/// The candidates of each question, best first.
pub const NBEST_PREDICTIONS: &str = "nbest_predictions.json";
/// The null score's lead over the best answer, where "no answer" was allowed.
pub const NULL_ODDS: &str = "null_odds.json";

/// Writes the files of `decoded`, which holds one entry a question of `data`, into `folder`.
/// Each file is replaced as a whole. Without null odds, an old `null_odds.json` is removed,
/// since it would belong to other predictions.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path, data: &SquadData, decoded: &[Decoded]) -> Result<(), DataError> {
    let pairs = || data.questions.iter().map(|question| question.id.as_str()).zip(decoded);
    write_object(&folder.join(PREDICTIONS), pairs().map(|(id, d)| (id, &d.text)))?;
    write_object(&folder.join(NBEST_PREDICTIONS), pairs().map(|(id, d)| (id, &d.candidates)))?;
    let path = folder.join(NULL_ODDS);
    if decoded.iter().any(|decoded| decoded.null_odds.is_some()) {
        write_object(&path, pairs().filter_map(|(id, d)| Some((id, d.null_odds?))))
    } else if path.exists() {
        std::fs::remove_file(&path).map_err(DataError::io("remove", &path))
    } else {
        Ok(())
    }
}

/// Reads a file of predicted texts by question id.
///
/// # Errors
/// When it cannot be read or is not an object of texts; the message has line and column.
pub fn read(path: &Path) -> Result<Predictions, DataError> {
    read_object(path)
}

/// Reads a file of null odds by question id.
///
/// # Errors
/// When it cannot be read or is not an object of numbers; the message has line and column.
pub fn read_null_odds(path: &Path) -> Result<HashMap<String, f64>, DataError> {
    read_object(path)
}

/// The predicted texts, as the metrics want them.
pub fn texts(data: &SquadData, decoded: &[Decoded]) -> Predictions {
    by_id(data, decoded, |decoded| Some(decoded.text.clone()))
}

/// The best answers, "no answer" set aside, as the search for thresholds wants them.
pub fn best_texts(data: &SquadData, decoded: &[Decoded]) -> Predictions {
    by_id(data, decoded, |decoded| Some(decoded.best_text.clone()))
}

/// The null odds of the questions that have them.
pub fn null_odds(data: &SquadData, decoded: &[Decoded]) -> HashMap<String, f64> {
    by_id(data, decoded, |decoded| decoded.null_odds.map(f64::from))
}

fn by_id<T>(
    data: &SquadData,
    decoded: &[Decoded],
    value: impl Fn(&Decoded) -> Option<T>,
) -> HashMap<String, T> {
    data.questions
        .iter()
        .zip(decoded)
        .filter_map(|(question, decoded)| Some((question.id.clone(), value(decoded)?)))
        .collect()
}

fn read_object<T: DeserializeOwned>(path: &Path) -> Result<HashMap<String, T>, DataError> {
    let bytes = std::fs::read(path).map_err(DataError::io("read", path))?;
    serde_json::from_slice(&bytes).map_err(DataError::json(path))
}

fn write_object<'a, T: Serialize>(
    path: &Path,
    entries: impl Iterator<Item = (&'a str, T)>,
) -> Result<(), DataError> {
    files::replace_with(path, |file| {
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut *file, formatter);
        serializer.collect_map(entries)?;
        std::io::Write::write_all(file, b"\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Candidate;
    use crate::{Paragraph, Question};

    fn data() -> SquadData {
        let question = |id: &str| Question { id: id.into(), ..Question::default() };
        SquadData {
            paragraphs: vec![Paragraph::default()],
            questions: vec![question("z"), question("a")],
            ..SquadData::default()
        }
    }

    fn decoded(text: &str, null_odds: Option<f32>) -> Decoded {
        let candidate = Candidate {
            text: "Café".into(),
            probability: 1.0,
            start: 2,
            end: 6,
            start_logit: 0.1,
            end_logit: 1.5,
        };
        Decoded {
            text: text.into(),
            best_text: "Café".into(),
            candidates: vec![candidate],
            null_odds,
        }
    }

    #[test]
    fn files_are_in_the_order_of_the_data_and_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let all = [decoded("Café", Some(-1.5)), decoded("", Some(0.25))];
        write(folder.path(), &data(), &all).unwrap();
        let text = std::fs::read_to_string(file(PREDICTIONS)).unwrap();
        assert_eq!(text, "{\n    \"z\": \"Café\",\n    \"a\": \"\"\n}\n");
        assert_eq!(read(&file(PREDICTIONS)).unwrap(), texts(&data(), &all));
        assert_eq!(read_null_odds(&file(NULL_ODDS)).unwrap(), null_odds(&data(), &all));
        let best: HashMap<String, Vec<Candidate>> = read_object(&file(NBEST_PREDICTIONS)).unwrap();
        assert_eq!(best["a"], all[1].candidates);
        assert_eq!(best_texts(&data(), &all)["a"], "Café");
    }

    #[test]
    fn old_null_odds_do_not_outlive_their_predictions() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &data(), &[decoded("", Some(1.0)), decoded("", Some(1.0))]).unwrap();
        assert!(folder.path().join(NULL_ODDS).exists());
        write(folder.path(), &data(), &[decoded("x", None), decoded("y", None)]).unwrap();
        assert!(!folder.path().join(NULL_ODDS).exists());
    }

    #[test]
    fn a_broken_file_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PREDICTIONS);
        std::fs::write(&path, "{\"z\": \"a\",\n \"a\": [1]}").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains(PREDICTIONS) && error.contains("line 2"), "{error}");
        assert!(read(&folder.path().join("none.json")).is_err());
    }
}
