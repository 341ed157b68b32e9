//! Ending trials early: when what a trial may still reach is behind the front.
//!
//! How far a metric moves from here to the end is taken from the trials that are complete. With
//! the confidence asked, a trial gains no more than that share of them did from the same step
//! on; when even so it would not reach the front, or a threshold, it is ended.

use crate::metric::{self, Metric, Role};
use crate::pareto;
use crate::study::{Report, State, Study, Trial};

/// When a trial is ended early.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// How sure one must be, from 0 to 1.
    pub confidence: f64,
    /// Complete trials with reports that are needed before anything is ended.
    pub least: usize,
}

impl Rule {
    /// Why a running trial should be ended, if it should.
    pub fn verdict(&self, study: &Study, number: usize) -> Option<String> {
        let metrics = &study.description().metrics;
        let trial = study.trials().get(number)?;
        let step = trial.reports.last()?.step;
        let complete: Vec<&Trial> =
            study.trials().iter().filter(|trial| trial.state == State::Complete).collect();
        for metric in metrics.iter().filter(|metric| metric.role != Role::Store) {
            let Some(threshold) = metric.threshold.map(|t| metric.loss(t)) else { continue };
            let reachable = self.reachable(metric, trial, step, &complete);
            if reachable.is_some_and(|loss| loss > threshold) {
                return Some(format!("`{}` cannot reach its threshold", metric.name));
            }
        }
        let hoped: Vec<f64> = metric::optimized(metrics)
            .map(|metric| self.reachable(metric, trial, step, &complete))
            .collect::<Option<_>>()?;
        let better = study.front().into_iter().find(|&other| {
            metric::losses(metrics, &study.trials()[other].metrics)
                .is_some_and(|losses| pareto::dominates(&losses, &hoped))
        })?;
        Some(format!("it cannot reach the front: trial {better} stays better in every metric"))
    }

    /// The least loss that a trial may still reach; none when too little is known. A metric
    /// that it has not reported may become as good as it ever was.
    fn reachable(
        &self,
        metric: &Metric,
        trial: &Trial,
        step: f64,
        complete: &[&Trial],
    ) -> Option<f64> {
        let last = |trial: &Trial| metric.loss(trial.metrics[&metric.name]);
        let known = complete.iter().filter(|trial| trial.metrics.contains_key(&metric.name));
        let Some(now) = at(&trial.reports, &metric.name, step) else {
            return known.map(|trial| last(trial)).min_by(f64::total_cmp);
        };
        let mut moves: Vec<f64> = known
            .filter_map(|trial| {
                Some(last(trial) - metric.loss(at(&trial.reports, &metric.name, step)?))
            })
            .collect();
        if moves.len() < self.least.max(1) {
            return None;
        }
        moves.sort_by(f64::total_cmp);
        let skipped = ((1.0 - self.confidence) * moves.len() as f64).floor() as usize;
        Some(metric.loss(now) + moves[skipped.min(moves.len() - 1)])
    }
}

/// A metric at a step, on the line between the two reports around it.
fn at(reports: &[Report], name: &str, step: f64) -> Option<f64> {
    let points = || reports.iter().filter_map(|r| Some((r.step, *r.metrics.get(name)?)));
    let before = points().filter(|(s, _)| *s <= step).max_by(|a, b| a.0.total_cmp(&b.0))?;
    if before.0 == step {
        return Some(before.1);
    }
    let after = points().filter(|(s, _)| *s > step).min_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(before.1 + (after.1 - before.1) * (step - before.0) / (after.0 - before.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Metrics;
    use crate::space::{Params, Value};
    use crate::study::{Description, Outcome, Worker};

    const WRITTEN: &str = "
[parameters.x]
type = 'real'
low = 0
high = 1
[metrics.exact]
goal = 'maximize'
[metrics.size]
goal = 'minimize'
";

    fn named(exact: f64, size: f64) -> Metrics {
        [("exact".to_owned(), exact), ("size".to_owned(), size)].into()
    }

    /// A trial whose `exact` was measured at steps 1, 2, ...; complete with `last`, if any.
    fn add(study: &mut Study, curve: &[f64], size: f64, last: Option<f64>) -> usize {
        let params = Params::from([("x".to_owned(), Value::Real(0.5))]);
        let trial = study.suggest(params, "test", None).unwrap().unwrap();
        let attempt = study.start(trial, Worker::elsewhere(None)).unwrap().unwrap();
        for (i, exact) in curve.iter().enumerate() {
            let report = Report { step: i as f64 + 1.0, metrics: named(*exact, size) };
            assert!(study.report(trial, attempt, report).unwrap());
        }
        if let Some(exact) = last {
            study.finish(trial, attempt, Outcome::Complete(named(exact, size))).unwrap();
        }
        trial
    }

    fn empty(folder: &tempfile::TempDir, written: &str) -> Study {
        let description = Description::from_toml(&written.parse().unwrap()).unwrap();
        Study::open_or_create(&folder.path().join("s"), &description).unwrap()
    }

    fn study(folder: &tempfile::TempDir) -> Study {
        let mut study = empty(folder, WRITTEN);
        for (gain, size) in [(2.0, 5.0), (3.0, 4.0), (1.0, 3.0), (4.0, 2.0), (2.5, 1.0)] {
            let first = 50.0 + size;
            add(&mut study, &[first, first + gain], size, Some(first + gain));
        }
        study
    }

    const RULE: Rule = Rule { confidence: 0.9, least: 5 };

    #[test]
    fn a_trial_that_no_gain_takes_to_the_front_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mut study = study(&folder);
        let hopeless = add(&mut study, &[49.0], 4.5, None);
        let reason = RULE.verdict(&study, hopeless).unwrap();
        assert!(reason.contains("front"), "{reason}");
    }

    #[test]
    fn a_trial_that_may_reach_the_front_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut study = study(&folder);
        let slow = add(&mut study, &[53.5], 4.5, None);
        assert_eq!(RULE.verdict(&study, slow), None);
        // The smallest of all is on the front however bad it is.
        let small = add(&mut study, &[1.0], 0.5, None);
        assert_eq!(RULE.verdict(&study, small), None);
    }

    #[test]
    fn nothing_is_ended_while_too_little_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let mut study = study(&folder);
        let hopeless = add(&mut study, &[1.0], 9.0, None);
        assert_eq!(Rule { least: 6, ..RULE }.verdict(&study, hopeless), None);
        let later = add(&mut study, &[1.0, 1.0, 1.0], 9.0, None);
        assert_eq!(RULE.verdict(&study, later), None);
    }

    #[test]
    fn a_threshold_out_of_reach_ends_a_trial_whatever_is_known_of_other_metrics() {
        let folder = tempfile::tempdir().unwrap();
        let limited =
            format!("{WRITTEN}threshold = 3\n").replace("'maximize'", "'maximize'\nthreshold = 50");
        let mut study = empty(&folder, &limited);
        for _ in 0..5 {
            let trial = add(&mut study, &[], 2.0, None);
            let report = Report { step: 1.0, metrics: [("size".to_owned(), 2.0)].into() };
            assert!(study.report(trial, 1, report).unwrap());
            study.finish(trial, 1, Outcome::Complete(named(60.0, 2.0))).unwrap();
        }
        let trial = add(&mut study, &[40.0], 9.0, None);
        let reason = RULE.verdict(&study, trial).unwrap();
        assert_eq!(reason, "`size` cannot reach its threshold");
    }
}
