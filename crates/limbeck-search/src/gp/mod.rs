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

#[cfg(test)]
pub(crate) use kernel::Kernel as TestedKernel;

/// A function of the unit cube, known at some points up to noise. Values inside are
/// standardised: mean 0, variance 1.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    points: Vec<Vec<f64>>,
    /// Standardised.
    values: Vec<f64>,
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
    /// Of these values; `noise` is the standard deviation of their noise where it is known.
    /// None when no covariance could be found that is positive definite, as when a value is
    /// no number.
    pub(crate) fn fit(
        points: &[Vec<f64>],
        values: &[f64],
        axes: &[Axis],
        noise: Option<f64>,
    ) -> Option<Self> {
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count.max(1) as f64;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count as f64;
        let deviation = if variance > 1e-24 { variance.sqrt() } else { 1.0 };
        let standard: Vec<f64> = values.iter().map(|v| (v - mean) / deviation).collect();
        let noise = noise.map(|noise| (noise / deviation).powi(2).max(fit::LEAST_NOISE));
        let (kernel, noise) = fit::fit(points, &standard, axes, noise)?;
        let (factor, weights) = solved(&kernel, noise, points, &standard)?;
        Some(Self {
            points: points.to_vec(),
            values: standard,
            kernel,
            noise,
            factor,
            weights,
            mean,
            deviation,
        })
    }

    /// The same with the shortest length-scale, along which the function changes most, `by`
    /// times as long.
    pub(crate) fn with_shortest_scale(mut self, by: f64) -> Option<Self> {
        self.kernel = self.kernel.with_shortest_scale(by);
        (self.factor, self.weights) = solved(&self.kernel, self.noise, &self.points, &self.values)?;
        Some(self)
    }

    /// How far a value lies from what the model would say of it without that value, in standard
    /// deviations, at most (Rasmussen and Williams, 2006, section 5.4.2).
    pub(crate) fn surprise(&self) -> f64 {
        let count = self.weights.len();
        let inverse = self.factor.inverse();
        let of = |i: usize| self.weights[i].abs() / inverse[i * count + i].sqrt();
        (0..count).map(of).fold(0.0, f64::max)
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

/// The factor of the covariance with noise, and its inverse times the values.
fn solved(
    kernel: &Kernel,
    noise: f64,
    points: &[Vec<f64>],
    values: &[f64],
) -> Option<(Cholesky, Vec<f64>)> {
    let count = values.len();
    let mut matrix = kernel.matrix(points, points);
    (0..count).for_each(|i| matrix[i * count + i] += noise);
    let factor =
        Cholesky::of(matrix.clone(), count).or_else(|| Cholesky::with_jitter(&matrix, count))?;
    let mut weights = values.to_vec();
    factor.solve(&mut weights);
    Some((factor, weights))
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
        let model = Model::fit(&points, &values, &[Axis::Continuous; 3], None).unwrap();
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
        let model = Model::fit(&points, &values, &[Axis::Continuous; 2], None).unwrap();
        let noise = model.noise().sqrt() * model.deviation;
        assert!((0.2..0.4).contains(&noise), "{noise}");
    }

    #[test]
    fn quick_changes_are_not_taken_for_noise() {
        // The second function of ZDT3 divided by `g`, at even points and along its front.
        let quick = |x: &[f64]| {
            let share = x[0] / (1.0 + 1.8 * x[1..].iter().sum::<f64>());
            1.0 - share.sqrt() - share * (31.4 * x[0]).sin()
        };
        let mut points = points(35, 6);
        points[17..].iter_mut().for_each(|x| x[1..].fill(0.0));
        let values: Vec<f64> = points.iter().map(|x| quick(x)).collect();
        let model = Model::fit(&points, &values, &[Axis::Continuous; 6], None).unwrap();
        assert!(model.noise() < 1e-3, "{}", model.noise());
    }

    #[test]
    fn with_a_shorter_scale_a_model_keeps_to_its_points_and_is_less_sure_between_them() {
        let points = points(20, 2);
        let values: Vec<f64> = points.iter().map(|x| function(x)).collect();
        let sure = Model::fit(&points, &values, &[Axis::Continuous; 2], None).unwrap();
        let doubting = sure.clone().with_shortest_scale(0.3).unwrap();
        let far = [0.0, 1.0];
        assert!(doubting.predict(&far).deviation > 2.0 * sure.predict(&far).deviation);
        for (point, value) in points.iter().zip(&values) {
            let error = doubting.predict(point).mean - doubting.standardised(*value);
            assert!(error.abs() < 0.01, "{error}");
        }
    }

    #[test]
    fn surprise_is_the_farthest_value_from_what_the_others_say() {
        let points = points(12, 2);
        let values: Vec<f64> = points.iter().map(|x| function(x)).collect();
        let model = Model::fit(&points, &values, &[Axis::Continuous; 2], None).unwrap();
        let without = |left_out: usize| {
            let rest: Vec<usize> = (0..12).filter(|i| *i != left_out).collect();
            let points: Vec<Vec<f64>> = rest.iter().map(|&i| points[i].clone()).collect();
            let values: Vec<f64> = rest.iter().map(|&i| model.values[i]).collect();
            let (factor, weights) = solved(&model.kernel, model.noise, &points, &values).unwrap();
            let mut others = model.clone();
            (others.points, others.values) = (points, values);
            (others.factor, others.weights) = (factor, weights);
            let says = others.predict(&model.points[left_out]);
            let deviation = (says.deviation.powi(2) + model.noise).sqrt();
            (model.values[left_out] - says.mean).abs() / deviation
        };
        let farthest = (0..12).map(without).fold(0.0, f64::max);
        assert!((model.surprise() - farthest).abs() < 1e-6 * farthest, "{farthest}");
    }

    #[test]
    fn gradients_are_those_of_the_prediction() {
        let points = points(15, 2);
        let values: Vec<f64> = points.iter().map(|x| function(x)).collect();
        let model = Model::fit(&points, &values, &[Axis::Continuous; 2], None).unwrap();
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
            Model::fit(&points(3, 1), &[1.0, f64::NAN, 2.0], &[Axis::Continuous], None).is_none()
        );
        assert!(Model::fit(&points(3, 1), &[1.0, 1.0, 1.0], &[Axis::Continuous], None).is_some());
    }
}
