//! The files that predictions are kept in: `predictions.json`, `nbest_predictions.json` and
//! `null_odds.json`, each an object by question id, in the order of the data.

use std::collections::HashMap;
use std::path::Path;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::metrics::Predictions;
use crate::rows::{self, Document, Row, name_of};
use crate::squad::gold;
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

/// What a file of predictions holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predicted {
    /// The predicted text of each question; empty for "no answer".
    pub texts: Predictions,
    /// How sure the model is of "no answer", where the file has it for every question.
    pub no_answer: Option<HashMap<String, f64>>,
}

/// The keys under which rows have the text of a prediction.
const TEXT_KEYS: [&str; 4] = ["prediction_text", "prediction", "answer", "text"];

/// The keys under which rows say how sure the model is of "no answer".
const NO_ANSWER_KEYS: [&str; 3] = ["no_answer_probability", "null_odds", "score_diff"];

/// Reads predicted texts by question id: an object of texts, or rows with `id` and
/// `prediction_text`, and perhaps `no_answer_probability`, as Transformers' scripts give them to the
/// metric. Out of any container that [`rows`](mod@rows) reads.
///
/// # Errors
/// When the file cannot be read or has something else; the message names the id or the row.
pub fn read(path: &Path) -> Result<Predicted, DataError> {
    let mut predicted = Predicted::default();
    let rows = match object_or_rows(path)? {
        Content::Object(object) => {
            for (id, value) in object {
                let text = text_of(&value).map_err(|has| {
                    let message = format!("the prediction of {id:?} is {has}, not a text");
                    DataError::file(path, message)
                })?;
                predicted.texts.insert(id, text);
            }
            return Ok(predicted);
        }
        Content::Rows(rows) => rows,
    };
    let mut no_answer = HashMap::new();
    for row in &rows {
        let id = id_of(path, row)?;
        let value = field(path, row, &TEXT_KEYS)?;
        let text = text_of(value).map_err(|has| {
            DataError::file(path, format!("{}: the prediction is {has}, not a text", row.place))
        })?;
        let odds = NO_ANSWER_KEYS.iter().find_map(|&key| number_of(row.fields.get(key)?));
        no_answer.extend(odds.map(|odds| (id.clone(), odds)));
        if predicted.texts.insert(id.clone(), text).is_some() {
            let message = format!("{}: {id:?} has a prediction before", row.place);
            return Err(DataError::file(path, message));
        }
    }
    let has_all = !rows.is_empty() && no_answer.len() == rows.len();
    predicted.no_answer = has_all.then_some(no_answer);
    Ok(predicted)
}

/// Reads null odds by question id: an object of numbers, or rows with `id` and
/// `no_answer_probability`.
///
/// # Errors
/// When the file cannot be read or has something else; the message names the id or the row.
pub fn read_null_odds(path: &Path) -> Result<HashMap<String, f64>, DataError> {
    let mut odds = HashMap::new();
    match object_or_rows(path)? {
        Content::Object(object) => {
            for (id, value) in object {
                let number = number_of(&value).ok_or_else(|| {
                    let has = name_of(&value);
                    DataError::file(
                        path,
                        format!("the null odds of {id:?} are {has}, not a number"),
                    )
                })?;
                odds.insert(id, number);
            }
        }
        Content::Rows(rows) => {
            for row in &rows {
                let value = field(path, row, &NO_ANSWER_KEYS)?;
                let number = number_of(value).ok_or_else(|| {
                    let has = name_of(value);
                    DataError::file(path, format!("{}: the null odds are {has}", row.place))
                })?;
                odds.insert(id_of(path, row)?, number);
            }
        }
    }
    Ok(odds)
}

/// A file by id, or as rows.
enum Content {
    Object(Map<String, Value>),
    Rows(Vec<Row>),
}

