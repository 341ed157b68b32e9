//! SQuAD 1.1 and 2.0 files: articles of paragraphs, each with its questions.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;

use crate::DataError;
use crate::random;

/// The questions of a file, flat and in the file's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SquadData {
    /// `version` as the file gives it (`1.1`, `v2.0`), empty where it gives none.
    pub version: String,
    /// Every paragraph, in the file's order.
    pub paragraphs: Vec<Paragraph>,
    /// Every question, in the file's order.
    pub questions: Vec<Question>,
}

/// A context that questions are asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paragraph {
    /// The title of its article.
    pub title: String,
    /// The text that answers are slices of.
    pub context: String,
}

/// One question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Its id, unique in the file.
    pub id: String,
    /// The question itself.
    pub text: String,
    /// Index of its paragraph in [`SquadData::paragraphs`].
    pub paragraph: usize,
    /// The gold answers; none in data to predict on, or when the question has no answer.
    pub answers: Vec<Answer>,
    /// Whether the file says that the context does not answer it (SQuAD 2.0).
    pub is_impossible: bool,
}

/// One gold answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Answer {
    /// Its text, a slice of the context.
    pub text: String,
    /// Where it begins in the context, in Unicode code points.
    #[serde(rename = "answer_start")]
    pub start: usize,
}

impl SquadData {
    /// Reads a SQuAD 1.1 or 2.0 file. Unknown keys, `plausible_answers` among them, are
    /// ignored. The answers of a question marked `is_impossible` are left out.
    ///
    /// # Errors
    /// When the file cannot be read, is not SQuAD JSON, has an empty context, or gives two
    /// questions one id; the message names the file and the place in it.
    pub fn read(path: &Path) -> Result<SquadData, DataError> {
        let bytes = std::fs::read(path).map_err(DataError::io("read", path))?;
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let file: File = serde_json::from_slice(bytes).map_err(DataError::json(path))?;
        file.flatten(path)
    }

    /// Adds the questions of `other` after its own.
    pub fn append(&mut self, other: SquadData) {
        let offset = self.paragraphs.len();
        if self.version.is_empty() {
            self.version = other.version;
        }
        self.paragraphs.extend(other.paragraphs);
        self.questions.extend(
            other
                .questions
                .into_iter()
                .map(|question| Question { paragraph: offset + question.paragraph, ..question }),
        );
    }

    /// Keeps the first `questions` questions and the paragraphs that they need.
    pub fn limit(&mut self, questions: usize) {
        self.questions.truncate(questions);
        let needed = self.questions.iter().map(|question| question.paragraph + 1).max();
        self.paragraphs.truncate(needed.unwrap_or(0));
    }

    /// Keeps `questions` of the questions, drawn by `seed`, in the file's order, and the
    /// paragraphs that they need.
    pub fn sample(&mut self, questions: usize, seed: u64) {
        if questions >= self.questions.len() {
            return;
        }
        let mut is_drawn = random::drawn(questions, self.questions.len(), seed).into_iter();
        self.questions.retain(|_| is_drawn.next().unwrap_or(false));
        let mut places = vec![None; self.paragraphs.len()];
        let mut paragraphs = Vec::new();
        for question in &mut self.questions {
            let from = question.paragraph;
            question.paragraph = *places[from].get_or_insert_with(|| {
                paragraphs.push(std::mem::take(&mut self.paragraphs[from]));
                paragraphs.len() - 1
            });
        }
        self.paragraphs = paragraphs;
    }

    /// The context that a question is asked about.
    ///
    /// # Panics
    /// When the question's paragraph is not one of this data's, which [`SquadData::read`]
    /// never leaves behind.
    pub fn context(&self, question: &Question) -> &str {
        &self.paragraphs[question.paragraph].context
    }

    /// A hash over everything that features are made of. Two files with the same questions
    /// have the same fingerprint, wherever they lie and however they are laid out.
    pub fn fingerprint(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        // Each text is preceded by its length, so no two data sets give the same bytes.
        let text = |hasher: &mut blake3::Hasher, text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        hasher.update(&(self.paragraphs.len() as u64).to_le_bytes());
        for paragraph in &self.paragraphs {
            text(&mut hasher, &paragraph.context);
        }
        for question in &self.questions {
            text(&mut hasher, &question.id);
            text(&mut hasher, &question.text);
            hasher.update(&(question.paragraph as u64).to_le_bytes());
            hasher.update(&[u8::from(question.is_impossible)]);
            hasher.update(&(question.answers.len() as u64).to_le_bytes());
            for answer in &question.answers {
                text(&mut hasher, &answer.text);
                hasher.update(&(answer.start as u64).to_le_bytes());
            }
        }
        hasher.finalize()
    }
}

