//! Scores, sizes, and the time of a question.

use std::ops::Range;
use std::time::Instant;

use anyhow::Result;
use limbeck_data::metrics::{Metrics, squad};
use limbeck_data::{Decoded, Question, SquadData};
use serde::Serialize;

use super::plan::{MODELS, Plan};
use crate::commands::answer;
use crate::config::Layer;
use crate::console::Console;

/// Development questions that are timed, and that the examples are chosen from.
const TIMED_QUESTIONS: usize = 100;

/// `metrics.json`.
#[derive(Debug, Serialize)]
pub struct Results {
    /// The large model.
    pub teacher: ModelResult,
    /// The small model, trained on the labels alone.
    pub student: ModelResult,
    /// The small model, trained with the teacher.
    pub distilled: ModelResult,
    /// Wall time of the command; of its last start, where it was interrupted.
    pub seconds: f64,
    /// The timed questions with what every model answered.
    #[serde(skip)]
    pub questions: Vec<Asked>,
}

/// What one model can do.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ModelResult {
    /// Answers that are exact, in per cent.
    pub exact: f64,
    /// Mean F1 of the answers' words, in per cent.
    pub f1: f64,
    /// Numbers in the model.
    pub parameters: usize,
    /// From text to text, one question at a time: the median.
    pub milliseconds_per_question: f64,
}

/// A question with what every model answered, in the order of [`MODELS`].
#[derive(Debug)]
pub struct Asked {
    /// Index into the development questions.
    pub question: usize,
    /// One a model.
    pub answers: [Reply; MODELS.len()],
}

/// What a model answered.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// Code points of the context; none for "no answer".
    pub range: Option<Range<usize>>,
    /// The probability among the candidates.
    pub probability: f64,
    /// Whether it counts as exact.
    pub exact: bool,
}

impl Results {
    /// The three models by name.
    pub fn models(&self) -> impl Iterator<Item = (&'static str, &ModelResult)> {
        MODELS.into_iter().zip([&self.teacher, &self.student, &self.distilled])
    }
}

impl Asked {
    /// Whether each model is exact.
    pub fn exact(&self) -> [bool; MODELS.len()] {
        self.answers.each_ref().map(|reply| reply.exact)
    }
}

/// Asks the trained models one question at a time. The models take turns, so that a
/// busy moment of the machine meets all of them.
pub fn measure(
    plan: &Plan,
    dev: &SquadData,
    scores: &[Metrics],
    console: Console,
) -> Result<Results> {
    let mut answerers = Vec::with_capacity(MODELS.len());
    for name in MODELS {
        let folder = plan.out.join(name).display().to_string();
        answerers.push(answer::open(&folder, &Layer::default(), console)?);
    }
    let mut milliseconds = vec![Vec::with_capacity(TIMED_QUESTIONS); MODELS.len()];
    let mut questions = Vec::with_capacity(TIMED_QUESTIONS);
    for (index, question) in dev.questions.iter().enumerate().take(TIMED_QUESTIONS) {
        let mut answers: [Reply; MODELS.len()] = Default::default();
        for (model, answerer) in answerers.iter_mut().enumerate() {
            let begun = Instant::now();
            let answered = answerer.answer(&question.text, dev.context(question))?;
            milliseconds[model].push(1e3 * begun.elapsed().as_secs_f64());
            answers[model] = Reply::new(question, &answered.decoded);
        }
        questions.push(Asked { question: index, answers });
    }
    let mut models =
        scores.iter().zip(&answerers).zip(milliseconds).map(|((score, answerer), times)| {
            ModelResult {
                exact: score.get("exact").unwrap_or_default(),
                f1: score.get("f1").unwrap_or_default(),
                parameters: answerer.model().parameters(),
                milliseconds_per_question: median(times),
            }
        });
    let mut next = || models.next().unwrap_or_default();
    Ok(Results { teacher: next(), student: next(), distilled: next(), seconds: 0.0, questions })
}

impl Reply {
    fn new(question: &Question, decoded: &Decoded) -> Reply {
        let chosen = decoded.predicted();
        Reply {
            range: chosen.filter(|c| !c.text.is_empty()).map(|c| c.start..c.end),
            probability: chosen.map_or(0.0, |c| c.probability),
            exact: squad::score(question, &decoded.text).0 == 1.0,
        }
    }
}

/// The middle of some values; of an even number the upper one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
