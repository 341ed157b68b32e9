//! Questions about contexts: SQuAD 1.1 and 2.0 files, articles of paragraphs each with its
//! questions, and rows with a question and its context each.
//!
//! # Layout
//! * `read`: from a file of any container and form to questions.
//! * `gold`: answers in the forms in which they are written.
//! * [`ReadReport`]: what could not be read.

pub(crate) mod gold;
mod read;
pub(crate) mod report;

use std::path::Path;

use crate::DataError;
use crate::random;

pub use report::{LeftOut, ReadReport};

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
    /// Whether the file lists its answers, and there is none: how `datasets` writes a question of
    /// SQuAD 2.0 that has no answer.
    pub lists_no_answer: bool,
}

/// One gold answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its text, a slice of the context.
    pub text: String,
    /// Where it begins in the context, in Unicode code points, if the file says so.
    pub start: Option<usize>,
}

/// What is looked at of gold answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gold {
    /// Nothing: the questions are to be answered.
    Ignored,
    /// They are read; what cannot be is passed over and told.
    Read,
}

impl SquadData {
    /// Reads a file of questions: SQuAD 1.1 or 2.0 as it is published, or rows with `context`,
    /// `question`, `id` and `answers`, out of any container that [`rows`](mod@crate::rows) reads.
    /// Unknown keys, `plausible_answers` among them, are ignored. The answers of a question marked
    /// `is_impossible` are left out.
    ///
    /// A question that cannot be read is left out and reported, as is an answer; so is one that
    /// stands twice, of which the answers are joined. An id that two questions share, or that is
    /// missing, is replaced.
    ///
    /// # Errors
    /// When the file cannot be read, or holds rows of which none is a question; the message names
    /// the file and the place in it.
    pub fn read(path: &Path, gold: Gold) -> Result<(SquadData, ReadReport), DataError> {
        read::read(path, gold)
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

    /// Takes a question that lists no answer as one that has none, as SQuAD 2.0 means it.
    pub fn take_empty_lists_as_no_answer(&mut self) {
        for question in &mut self.questions {
            question.is_impossible |= question.lists_no_answer;
        }
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
                let start = answer.start.map_or(u64::MAX, |start| start as u64);
                hasher.update(&start.to_le_bytes());
            }
        }
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests;
