//! `exact` and `f1` as the evaluation script of SQuAD 2.0 and `squad_evaluate` of
//! Transformers give them, for SQuAD 1.1 and 2.0 alike.

use std::collections::HashMap;

use super::{Metrics, Predictions, text, threshold};
use crate::{DataError, Question, SquadData};

/// The scores, in percent, and what could not be scored.
///
/// Keys: `exact`, `f1`, `total`; the same with `HasAns_` and `NoAns_` over the questions that
/// have an answer and those that have none, where there are any; with null odds also
/// `best_exact`, `best_exact_thresh`, `best_f1`, `best_f1_thresh`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SquadMetrics {
    /// The scores, as they belong into `metrics.json`.
    pub metrics: Metrics,
    /// Questions without a prediction. As in the official script they count neither for nor
    /// against the model: `total` is the number of questions that were scored.
    pub missing: Vec<String>,
}

/// How sure a model is that questions have no answer.
#[derive(Clone, Copy, Debug)]
pub struct NullOdds<'a> {
    /// The null score's lead over the best answer, by question id; or the probability of no answer.
    pub odds: &'a HashMap<String, f64>,
    /// A question counts as unanswered where its odds exceed this. With infinity,
    /// predictions are taken as they are.
    pub threshold: f64,
    /// What the odds are, which decides how the best thresholds are looked for.
    pub kind: NullKind,
}

/// What null odds are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NullKind {
    /// Differences of scores, of either sign: the best threshold gives the best score when it is
    /// used.
    Differences,
    /// Probabilities: the best threshold is the official script's. It begins at 0, and may lie
    /// among equal probabilities of which it answers only some; then no threshold gives its score.
    Probabilities,
}

impl NullKind {
    /// Of a file that does not say: probabilities where all numbers lie from 0 to 1.
    pub fn of(odds: &HashMap<String, f64>) -> NullKind {
        match odds.values().all(|odds| (0.0..=1.0).contains(odds)) {
            true => NullKind::Probabilities,
            false => NullKind::Differences,
        }
    }
}

/// One question's scores, before any threshold.
pub(super) struct Scored {
    pub(super) has_answer: bool,
    pub(super) predicts: bool,
    pub(super) exact: f64,
    pub(super) f1: f64,
    pub(super) odds: f64,
}

impl Scored {
    /// What it scores where it counts as unanswered: that is right exactly when it has no answer.
    pub(super) fn unanswered(&self) -> f64 {
        f64::from(u8::from(!self.has_answer))
    }

    /// What it scores at a threshold, of what it scores when it is answered.
    fn at(&self, threshold: f64, answered: f64) -> f64 {
        if self.odds > threshold { self.unanswered() } else { answered }
    }
}

/// The best `exact` and `f1` of a prediction over the gold answers, each 0 to 1.
///
/// Gold answers that are empty once normalised are left out; where none is left, the right
/// prediction is no text at all. Where one side has no words, both must have none.
pub fn score(question: &Question, prediction: &str) -> (f64, f64) {
    let mut answers = question
        .answers
        .iter()
        .map(|answer| answer.text.as_str())
        .filter(|answer| !text::normalise(answer).is_empty())
        .peekable();
    if answers.peek().is_none() {
        let none = text::exact("", prediction);
        return (none, none);
    }
    answers.fold((0.0, 0.0), |(exact, f1), answer| {
        (text::exact(answer, prediction).max(exact), text::f1(answer, prediction).max(f1))
    })
}

