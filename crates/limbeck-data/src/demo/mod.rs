//! The corpus of `limbeck demo`: reading comprehension about a small invented
//! world, in SQuAD 2.0 form, with a vocabulary of its own.
//!
//! Every paragraph tells facts about two people. Several kinds of fact have values of
//! the same type (where one was born, where one moved), and some are told of both
//! people, so that answers have distractors of their type close by. Questions are
//! asked in the words of the sentence or in others; some have no answer: the fact is
//! told of the other person, or of nobody. Some labels of the training part are wrong,
//! as those of people are. Names are put together from two
//! syllables, and the development part uses names that training never shows, so that
//! a model must find the name in the text and cannot learn it by heart.
//!
//! The same options give the same bytes.
//!
//! # Layout
//! - `random`: choices from lists and ranges.
//! - `names`: people, towns and pets from syllables.
//! - `values`: what a fact can say (jobs, dates, prices ...).
//! - `facts`, `people`: the kinds of fact with their sentences and questions.
//! - `paragraph`: one paragraph with its facts told.
//! - `questions`: answerable and unanswerable questions about a paragraph.
//! - `vocabulary`: WordPiece entries from the texts.
//! - `files`: the corpus and the tokenizer as files.

mod facts;
mod files;
mod names;
mod paragraph;
mod people;
mod questions;
mod random;
mod values;
mod vocabulary;

use serde::{Deserialize, Serialize};

use crate::DataError;
use crate::squad::SquadData;
use names::Part;
use random::Random;

/// How large and how hard the demo corpus is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DemoOptions {
    /// Fixes every draw.
    pub seed: u64,
    /// Questions of the training part.
    pub train_questions: usize,
    /// Questions of the development part.
    pub dev_questions: usize,
    /// Questions about one paragraph, from 1 to 8; a short paragraph may have fewer.
    pub questions_per_paragraph: usize,
    /// Sentences of the shortest paragraph, 2 or more.
    pub min_sentences: usize,
    /// Sentences of the longest paragraph, 12 at most.
    pub max_sentences: usize,
    /// Share of questions that have no answer in their paragraph.
    pub unanswerable_share: f64,
    /// Share of questions in words unlike the sentence's.
    pub reworded_share: f64,
    /// Share of questions that ask of whom a fact is told ("Who kept a goat?").
    pub subject_share: f64,
    /// Share of kinds of fact that are told of both people of a paragraph, so that only
    /// the name tells which is asked for. The first kind is always told of one alone.
    pub told_of_both_share: f64,
    /// Share of training questions that are labelled with what some sentence of the
    /// paragraph tells, mostly a wrong one. The development part is always right.
    pub wrong_label_share: f64,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self {
            seed: 42,
            train_questions: 32_000,
            dev_questions: 1_000,
            questions_per_paragraph: 4,
            min_sentences: 4,
            max_sentences: 6,
            unanswerable_share: 0.25,
            reworded_share: 0.4,
            subject_share: 0.25,
            told_of_both_share: 0.6,
            wrong_label_share: 0.3,
        }
    }
}

impl DemoOptions {
    /// Checks that a corpus can be made.
    ///
    /// # Errors
    /// The first key out of range, with what it may be.
    pub fn validate(&self) -> Result<(), DataError> {
        let wrong = |option, range: &str| {
            Err(DataError::Option { option, message: format!("must be {range}") })
        };
        if !(1..=8).contains(&self.questions_per_paragraph) {
            return wrong("questions_per_paragraph", "from 1 to 8");
        }
        if !(2..=12).contains(&self.min_sentences) {
            return wrong("min_sentences", "from 2 to 12");
        }
        if !(self.min_sentences..=12).contains(&self.max_sentences) {
            return wrong("max_sentences", "from min_sentences to 12");
        }
        for (key, share) in [
            ("unanswerable_share", self.unanswerable_share),
            ("reworded_share", self.reworded_share),
            ("subject_share", self.subject_share),
            ("told_of_both_share", self.told_of_both_share),
            ("wrong_label_share", self.wrong_label_share),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return wrong(key, "from 0 to 1");
            }
        }
        Ok(())
    }
}

/// The generated corpus and its vocabulary.
#[derive(Debug, Clone)]
pub struct DemoCorpus {
    /// The training part.
    pub train: SquadData,
    /// The development part; its names never occur in training.
    pub dev: SquadData,
    /// WordPiece entries by id: special tokens, characters, pieces, words.
    pub vocabulary: Vec<String>,
}

impl DemoCorpus {
    /// Makes the corpus.
    ///
    /// # Errors
    /// An option out of range.
    pub fn generate(options: &DemoOptions) -> Result<Self, DataError> {
        options.validate()?;
        let train = generate_part(options, Part::Train, options.train_questions);
        let dev = generate_part(options, Part::Dev, options.dev_questions);
        let vocabulary = vocabulary::build(&train);
        Ok(Self { train, dev, vocabulary })
    }
}

/// Keeps wrong labels apart from the streams of the two parts.
const NOISE_STREAM: u64 = 2;

fn generate_part(options: &DemoOptions, part: Part, questions: usize) -> SquadData {
    let mut random = Random::new(options.seed, part.stream());
    let mut noise = Random::new(options.seed, NOISE_STREAM);
    let mut data = SquadData {
        version: "v2.0".to_owned(),
        paragraphs: Vec::with_capacity(questions.div_ceil(options.questions_per_paragraph)),
        questions: Vec::with_capacity(questions),
    };
    while data.questions.len() < questions {
        let wanted = options.questions_per_paragraph.min(questions - data.questions.len());
        let told = paragraph::tell(&mut random, part, options);
        let index = data.paragraphs.len();
        for mut asked in questions::ask(&mut random, part, &told, options, wanted) {
            if part == Part::Train && noise.chance(options.wrong_label_share) {
                asked.mislabel(&mut noise, &told);
            }
            let id = format!("{}-{:06}", part.name(), data.questions.len());
            data.questions.push(asked.into_question(id, index));
        }
        data.paragraphs.push(told.into_paragraph());
    }
    data
}

#[cfg(test)]
mod tests;
