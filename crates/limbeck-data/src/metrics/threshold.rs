//! The threshold of null odds that suits some questions best.
//!
//! A question counts as unanswered where its odds exceed the threshold. So every threshold answers
//! the questions up to some odds, all that share them included, and no others: what is looked for
//! is a number that leads to the best such choice when it is used, and nothing else.

use super::squad::Scored;

/// A finite threshold that gives `questions` the highest sum of `of`; of several, the one that
/// answers the fewest. `None` without questions.
///
/// It is the odds of the last question that is answered, as in the official script. Where none is,
/// it is 0 where that says so, else a number below all odds.
pub(super) fn best(questions: &[Scored], of: impl Fn(&Scored) -> f64) -> Option<f64> {
    let mut sorted: Vec<&Scored> = questions.iter().collect();
    sorted.sort_by(|a, b| a.odds.total_cmp(&b.odds));
    let lowest = sorted.first()?.odds;
    let mut sum: i128 = 0;
    let mut best: Option<(i128, f64)> = below(lowest).map(|threshold| (sum, threshold));
    let groups = sorted.chunk_by(|a, b| a.odds == b.odds);
    let next = groups.clone().skip(1).map(|group| Some(group[0].odds)).chain([None]);
    for (group, next) in groups.zip(next) {
        for question in group {
            sum += exactly(of(question)) - exactly(question.unanswered());
        }
        let threshold = match group[0].odds {
            odds if odds.is_finite() => Some(odds),
            // Whatever is finite is above it; nothing finite is as high as infinity.
            f64::NEG_INFINITY => next.map_or(Some(0.0), below),
            _ => None,
        };
        if let Some(threshold) = threshold.filter(|_| best.is_none_or(|(most, _)| sum > most)) {
            best = Some((sum, threshold));
        }
    }
    best.map(|(_, threshold)| threshold)
}

/// A score from 0 to 1 as a whole number of the smallest parts, so that sums of scores compare as
/// they are, whatever the order in which they were added up.
fn exactly(score: f64) -> i128 {
    (score * (1_u128 << 80) as f64) as i128
}

/// A number below `odds` that is one in single precision, too, with few digits where it can be: 0
/// where that is below. `None` where there is no finite one.
fn below(odds: f64) -> Option<f64> {
    if odds > 0.0 {
        return Some(0.0);
    }
    let whole = if odds.floor() < odds { odds.floor() } else { odds - 1.0 };
    let is_below = |number: f64| number < odds && f64::from(number as f32) == number;
    [whole, f64::from((odds as f32).next_down())]
        .into_iter()
        .find(|&number| is_below(number) && number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    fn question(odds: f64, has_answer: bool, exact: f64) -> Scored {
        Scored { has_answer, predicts: true, exact, f1: exact, odds }
    }

    /// The sum that the questions get at a threshold.
    fn sum_at(questions: &[Scored], threshold: f64) -> i128 {
        let score = |q: &Scored| if q.odds > threshold { q.unanswered() } else { q.exact };
        questions.iter().map(|question| exactly(score(question))).sum()
    }

    #[test]
    fn no_threshold_does_better_than_the_best_and_it_survives_single_precision() {
        let mut random = SplitMix64::new(5, 0);
        for case in 0..20_000 {
            let count = 1 + random.below(8);
            let span = [1.0, 3.0, 1e-3, 1e6][random.below(4)];
            let shift = [0.0, -1.0, 1.0, -0.5][random.below(4)] * span;
            // Few different numbers: most cases have ties.
            let questions: Vec<Scored> = (0..count)
                .map(|_| {
                    let odds = shift + span * (random.below(7) as f64 - 3.0) / 3.0;
                    let exact = [0.0, 1.0, 0.4, 2.0 / 3.0][random.below(4)];
                    question(f64::from(odds as f32), random.below(3) > case % 3, exact)
                })
                .collect();
            let found = best(&questions, |q| q.exact).unwrap();
            assert!(found.is_finite() && f64::from(found as f32) == found, "{found}");
            let at = |threshold| sum_at(&questions, threshold);
            let odds = questions.iter().map(|question| question.odds);
            for other in odds.flat_map(|odds| [odds, odds - 1e-9, odds + 1e-9]).chain([-1e9, 1e9]) {
                assert!(at(found) >= at(other), "{found} is not as good as {other}");
            }
        }
    }

    #[test]
    fn nothing_is_answered_where_that_is_best() {
        let none = |odds: &[f64]| {
            let questions: Vec<_> = odds.iter().map(|&odds| question(odds, false, 0.0)).collect();
            best(&questions, |q| q.exact)
        };
        assert_eq!(none(&[-0.62, -0.39]), Some(-1.0));
        assert_eq!(none(&[-2.0]), Some(-3.0));
        assert_eq!(none(&[0.0, 3.0]), Some(-1.0));
        assert_eq!(none(&[0.25, 3.0]), Some(0.0));
        assert_eq!(none(&[-3e9]), Some(f64::from((-3e9_f32).next_down())));
        assert_eq!(none(&[]), None);
    }

    #[test]
    fn odds_beyond_all_numbers_leave_a_threshold_that_is_one() {
        let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
        let right = |odds| question(odds, true, 1.0);
        let wrong = |odds| question(odds, false, 0.0);
        assert_eq!(best(&[right(low), wrong(-2.5)], |q| q.exact), Some(-3.0));
        assert_eq!(best(&[right(low)], |q| q.exact), Some(0.0));
        assert_eq!(best(&[right(high)], |q| q.exact), Some(0.0));
        assert_eq!(best(&[wrong(-1.0), right(high)], |q| q.exact), Some(-2.0));
    }
}
