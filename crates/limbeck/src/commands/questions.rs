//! Files of questions: what commands read, and what they say of what cannot be used.

use std::path::Path;

use anyhow::Result;
use limbeck_data::glue::TextData;
use limbeck_data::squad::LeftOut;
use limbeck_data::{BuildReport, Gold, ReadReport, SquadData, files};
use serde::Serialize;

use crate::console::Console;
use crate::exit::{InputError, one_line};

/// What a folder of results names all questions in that were left out or changed.
pub const LEFT_OUT: &str = "left_out.jsonl";

/// The questions of files that were left out or changed, all of them.
#[derive(Debug, Default)]
pub struct Notes {
    lines: Vec<Note>,
}

/// A line of [`LEFT_OUT`].
#[derive(Debug, Serialize)]
struct Note {
    file: String,
    /// Of the question; its place in the file where it has none.
    id: String,
    /// `left_out`, `answer_passed_over`, `answer_moved`, `repeated`, `id_given` or `id_changed`.
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Of an answer that was moved: its text, and where it begins by the data and in truth.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_start: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_to: Option<usize>,
}

impl Notes {
    /// Notes what was not read as it stands.
    pub fn read(&mut self, file: &str, report: &ReadReport) {
        self.left_out(file, "left_out", &report.left_out);
        self.left_out(file, "answer_passed_over", &report.odd_answers);
        for (what, ids) in [
            ("id_given", &report.without_id),
            ("id_changed", &report.renamed),
            ("repeated", &report.repeated),
        ] {
            self.lines.extend(ids.iter().map(|id| Note::new(file, id, what)));
        }
    }

    /// Notes what cannot be learnt from as it stands.
    pub fn built(&mut self, file: &str, report: &BuildReport) {
        self.left_out(file, "left_out", &report.left_out);
        self.lines.extend(report.moved.iter().map(|moved| Note {
            answer: Some(moved.text.clone()),
            answer_start: moved.from,
            moved_to: Some(moved.to),
            ..Note::new(file, &moved.id, "answer_moved")
        }));
    }

    /// Notes the rows of texts that were left out.
    pub fn texts(&mut self, data: &TextData) {
        self.lines.extend(data.left_out.iter().map(|one| Note {
            reason: Some(one.reason.to_owned()),
            ..Note::new(&one.path.display().to_string(), &one.place.to_string(), "left_out")
        }));
    }

    fn left_out(&mut self, file: &str, what: &'static str, left_out: &[LeftOut]) {
        self.lines.extend(left_out.iter().map(|one| Note {
            reason: Some(one.reason.clone()),
            ..Note::new(file, &one.id, what)
        }));
    }

    /// Writes them into a folder, if there are any; and removes those of an earlier command.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(LEFT_OUT);
        if self.lines.is_empty() {
            if path.exists() {
                std::fs::remove_file(&path)?;
            }
            return Ok(());
        }
        let mut content = String::new();
        for line in &self.lines {
            content.push_str(&serde_json::to_string(line)?);
            content.push('\n');
        }
        Ok(files::replace(&path, content.as_bytes())?)
    }

    /// Where all of them are to be found, once they are in `folder`; nothing where there are none.
    pub fn message(&self, folder: &Path) -> Option<String> {
        let path = folder.join(LEFT_OUT);
        (!self.lines.is_empty()).then(|| format!("{} names all of them", path.display()))
    }
}

impl Note {
    fn new(file: &str, id: &str, what: &'static str) -> Note {
        let (answer, answer_start, moved_to) = (None, None, None);
        Note {
            file: file.to_owned(),
            id: id.to_owned(),
            what,
            reason: None,
            answer,
            answer_start,
            moved_to,
        }
    }
}

/// The first `limit` questions of a file, or all where it is 0; says what could not be read.
///
/// # Errors
/// When the file cannot be read, or holds no question.
pub fn read(path: &Path, gold: Gold, limit: usize, console: Console) -> Result<SquadData> {
    read_noting(path, gold, limit, &mut Notes::default(), |text| console.message(text))
}

/// The same, with notes of what could not be read, and another way to `tell` it.
pub fn read_noting(
    path: &Path,
    gold: Gold,
    limit: usize,
    notes: &mut Notes,
    mut tell: impl FnMut(&str),
) -> Result<SquadData> {
    let (mut data, report) = SquadData::read(path, gold)?;
    let place = path.display().to_string();
    for message in report.messages() {
        tell(&one_line(&format!("{place}: {message}")));
    }
    notes.read(&place, &report);
    if limit > 0 {
        data.limit(limit);
    }
    if data.questions.is_empty() {
        return Err(InputError::new("there is no question", place, "").into());
    }
    Ok(data)
}
