//! What a study has found: the front and its hypervolume.

use super::Study;
use super::trial::State;
use crate::hypervolume::hypervolume;
use crate::metric::{self, Metric};
use crate::pareto;

impl Study {
    /// The numbers of the trials that no other beats, of those that keep every constraint.
    pub fn front(&self) -> Vec<usize> {
        let (numbers, losses) = self.candidates();
        pareto::front(&losses).into_iter().map(|i| numbers[i]).collect()
    }

    /// Complete, feasible trials and their losses.
    fn candidates(&self) -> (Vec<usize>, Vec<Vec<f64>>) {
        let metrics = &self.description.metrics;
        let complete = self.trials.iter().filter(|trial| trial.state == State::Complete);
        complete
            .filter(|trial| metric::is_feasible(metrics, &trial.metrics))
            .filter_map(|trial| Some((trial.number, metric::losses(metrics, &trial.metrics)?)))
            .unzip()
    }

    /// From where the hypervolume is measured, as losses: the thresholds, and where there is
    /// none, a tenth of the better half's width behind its worst value.
    pub fn reference(&self) -> Vec<f64> {
        reference(&self.description.metrics, &self.candidates().1)
    }

    /// The hypervolume after each trial, in the order in which trials ended, measured from
    /// today's [`reference`](Self::reference).
    pub fn hypervolume_by_trial(&self) -> Vec<(usize, f64)> {
        let reference = self.reference();
        let (numbers, losses) = self.candidates();
        let mut order: Vec<usize> = (0..numbers.len()).collect();
        let ended = |i: usize| self.trials[numbers[i]].ended.unwrap_or(f64::INFINITY);
        order.sort_by(|&a, &b| ended(a).total_cmp(&ended(b)));
        let mut front: Vec<Vec<f64>> = Vec::new();
        let mut volume = 0.0;
        let each = order.into_iter().map(|i| {
            if !front
                .iter()
                .any(|known| pareto::dominates(known, &losses[i]) || *known == losses[i])
            {
                front.retain(|known| !pareto::dominates(&losses[i], known));
                front.push(losses[i].clone());
                volume = hypervolume(&front, &reference);
            }
            (numbers[i], volume)
        });
        each.collect()
    }

    /// The hypervolume of all complete trials.
    pub fn hypervolume(&self) -> f64 {
        hypervolume(&self.candidates().1, &self.reference())
    }
}

/// Thresholds as losses; where there is none, a tenth of the width of the better half of `losses`
/// behind its worst point. The better half are the first ranks (the front, what would be it
/// without that, and so on) that hold a half of the points.
pub(crate) fn reference(metrics: &[Metric], losses: &[Vec<f64>]) -> Vec<f64> {
    let ranks = pareto::ranks(losses);
    let mut sorted = ranks.clone();
    sorted.sort_unstable();
    let last = sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0);
    let behind = |axis: usize| {
        let better = losses.iter().zip(&ranks).filter(|(_, rank)| **rank <= last);
        let values = better.map(|(losses, _)| losses[axis]);
        let best = values.clone().fold(f64::INFINITY, f64::min);
        let worst = values.fold(f64::NEG_INFINITY, f64::max);
        let width = if worst > best { worst - best } else { worst.abs().max(1.0) };
        if worst.is_finite() { worst + 0.1 * width } else { 0.0 }
    };
    metric::optimized(metrics)
        .enumerate()
        .map(|(axis, metric)| metric.threshold.map_or_else(|| behind(axis), |t| metric.loss(t)))
        .collect()
}
