//! Draws of a function at the points where it was measured or is being measured, and what each
//! draw says of another point.

use super::kernel::Kernel;
use super::{Model, Prediction};
use crate::numeric::linalg::{Cholesky, dot};
use crate::numeric::random::Random;

/// The variance, of the function's own, up to which a drawn value is exact. It keeps the
/// covariance of near points solvable.
const SLACK: f64 = 1e-6;

/// The least variance of a prediction, of the function's own.
const LEAST: f64 = 1e-9;

/// Values of one function without its noise, drawn together at all known and pending points.
#[derive(Debug, Clone)]
pub(crate) struct Draws {
    kernel: Kernel,
    points: Vec<Vec<f64>>,
    factor: Cholesky,
    /// For each draw, the inverse covariance times its values.
    weights: Vec<Vec<f64>>,
    /// For each draw its values, standardised.
    pub(crate) values: Vec<Vec<f64>>,
}

/// What all draws say of one point. The deviation is the same for all.
#[derive(Debug, Clone)]
pub(crate) struct DrawnPrediction {
    /// The mean under each draw.
    pub(crate) means: Vec<f64>,
    /// The standard deviation.
    pub(crate) deviation: f64,
    /// Covariances with the points, and their slopes.
    cross: Vec<(f64, f64)>,
    /// The inverse covariance times the covariances.
    solved: Vec<f64>,
}

impl Draws {
    /// Draws `count` functions; the pending points come after the model's own. With one draw
    /// the values are the means.
    pub(crate) fn new(
        model: &Model,
        pending: &[Vec<f64>],
        count: usize,
        random: &mut Random,
    ) -> Option<Self> {
        let kernel = model.kernel.clone();
        let points: Vec<Vec<f64>> = model.points.iter().chain(pending).cloned().collect();
        let n = points.len();
        let mut covariance = kernel.matrix(&points, &points);
        (0..n).for_each(|i| covariance[i * n + i] += SLACK * kernel.variance);
        let factor = Cholesky::of(covariance.clone(), n)
            .or_else(|| Cholesky::with_jitter(&covariance, n))?;

        let cross: Vec<Vec<f64>> = points
            .iter()
            .map(|point| model.points.iter().map(|known| kernel.at(point, known)).collect())
            .collect();
        let means: Vec<f64> = cross.iter().map(|row| dot(row, &model.weights)).collect();
        let values = if count == 1 {
            vec![means]
        } else {
            let mut solved = cross;
            solved.iter_mut().for_each(|row| model.factor.solve_lower(row));
            let mut left = covariance;
            for i in 0..n {
                for j in 0..=i {
                    left[i * n + j] -= dot(&solved[i], &solved[j]);
                }
            }
            let spread = Cholesky::with_jitter(&left, n)?;
            (0..count)
                .map(|_| {
                    let normal: Vec<f64> = (0..n).map(|_| random.normal()).collect();
                    means.iter().zip(spread.times(&normal)).map(|(m, s)| m + s).collect()
                })
                .collect()
        };
        let weights = values
            .iter()
            .map(|values: &Vec<f64>| {
                let mut weights = values.clone();
                factor.solve(&mut weights);
                weights
            })
            .collect();
        Some(Self { kernel, points, factor, weights, values })
    }

    /// What the draws say of `x`.
    pub(crate) fn predict(&self, x: &[f64]) -> DrawnPrediction {
        let cross: Vec<(f64, f64)> =
            self.points.iter().map(|point| self.kernel.with_slope(x, point)).collect();
        let values: Vec<f64> = cross.iter().map(|(k, _)| *k).collect();
        let mut solved = values.clone();
        self.factor.solve(&mut solved);
        let variance = self.kernel.variance - dot(&values, &solved);
        let least = LEAST * self.kernel.variance;
        if variance < least {
            // Below this it is rounding, which has no slope.
            solved.fill(0.0);
        }
        let means = self.weights.iter().map(|weights| dot(&values, weights)).collect();
        DrawnPrediction { means, deviation: variance.max(least).sqrt(), cross, solved }
    }

    /// Adds to `gradient` that of a function of the means and the deviation at `x`, whose
    /// derivatives by them are `by_means` and `by_deviation`.
    pub(crate) fn add_gradient(
        &self,
        x: &[f64],
        prediction: &DrawnPrediction,
        by_means: &[f64],
        by_deviation: f64,
        gradient: &mut [f64],
    ) {
        for (i, (_, slope)) in prediction.cross.iter().enumerate() {
            let mean: f64 =
                self.weights.iter().zip(by_means).map(|(weights, by)| weights[i] * by).sum();
            let deviation = -by_deviation * prediction.solved[i] / prediction.deviation;
            self.kernel.add_gradient(slope * (mean + deviation), x, &self.points[i], gradient);
        }
    }
}

/// The logarithm of the probability that a function lies below `bound`, and its gradient.
pub(crate) fn log_probability_below(prediction: &Prediction, bound: f64) -> (f64, Vec<f64>) {
    use crate::numeric::normal;
    let z = (bound - prediction.mean) / prediction.deviation;
    let log = normal::log_cumulative(z);
    let ratio = (normal::log_density(z) - log).exp();
    let each = prediction.by_mean.iter().zip(&prediction.by_deviation);
    let gradient =
        each.map(|(mean, deviation)| -ratio * (mean + z * deviation) / prediction.deviation);
    (log, gradient.collect())
}
