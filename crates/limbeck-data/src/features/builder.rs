//! Builds features: every text is tokenised once, windows and labels follow.

use std::ops::Range;

use rayon::prelude::*;

use super::columns::{Columns, Parts, Record};
use super::labels::{Lost, locate, refine, tokens_of, whole_words};
use super::options::SPECIAL_TOKENS;
use super::windows::windows;
use super::{BuildReport, CacheUse, DocStrideMeaning, FeatureOptions, MovedAnswer, Purpose};
use crate::error::to_u32;
use crate::squad::LeftOut;
use crate::text::code_point_of_byte;
use crate::{Answer, DataError, Encoded, Question, SquadData, Tokenizer};

/// How many ids of questions that are left out a report lists by themselves.
const LISTED_IDS: usize = 10;

/// What a question's windows should be labelled with.
enum Label {
    /// These tokens of the paragraph.
    Tokens { tokens: Range<usize>, moved: Option<MovedAnswer> },
    /// No answer: positions are 0.
    None,
    /// There is nothing to learn from it, for this reason: no features.
    LeftOut(&'static str),
}

/// The tokens of an answer, and whether it was moved there; or why it has none.
type Found = Result<(Range<usize>, Option<MovedAnswer>), Lost>;

/// Why a question that has neither an answer nor the mark that there is none is left out.
const UNANSWERED: &str = "has no answer, and no mark that it has none";

struct Builder<'a> {
    data: &'a SquadData,
    tokenizer: &'a Tokenizer,
    options: &'a FeatureOptions,
    purpose: Purpose,
    paragraphs: Vec<Encoded>,
}

pub(super) fn build(
    data: &SquadData,
    tokenizer: &Tokenizer,
    options: &FeatureOptions,
    purpose: Purpose,
) -> Result<(Columns, BuildReport), DataError> {
    options.validate()?;
    let paragraphs = data
        .paragraphs
        .par_iter()
        .map(|paragraph| tokenizer.encode(&paragraph.context))
        .collect::<Result<Vec<_>, _>>()?;
    let builder = Builder { data, tokenizer, options, purpose, paragraphs };
    let built = data
        .questions
        .par_iter()
        .enumerate()
        .map(|(index, question)| builder.question(index, question))
        .collect::<Result<Vec<_>, _>>()?;

    let mut report = BuildReport { questions: data.questions.len(), ..BuildReport::default() };
    let mut question_ids = Vec::with_capacity(built.len());
    let mut records = Vec::with_capacity(built.len());
    for (question, built) in data.questions.iter().zip(built) {
        report.truncated_questions += usize::from(built.truncated);
        report.moved.extend(built.moved);
        if let Some(reason) = built.left_out {
            let (id, reason) = (question.id.clone(), reason.to_owned());
            if report.unlocatable_ids.len() < LISTED_IDS {
                report.unlocatable_ids.push(id.clone());
            }
            report.left_out.push(LeftOut { id, reason });
        }
        report.features += built.records.len();
        report.rows += built
            .records
            .iter()
            .map(|record| built.ids.len() + record.window_len as usize + SPECIAL_TOKENS)
            .sum::<usize>();
        question_ids.push(built.ids);
        records.push(built.records);
    }
    report.moved_answers = report.moved.len();
    report.unlocatable_answers = report.left_out.len();
    report.cache = CacheUse::Off;
    let parts = Parts {
        cls: tokenizer.cls(),
        sep: tokenizer.sep(),
        paragraphs: &builder.paragraphs,
        questions: &question_ids,
        records: &records,
    };
    Ok((parts.into_columns()?, report))
}

/// What becomes of one question.
struct Built {
    ids: Vec<u32>,
    records: Vec<Record>,
    truncated: bool,
    moved: Option<MovedAnswer>,
    left_out: Option<&'static str>,
}

