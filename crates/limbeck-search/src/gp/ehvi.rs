//! The noisy expected improvement of the hypervolume, as its logarithm.
//!
//! Daulton et al. (2021) average, over draws of the functions at known and pending points, the
//! improvement over the front that each draw has. Given a draw, the value at another point is
//! normal and its objectives are independent, so that the improvement of each draw need not be
//! sampled: it is a sum over the boxes below the front of products of one-dimensional expected
//! improvements (Yang et al., 2019). All of it is computed in logarithms (Ament et al., 2023),
//! so that there is a slope to climb also where the improvement is far below the smallest
//! number.

use super::posterior::{DrawnPrediction, Draws};
use crate::hypervolume::Decomposition;
use crate::numeric::normal::Improvement;

/// The acquisition function of a history. Losses are standardised.
#[derive(Debug)]
pub(crate) struct Ehvi {
    objectives: Vec<Draws>,
    /// What the front of each draw leaves open.
    open: Vec<Open>,
}

/// The boxes that the front of one draw leaves open. Many share a side, so that every side is
/// kept, and computed, once.
#[derive(Debug)]
struct Open {
    /// For each objective the levels at which sides begin and end.
    levels: Vec<Vec<f64>>,
    /// For each objective the sides, by their two levels.
    sides: Vec<Vec<(u32, u32)>>,
    /// For each box the sides that it has, objective by objective.
    cells: Vec<u32>,
}

/// The logarithm of the one-dimensional improvement between two levels, and its derivatives.
#[derive(Clone, Copy)]
struct Side {
    log: f64,
    by_mean: f64,
    by_deviation: f64,
}

impl Ehvi {
    /// Of draws of every objective. The points that `counts` names make the front; `reference`
    /// bounds it.
    pub(crate) fn new(objectives: Vec<Draws>, counts: &[bool], reference: &[f64]) -> Self {
        let draws = objectives.first().map_or(0, |objective| objective.values.len());
        let open = (0..draws)
            .map(|draw| {
                let points: Vec<Vec<f64>> = (0..counts.len())
                    .filter(|&point| counts[point])
                    .map(|point| objectives.iter().map(|o| o.values[draw][point]).collect())
                    .collect();
                Open::new(Decomposition::new(&points, reference))
            })
            .collect();
        Self { objectives, open }
    }

    /// The logarithm at `x`; its gradient is added to `gradient`, when one is wanted.
    pub(crate) fn log_at(&self, x: &[f64], gradient: Option<&mut [f64]>) -> f64 {
        let predictions: Vec<DrawnPrediction> =
            self.objectives.iter().map(|objective| objective.predict(x)).collect();
        let sides: Vec<Vec<Vec<Side>>> = self
            .open
            .iter()
            .enumerate()
            .map(|(draw, open)| open.sides(draw, &predictions))
            .collect();
        let count = self.objectives.len();
        let mut logs = Vec::new();
        for (open, sides) in self.open.iter().zip(&sides) {
            logs.extend(open.cells.chunks_exact(count).map(|cell| {
                cell.iter().zip(sides).map(|(&side, sides)| sides[side as usize].log).sum::<f64>()
            }));
        }
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if largest == f64::NEG_INFINITY {
            return largest;
        }
        logs.iter_mut().for_each(|log| *log = (*log - largest).exp());
        let sum: f64 = logs.iter().sum();
        if let Some(gradient) = gradient {
            self.add_gradient(x, &predictions, &sides, (&logs, sum), gradient);
        }
        largest + sum.ln() - (self.open.len() as f64).ln()
    }

    /// `weights` are the boxes' parts of the improvement, draw by draw, and their sum.
    fn add_gradient(
        &self,
        x: &[f64],
        predictions: &[DrawnPrediction],
        sides: &[Vec<Vec<Side>>],
        weights: (&[f64], f64),
        gradient: &mut [f64],
    ) {
        let count = self.objectives.len();
        let mut by_means = vec![vec![0.0; self.open.len()]; count];
        let mut by_deviation = vec![0.0; count];
        let mut weight = weights.0.iter();
        for (draw, (open, sides)) in self.open.iter().zip(sides).enumerate() {
            for (cell, weight) in open.cells.chunks_exact(count).zip(&mut weight) {
                let share = weight / weights.1;
                for (axis, &side) in cell.iter().enumerate() {
                    let side = sides[axis][side as usize];
                    by_means[axis][draw] += share * side.by_mean;
                    by_deviation[axis] += share * side.by_deviation;
                }
            }
        }
        for (axis, objective) in self.objectives.iter().enumerate() {
            let (means, deviation) = (&by_means[axis], by_deviation[axis]);
            objective.add_gradient(x, &predictions[axis], means, deviation, gradient);
        }
    }
}

impl Open {
    fn new(decomposition: Decomposition) -> Self {
        let Decomposition { levels, cells } = decomposition;
        let mut sides: Vec<Vec<(u32, u32)>> =
            (0..levels.len()).map(|axis| cells.iter().map(|cell| cell[axis]).collect()).collect();
        for sides in &mut sides {
            sides.sort_unstable();
            sides.dedup();
        }
        let place =
            |axis: usize, side: &(u32, u32)| sides[axis].partition_point(|s| s < side) as u32;
        let cells = cells
            .iter()
            .flat_map(|cell| cell.iter().enumerate().map(|(axis, side)| place(axis, side)))
            .collect();
        Self { levels, sides, cells }
    }

