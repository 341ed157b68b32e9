//! Gaussian processes over the points of a space.
//!
//! # Layout
//! - `kernel`: the covariance of two points.
//! - `fit`: its length-scales, the variance and the noise, by marginal likelihood with priors.
//! - [`Model`]: values at points, and what they say of other points.
//! - `posterior`: draws of the function at known and pending points, and what each says of
//!   another point.
//! - `ehvi`: the noisy expected improvement of the hypervolume, in its logarithm.

mod ehvi;
mod fit;
mod kernel;
mod posterior;

pub(crate) use ehvi::Ehvi;
pub(crate) use posterior::{Draws, log_probability_below};

use crate::numeric::linalg::{Cholesky, dot};
use crate::space::Axis;
use kernel::Kernel;

/// A function of the unit cube, known at some points up to noise. Values inside are
/// standardised: mean 0, variance 1.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    points: Vec<Vec<f64>>,
    kernel: Kernel,
    /// The variance of the noise.
    noise: f64,
    factor: Cholesky,
    /// The inverse of covariance and noise, times the values.
    weights: Vec<f64>,
    mean: f64,
    deviation: f64,
}

impl Model {
    /// Of these values; `noise` is the standard deviation of their noise where it is known. The
    /// length-scales are `reach` times those that fit best.
    /// None when no covariance could be found that is positive definite, as when a value is
    /// no number.
    pub(crate) fn fit(
        points: &[Vec<f64>],
        values: &[f64],
        axes: &[Axis],
        noise: Option<f64>,
        reach: f64,
    ) -> Option<Self> {
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count.max(1) as f64;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count as f64;
        let deviation = if variance > 1e-24 { variance.sqrt() } else { 1.0 };
        let standard: Vec<f64> = values.iter().map(|v| (v - mean) / deviation).collect();
        let noise = noise.map(|noise| (noise / deviation).powi(2).max(fit::LEAST_NOISE));
        let (kernel, noise) = fit::fit(points, &standard, axes, noise)?;
        let kernel = kernel.stretched(reach);
        let mut matrix = kernel.matrix(points, points);
        (0..count).for_each(|i| matrix[i * count + i] += noise);
        let factor = Cholesky::of(matrix.clone(), count)
            .or_else(|| Cholesky::with_jitter(&matrix, count))?;
        let mut weights = standard;
        factor.solve(&mut weights);
        Some(Self { points: points.to_vec(), kernel, noise, factor, weights, mean, deviation })
    }

    /// A value as the model sees it.
    pub(crate) fn standardised(&self, value: f64) -> f64 {
        (value - self.mean) / self.deviation
    }

    /// The variance of the noise, of standardised values.
    pub(crate) fn noise(&self) -> f64 {
        self.noise
    }

    /// Mean and standard deviation of the standardised function at `x`, and both their
    /// gradients.
    pub(crate) fn predict(&self, x: &[f64]) -> Prediction {
        let cross: Vec<(f64, f64)> =
            self.points.iter().map(|point| self.kernel.with_slope(x, point)).collect();
        let values: Vec<f64> = cross.iter().map(|(k, _)| *k).collect();
        let mut solved = values.clone();
        self.factor.solve(&mut solved);
        let variance = (self.kernel.variance - dot(&values, &solved)).max(1e-12);
        let deviation = variance.sqrt();
        let mut by_mean = vec![0.0; x.len()];
        let mut by_deviation = vec![0.0; x.len()];
        for (i, (_, slope)) in cross.iter().enumerate() {
            let point = &self.points[i];
            self.kernel.add_gradient(slope * self.weights[i], x, point, &mut by_mean);
            let factor = -slope * solved[i] / deviation;
            self.kernel.add_gradient(factor, x, point, &mut by_deviation);
        }
        Prediction { mean: dot(&values, &self.weights), deviation, by_mean, by_deviation }
    }
}