impl Builder<'_> {
    fn question(&self, index: usize, question: &Question) -> Result<Built, DataError> {
        let error = |message: String| DataError::Question { id: question.id.clone(), message };
        let Some(paragraph) = self.paragraphs.get(question.paragraph) else {
            return Err(error(format!("there is no paragraph {}", question.paragraph)));
        };
        let mut ids = self.tokenizer.encode(&question.text)?.ids;
        let limit = self.options.max_query_length;
        let truncated = limit > 0 && ids.len() > limit;
        if truncated {
            ids.truncate(limit);
            ids.shrink_to_fit();
        }
        let capacity = self.capacity(ids.len()).ok_or_else(|| {
            error(format!(
                "its {} tokens leave no room for the context in max_length {} with doc_stride \
                 {}; set max_query_length, or a larger max_length",
                ids.len(),
                self.options.max_length,
                self.options.doc_stride,
            ))
        })?;
        let (tokens, moved) = match self.label(question, paragraph)? {
            Label::Tokens { tokens, moved } => (Some(tokens), moved),
            Label::None => (None, None),
            Label::LeftOut(reason) => {
                let (records, left_out) = (Vec::new(), Some(reason));
                return Ok(Built { ids, records, truncated, moved: None, left_out });
            }
        };
        let first_row = ids.len() + 2;
        let cut = windows(
            paragraph.ids.len(),
            capacity,
            self.options.doc_stride,
            self.options.doc_stride_meaning,
        );
        let records = cut
            .map(|window| {
                let inside = tokens
                    .clone()
                    .filter(|tokens| window.start <= tokens.start && tokens.end <= window.end);
                let (start, end) = inside.map_or((0, 0), |tokens| {
                    let row = |token: usize| first_row + token - window.start;
                    (row(tokens.start), row(tokens.end - 1))
                });
                Ok(Record {
                    question: to_u32("the number of questions", index)?,
                    paragraph: to_u32("the number of paragraphs", question.paragraph)?,
                    window_start: to_u32("a context's length in tokens", window.start)?,
                    window_len: to_u32("a context's length in tokens", window.len())?,
                    start_position: to_u32("a feature's length in tokens", start)?,
                    end_position: to_u32("a feature's length in tokens", end)?,
                })
            })
            .collect::<Result<Vec<_>, DataError>>()?;
        Ok(Built { ids, records, truncated, moved, left_out: None })
    }

    /// Tokens that a window may have beside a question; none when windows would not move on.
    fn capacity(&self, question_len: usize) -> Option<usize> {
        let capacity = self.options.max_length.checked_sub(question_len + SPECIAL_TOKENS)?;
        let least = match self.options.doc_stride_meaning {
            DocStrideMeaning::Overlap => self.options.doc_stride + 1,
            DocStrideMeaning::Advance => 1,
        };
        (capacity >= least).then_some(capacity)
    }

    fn label(&self, question: &Question, paragraph: &Encoded) -> Result<Label, DataError> {
        if self.purpose == Purpose::Predict || question.is_impossible {
            return Ok(Label::None);
        }
        // The first one that can be learnt from; of most questions that is the first there is.
        let mut lost = None;
        for answer in &question.answers {
            match self.tokens(question, answer, paragraph)? {
                Ok((tokens, moved)) => return Ok(Label::Tokens { tokens, moved }),
                Err(reason) => lost = lost.or(Some(reason)),
            }
        }
        Ok(Label::LeftOut(lost.map_or(UNANSWERED, Lost::reason)))
    }

    /// Finds the tokens of an answer.
    fn tokens(
        &self,
        question: &Question,
        answer: &Answer,
        paragraph: &Encoded,
    ) -> Result<Found, DataError> {
        let context = self.data.context(question);
        let location = match locate(context, answer) {
            Ok(location) => location,
            Err(lost) => return Ok(Err(lost)),
        };
        let tokens = match self.options.doc_stride_meaning {
            DocStrideMeaning::Overlap => tokens_of(&paragraph.offsets, &location.bytes),
            DocStrideMeaning::Advance => {
                let words = whole_words(context, &location.bytes);
                let tokens = tokens_of(&paragraph.offsets, &words);
                if self.options.refine_labels {
                    let answer_ids = self.tokenizer.encode(&answer.text)?.ids;
                    refine(&paragraph.ids, tokens, &answer_ids)
                } else {
                    tokens
                }
            }
        };
        if tokens.is_empty() {
            return Ok(Err(Lost::NoToken));
        }
        let moved = location.moved.then(|| MovedAnswer {
            id: question.id.clone(),
            text: answer.text.clone(),
            from: answer.start,
            to: code_point_of_byte(context, location.bytes.start),
        });
        Ok(Ok((tokens, moved)))
    }
}