    /// The sides of every objective under one draw.
    fn sides(&self, draw: usize, predictions: &[DrawnPrediction]) -> Vec<Vec<Side>> {
        let each = self.sides.iter().zip(&self.levels).zip(predictions);
        each.map(|((sides, levels), prediction)| {
            let (mean, deviation) = (prediction.means[draw], prediction.deviation);
            let levels: Vec<Improvement> =
                levels.iter().map(|level| Improvement::at((level - mean) / deviation)).collect();
            let side = |&(low, high): &(u32, u32)| {
                side(levels[low as usize], levels[high as usize], deviation)
            };
            sides.iter().map(side).collect()
        })
        .collect()
    }
}

/// The improvement between two levels: that up to the upper without that up to the lower.
fn side(low: Improvement, high: Improvement, deviation: f64) -> Side {
    let share = (low.log - high.log).exp().min(1.0);
    let rest = (1.0 - share).max(1e-300);
    let scale = 1.0 / (deviation * rest);
    Side {
        log: high.log + rest.ln() + deviation.ln(),
        by_mean: -(high.cumulative_ratio - share * low.cumulative_ratio) * scale,
        by_deviation: (high.density_ratio - share * low.density_ratio) * scale,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gp::Model;
    use crate::hypervolume::hypervolume;
    use crate::numeric::random::Random;
    use crate::space::Axis;

    /// Two opposed objectives of two coordinates.
    fn history(count: usize) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let mut random = Random::new(&[11]);
        let points: Vec<Vec<f64>> =
            (0..count).map(|_| vec![random.uniform(), random.uniform()]).collect();
        let first = points.iter().map(|x| x[0] * x[0] + 0.2 * x[1]).collect();
        let second = points.iter().map(|x| (1.0 - x[0]).powi(2) + 0.2 * x[1]).collect();
        (points, vec![first, second])
    }

    fn acquisition(pending: &[Vec<f64>], draws: usize) -> (Ehvi, Vec<Draws>) {
        let (points, values) = history(14);
        let mut random = Random::new(&[2]);
        let objectives: Vec<Draws> = values
            .iter()
            .map(|values| {
                let model = Model::fit(&points, values, &[Axis::Continuous; 2], None).unwrap();
                Draws::new(&model, pending, draws, &mut random).unwrap()
            })
            .collect();
        let counts = vec![true; points.len() + pending.len()];
        (Ehvi::new(objectives.clone(), &counts, &[1.5, 1.5]), objectives)
    }

    #[test]
    fn the_closed_form_agrees_with_sampling() {
        let (ehvi, objectives) = acquisition(&[], 1);
        let x = [0.45, 0.05];
        let exact = ehvi.log_at(&x, None).exp();
        let front: Vec<Vec<f64>> = (0..14)
            .map(|i| objectives.iter().map(|objective| objective.values[0][i]).collect())
            .collect();
        let base = hypervolume(&front, &[1.5, 1.5]);
        let mut random = Random::new(&[77]);
        let draws = 40_000;
        let sum: f64 = (0..draws)
            .map(|_| {
                let mut all = front.clone();
                let value = objectives.iter().map(|objective| {
                    let at = objective.predict(&x);
                    at.means[0] + at.deviation * random.normal()
                });
                all.push(value.collect());
                hypervolume(&all, &[1.5, 1.5]) - base
            })
            .sum();
        let sampled = sum / f64::from(draws);
        assert!((exact / sampled - 1.0).abs() < 0.03, "{exact} {sampled}");
    }

    #[test]
    fn the_gradient_is_that_of_the_logarithm() {
        let (ehvi, _) = acquisition(&[vec![0.5, 0.1]], 4);
        for x in [[0.3, 0.4], [0.9, 0.95], [0.52, 0.02]] {
            let mut gradient = [0.0; 2];
            ehvi.log_at(&x, Some(&mut gradient));
            for axis in 0..2 {
                let moved = |by: f64| {
                    let mut x = x;
                    x[axis] += by;
                    ehvi.log_at(&x, None)
                };
                let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                let error = (slope - gradient[axis]).abs();
                assert!(error < 1e-3 * slope.abs().max(1.0), "{slope} {}", gradient[axis]);
            }
        }
    }

    #[test]
    fn a_pending_point_is_worth_nothing_a_second_time() {
        let x = vec![0.5, 0.0];
        let before = acquisition(&[], 8).0.log_at(&x, None);
        let after = acquisition(std::slice::from_ref(&x), 8).0.log_at(&x, None);
        assert!(after < before - 3.0, "{before} {after}");
    }

    #[test]
    fn there_is_a_slope_far_from_any_improvement() {
        let (ehvi, _) = acquisition(&[], 1);
        let mut gradient = [0.0; 2];
        let value = ehvi.log_at(&[0.5, 1.0], Some(&mut gradient));
        assert!(value.is_finite() && gradient[1] != 0.0, "{value} {gradient:?}");
    }
}
