//! Features: what a model is shown for a question, `[CLS] question [SEP] window [SEP]`.
//!
//! # Layout
//! * [`options`](FeatureOptions): lengths and strides, checked before anything is built.
//! * `windows`: where the windows of a context lie.
//! * `labels`: from the answer's characters to tokens.
//! * `builder`: tokenises paragraphs and questions once, in parallel, and fills the columns.
//! * `columns`: the one buffer that holds everything, in memory as on disk.
//! * `file`: the mapped file.

mod builder;
mod columns;
mod file;
mod labels;
mod options;
mod windows;

use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::squad::LeftOut;
use crate::squad::report::{by_reason, first};
use crate::{Batch, Cache, DataError, SquadData, Tokenizer};
use columns::{Columns, Record};
use options::SPECIAL_TOKENS;

pub use options::{DocStrideMeaning, FeatureOptions};
pub(crate) use windows::is_max_context;

/// What features are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To learn from: a question has an answer or is marked impossible, or is left out.
    Train,
    /// To answer: gold answers are not looked at, positions are 0.
    Predict,
}

/// What happened while features were built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildReport {
    /// Questions in the data.
    pub questions: usize,
    /// Features made of them.
    pub features: usize,
    /// Tokens in all features together, special tokens included.
    pub rows: usize,
    /// Questions cut to `max_query_length`.
    pub truncated_questions: usize,
    /// Answers that were not where the data says, but elsewhere in the context.
    pub moved_answers: usize,
    /// Questions that there is nothing to learn from: without an answer, or with one that is not in
    /// the context or cannot be told from others.
    pub unlocatable_answers: usize,
    /// The ids of the first ten of those questions.
    pub unlocatable_ids: Vec<String>,
    /// The answers that were moved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<MovedAnswer>,
    /// The questions that are left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// Where the features came from.
    #[serde(skip)]
    pub cache: CacheUse,
}

impl BuildReport {
    /// One line for each kind of what was moved or left out; none of data that is as it should be.
    pub fn messages(&self) -> Vec<String> {
        let mut messages = by_reason(&self.left_out, "questions are left out of training, each");
        for (has_start, what) in [
            (true, "are not where the data says, and were moved to where they stand nearest to it"),
            (false, "have no start, and were found in their contexts, which hold them once"),
        ] {
            let moved = self.moved.iter().filter(|moved| moved.from.is_some() == has_start);
            let ids: Vec<&str> = moved.map(|moved| moved.id.as_str()).collect();
            if !ids.is_empty() {
                messages.push(format!("{} answers {what}: {}", ids.len(), first(&ids)));
            }
        }
        messages
    }
}

/// An answer that was found elsewhere than the data says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedAnswer {
    /// The id of the question.
    pub id: String,
    /// The text of the answer, as the data gives it.
    pub text: String,
    /// `answer_start` of the data: an offset into the context in Unicode code points; `None` where the
    /// data gives no usable one.
    pub from: Option<usize>,
    /// The offset at which the answer was found in the context, in Unicode code points.
    pub to: usize,
}

/// What part the cache played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CacheUse {
    /// None was asked for.
    #[default]
    Off,
    /// The features were mapped from this file.
    Opened(PathBuf),
    /// They were built and written to this file.
    Written(PathBuf),
    /// They were built, but could not be kept, for this reason.
    Failed(String),
}

/// Features of a data set: owned, or mapped from a cache file.
///
/// The tokens of a paragraph and of a question are stored once; a feature is a small record
/// that points at them. The features of a question lie together, in the order of its windows.
#[derive(Debug)]
pub struct Features {
    columns: Columns,
}

/// One feature. Positions count its own tokens, `[CLS]` being 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Index of its question in the data.
    pub question: usize,
    /// Index of its paragraph in the data.
    pub paragraph: usize,
    /// First token of the window, in the paragraph's tokens.
    pub window_start: usize,
    /// Tokens in the window.
    pub window_len: usize,
    /// Tokens of the question, as far as they are shown.
    pub question_len: usize,
    /// First token of the answer; 0 where the window does not hold all of it.
    pub start_position: u32,
    /// Last token of the answer; 0 where the window does not hold all of it.
    pub end_position: u32,
}

impl Feature {
    /// Tokens of the feature, special tokens included.
    pub fn rows(&self) -> usize {
        self.question_len + self.window_len + SPECIAL_TOKENS
    }

    /// The row of the window's first token.
    pub fn first_context_row(&self) -> usize {
        self.question_len + 2
    }

