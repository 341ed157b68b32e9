//! From a file of any container and form to questions.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use serde_json::{Map, Value};

use super::gold::{self, Answers, text_of};
use super::report::LeftOut;
use super::{Gold, Paragraph, Question, ReadReport, SquadData};
use crate::DataError;
use crate::rows::{self, Document};

type Fields = Map<String, Value>;

pub(super) fn read(path: &Path, gold: Gold) -> Result<(SquadData, ReadReport), DataError> {
    let (document, notice) = rows::document(path)?;
    let mut reader = Reader {
        gold,
        data: SquadData::default(),
        report: ReadReport { notice, ..ReadReport::default() },
        ids: HashMap::new(),
        contexts: HashMap::new(),
        first: None,
    };
    match document {
        Document::Rows(rows) => {
            for row in rows {
                reader.item(&row.place.to_string(), row.fields);
            }
        }
        Document::Json(value) => reader.document(path, value)?,
    }
    let Reader { data, report, first, .. } = reader;
    match first {
        Some((place, reason)) if data.questions.is_empty() => {
            let message = format!(
                "{place} {reason}; a SQuAD file is wanted, an object with a list `data` of \
                 articles, or rows with `id`, `context`, `question` and `answers`"
            );
            Err(DataError::file(path, message))
        }
        _ => Ok((data, report)),
    }
}

struct Reader {
    gold: Gold,
    data: SquadData,
    report: ReadReport,
    /// Where the question of each id is.
    ids: HashMap<String, usize>,
    /// The paragraphs of rows, by their contexts.
    contexts: HashMap<String, usize>,
    /// What was left out first: place and reason.
    first: Option<(String, String)>,
}

impl Reader {
    fn document(&mut self, path: &Path, value: Value) -> Result<(), DataError> {
        let mut object = match value {
            Value::Object(object) => object,
            other => {
                self.items(rows::rows_in(path, other)?);
                return Ok(());
            }
        };
        self.data.version = match object.get("version") {
            Some(Value::String(version)) => version.clone(),
            Some(Value::Number(version)) => version.to_string(),
            _ => String::new(),
        };
        if ["paragraphs", "qas"].iter().any(|&key| object.contains_key(key)) {
            self.item("it", object);
            return Ok(());
        }
        // Whatever else a SQuAD file has at its top means nothing here.
        if let Some(data) = object.remove("data") {
            let is_table = data.is_array() && object.get("columns").is_some_and(Value::is_array);
            let rest = if is_table { object } else { Fields::new() };
            object = rest;
            object.insert("data".to_owned(), data);
        }
        self.items(rows::rows_in(path, Value::Object(object))?);
        Ok(())
    }

    fn items(&mut self, rows: Vec<rows::Row>) {
        for row in rows {
            self.item(&row.place.to_string(), row.fields);
        }
    }

    /// An article, a paragraph or a row, whichever it is.
    fn item(&mut self, place: &str, mut fields: Fields) {
        match fields.remove("paragraphs") {
            Some(Value::Array(paragraphs)) => {
                let title = fields.get("title").and_then(text_of).unwrap_or_default();
                for (number, paragraph) in (1..).zip(paragraphs) {
                    let place = format!("article {}, paragraph {number}", number_of(place));
                    match paragraph {
                        Value::Object(fields) => self.paragraph(&place, &title, fields),
                        _ => self.leave_out(place, "is no object"),
                    }
                }
            }
            Some(_) => self.leave_out(place.to_owned(), "has `paragraphs` that are no list"),
            None if fields.contains_key("qas") => {
                let title = fields.get("title").and_then(text_of).unwrap_or_default();
                self.paragraph(place, &title, fields);
            }
            None => self.row(place, fields),
        }
    }

    fn paragraph(&mut self, place: &str, title: &str, mut fields: Fields) {
        let qas = match fields.remove("qas") {
            Some(Value::Array(qas)) => qas,
            _ => return self.leave_out(place.to_owned(), "has no list `qas` of questions"),
        };
        let context = match context_of(&mut fields) {
            Ok(context) => context,
            Err(reason) if qas.is_empty() => return self.leave_out(place.to_owned(), reason),
            Err(reason) => {
                for (number, question) in (1..).zip(qas) {
                    let id = question.as_object().and_then(id_of);
                    let place = format!("{place}, question {number}");
                    self.leave_out_question(id, place, reason);
                }
                return;
            }
        };
        let paragraph = self.data.paragraphs.len();
        self.data.paragraphs.push(Paragraph { title: title.to_owned(), context });
        for (number, question) in (1..).zip(qas) {
            let place = format!("{place}, question {number}");
            match question {
                Value::Object(fields) => self.question(place, paragraph, fields),
                _ => self.leave_out(place, "is no object"),
            }
        }
    }