/// Scores predictions. With null odds, give the best answers as predictions, also where "no
/// answer" was chosen, together with the threshold that it was chosen by: so the search for
/// the best thresholds sees what would have been answered at each of them.
///
/// # Errors
/// When a predicted question has no null odds, or they are not a number.
pub fn evaluate(
    data: &SquadData,
    predictions: &Predictions,
    null_odds: Option<NullOdds<'_>>,
) -> Result<SquadMetrics, DataError> {
    let mut missing = Vec::new();
    let mut scored = Vec::with_capacity(data.questions.len());
    for question in &data.questions {
        let Some(prediction) = predictions.get(&question.id) else {
            missing.push(question.id.clone());
            continue;
        };
        let (exact, f1) = score(question, prediction);
        let odds = match null_odds {
            Some(null_odds) => odds_of(question, null_odds.odds)?,
            None => 0.0,
        };
        scored.push(Scored {
            has_answer: !question.answers.is_empty(),
            predicts: !prediction.is_empty(),
            exact,
            f1,
            odds,
        });
    }
    let threshold = null_odds.map_or(f64::INFINITY, |null_odds| null_odds.threshold);
    let mut metrics = Metrics::default();
    push_means(&mut metrics, "", scored.iter(), threshold);
    push_means(&mut metrics, "HasAns_", scored.iter().filter(|s| s.has_answer), threshold);
    push_means(&mut metrics, "NoAns_", scored.iter().filter(|s| !s.has_answer), threshold);
    let kind = null_odds.map(|null_odds| null_odds.kind);
    for (name, of) in [("exact", (|s| s.exact) as fn(&Scored) -> f64), ("f1", |s| s.f1)] {
        let found = match kind {
            Some(NullKind::Differences) => threshold::best(&scored, of)
                .map(|threshold| (percent(&scored, |s| s.at(threshold, of(s))), threshold)),
            Some(NullKind::Probabilities) => official_best(&scored, of),
            None => None,
        };
        if let Some((best, threshold)) = found {
            metrics.push(format!("best_{name}"), best);
            metrics.push(format!("best_{name}_thresh"), threshold);
        }
    }
    Ok(SquadMetrics { metrics, missing })
}

fn odds_of(question: &Question, odds: &HashMap<String, f64>) -> Result<f64, DataError> {
    let error = |message: &str| {
        Err(DataError::Question { id: question.id.clone(), message: message.to_owned() })
    };
    match odds.get(&question.id) {
        Some(odds) if odds.is_nan() => error("its null odds are not a number"),
        Some(&odds) => Ok(odds),
        None => error("it has a prediction but no null odds; give both for every question"),
    }
}

/// Appends the means of a group of questions; nothing for a group without questions, except
/// for the group of all.
fn push_means<'a>(
    metrics: &mut Metrics,
    prefix: &str,
    group: impl Iterator<Item = &'a Scored>,
    threshold: f64,
) {
    let group: Vec<&Scored> = group.collect();
    if group.is_empty() && !prefix.is_empty() {
        return;
    }
    let all = || group.iter().copied();
    metrics.push(format!("{prefix}exact"), percent(all(), |s| s.at(threshold, s.exact)));
    metrics.push(format!("{prefix}f1"), percent(all(), |s| s.at(threshold, s.f1)));
    metrics.push(format!("{prefix}total"), group.len() as f64);
}

/// The mean of a number over questions, in percent; 0 of none. It is added up in their order, so
/// that it is the same to the last bit wherever it is told.
fn percent<'a>(
    questions: impl IntoIterator<Item = &'a Scored>,
    of: impl Fn(&Scored) -> f64,
) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for question in questions {
        sum += of(question);
        total += 1.0;
    }
    if total > 0.0 { 100.0 * sum / total } else { 0.0 }
}