/// What a model says of a point.
#[derive(Debug, Clone)]
pub(crate) struct Prediction {
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
    /// The gradient of the mean.
    pub(crate) by_mean: Vec<f64>,
    /// The gradient of the deviation.
    pub(crate) by_deviation: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::random::Random;

    fn function(x: &[f64]) -> f64 {
        (6.0 * x[0]).sin() + 10.0 * x[1] * x[1]
    }

    fn points(count: usize, dimensions: usize) -> Vec<Vec<f64>> {
        let mut random = Random::new(&[4]);
        (0..count).map(|_| (0..dimensions).map(|_| random.uniform()).collect()).collect()
    }

    #[test]
    fn a_smooth_function_is_learnt_and_its_idle_coordinate_found() {
        let points = points(40, 3);
        let values: Vec<f64> = points.iter().map(|x| function(x)).collect();
        let model = Model::fit(&points, &values, &[Axis::Continuous; 3], None, 1.0).unwrap();
        let mut random = Random::new(&[8]);
        let errors = (0..50).map(|_| {
            let x: Vec<f64> = (0..3).map(|_| 0.1 + 0.8 * random.uniform()).collect();
            (model.predict(&x).mean - model.standardised(function(&x))).abs()
        });
        let mean = errors.sum::<f64>() / 50.0;
        assert!(mean < 0.03, "{mean}");
        assert!(model.noise() < 1e-3, "{}", model.noise());
    }

    #[test]
    fn noise_is_told_from_structure() {
        let points = points(80, 2);
        let mut random = Random::new(&[5]);
        let values: Vec<f64> = points.iter().map(|x| x[0] + 0.3 * random.normal()).collect();
        let model = Model::fit(&points, &values, &[Axis::Continuous; 2], None, 1.0).unwrap();
        let noise = model.noise().sqrt() * model.deviation;
        assert!((0.2..0.4).contains(&noise), "{noise}");
    }

    #[test]
    fn with_less_reach_a_model_keeps_to_its_points_and_is_less_sure_between_them() {
        let points = points(20, 2);
        let values: Vec<f64> = points.iter().map(|x| function(x)).collect();
        let of = |reach| Model::fit(&points, &values, &[Axis::Continuous; 2], None, reach).unwrap();
        let (sure, doubting) = (of(1.0), of(0.3));
        let far = [0.0, 1.0];
        assert!(doubting.predict(&far).deviation > 2.0 * sure.predict(&far).deviation);
        for (point, value) in points.iter().zip(&values) {
            let error = doubting.predict(point).mean - doubting.standardised(*value);
            assert!(error.abs() < 0.01, "{error}");
        }
    }

    #[test]
    fn gradients_are_those_of_the_prediction() {
        let points = points(15, 2);
        let values: Vec<f64> = points.iter().map(|x| function(x)).collect();
        let model = Model::fit(&points, &values, &[Axis::Continuous; 2], None, 1.0).unwrap();
        let (x, step) = ([0.31, 0.62], 1e-5);
        let at = model.predict(&x);
        for axis in 0..2 {
            let moved = |by: f64| {
                let mut x = x;
                x[axis] += by;
                model.predict(&x)
            };
            let (up, down) = (moved(step), moved(-step));
            let slope = (up.mean - down.mean) / (2.0 * step);
            assert!((slope - at.by_mean[axis]).abs() < 1e-4 * slope.abs().max(1.0));
            let slope = (up.deviation - down.deviation) / (2.0 * step);
            assert!((slope - at.by_deviation[axis]).abs() < 1e-3 * slope.abs().max(1.0));
        }
    }

    #[test]
    fn values_that_are_no_numbers_make_no_model() {
        assert!(
            Model::fit(&points(3, 1), &[1.0, f64::NAN, 2.0], &[Axis::Continuous], None, 1.0)
                .is_none()
        );
        assert!(
            Model::fit(&points(3, 1), &[1.0, 1.0, 1.0], &[Axis::Continuous], None, 1.0).is_some()
        );
    }
}
