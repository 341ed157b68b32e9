//! Gaussian processes and the noisy expected improvement of the hypervolume.

use super::{History, Sampler, Sobol};
use crate::error::Result;
use crate::gp::{Draws, Ehvi, Model, log_probability_below};
use crate::metric::{self, Metric, Role};
use crate::numeric::lbfgs;
use crate::numeric::random::Random;
use crate::space::Axis;
use crate::study::reference;

/// Draws of the objectives where there is noise or something pending.
const DRAWS: usize = 16;
/// Standardised noise up to which measured values are taken as they are.
const EXACT: f64 = 1e-4;
/// Points that are looked at before the best are improved, and how many those are.
const LOOKED_AT: usize = 600;
const STARTS: usize = 6;
/// Steps of each improvement, and how often continuous and other coordinates take turns.
const ITERATIONS: usize = 40;
const TURNS: usize = 3;
/// Every so many suggestions, the model that some value surprised most doubts: the shortest of its
/// length-scales, along which its function changes most, is that much shorter, in turn. From many
/// trials on one part of the front a fit gets so sure of all the rest that it would never look for a
/// part that it does not know. The others go on being sure: nothing is to be found where they are right.
const DOUBT_EVERY: usize = 8;
const DOUBTS: [f64; 2] = [0.4, 0.25];

/// A Gaussian process for each metric, and the point that promises the largest hypervolume.
/// Before there are enough trials, Sobol's sequence.
#[derive(Debug, Clone, Copy)]
pub struct GaussianProcess;

impl Sampler for GaussianProcess {
    fn name(&self) -> &'static str {
        "gp"
    }

    fn suggest(&self, history: &History) -> Result<Option<Vec<f64>>> {
        let known = history.observed.len();
        let started = known + history.failed.len() + history.pending.len();
        if started < first(history) || known < 2 {
            return Sobol.suggest(history);
        }
        let mut random = history.random();
        match Acquisition::new(history, &mut random) {
            Some(acquisition) => acquisition.best(&mut random).map(Some),
            None => Sobol.suggest(history),
        }
    }
}

/// Trials of the first, even design.
fn first(history: &History) -> usize {
    let wanted = 2 * (history.space.dimensions() + 1);
    wanted.min((history.budget / 5).max(8)).max(5)
}

/// What is maximised.
struct Acquisition<'a> {
    history: &'a History<'a>,
    axes: Vec<Axis>,
    ehvi: Ehvi,
    /// Functions with the bounds below which they must lie.
    bounded: Vec<(Model, f64)>,
    /// Known points on or near the front, where it is worth looking around.
    promising: Vec<Vec<f64>>,
}

impl<'a> Acquisition<'a> {
    /// None when no model fits.
    fn new(history: &'a History<'a>, random: &mut Random) -> Option<Self> {
        let axes = history.space.axes();
        let observed = &history.observed;
        let points: Vec<Vec<f64>> = observed.iter().map(|o| o.point.clone()).collect();
        let is_feasible = observed.iter().map(|o| o.violation() == 0.0);
        let counts: Vec<bool> =
            is_feasible.clone().chain(history.pending.iter().map(|_| true)).collect();
        let feasible: Vec<Vec<f64>> = observed
            .iter()
            .zip(is_feasible)
            .filter(|(_, feasible)| *feasible)
            .map(|(o, _)| o.losses.clone())
            .collect();
        let all: Vec<Vec<f64>> = observed.iter().map(|o| o.losses.clone()).collect();
        let bounds = reference(history.metrics, if feasible.is_empty() { &all } else { &feasible });
        let mut models: Vec<Model> = metric::optimized(history.metrics)
            .zip(&bounds)
            .enumerate()
            .map(|(axis, (metric, bound))| {
                let values: Vec<f64> = observed.iter().map(|o| o.losses[axis]).collect();
                Model::fit(&points, &without_outliers(values, *bound), &axes, metric.noise)
            })
            .collect::<Option<_>>()?;
        let mut constrained = constrained(history, &axes, &points)?;
        if let Some(by) = doubt(history.number) {
            let all = models.iter_mut().chain(constrained.iter_mut().map(|(model, _)| model));
            let surprised = all.map(|model| (model.surprise(), model));
            if let Some((_, model)) = surprised.max_by(|a, b| a.0.total_cmp(&b.0)) {
                *model = model.clone().with_shortest_scale(by)?;
            }
        }
        let is_exact = models.iter().all(|model| model.noise() < EXACT);
        let draws = if is_exact && history.pending.is_empty() { 1 } else { DRAWS };
        let objectives: Vec<Draws> = models
            .iter()
            .map(|model| Draws::new(model, &history.pending, draws, random))
            .collect::<Option<_>>()?;
        let bounds: Vec<f64> =
            models.iter().zip(bounds).map(|(model, bound)| model.standardised(bound)).collect();
        let ehvi = Ehvi::new(objectives, &counts, &bounds);
        let bounded = constrained.into_iter().chain(failing(history, &axes, &points)).collect();
        let promising = history
            .best_first(|points| (0..points.len()).collect())
            .into_iter()
            .take(20)
            .map(|observation| observation.point.clone())
            .collect();
        Some(Self { history, axes, ehvi, bounded, promising })
    }