    fn row(&mut self, place: &str, mut fields: Fields) {
        let context = match context_of(&mut fields) {
            Ok(context) => context,
            Err(reason) => {
                let has = match fields.is_empty() {
                    true => reason.to_owned(),
                    false => format!("{reason} (it has {})", names(&fields)),
                };
                self.first.get_or_insert_with(|| (place.to_owned(), has));
                return self.leave_out_question(id_of(&fields), place.to_owned(), reason);
            }
        };
        let paragraphs = &mut self.data.paragraphs;
        let paragraph = match self.contexts.entry(context) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let title = fields.get("title").and_then(text_of).unwrap_or_default();
                paragraphs.push(Paragraph { title, context: new.key().clone() });
                *new.insert(paragraphs.len() - 1)
            }
        };
        self.question(place.to_owned(), paragraph, fields);
    }

    fn question(&mut self, place: String, paragraph: usize, mut fields: Fields) {
        let id = id_of(&fields);
        let text = match fields.remove("question") {
            Some(Value::String(text)) => text,
            Some(other) => match text_of(&other) {
                Some(text) => text,
                None => {
                    return self.leave_out_question(id, place, "has a `question` that is no text");
                }
            },
            None => return self.leave_out_question(id, place, "has no `question`"),
        };
        let (mut is_impossible, mut read) = (false, Answers::default());
        let impossible = gold::is_true(fields.get("is_impossible"));
        match impossible {
            Ok(value) => is_impossible = value,
            Err(reason) if self.gold == Gold::Read => read.odd.push(reason),
            Err(_) => {}
        }
        if self.gold == Gold::Read && !is_impossible {
            let odd = std::mem::take(&mut read.odd);
            read = gold::answers(&fields);
            read.odd.extend(odd);
        }
        let Answers { answers, lists_none, odd } = read;
        if let Some(reason) = odd.first().filter(|_| answers.is_empty() && !is_impossible) {
            // It would count as a question without an answer.
            return self.leave_out_question(id, place, reason);
        }
        let lists_no_answer = lists_none;
        let id_was = id;
        let mut question = Question {
            id: String::new(),
            text,
            paragraph,
            answers,
            is_impossible,
            lists_no_answer,
        };
        if let Some(id) = self.id(id_was, &mut question) {
            let odd =
                odd.into_iter().map(|reason| LeftOut { id: id.clone(), reason: reason.to_owned() });
            self.report.odd_answers.extend(odd);
            question.id = id;
            self.data.questions.push(question);
        }
    }

    /// The id under which a question is kept; none where it has been read before.
    fn id(&mut self, id: Option<String>, question: &mut Question) -> Option<String> {
        let (wanted, is_made_up) = match id {
            Some(id) => (id, false),
            None => (self.made_up(question), true),
        };
        let mut unique = wanted.clone();
        let mut count = 1;
        while let Some(&known) = self.ids.get(&unique) {
            let known = &mut self.data.questions[known];
            let contexts = [known.paragraph, question.paragraph]
                .map(|paragraph| self.data.paragraphs[paragraph].context.as_str());
            if known.text == question.text && contexts[0] == contexts[1] {
                let more = std::mem::take(&mut question.answers);
                let new = more.into_iter().filter(|answer| !known.answers.contains(answer));
                let new: Vec<_> = new.collect();
                known.answers.extend(new);
                self.report.repeated.push(unique);
                return None;
            }
            count += 1;
            unique = format!("{wanted}-{count}");
        }
        if is_made_up {
            self.report.without_id.push(unique.clone());
        } else if count > 1 {
            self.report.renamed.push(unique.clone());
        }
        self.ids.insert(unique.clone(), self.data.questions.len());
        Some(unique)
    }

    /// An id that follows from what is asked of what, wherever it stands.
    fn made_up(&self, question: &Question) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.data.context(question).as_bytes()).update(b"\0");
        hasher.update(question.text.as_bytes());
        format!("q-{}", &hasher.finalize().to_hex()[..16])
    }

    fn leave_out(&mut self, place: String, reason: &str) {
        self.leave_out_question(None, place, reason);
    }

    fn leave_out_question(&mut self, id: Option<String>, place: String, reason: &str) {
        self.first.get_or_insert_with(|| (place.clone(), reason.to_owned()));
        self.report.left_out.push(LeftOut { id: id.unwrap_or(place), reason: reason.to_owned() });
    }
}

/// The number of a place such as `row 7`.
fn number_of(place: &str) -> &str {
    place.rsplit(' ').next().filter(|number| number.parse::<usize>().is_ok()).unwrap_or("1")
}

fn names(fields: &Fields) -> String {
    let names: Vec<String> = fields.keys().take(8).map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn context_of(fields: &mut Fields) -> Result<String, &'static str> {
    match fields.remove("context") {
        Some(Value::String(context)) if context.trim().is_empty() => Err("has an empty `context`"),
        Some(Value::String(context)) => Ok(context),
        Some(_) => Err("has a `context` that is no text"),
        None => Err("has no `context`"),
    }
}

/// The id of a question, if it has one: a text that is not empty, or a number.
fn id_of(fields: &Fields) -> Option<String> {
    let value = ["id", "qid", "question_id"].iter().find_map(|&key| fields.get(key))?;
    text_of(value).filter(|id| !id.is_empty())
}
