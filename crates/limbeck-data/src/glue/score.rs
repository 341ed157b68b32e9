//! The metrics of a model's logits, under the names of GLUE's scripts.

use super::{TextData, TextTask};
use crate::metrics::Metrics;
use crate::metrics::accuracy::accuracy;
use crate::metrics::f1::f1;
use crate::metrics::matthews::matthews_correlation;
use crate::metrics::pearson::pearson;
use crate::metrics::spearman::spearman;

/// A metric of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Score {
    Accuracy,
    F1,
    Matthews,
    Pearson,
    Spearman,
}

impl Score {
    fn key(self) -> &'static str {
        match self {
            Score::Accuracy => "accuracy",
            Score::F1 => "f1",
            Score::Matthews => "matthews_correlation",
            Score::Pearson => "pearson",
            Score::Spearman => "spearmanr",
        }
    }
}

/// The metrics of the task of `data` for logits (one list an example), over the examples that
/// have a label.
pub fn score(data: &TextData, logits: &[Vec<f32>]) -> Metrics {
    let labelled = || {
        let pairs = data.examples.iter().zip(logits);
        pairs.filter_map(|(example, logits)| Some((example.label?, logits)))
    };
    let gold: Vec<usize> = labelled().map(|(label, _)| label as usize).collect();
    let predicted: Vec<usize> = labelled().map(|(_, logits)| best(logits)).collect();
    let gold_values: Vec<f64> = labelled().map(|(label, _)| f64::from(label)).collect();
    let values: Vec<f64> = labelled().map(|(_, logits)| value(logits)).collect();
    let mut metrics = Metrics::default();
    for score in data.task.scores() {
        let number = match score {
            Score::Accuracy => accuracy(&predicted, &gold),
            Score::F1 => f1(&predicted, &gold, positive(data)),
            Score::Matthews => matthews_correlation(&predicted, &gold),
            Score::Pearson => pearson(&values, &gold_values),
            Score::Spearman => spearman(&values, &gold_values),
        };
        metrics.push(score.key(), number);
    }
    metrics
}

/// The number of the label that counts as positive: the second of the task's own, wherever the model
/// has it.
fn positive(data: &TextData) -> usize {
    const SECOND: usize = 1;
    let name = data.task.label_names().and_then(|names| names.get(SECOND));
    let place =
        name.and_then(|name| data.labels.iter().position(|label| label.eq_ignore_ascii_case(name)));
    place.unwrap_or(SECOND)
}

/// The number by which models of one task are compared: the mean of its metrics, those of a
/// second set included. What is undefined, such as the correlation of a constant, counts as the
/// worst.
pub fn main_score(metrics: &Metrics) -> f64 {
    let (sum, count) = metrics.iter().fold((0.0, 0.0), |(sum, count), (_, value)| {
        (sum + if value.is_nan() { -1.0 } else { value }, count + 1.0)
    });
    if count > 0.0 { sum / count } else { 0.0 }
}

/// The metrics that GLUE's tables have of a task: those of its file, and for MNLI that of the second
/// set too.
pub fn reported(task: TextTask) -> Vec<&'static str> {
    let own = task.scores().iter().map(|score| score.key());
    let second = (task == TextTask::Mnli).then_some("accuracy_mm");
    own.chain(second).collect()
}

/// What the [main score](main_score) of a task is called: by its one metric, or, as Transformers'
/// `run_glue.py` calls the mean of several, `combined_score`.
pub fn main_metric(task: TextTask) -> &'static str {
    match task.scores() {
        [one] => one.key(),
        _ => "combined_score",
    }
}

/// The label of the largest logit, the first of equal ones.
pub(super) fn best(logits: &[f32]) -> usize {
    let better = |best: usize, next: usize| if logits[next] > logits[best] { next } else { best };
    (1..logits.len()).fold(0, better)
}

/// The one logit of a regression.
pub(super) fn value(logits: &[f32]) -> f64 {
    logits.first().map_or(f64::NAN, |&logit| f64::from(logit))
}