    /// The logarithm of the improvement times the probability that the point can be had.
    fn log_at(&self, x: &[f64], mut gradient: Option<&mut [f64]>) -> f64 {
        let mut sum = self.ehvi.log_at(x, gradient.as_deref_mut());
        for (model, bound) in &self.bounded {
            let (log, slope) = log_probability_below(&model.predict(x), *bound);
            sum += log;
            if let Some(gradient) = gradient.as_deref_mut() {
                gradient.iter_mut().zip(slope).for_each(|(g, s)| *g += s);
            }
        }
        sum
    }

    fn is_allowed(&self, point: &[f64]) -> bool {
        let space = self.history.space;
        !space.is_constrained() || space.allows(&space.decode(point))
    }

    /// The best point that was not tried yet.
    fn best(&self, random: &mut Random) -> Result<Vec<f64>> {
        let space = self.history.space;
        let mut looked_at = Vec::with_capacity(LOOKED_AT);
        for i in 0..LOOKED_AT {
            let point = match i % 2 {
                0 => space.draw(random)?,
                _ => self.near(random),
            };
            if self.is_allowed(&point) {
                looked_at.push((self.log_at(&point, None), point));
            }
        }
        looked_at.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut found: Vec<(f64, Vec<f64>)> =
            looked_at.iter().take(STARTS).map(|(_, point)| self.improved(point.clone())).collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        let new = found.into_iter().chain(looked_at).map(|(_, point)| point);
        match new.into_iter().find(|point| !self.history.was_tried(point)) {
            Some(point) => Ok(point),
            None => space.draw(random),
        }
    }

    /// A point in the neighbourhood of a promising one.
    fn near(&self, random: &mut Random) -> Vec<f64> {
        let mut point = self.promising[random.below(self.promising.len())].clone();
        let width = 0.3 * random.uniform().powi(2);
        let share = random.uniform();
        for (unit, axis) in point.iter_mut().zip(&self.axes) {
            if random.uniform() < share {
                continue;
            }
            *unit = match axis {
                Axis::Unordered(_) => random.uniform(),
                Axis::Steps(count) => *unit + random.normal() * width.max(1.0 / *count as f64),
                Axis::Continuous => *unit + random.normal() * width,
            }
            .clamp(0.0, 1.0);
        }
        self.history.child(point, random)
    }

    /// Climbs from a point: along the slope in continuous coordinates, step by step in others.
    fn improved(&self, mut point: Vec<f64>) -> (f64, Vec<f64>) {
        let mut value = self.log_at(&point, None);
        for _ in 0..TURNS {
            let before = value;
            self.climb(&mut point, &mut value);
            self.step(&mut point, &mut value);
            if value - before < 1e-3 {
                break;
            }
        }
        (value, point)
    }

    fn climb(&self, point: &mut Vec<f64>, value: &mut f64) {
        let space = self.history.space;
        let present = space.present(point);
        if !self.axes.iter().zip(&present).any(|(a, here)| *a == Axis::Continuous && *here) {
            return;
        }
        let mut x = point.clone();
        lbfgs::minimise(&mut x, 0.0, 1.0, ITERATIONS, |x, gradient| {
            if !self.is_allowed(x) {
                return f64::INFINITY;
            }
            gradient.fill(0.0);
            let value = -self.log_at(x, Some(gradient));
            for (slope, here) in gradient.iter_mut().zip(&present) {
                *slope = if *here { -*slope } else { 0.0 };
            }
            value
        });
        self.take_better(space.canonical(&x), point, value);
    }

