//! From logits to answers: the one decoder of evaluating, predicting and answering.
//!
//! Per window, the `n_best_size` best starts and ends are paired; a pair is kept when it does
//! not run backwards nor exceeds `max_answer_length`. Pairs of all windows of a question are
//! pooled. Only context tokens can begin or end an answer, and an answer is always a slice of
//! the context as it was given.

mod dataset;
mod documents;
mod spans;

use serde::{Deserialize, Serialize};

use crate::text::code_point_of_byte;
use spans::Span;

pub use dataset::{SpanLogits, decode_all, windows_of};
pub use documents::{Pooled, pool_documents};

/// How answers are chosen; the names and defaults are those of the SQuAD scripts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecodeOptions {
    /// Starts and ends looked at in a window, and candidates kept of a question.
    pub n_best_size: usize,
    /// Tokens of an answer at most.
    pub max_answer_length: usize,
    /// Nothing is predicted where the null score exceeds the best answer's by more than this, in
    /// the precision of the scores: see [`is_null`].
    pub null_score_diff_threshold: f64,
    /// Whether an answer may begin only in the window that shows most context around its
    /// first token, as in the scripts of the BERT paper.
    pub max_context: bool,
    /// Whether a question may have no answer (SQuAD 2.0).
    pub allow_null: bool,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        DecodeOptions {
            n_best_size: 20,
            max_answer_length: 30,
            null_score_diff_threshold: 0.0,
            max_context: false,
            allow_null: false,
        }
    }
}

/// A window of a question's context and what the model said of it.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// One logit a row of the feature, `[CLS]` first.
    pub start_logits: &'a [f32],
    /// One logit a row of the feature.
    pub end_logits: &'a [f32],
    /// The row of the window's first token.
    pub first_row: usize,
    /// The window's first token, in the context's tokens.
    pub window_start: usize,
    /// First byte and byte past the last of each of the window's tokens, in the context.
    pub offsets: &'a [[u32; 2]],
}

/// One possible answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// A slice of the context; empty for "no answer".
    pub text: String,
    /// Softmax of the score over the question's kept candidates.
    pub probability: f64,
    /// First code point of the text in the context.
    pub start: usize,
    /// Code point past its last.
    pub end: usize,
    /// The model's logit for its first token.
    pub start_logit: f32,
    /// The model's logit for its last token.
    pub end_logit: f32,
}

/// What a model's logits say of one question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decoded {
    /// The prediction: a slice of the context, or nothing.
    pub text: String,
    /// The best answer, even where "no answer" was predicted; empty when there is none.
    pub best_text: String,
    /// The best candidates, best first, each text once.
    pub candidates: Vec<Candidate>,
    /// Score of "no answer" less that of the best answer, where it was allowed; the score
    /// alone where there is no answer to compare with.
    pub null_odds: Option<f32>,
    /// The candidate behind the best answer, also where the list is too short for it and "no
    /// answer".
    #[serde(skip)]
    pub best: Option<Candidate>,
}

impl Decoded {
    /// Chooses between the best answer and none by another threshold of null odds.
    pub fn apply_threshold(&mut self, threshold: f64) {
        match self.null_odds {
            Some(odds) if is_null(odds, threshold) => self.text.clear(),
            _ => self.text.clone_from(&self.best_text),
        }
    }

    /// The candidate behind the prediction, if there is any.
    pub fn predicted(&self) -> Option<&Candidate> {
        self.candidates.iter().chain(&self.best).find(|candidate| candidate.text == self.text)
    }
}

/// Whether a question of these null odds counts as unanswered: whether they exceed the threshold.
///
/// The threshold is rounded to the precision of the odds, so that one that was written with the
/// fewest digits that name such a number is that number again. Whatever decides between an answer
/// and none asks here.
pub fn is_null(odds: f32, threshold: f64) -> bool {
    odds > threshold as f32
}

/// The null score's lead over an answer. The order of the operations is part of the number, which
/// thresholds are compared with.
fn lead(null: &Candidate, answer: &Candidate) -> f32 {
    null.start_logit + null.end_logit - answer.start_logit - answer.end_logit
}

