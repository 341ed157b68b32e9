//! `exact_match` and `f1` as the evaluation script of SQuAD 1.1 gives them.

use super::squad::SquadMetrics;
use super::{Metrics, Predictions, text};
use crate::SquadData;

/// Scores predictions by the rules of SQuAD 1.1: a question without a prediction scores 0
/// and counts, as does one whose texts share no words, even where both are empty.
pub fn evaluate(data: &SquadData, predictions: &Predictions) -> SquadMetrics {
    let (mut exact_match, mut f1) = (0.0, 0.0);
    let mut missing = Vec::new();
    for question in &data.questions {
        let Some(prediction) = predictions.get(&question.id) else {
            missing.push(question.id.clone());
            continue;
        };
        let best = |score: fn(&str, &str) -> f64| {
            question
                .answers
                .iter()
                .map(|answer| score(&answer.text, prediction))
                .fold(0.0, f64::max)
        };
        exact_match += best(text::exact);
        f1 += best(text::f1);
    }
    let percent = |sum: f64| 100.0 * sum / data.questions.len().max(1) as f64;
    let mut metrics = Metrics::default();
    metrics.push("exact_match", percent(exact_match));
    metrics.push("f1", percent(f1));
    SquadMetrics { metrics, missing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Question};

    #[test]
    fn missing_predictions_count_and_empty_texts_share_no_words() {
        let question = |id: &str, answers: &[&str]| Question {
            id: id.into(),
            answers: answers
                .iter()
                .map(|&text| Answer { text: text.into(), start: Some(0) })
                .collect(),
            ..Question::default()
        };
        let data = SquadData {
            questions: vec![
                question("1", &["red cat", "the cat"]),
                question("2", &["a"]),
                question("3", &["dog"]),
                question("4", &["big dog"]),
            ],
            ..SquadData::default()
        };
        let predictions = [("1", "Cat!"), ("2", "the"), ("4", "dog")]
            .map(|(id, text)| (id.to_owned(), text.to_owned()))
            .into();
        let result = evaluate(&data, &predictions);
        // "a" and "the" are equal once normalised, but share no words.
        assert_eq!(result.metrics.get("exact_match"), Some(50.0));
        assert_eq!(result.metrics.get("f1"), Some(100.0 * (1.0 + 2.0 / 3.0) / 4.0));
        assert_eq!(result.missing, ["3"]);
        let nothing = evaluate(&SquadData::default(), &predictions);
        assert_eq!(nothing.metrics.get("f1"), Some(0.0));
    }
}
