//! What a classifier is asked, and labels out of its logits.

use limbeck_model::{Classes, ProblemType};
use serde::Serialize;

/// A text to classify, or two texts to compare.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// The text, or the first of two.
    pub text: &'a str,
    /// The second of two.
    pub pair: Option<&'a str>,
}

/// What a classifier says of one text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Classified {
    /// Every label, best first.
    pub labels: Vec<Label>,
    /// One a label, by the labels' numbers.
    pub logits: Vec<f32>,
    /// Whether the text was longer than the classifier reads.
    pub truncated: bool,
}

/// A label and how much speaks for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Label {
    /// Its name.
    pub label: String,
    /// Its probability: among all labels where one is right, by itself where any may be.
    /// In a regression the plain logit.
    pub score: f64,
}

impl Classified {
    /// Gives the logits of one text their meaning.
    pub fn new(classes: &Classes, logits: &[f32], truncated: bool) -> Classified {
        let scores = scores(classes.problem(), logits);
        let named = classes.labels.iter().zip(scores);
        let mut labels: Vec<_> =
            named.map(|(label, score)| Label { label: label.clone(), score }).collect();
        labels.sort_by(|a, b| b.score.total_cmp(&a.score));
        Classified { labels, logits: logits.to_vec(), truncated }
    }

    /// The label for which most speaks.
    pub fn best(&self) -> Option<&Label> {
        self.labels.first()
    }
}

fn scores(problem: ProblemType, logits: &[f32]) -> Vec<f64> {
    let logits = logits.iter().map(|&logit| f64::from(logit));
    match problem {
        ProblemType::Regression => logits.collect(),
        ProblemType::MultiLabelClassification => {
            logits.map(|logit| 1.0 / (1.0 + (-logit).exp())).collect()
        }
        ProblemType::SingleLabelClassification => {
            let largest = logits.clone().fold(f64::NEG_INFINITY, f64::max);
            let powers: Vec<f64> = logits.map(|logit| (logit - largest).exp()).collect();
            let sum: f64 = powers.iter().sum();
            powers.into_iter().map(|power| power / sum).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(problem: ProblemType, logits: &[f32]) -> Vec<(String, f64)> {
        let labels = ["A", "B", "C"][..logits.len()].iter().map(|&name| name.to_owned()).collect();
        let classes = Classes { labels, problem_type: Some(problem) };
        let labels = Classified::new(&classes, logits, false).labels;
        labels.into_iter().map(|label| (label.label, label.score)).collect()
    }

    #[track_caller]
    fn assert_scores(got: &[(String, f64)], want: &[(&str, f64)]) {
        assert_eq!(got.len(), want.len());
        for ((label, score), (want, probability)) in got.iter().zip(want) {
            assert!(label == want && (score - probability).abs() < 1e-6, "{got:?}");
        }
    }

    #[test]
    fn of_labels_that_exclude_each_other_the_probabilities_sum_to_one() {
        let got = classified(ProblemType::SingleLabelClassification, &[0.0, 2.0, 1.0]);
        assert_scores(&got, &[("B", 0.665_240_96), ("C", 0.244_728_47), ("A", 0.090_030_57)]);
        let far = classified(ProblemType::SingleLabelClassification, &[3e38, -3e38]);
        assert_scores(&far, &[("A", 1.0), ("B", 0.0)]);
    }

    #[test]
    fn labels_that_do_not_have_a_probability_each() {
        let got = classified(ProblemType::MultiLabelClassification, &[0.0, 2.0, -3e38]);
        assert_scores(&got, &[("B", 0.880_797_08), ("A", 0.5), ("C", 0.0)]);
    }

    #[test]
    fn a_regression_gives_its_logits() {
        assert_scores(&classified(ProblemType::Regression, &[-1.5]), &[("A", -1.5)]);
        let two = classified(ProblemType::Regression, &[-1.5, 7.0]);
        assert_scores(&two, &[("B", 7.0), ("A", -1.5)]);
    }

    #[test]
    fn equal_labels_stay_in_their_order_and_what_is_not_a_number_is_no_panic() {
        let equal = classified(ProblemType::SingleLabelClassification, &[1.0, 1.0]);
        assert_scores(&equal, &[("A", 0.5), ("B", 0.5)]);
        classified(ProblemType::SingleLabelClassification, &[f32::NAN, f32::INFINITY, 0.0]);
    }
}