/// The best score and threshold of probabilities, by `find_best_thresh` of the official script.
///
/// At first nothing is answered. Then each question in turn is, by rising probability of none: an
/// answer adds its score, a text where there is no answer takes 1 away.
fn official_best(questions: &[Scored], of: impl Fn(&Scored) -> f64) -> Option<(f64, f64)> {
    // The sort is stable: equal odds stay in the data's order.
    let mut sorted: Vec<&Scored> = questions.iter().collect();
    sorted.sort_by(|a, b| a.odds.total_cmp(&b.odds));
    let mut current = sorted.iter().filter(|scored| !scored.has_answer).count() as f64;
    let (mut best, mut threshold) = (current, 0.0);
    for scored in &sorted {
        current += match (scored.has_answer, scored.predicts) {
            (true, _) => of(scored),
            (false, true) => -1.0,
            (false, false) => 0.0,
        };
        if current > best {
            best = current;
            threshold = scored.odds;
        }
    }
    (!sorted.is_empty()).then(|| (100.0 * best / sorted.len() as f64, threshold))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use crate::{Answer, Paragraph};

    /// Scores and thresholds below were computed by the formulas of the official script.
    fn data() -> SquadData {
        let question = |id: &str, answers: &[&str]| Question {
            id: id.into(),
            is_impossible: answers.is_empty(),
            answers: answers
                .iter()
                .map(|&text| Answer { text: text.into(), start: Some(0) })
                .collect(),
            ..Question::default()
        };
        SquadData {
            version: "v2.0".into(),
            paragraphs: vec![Paragraph::default()],
            questions: vec![
                question("q1", &["the red dog"]),
                question("q2", &["in 1895"]),
                question("q3", &[]),
                question("q4", &[]),
                question("q5", &["Rome", "the city of Rome"]),
                question("q6", &["a"]),
            ],
        }
    }

    fn predictions() -> Predictions {
        [
            ("q1", "red dog"),
            ("q2", "1895"),
            ("q3", "something"),
            ("q4", ""),
            ("q5", "city Rome"),
            ("q6", "b"),
        ]
        .map(|(id, text)| (id.to_owned(), text.to_owned()))
        .into()
    }

    fn odds() -> HashMap<String, f64> {
        [("q1", -5.5), ("q2", -1.0), ("q3", 0.25), ("q4", 3.0), ("q5", 1.5), ("q6", -7.0)]
            .map(|(id, odds)| (id.to_owned(), odds))
            .into()
    }

    fn evaluate_at(threshold: f64) -> Vec<(String, f64)> {
        let odds = odds();
        let null_odds = Some(NullOdds { odds: &odds, threshold, kind: NullKind::Differences });
        let result = evaluate(&data(), &predictions(), null_odds).unwrap();
        result.metrics.iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    fn named(pairs: &[(&str, f64)]) -> Vec<(String, f64)> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value)).collect()
    }

    #[test]
    fn scores_equal_those_of_the_official_script_in_its_order() {
        let expected = [
            ("exact", 33.333333333333336),
            ("f1", 57.77777777777778),
            ("total", 6.0),
            ("HasAns_exact", 25.0),
            ("HasAns_f1", 61.66666666666667),
            ("HasAns_total", 4.0),
            ("NoAns_exact", 50.0),
            ("NoAns_f1", 50.0),
            ("NoAns_total", 2.0),
            ("best_exact", 50.0),
            ("best_exact_thresh", -5.5),
            ("best_f1", 61.11111111111111),
            ("best_f1_thresh", -1.0),
        ];
        assert_eq!(evaluate_at(f64::INFINITY), named(&expected));
        let without = evaluate(&data(), &predictions(), None).unwrap();
        let without: Vec<_> =
            without.metrics.iter().map(|(key, value)| (key.to_owned(), value)).collect();
        assert_eq!(without, named(&expected[..9]));
    }

    #[test]
    fn above_the_threshold_a_question_counts_as_unanswered() {
        let metrics = evaluate_at(0.0);
        let expected = [
            ("exact", 50.0),
            ("f1", 61.11111111111111),
            ("total", 6.0),
            ("HasAns_exact", 25.0),
            ("HasAns_f1", 41.666666666666664),
            ("HasAns_total", 4.0),
            ("NoAns_exact", 100.0),
            ("NoAns_f1", 100.0),
        ];
        assert_eq!(metrics[..8], named(&expected)[..]);
    }

    #[test]
    fn the_best_scores_are_those_that_their_thresholds_give_to_the_digit() {
        let mut random = SplitMix64::new(3, 0);
        for _ in 0..3_000 {
            let mut data = SquadData { questions: Vec::new(), ..data() };
            let (mut texts, mut odds) = (Predictions::new(), HashMap::new());
            let always = random.below(4);
            for number in 0..1 + random.below(40) {
                let id = number.to_string();
                let gold = ["the red dog of Rome", "1895", "in the year 1895"][random.below(3)];
                let has_answer = always != 1 && (always == 2 || random.below(2) == 0);
                let answers = vec![Answer { text: gold.into(), start: Some(0) }; has_answer.into()];
                let question = Question { id: id.clone(), answers, ..Question::default() };
                data.questions.push(question);
                let text = ["red dog", "1895", "year", "the", "", "Rome in the year of 1895"];
                texts.insert(id.clone(), text[random.below(6)].to_owned());
                let score = (random.below(12) as f32 - 6.0) / 7.0;
                odds.insert(id, f64::from(if always == 3 { score.abs() } else { score }));
            }
            let at = |threshold| {
                let kind = NullKind::Differences;
                let null_odds = Some(NullOdds { odds: &odds, threshold, kind });
                evaluate(&data, &texts, null_odds).unwrap().metrics
            };
            let metrics = at(0.0);
            for name in ["exact", "f1"] {
                let told = |key: String| metrics.get(&key).unwrap();
                let (best, threshold) =
                    (told(format!("best_{name}")), told(format!("best_{name}_thresh")));
                // As it comes back from a file.
                let text = serde_json::to_string(&metrics).unwrap();
                let read: Metrics = serde_json::from_str(&text).unwrap();
                assert_eq!(read.get(&format!("best_{name}_thresh")), Some(threshold));
                assert_eq!(at(threshold).get(name), Some(best), "{name} at {threshold}");
                assert!(best >= told(name.to_owned()) - 1e-9);
                assert!([-1e9, 1e9].iter().all(|&t| best >= at(t).get(name).unwrap() - 1e-9));
            }
        }
    }

    #[test]
    fn of_probabilities_the_best_threshold_is_that_of_the_official_script() {
        let with = |numbers: [f64; 6]| {
            let ids = ["q1", "q2", "q3", "q4", "q5", "q6"].map(str::to_owned);
            let odds: HashMap<String, f64> = ids.into_iter().zip(numbers).collect();
            assert_eq!(NullKind::of(&odds), NullKind::Probabilities);
            let kind = NullKind::Probabilities;
            let null_odds = Some(NullOdds { odds: &odds, threshold: 1.0, kind });
            let metrics = evaluate(&data(), &predictions(), null_odds).unwrap().metrics;
            ["best_exact", "best_exact_thresh", "best_f1", "best_f1_thresh"]
                .map(|key| metrics.get(key).unwrap())
        };
        // evaluate-v2.0.py --na-prob-file says so.
        let [exact, exact_at, f1, f1_at] = with([0.1, 0.3, 0.6, 0.9, 0.7, 0.0]);
        assert_eq!([exact, exact_at, f1_at], [50.0, 0.1, 0.3]);
        assert!((f1 - 61.111_111).abs() < 1e-5);
        // Among equal ones it stops where it is best.
        assert_eq!(with([0.0; 6])[..2], [50.0, 0.0]);
        let differences = HashMap::from([("q".to_owned(), -0.5)]);
        assert_eq!(NullKind::of(&differences), NullKind::Differences);
    }

    #[test]
    fn a_question_without_answer_scores_one_when_nothing_is_predicted() {
        let question = Question::default();
        assert_eq!(score(&question, ""), (1.0, 1.0));
        assert_eq!(score(&question, "The!"), (1.0, 1.0));
        assert_eq!(score(&question, "cat"), (0.0, 0.0));
    }

    #[test]
    fn gold_answers_without_words_are_left_out() {
        let mut data = data();
        data.questions[0].answers.push(Answer { text: "the".into(), start: Some(0) });
        assert_eq!(score(&data.questions[0], "the"), (0.0, 0.0));
        assert_eq!(score(&data.questions[5], "the"), (1.0, 1.0));
    }

    #[test]
    fn missing_predictions_are_reported_and_not_scored() {
        let mut predictions = predictions();
        predictions.remove("q1");
        predictions.remove("q4");
        predictions.insert("unknown".into(), "x".into());
        let result = evaluate(&data(), &predictions, None).unwrap();
        assert_eq!(result.missing, ["q1", "q4"]);
        assert_eq!(result.metrics.get("total"), Some(4.0));
        assert_eq!(result.metrics.get("HasAns_total"), Some(3.0));
    }

    #[test]
    fn a_predicted_question_needs_null_odds_that_are_a_number() {
        let mut odds = odds();
        odds.insert("q2".into(), f64::NAN);
        for message in ["not a number", "no null odds"] {
            let null_odds =
                Some(NullOdds { odds: &odds, threshold: 0.0, kind: NullKind::Differences });
            let error = evaluate(&data(), &predictions(), null_odds).unwrap_err().to_string();
            assert!(error.contains("q2") && error.contains(message), "{error}");
            odds.remove("q2");
        }
    }

    #[test]
    fn data_without_questions_scores_nothing() {
        let odds = HashMap::new();
        let null_odds = Some(NullOdds { odds: &odds, threshold: 0.0, kind: NullKind::Differences });
        let result = evaluate(&SquadData::default(), &Predictions::new(), null_odds).unwrap();
        let metrics: Vec<_> = result.metrics.iter().collect();
        assert_eq!(metrics, [("exact", 0.0), ("f1", 0.0), ("total", 0.0)]);
    }

    #[test]
    fn the_file_has_counts_as_whole_numbers_and_is_read_back() {
        let metrics = evaluate(&data(), &predictions(), None).unwrap().metrics;
        let json = serde_json::to_string(&metrics).unwrap();
        assert!(json.starts_with(r#"{"exact":33.333333333333336,"f1":57.77777777777778,"#));
        assert!(json.contains(r#""total":6,"#) && json.contains(r#""HasAns_total":4,"#), "{json}");
        assert_eq!(serde_json::from_str::<Metrics>(&json).unwrap(), metrics);
        assert!(serde_json::from_str::<Metrics>(r#"{"f1": "high"}"#).is_err());
    }
}