fn object_or_rows(path: &Path) -> Result<Content, DataError> {
    Ok(match rows::document(path)?.0 {
        // An object of lists under the names of rows is a table of columns.
        Document::Json(Value::Object(object)) if !object.get("id").is_some_and(Value::is_array) => {
            Content::Object(object)
        }
        Document::Json(value) => Content::Rows(rows::rows_in(path, value)?),
        Document::Rows(rows) => Content::Rows(rows),
    })
}

fn id_of(path: &Path, row: &Row) -> Result<String, DataError> {
    let id = text_of(field(path, row, &["id"])?);
    id.map_err(|has| DataError::file(path, format!("{}: `id` is {has}, not a text", row.place)))
}

fn field<'a>(path: &Path, row: &'a Row, keys: &[&str]) -> Result<&'a Value, DataError> {
    keys.iter().find_map(|&key| row.fields.get(key)).ok_or_else(|| {
        let wanted = keys.first().copied().unwrap_or_default();
        let message = format!(
            "{}: there is no `{wanted}`; an object of predictions by id is wanted, or rows with \
             `id` and `prediction_text`",
            row.place
        );
        DataError::file(path, message)
    })
}

/// A text, a number as text, or no text for null; else what it is.
fn text_of(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::Null => Ok(String::new()),
        value => gold::text_of(value).ok_or_else(|| name_of(value)),
    }
}

fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_f64(),
    }
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
            best: None,
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
        assert_eq!(read(&file(PREDICTIONS)).unwrap().texts, texts(&data(), &all));
        assert_eq!(read_null_odds(&file(NULL_ODDS)).unwrap(), null_odds(&data(), &all));
        let best = std::fs::read(file(NBEST_PREDICTIONS)).unwrap();
        let best: HashMap<String, Vec<Candidate>> = serde_json::from_slice(&best).unwrap();
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
    fn lists_of_predictions_are_read_as_the_metrics_of_transformers_take_them() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            (read(&path), read_null_odds(&path))
        };
        let rows = r#"[{"id": "a", "prediction_text": "x", "no_answer_probability": 0.25},
                       {"id": 7, "prediction_text": 1874, "no_answer_probability": 0}]"#;
        let lines = rows.trim_matches(['[', ']']).replace("},", "}\n");
        let table = "id,prediction_text,no_answer_probability\na,x,0.25\n7,1874,0\n";
        for (name, content) in [("p.json", rows), ("p.jsonl", &lines), ("p.csv", table)] {
            let (predicted, odds) = read(name, content);
            let predicted = predicted.unwrap();
            assert_eq!(
                (predicted.texts["a"].as_str(), predicted.texts["7"].as_str()),
                ("x", "1874")
            );
            assert_eq!(predicted.no_answer, Some(odds.unwrap()));
            assert_eq!(
                predicted.no_answer.unwrap(),
                HashMap::from([("a".into(), 0.25), ("7".into(), 0.0)])
            );
        }
        let without = read("p.json", r#"[{"id": "a", "prediction_text": null}]"#).0.unwrap();
        assert_eq!((without.texts["a"].as_str(), without.no_answer), ("", None));
        for (content, wanted) in [
            (r#"[{"id": "a"}]"#, "row 1: there is no `prediction_text`"),
            (r#"[{"prediction_text": "a"}]"#, "row 1: there is no `id`"),
            (
                r#"[{"id": "a", "prediction_text": "a"}, {"id": "a", "prediction_text": "b"}]"#,
                "row 2",
            ),
            (r#"{"a": [{"text": "b"}]}"#, "the prediction of \"a\" is a list"),
        ] {
            let error = read("p.json", content).0.unwrap_err().to_string();
            assert!(error.contains("p.json") && error.contains(wanted), "{error}");
        }
        let error = read("o.json", r#"{"a": null}"#).1.unwrap_err().to_string();
        assert!(error.contains("null odds of \"a\" are null"), "{error}");
    }

    #[test]
    fn a_broken_file_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PREDICTIONS);
        std::fs::write(&path, "{\"z\": \"a\",\n \"a\": [1}").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains(PREDICTIONS) && error.contains("line 2"), "{error}");
        assert!(read(&folder.path().join("none.json")).is_err());
    }
}