    fn step(&self, point: &mut Vec<f64>, value: &mut f64) {
        for i in 0..point.len() {
            for unit in self.history.space.next_to(point, i) {
                let mut next = point.clone();
                next[i] = unit;
                self.take_better(self.history.space.canonical(&next), point, value);
            }
        }
    }

    fn take_better(&self, next: Vec<f64>, point: &mut Vec<f64>, value: &mut f64) {
        if next != *point && self.is_allowed(&next) && !self.history.was_tried(&next) {
            let better = self.log_at(&next, None);
            if better > *value {
                (*point, *value) = (next, better);
            }
        }
    }
}

/// How much shorter a length-scale is for a trial's suggestion, if that one doubts.
fn doubt(number: usize) -> Option<f64> {
    let doubts = number % DOUBT_EVERY == DOUBT_EVERY - 1;
    doubts.then(|| DOUBTS[number / DOUBT_EVERY % DOUBTS.len()])
}

/// The losses, of which none is worse than Tukey's fence, 1.5 times the middle half's width beyond
/// it, or than the reference, whichever is worse. How bad such a trial is tells nothing
/// of where good ones are, but makes the function look rough everywhere.
fn without_outliers(mut losses: Vec<f64>, reference: f64) -> Vec<f64> {
    let mut sorted = losses.clone();
    sorted.sort_by(f64::total_cmp);
    let quarter = |number: usize| sorted.get(sorted.len() * number / 4).copied().unwrap_or(0.0);
    let fence = quarter(3) + 1.5 * (quarter(3) - quarter(1));
    let most = fence.max(reference);
    losses.iter_mut().filter(|loss| **loss > most).for_each(|loss| *loss = most);
    losses
}

/// The constrained metrics' models, and what they must lie below.
fn constrained(history: &History, axes: &[Axis], points: &[Vec<f64>]) -> Option<Vec<(Model, f64)>> {
    let metrics = history.metrics.iter().filter(|metric| metric.role == Role::Constrain);
    let model = |(axis, metric): (usize, &Metric)| {
        let values: Vec<f64> = history.observed.iter().map(|o| o.violations[axis]).collect();
        let model = Model::fit(points, &values, axes, metric.noise)?;
        let bound = model.standardised(0.0);
        Some((model, bound))
    };
    metrics.enumerate().map(model).collect()
}

/// What failures, if there are any, say of where trials fail.
fn failing(history: &History, axes: &[Axis], points: &[Vec<f64>]) -> Option<(Model, f64)> {
    if history.failed.is_empty() {
        return None;
    }
    let all: Vec<Vec<f64>> = points.iter().chain(&history.failed).cloned().collect();
    let values: Vec<f64> = (0..all.len()).map(|i| f64::from(u8::from(i >= points.len()))).collect();
    let model = Model::fit(&all, &values, axes, None)?;
    let bound = model.standardised(0.5);
    Some((model, bound))
}

#[cfg(test)]
mod tests {
    use super::{doubt, without_outliers};

    #[test]
    fn every_eighth_suggestion_doubts() {
        let doubting: Vec<(usize, f64)> =
            (0..24).filter_map(|number| Some((number, doubt(number)?))).collect();
        assert_eq!(doubting, [(7, 0.4), (15, 0.25), (23, 0.4)]);
    }

    #[test]
    fn only_what_is_far_worse_than_the_rest_and_the_reference_is_drawn_in() {
        let losses = vec![-54.0, -53.0, -52.0, -49.0, -49.0, -48.0, -18.0];
        let drawn = without_outliers(losses.clone(), -50.0);
        assert_eq!((&drawn[..6], drawn[6]), (&losses[..6], -40.5));
        assert_eq!(without_outliers(losses.clone(), -10.0), losses);
        assert_eq!(without_outliers(vec![1.0], 0.0), [1.0]);
        assert!(without_outliers(vec![1.0, f64::NAN], 0.0)[1].is_nan());
    }
}
