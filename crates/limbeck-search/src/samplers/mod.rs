//! What to try next: one sampler a file, behind one trait.
//!
//! A sampler keeps nothing between calls. What it suggests follows from the study's trials, the
//! seed and the number of the new trial, so that a search that was killed goes on as if it had
//! not been.

mod gp;
mod grid;
mod motpe;
mod nsga2;
mod random;
mod sobol;

pub use gp::GaussianProcess;
pub use grid::Grid;
pub use motpe::Motpe;
pub use nsga2::Nsga2;
pub use random::Uniform;
pub use sobol::Sobol;

use crate::error::Result;
use crate::metric::{self, Metric, Role};
use crate::numeric::random::Random;
use crate::pareto;
use crate::space::{Axis, NO_CHOICE, Space};
use crate::study::{Description, State, Study, Trial};

/// Suggests trials.
pub trait Sampler {
    /// What it is called in studies.
    fn name(&self) -> &'static str;

    /// A canonical point of the space that keeps its constraints; none when there is nothing
    /// left to try.
    ///
    /// # Errors
    /// When no point of the space keeps its constraints.
    fn suggest(&self, history: &History) -> Result<Option<Vec<f64>>>;
}

/// A trial whose metrics are known.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Where it was.
    pub point: Vec<f64>,
    /// The optimised metrics, smaller being better.
    pub losses: Vec<f64>,
    /// How far each constrained metric is on the wrong side of its threshold; 0 or less where
    /// it is not.
    pub violations: Vec<f64>,
}

impl Observation {
    /// How far it breaks the constraints, all together.
    pub fn violation(&self) -> f64 {
        self.violations.iter().map(|v| v.max(0.0)).sum()
    }
}

/// What a sampler may look at.
#[derive(Debug)]
pub struct History<'a> {
    /// The space.
    pub space: &'a Space,
    /// The metrics.
    pub metrics: &'a [Metric],
    /// Fixes what is random.
    pub seed: u64,
    /// The number of the trial to be suggested.
    pub number: usize,
    /// Trials that the search is to have in the end.
    pub budget: usize,
    /// Trials with metrics. Of trials that were stopped early, the last they reported.
    pub observed: Vec<Observation>,
    /// Where trials failed, or were stopped before they had told all metrics.
    pub failed: Vec<Vec<f64>>,
    /// Where trials are under way.
    pub pending: Vec<Vec<f64>>,
}

impl<'a> History<'a> {
    /// What a study knows.
    pub fn of(study: &'a Study, seed: u64, budget: usize) -> Self {
        let Description { space, metrics, .. } = study.description();
        let mut history = Self {
            space,
            metrics,
            seed,
            number: study.trials().len(),
            budget,
            observed: Vec::new(),
            failed: Vec::new(),
            pending: Vec::new(),
        };
        study.trials().iter().for_each(|trial| history.add(trial));
        history
    }

    fn add(&mut self, trial: &Trial) {
        // Values of the study are of its space: they were checked when they were suggested.
        let Some(point) = self.space.encode(&trial.params) else { return };
        match trial.state {
            State::Suggested | State::Running => self.pending.push(point),
            State::Failed | State::Lost => self.failed.push(point),
            State::Complete | State::Stopped => {
                let constrained = self.metrics.iter().filter(|m| m.role == Role::Constrain);
                let violation = |metric: &Metric| {
                    let value = trial.metrics.get(&metric.name)?;
                    Some(metric.loss(*value) - metric.loss(metric.threshold?))
                };
                let losses = metric::losses(self.metrics, &trial.metrics);
                let violations = constrained.map(violation).collect::<Option<_>>();
                match (losses, violations) {
                    (Some(losses), Some(violations)) => {
                        self.observed.push(Observation { point, losses, violations });
                    }
                    _ => self.failed.push(point),
                }
            }
        }
    }

    /// The generator of this suggestion.
    fn random(&self) -> Random {
        Random::new(&[self.seed, self.number as u64])
    }

    /// Makes a point canonical; a choice that its parent did not have, and that it may have now, is
    /// drawn.
    fn child(&self, mut point: Vec<f64>, random: &mut Random) -> Vec<f64> {
        for (unit, axis) in point.iter_mut().zip(self.space.axes()) {
            if matches!(axis, Axis::Unordered(_)) && *unit == NO_CHOICE {
                *unit = random.uniform();
            }
        }
        self.space.canonical(&point)
    }

    /// Whether a trial was or is at this canonical point.
    fn was_tried(&self, point: &[f64]) -> bool {
        let same = |known: &[f64]| known.iter().zip(point).all(|(a, b)| (a - b).abs() < 1e-9);
        self.observed.iter().any(|known| same(&known.point))
            || self.failed.iter().any(|known| same(known))
            || self.pending.iter().any(|known| same(known))
    }

    /// The observations from best to worst: those that keep the constraints by rank and, within
    /// a rank, as `tie` orders its members; then the others by how far they break them.
    fn best_first(&self, tie: impl Fn(&[&[f64]]) -> Vec<usize>) -> Vec<&Observation> {
        let (feasible, mut rest): (Vec<_>, Vec<_>) =
            self.observed.iter().partition(|observation| observation.violation() == 0.0);
        let losses: Vec<Vec<f64>> = feasible.iter().map(|o| o.losses.clone()).collect();
        let ranks = pareto::ranks(&losses);
        let mut order = Vec::with_capacity(self.observed.len());
        for rank in 0..=ranks.iter().copied().max().unwrap_or(0) {
            let members: Vec<usize> = (0..ranks.len()).filter(|&i| ranks[i] == rank).collect();
            let points: Vec<&[f64]> = members.iter().map(|&i| losses[i].as_slice()).collect();
            order.extend(tie(&points).into_iter().map(|i| feasible[members[i]]));
        }
        rest.sort_by(|a, b| a.violation().total_cmp(&b.violation()));
        order.extend(rest);
        order
    }
}

/// The samplers by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SamplerKind {
    /// [`GaussianProcess`].
    Gp,
    /// [`Motpe`].
    Motpe,
    /// [`Nsga2`].
    Nsga2,
    /// [`Sobol`].
    Sobol,
    /// [`Uniform`].
    Random,
    /// [`Grid`].
    Grid,
}

impl SamplerKind {
    /// The sampler of this name.
    pub fn sampler(self) -> Box<dyn Sampler + Send> {
        match self {
            Self::Gp => Box::new(GaussianProcess),
            Self::Motpe => Box::new(Motpe),
            Self::Nsga2 => Box::new(Nsga2),
            Self::Sobol => Box::new(Sobol),
            Self::Random => Box::new(Uniform),
            Self::Grid => Box::new(Grid),
        }
    }
}

#[cfg(test)]
mod problems;
#[cfg(test)]
mod tests;
