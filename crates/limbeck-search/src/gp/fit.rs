//! Hyperparameters of a Gaussian process: the most probable ones (Rasmussen and Williams, 2006,
//! section 5.4.1), under priors that let a model of few points be simple.

use super::kernel::Kernel;
use crate::numeric::lbfgs;
use crate::numeric::linalg::{Cholesky, dot};
use crate::numeric::random::Random;
use crate::space::Axis;

/// The least variance of the noise, of standardised values.
pub(super) const LEAST_NOISE: f64 = 1e-6;

/// Points whose likelihood is maximised; of more, a part.
const MOST_POINTS: usize = 200;

/// Means and standard deviations of the logarithms' normal priors. The length-scales' mean
/// grows with the root of the dimensions (Hvarfner et al., 2024).
const SCALE_PRIOR: (f64, f64) = (0.3, 1.2);
const VARIANCE_PRIOR: (f64, f64) = (0.0, 1.0);
const NOISE_PRIOR: (f64, f64) = (-8.0, 2.5);

/// Steps of the optimiser from each start.
const ITERATIONS: usize = 40;

/// The kernel and the variance of the noise that suit standardised values best; a `noise` that
/// is known stays.
pub(super) fn fit(
    points: &[Vec<f64>],
    values: &[f64],
    axes: &[Axis],
    noise: Option<f64>,
) -> Option<(Kernel, f64)> {
    let chosen = chosen(values.len());
    let points: Vec<&[f64]> = chosen.iter().map(|&i| points[i].as_slice()).collect();
    let values: Vec<f64> = chosen.iter().map(|&i| values[i]).collect();
    let likelihood = Likelihood::new(&points, &values, axes, noise);
    let typical = SCALE_PRIOR.0 + 0.5 * (axes.len() as f64).ln();
    // From long scales alone, quick changes are taken for noise, and the optimiser ends there.
    let starts = [typical - 2.5, typical - 1.0, typical + 0.5].map(|scale| {
        let mut start = vec![scale; axes.len()];
        start.extend([VARIANCE_PRIOR.0, noise.unwrap_or(1e-3).ln()]);
        start
    });
    let best = starts
        .into_iter()
        .map(|mut start| {
            let value = lbfgs::minimise(&mut start, -14.0, 8.0, ITERATIONS, |x, gradient| {
                likelihood.negative_log(x, gradient)
            });
            (value, start)
        })
        .filter(|(value, _)| value.is_finite())
        .min_by(|a, b| a.0.total_cmp(&b.0))?
        .1;
    let parameters = likelihood.read(&best);
    Some((parameters.0, parameters.1))
}

/// The points to fit on, evenly from all ages when they are too many.
fn chosen(count: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..count).collect();
    if count > MOST_POINTS {
        Random::new(&[count as u64]).shuffle(&mut all);
        all.truncate(MOST_POINTS);
        all.sort_unstable();
    }
    all
}

struct Likelihood<'a> {
    /// How far each point is from those before it along every coordinate, `[pairs, axes]`.
    apart: Vec<f64>,
    values: &'a [f64],
    axes: &'a [Axis],
    noise: Option<f64>,
}

impl<'a> Likelihood<'a> {
    fn new(points: &[&[f64]], values: &'a [f64], axes: &'a [Axis], noise: Option<f64>) -> Self {
        let pairs = (0..points.len()).flat_map(|i| points[..i].iter().map(move |b| (points[i], b)));
        let apart = pairs.flat_map(|(a, b)| {
            axes.iter().zip(a.iter().zip(*b)).map(|(axis, (a, b))| Kernel::apart(*axis, *a, *b))
        });
        Self { apart: apart.collect(), values, axes, noise }
    }

    /// Kernel and noise of the logarithms of length-scales, variance, noise.
    fn read(&self, x: &[f64]) -> (Kernel, f64) {
        let dimensions = self.axes.len();
        let scales: Vec<f64> = x[..dimensions].iter().map(|log| log.exp()).collect();
        let noise = self.noise.unwrap_or(x[dimensions + 1].exp().max(LEAST_NOISE));
        (Kernel::new(self.axes, &scales, x[dimensions].exp()), noise)
    }