    /// The window, in the paragraph's tokens.
    pub fn window(&self) -> Range<usize> {
        self.window_start..self.window_start + self.window_len
    }
}

impl Features {
    /// Builds the features of `data`. The result does not depend on the number of threads.
    ///
    /// # Errors
    /// When the options do not fit together, or a question leaves no room for its context.
    pub fn build(
        data: &SquadData,
        tokenizer: &Tokenizer,
        options: &FeatureOptions,
        purpose: Purpose,
    ) -> Result<(Features, BuildReport), DataError> {
        let (columns, report) = builder::build(data, tokenizer, options, purpose)?;
        Ok((Features { columns }, report))
    }

    /// Maps the features of `data` from a file in the cache, or builds them and leaves them
    /// there for the next time. A file that is cut short, damaged or of another version is
    /// built anew. Without a cache, this is [`Features::build`].
    ///
    /// A cache that cannot be written is not an error: the report tells.
    ///
    /// # Errors
    /// As [`Features::build`].
    pub fn open_or_build(
        cache: Option<&Cache>,
        data: &SquadData,
        tokenizer: &Tokenizer,
        options: &FeatureOptions,
        purpose: Purpose,
    ) -> Result<(Features, BuildReport), DataError> {
        let Some(kept) = cache else {
            return Features::build(data, tokenizer, options, purpose);
        };
        options.validate()?;
        let key = file::key(data, tokenizer, options, purpose);
        let name = file::name(&key);
        let path = kept.wanted(&name);
        if let Some((columns, mut report)) = file::open(&path, &key, data, tokenizer.vocab_size()) {
            report.cache = CacheUse::Opened(path);
            return Ok((Features { columns }, report));
        }
        let (columns, mut report) = builder::build(data, tokenizer, options, purpose)?;
        report.cache = match file::write(&path, &key, &columns, &report) {
            Ok(()) => {
                kept.built(&name);
                CacheUse::Written(path)
            }
            Err(error) => CacheUse::Failed(error.to_string()),
        };
        Ok((Features { columns }, report))
    }

    /// How many features there are.
    pub fn len(&self) -> usize {
        self.columns.records().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many questions there are, those without features included.
    pub fn questions(&self) -> usize {
        self.columns.shape().questions as usize
    }

    /// Tokens of feature `index`, special tokens included.
    ///
    /// # Panics
    /// When there is no such feature; so do the other methods that take an index.
    pub fn rows_of(&self, index: usize) -> usize {
        self.feature(index).rows()
    }

    /// Feature `index`.
    pub fn feature(&self, index: usize) -> Feature {
        let record: &Record = &self.columns.records()[index];
        Feature {
            question: record.question as usize,
            paragraph: record.paragraph as usize,
            window_start: record.window_start as usize,
            window_len: record.window_len as usize,
            question_len: self.columns.question_tokens(record.question as usize).len(),
            start_position: record.start_position,
            end_position: record.end_position,
        }
    }

    /// The features of a question, in the order of its windows.
    pub fn features_of(&self, question: usize) -> Range<usize> {
        self.columns.features_of(question)
    }

    /// First byte and byte past the last of each token of a paragraph, in its context.
    pub fn offsets(&self, paragraph: usize) -> &[[u32; 2]] {
        self.columns.offsets(paragraph)
    }

    /// Lays the features `indices` end to end in `batch`, whose buffers are used again.
    pub fn batch(&self, indices: &[usize], batch: &mut Batch) {
        batch.clear();
        for &index in indices {
            self.append(index, batch);
        }
    }

    /// Lays feature `index` behind what is in `batch` already.
    pub fn append(&self, index: usize, batch: &mut Batch) {
        let (cls, sep) = self.columns.special_tokens();
        let record: &Record = &self.columns.records()[index];
        let question = self.columns.question_tokens(record.question as usize);
        let start = record.window_start as usize;
        let window = &self.columns.paragraph_tokens(record.paragraph as usize)
            [start..start + record.window_len as usize];
        batch.input_ids.push(cls);
        batch.input_ids.extend_from_slice(question);
        batch.input_ids.push(sep);
        batch.token_type_ids.resize(batch.input_ids.len(), 0);
        batch.input_ids.extend_from_slice(window);
        batch.input_ids.push(sep);
        batch.token_type_ids.resize(batch.input_ids.len(), 1);
        batch.starts.push(batch.input_ids.len());
        batch.start_positions.push(record.start_position);
        batch.end_positions.push(record.end_position);
        batch.features.push(index);
    }
}

#[cfg(test)]
mod tests;
