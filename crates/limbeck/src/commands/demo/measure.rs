//! Scores, sizes, and the time of a question.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use limbeck_data::metrics::{Metrics, squad};
use limbeck_data::{Decoded, Question, SquadData, predictions};
use limbeck_runtime::Answerer;
use serde::Serialize;

use super::plan::{MODELS, Plan};
use crate::cli::lengths::LengthArgs;
use crate::commands::{answer, quantize};
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
    /// The distilled model with weights of one byte.
    pub distilled_int8: ModelResult,
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
    /// Bytes of the file that holds its weights.
    pub bytes: u64,
    /// From text to text, one question at a time: the median.
    pub milliseconds_per_question: f64,
}

/// The folder of the distilled model with weights of one byte.
pub const INT8: &str = "distilled-int8";

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
    /// The models by name, that of one byte a weight last.
    pub fn models(&self) -> impl Iterator<Item = (&'static str, &ModelResult)> {
        let results = [&self.teacher, &self.student, &self.distilled, &self.distilled_int8];
        MODELS.into_iter().chain([INT8]).zip(results)
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
    let int8 = plan.out.join(INT8);
    std::fs::create_dir_all(&int8).with_context(|| format!("cannot create {}", int8.display()))?;
    quantize::write(&plan.out.join(MODELS[2]), &int8)?;
    let folders = MODELS.into_iter().chain([INT8]).map(|name| plan.out.join(name));
    let folders: Vec<_> = folders.collect();
    let open = |folder: &PathBuf| {
        answer::open(
            &folder.display().to_string(),
            &Layer::default(),
            &LengthArgs::default(),
            console,
        )
    };
    let mut answerers = folders.iter().map(open).collect::<Result<Vec<_>>>()?;
    let mut milliseconds = vec![Vec::with_capacity(TIMED_QUESTIONS); folders.len()];
    let mut questions = Vec::with_capacity(TIMED_QUESTIONS);
    for (index, question) in dev.questions.iter().enumerate().take(TIMED_QUESTIONS) {
        let mut answers: [Reply; MODELS.len()] = Default::default();
        for (model, answerer) in answerers.iter_mut().enumerate() {
            let begun = Instant::now();
            let answered = answerer.answer(&question.text, dev.context(question))?;
            milliseconds[model].push(1e3 * begun.elapsed().as_secs_f64());
            if let Some(reply) = answers.get_mut(model) {
                *reply = Reply::new(question, &answered.decoded);
            }
        }
        questions.push(Asked { question: index, answers });
    }
    let int8_score = answerers.last_mut().map(|answerer| score(answerer, dev)).transpose()?;
    let scores = scores.iter().chain(&int8_score);
    let models = scores.zip(&answerers).zip(&folders).zip(milliseconds);
    let mut models = models.map(|(((score, answerer), folder), times)| ModelResult {
        exact: score.get("exact").unwrap_or_default(),
        f1: score.get("f1").unwrap_or_default(),
        parameters: answerer.model().parameters(),
        bytes: quantize::weights_size(folder).unwrap_or_default(),
        milliseconds_per_question: median(times),
    });
    let mut next = || models.next().unwrap_or_default();
    Ok(Results {
        teacher: next(),
        student: next(),
        distilled: next(),
        distilled_int8: next(),
        seconds: 0.0,
        questions,
    })
}

/// The scores of a model that has not been through an evaluation.
fn score(answerer: &mut Answerer, dev: &SquadData) -> Result<Metrics> {
    let asked = dev.questions.iter().map(|question| limbeck_runtime::Asked {
        question: &question.text,
        context: dev.context(question),
    });
    let answered = answerer.answer_all(&asked.collect::<Vec<_>>())?;
    let decoded: Vec<Decoded> = answered.into_iter().map(|answered| answered.decoded).collect();
    Ok(squad::evaluate(dev, &predictions::texts(dev, &decoded), None)?.metrics)
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