    /// The negative logarithm of the posterior density, up to a constant, and its gradient.
    fn negative_log(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
        let (n, d) = (self.values.len(), self.axes.len());
        let (kernel, noise) = self.read(x);
        let mut matrix = vec![0.0; n * n];
        let mut slopes = vec![0.0; n * n];
        let mut pairs = self.apart.chunks_exact(d.max(1));
        for i in 0..n {
            for (j, apart) in pairs.by_ref().take(i).enumerate() {
                let (value, slope) = kernel.with_slope_apart(apart);
                matrix[i * n + j] = value;
                slopes[i * n + j] = slope;
            }
            matrix[i * n + i] = kernel.variance + noise;
        }
        let lower = matrix.clone();
        let Some(factor) = Cholesky::of(matrix, n) else { return f64::INFINITY };
        let mut weights = self.values.to_vec();
        factor.solve(&mut weights);
        let fit = 0.5 * dot(self.values, &weights) + 0.5 * factor.log_determinant();

        let inverse = factor.inverse();
        gradient.fill(0.0);
        let mut by_variance = 0.0;
        let mut by_noise = 0.0;
        let mut pairs = self.apart.chunks_exact(d.max(1));
        for i in 0..n {
            for (j, apart) in pairs.by_ref().take(i).enumerate() {
                let pull = inverse[i * n + j] - weights[i] * weights[j];
                by_variance += pull * lower[i * n + j];
                let slope = pull * slopes[i * n + j];
                gradient.iter_mut().zip(apart).for_each(|(sum, apart)| *sum += slope * apart);
            }
            let pull = inverse[i * n + i] - weights[i] * weights[i];
            by_variance += 0.5 * pull * (lower[i * n + i] - noise);
            by_noise += 0.5 * pull * noise;
        }
        for axis in 0..d {
            gradient[axis] *= -2.0 * (-2.0 * x[axis]).exp();
        }
        gradient[d] = by_variance;
        let is_free = self.noise.is_none() && x[d + 1].exp() > LEAST_NOISE;
        gradient[d + 1] = if is_free { by_noise } else { 0.0 };

        let mut value = fit;
        let mut add = |i: usize, (mean, deviation): (f64, f64)| {
            let z = (x[i] - mean) / deviation;
            value += 0.5 * z * z;
            gradient[i] += z / deviation;
        };
        let scale = (SCALE_PRIOR.0 + 0.5 * (d as f64).ln(), SCALE_PRIOR.1);
        (0..d).for_each(|axis| add(axis, scale));
        add(d, VARIANCE_PRIOR);
        if self.noise.is_none() {
            add(d + 1, NOISE_PRIOR);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_that_of_the_likelihood() {
        let mut random = Random::new(&[6]);
        let axes = [Axis::Continuous, Axis::Unordered(3), Axis::Steps(5)];
        let points: Vec<Vec<f64>> = (0..12)
            .map(|_| {
                let step = |n: usize, r: &mut Random| (r.below(n) as f64 + 0.5) / n as f64;
                vec![random.uniform(), step(3, &mut random), step(5, &mut random)]
            })
            .collect();
        let values: Vec<f64> = points.iter().map(|p| p[0] - p[1] + 0.1 * random.normal()).collect();
        let points: Vec<&[f64]> = points.iter().map(Vec::as_slice).collect();
        let likelihood = Likelihood::new(&points, &values, &axes, None);
        let x = [-0.5, 0.2, 0.7, 0.3, -3.0];
        let mut gradient = [0.0; 5];
        likelihood.negative_log(&x, &mut gradient);
        for i in 0..5 {
            let moved = |by: f64| {
                let mut x = x;
                x[i] += by;
                likelihood.negative_log(&x, &mut [0.0; 5])
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((slope - gradient[i]).abs() < 1e-5 * slope.abs().max(1.0), "{i}: {slope}");
        }
    }
}