/// The file as it is nested on disk.
#[derive(Deserialize)]
#[serde(expecting = "a SQuAD file: an object with a list `data` of articles")]
struct File {
    #[serde(default)]
    version: String,
    data: Vec<Article>,
}

#[derive(Deserialize)]
struct Article {
    #[serde(default)]
    title: String,
    paragraphs: Vec<NestedParagraph>,
}

#[derive(Deserialize)]
struct NestedParagraph {
    context: String,
    qas: Vec<NestedQuestion>,
}

#[derive(Deserialize)]
struct NestedQuestion {
    id: String,
    question: String,
    #[serde(default)]
    answers: Vec<Answer>,
    #[serde(default)]
    is_impossible: bool,
}

impl File {
    fn flatten(self, path: &Path) -> Result<SquadData, DataError> {
        let mut paragraphs = Vec::new();
        let mut questions: Vec<Question> = Vec::new();
        for (article_index, article) in self.data.into_iter().enumerate() {
            for (paragraph_index, nested) in article.paragraphs.into_iter().enumerate() {
                if nested.context.trim().is_empty() {
                    let message = format!(
                        "article {} ({:?}), paragraph {}: the context is empty",
                        article_index + 1,
                        article.title,
                        paragraph_index + 1,
                    );
                    return Err(DataError::file(path, message));
                }
                let paragraph = paragraphs.len();
                questions.extend(nested.qas.into_iter().map(|nested| Question {
                    id: nested.id,
                    text: nested.question,
                    paragraph,
                    answers: if nested.is_impossible { Vec::new() } else { nested.answers },
                    is_impossible: nested.is_impossible,
                }));
                paragraphs
                    .push(Paragraph { title: article.title.clone(), context: nested.context });
            }
        }
        let mut seen = HashSet::with_capacity(questions.len());
        if let Some(twice) = questions.iter().find(|question| !seen.insert(&question.id)) {
            let message = format!("two questions have the id {:?}: ids must be unique", twice.id);
            return Err(DataError::file(path, message));
        }
        Ok(SquadData { version: self.version, paragraphs, questions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: impl AsRef<[u8]>) -> Result<SquadData, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.json");
        std::fs::write(&path, bytes).unwrap();
        SquadData::read(&path).map_err(|error| error.to_string())
    }

    /// One article with one paragraph, of which `qas` are the questions.
    fn file(context: &str, qas: &str) -> String {
        format!(
            r#"{{"version": "v2.0", "more": [1], "data": [{{"title": "T",
               "paragraphs": [{{"context": "{context}", "qas": [{qas}]}}]}}]}}"#
        )
    }

    #[test]
    fn data_of_two_files_keeps_each_question_with_its_context() {
        let question = |id: &str| format!(r#"{{"id": "{id}", "question": "Q?"}}"#);
        let mut data = read(file("a b", &question("1"))).unwrap();
        data.append(read(file("c d", &question("2"))).unwrap());
        assert_eq!(data.questions.len(), 2);
        assert_eq!(data.context(&data.questions[0]), "a b");
        assert_eq!(data.context(&data.questions[1]), "c d");
        data.limit(1);
        assert_eq!(data.paragraphs.len(), 1);
    }

    #[test]
    fn a_sample_keeps_order_and_contexts_and_its_seed_decides_it() {
        let mut all = SquadData::default();
        for i in 0..40 {
            let qas = format!(r#"{{"id": "{i}", "question": "Q?"}}"#);
            all.append(read(file(&format!("context {i}"), &qas)).unwrap());
        }
        let sample = |count, seed| {
            let mut data = all.clone();
            data.sample(count, seed);
            data
        };
        let drawn = sample(10, 1);
        assert_eq!((drawn.questions.len(), drawn.paragraphs.len()), (10, 10));
        let numbers: Vec<usize> = drawn.questions.iter().map(|q| q.id.parse().unwrap()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        for question in &drawn.questions {
            assert_eq!(drawn.context(question), format!("context {}", question.id));
        }
        assert_eq!(drawn, sample(10, 1));
        assert_ne!(drawn, sample(10, 2));
        assert_eq!(sample(40, 1), all);
        assert!(sample(0, 1).questions.is_empty());
    }

    #[test]
    fn questions_of_both_versions_are_read_flat_and_in_order() {
        let qas = r#"
            {"id": "1", "question": "Q?", "answers": [{"text": "b", "answer_start": 2}]},
            {"id": "2", "question": "R?", "answers": [], "is_impossible": true,
             "plausible_answers": [{"text": "a", "answer_start": 0}]},
            {"id": "3", "question": "S?"}"#;
        let data = read(file("a b", qas)).unwrap();
        assert_eq!((data.version.as_str(), data.paragraphs.len()), ("v2.0", 1));
        assert_eq!(data.paragraphs[0].title, "T");
        let ids: Vec<&str> = data.questions.iter().map(|q| q.id.as_str()).collect();
        assert_eq!(ids, ["1", "2", "3"]);
        assert_eq!(data.questions[0].answers, [Answer { text: "b".into(), start: 2 }]);
        assert!(data.questions[1].is_impossible && data.questions[1].answers.is_empty());
        assert!(!data.questions[2].is_impossible && data.questions[2].answers.is_empty());
        assert_eq!(data.context(&data.questions[2]), "a b");
    }

    #[test]
    fn an_impossible_question_has_no_answers_whatever_the_file_lists() {
        let qas = r#"{"id": "1", "question": "Q?", "is_impossible": true,
                      "answers": [{"text": "b", "answer_start": 2}]}"#;
        assert!(read(file("a b", qas)).unwrap().questions[0].answers.is_empty());
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        let bytes = [b"\xEF\xBB\xBF".as_slice(), file("a", "").as_bytes()].concat();
        assert!(read(bytes).is_ok());
    }

    #[test]
    fn what_is_wrong_is_told_with_file_and_place() {
        let question = r#"{"id": "1", "question": "Q?"}"#;
        for (bytes, wanted) in [
            ("{\"data\": [\n{\"tit".to_owned(), "line 2"),
            ("[]".to_owned(), "data"),
            ("{}".to_owned(), "missing field `data`"),
            (String::new(), "line 1"),
            (file("a", r#"{"id": 7, "question": "Q?"}"#), "expected a string"),
            (file("a", r#"{"id": "7"}"#), "missing field `question`"),
            (r#"{"data": [{"paragraphs": [{"qas": []}]}]}"#.into(), "missing field `context`"),
            (file(" \\n", ""), "paragraph 1: the context is empty"),
            (file("a", &format!("{question}, {question}")), "two questions have the id \"1\""),
        ] {
            let error = read(&bytes).expect_err(&bytes);
            assert!(error.contains("train.json") && error.contains(wanted), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
    }

    #[test]
    fn a_negative_start_is_refused() {
        let qas = r#"{"id": "1", "question": "Q",
                      "answers": [{"text": "a", "answer_start": -1}]}"#;
        assert!(read(file("a", qas)).unwrap_err().contains("-1"));
    }

    #[test]
    fn hostile_bytes_are_an_error_and_not_a_crash() {
        assert!(read([b"{\"data\": \"\xFF\xFE\"}".as_slice()].concat()).is_err());
        let deep = "[".repeat(200_000);
        assert!(read(format!("{{\"data\": {deep}")).is_err());
        assert!(read(format!("{{\"ignored\": {deep}")).is_err());
        let whole = file("a b", r#"{"id": "1", "question": "Q?"}"#);
        for len in 0..whole.len() {
            assert!(read(&whole.as_bytes()[..len]).is_err(), "{len}");
        }
        assert!(read(file("a\\u0000b", "")).unwrap().paragraphs[0].context.contains('\0'));
    }

    #[test]
    fn a_limit_keeps_the_first_questions_and_their_paragraphs() {
        let question =
            |id: &str, paragraph| Question { id: id.into(), paragraph, ..Question::default() };
        let mut data = SquadData {
            paragraphs: vec![Paragraph::default(); 3],
            questions: vec![question("1", 0), question("2", 1), question("3", 2)],
            ..SquadData::default()
        };
        let all = data.fingerprint();
        data.limit(10);
        assert_eq!(data.fingerprint(), all);
        data.limit(2);
        assert_eq!((data.questions.len(), data.paragraphs.len()), (2, 2));
        assert_ne!(data.fingerprint(), all);
        data.limit(0);
        assert!(data.questions.is_empty() && data.paragraphs.is_empty());
    }
}