/// Decodes one question from all windows of its context.
///
/// The score of a span is `start_logit + end_logit`; that of "no answer" is the smallest
/// `start_logits[0] + end_logits[0]` of all windows. Spans whose score is not a finite number
/// are passed over; equal scores are ordered by their place in the context. Where no span is
/// left, the prediction is empty.
///
/// # Panics
/// When a window has fewer logits than its tokens need.
pub fn decode_question(context: &str, windows: &[Window<'_>], options: &DecodeOptions) -> Decoded {
    let mut candidates = best_texts(context, spans::best(windows, options), options.n_best_size);
    let best = candidates.first().cloned();
    let mut decoded = Decoded::default();
    if let Some(best) = &best {
        decoded.best_text.clone_from(&best.text);
        decoded.text.clone_from(&best.text);
    }
    if options.allow_null {
        let null = null_candidate(windows);
        let odds = match &best {
            Some(best) => lead(&null, best),
            None => score(&null),
        };
        if is_null(odds, options.null_score_diff_threshold) {
            decoded.text.clear();
        }
        decoded.null_odds = Some(odds);
        insert_null(&mut candidates, null, options.n_best_size);
    }
    set_probabilities(candidates.iter_mut().collect());
    decoded.best = best.map(|best| probable(best, &candidates));
    decoded.candidates = candidates;
    decoded
}

fn score(candidate: &Candidate) -> f32 {
    candidate.start_logit + candidate.end_logit
}

/// Bytes of an answer at most. Text without spaces may be a single token however long it is,
/// and would be repeated in every candidate.
const LONGEST_ANSWER: usize = 1 << 14;

/// The first `n_best_size` spans with different texts.
fn best_texts(context: &str, spans: Vec<Span>, n_best_size: usize) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    for span in spans {
        if candidates.len() == n_best_size {
            break;
        }
        // Offsets from elsewhere may not fit the text: such a span is no candidate.
        let Some(slice) = context.get(span.bytes.clone()) else { continue };
        if slice.len() > LONGEST_ANSWER {
            continue;
        }
        let text = slice.trim();
        if text.is_empty() || candidates.iter().any(|candidate| candidate.text == text) {
            continue;
        }
        let first_byte = span.bytes.start + (slice.len() - slice.trim_start().len());
        let start = code_point_of_byte(context, first_byte);
        candidates.push(Candidate {
            text: text.to_owned(),
            probability: 0.0,
            start,
            end: start + text.chars().count(),
            start_logit: span.start_logit,
            end_logit: span.end_logit,
        });
    }
    candidates
}

/// "No answer", with the logits of the window that is least sure of it.
fn null_candidate(windows: &[Window<'_>]) -> Candidate {
    let (start_logit, end_logit) = windows
        .iter()
        .filter_map(|window| Some((*window.start_logits.first()?, *window.end_logits.first()?)))
        .filter(|(start, end)| (start + end).is_finite())
        .min_by(|a, b| (a.0 + a.1).total_cmp(&(b.0 + b.1)))
        .unwrap_or((0.0, 0.0));
    Candidate { text: String::new(), probability: 0.0, start: 0, end: 0, start_logit, end_logit }
}

/// Puts "no answer" in its place; it stays even where its score is too low for the list.
fn insert_null(candidates: &mut Vec<Candidate>, null: Candidate, n_best_size: usize) {
    let place = candidates.partition_point(|candidate| score(candidate) >= score(&null));
    candidates.insert(place, null);
    if candidates.len() > n_best_size.max(1) {
        let before_last = candidates.len() - 2;
        let last_is_null = place == candidates.len() - 1;
        // Of the two last entries, the one that is an answer has to go.
        candidates.remove(if last_is_null { before_last } else { before_last + 1 });
    }
}

/// The best answer with its probability: that of the list, or where the list has no room for it the
/// one beside what is there.
fn probable(mut best: Candidate, candidates: &[Candidate]) -> Candidate {
    match candidates.iter().find(|candidate| candidate.text == best.text) {
        Some(listed) => best.probability = listed.probability,
        None => {
            let mut others = candidates.to_vec();
            set_probabilities(others.iter_mut().chain([&mut best]).collect());
        }
    }
    best
}

/// Softmax over the scores. They are finite, so their sum is at least 1.
fn set_probabilities(mut candidates: Vec<&mut Candidate>) {
    let highest = candidates.iter().map(|c| f64::from(score(c))).fold(f64::MIN, f64::max);
    let mut sum = 0.0;
    for candidate in candidates.iter_mut() {
        candidate.probability = (f64::from(score(candidate)) - highest).exp();
        sum += candidate.probability;
    }
    for candidate in candidates.iter_mut() {
        candidate.probability /= sum;
    }
}

#[cfg(test)]
mod tests;
