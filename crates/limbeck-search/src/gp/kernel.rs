//! The covariance of values at two points: Matérn-5/2 with a length-scale for every coordinate.

use crate::space::Axis;

const SQRT_5: f64 = 2.236_067_977_499_79;

/// A kernel over the unit cube, in which choices without order are alike or not.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    axes: Vec<Axis>,
    /// Of every coordinate, one over the square of its length-scale.
    weights: Vec<f64>,
    /// The variance of the function.
    pub(crate) variance: f64,
}

impl Kernel {
    pub(crate) fn new(axes: &[Axis], length_scales: &[f64], variance: f64) -> Self {
        let weights = length_scales.iter().map(|scale| 1.0 / (scale * scale)).collect();
        Self { axes: axes.to_vec(), weights, variance }
    }

    /// The same with its shortest length-scale `by` times as long.
    pub(crate) fn with_shortest_scale(mut self, by: f64) -> Self {
        let heaviest = self.weights.iter_mut().max_by(|a, b| a.total_cmp(b));
        heaviest.into_iter().for_each(|weight| *weight /= by * by);
        self
    }

    /// The distance of two points along one coordinate, squared, without its scale.
    pub(crate) fn apart(axis: Axis, a: f64, b: f64) -> f64 {
        match axis {
            // Choices are a cell apart; one that is absent lies half a cell from the first.
            Axis::Unordered(count) => f64::from((a - b).abs() * count as f64 > 0.25),
            _ => (a - b) * (a - b),
        }
    }

    /// The scaled distance of two points, squared.
    fn distance(&self, a: &[f64], b: &[f64]) -> f64 {
        let places = a.iter().zip(b).zip(&self.axes);
        places.zip(&self.weights).map(|(((a, b), axis), w)| w * Self::apart(*axis, *a, *b)).sum()
    }

    /// `k(a, b)`.
    pub(crate) fn at(&self, a: &[f64], b: &[f64]) -> f64 {
        let r = SQRT_5 * self.distance(a, b).sqrt();
        self.variance * (1.0 + r + r * r / 3.0) * (-r).exp()
    }

    /// `k(a, b)` and its derivative by the squared scaled distance.
    pub(crate) fn with_slope(&self, a: &[f64], b: &[f64]) -> (f64, f64) {
        self.with_slope_at(self.distance(a, b))
    }

    /// As [`with_slope`](Self::with_slope), of two points that are so far [`apart`](Self::apart).
    pub(crate) fn with_slope_apart(&self, apart: &[f64]) -> (f64, f64) {
        self.with_slope_at(apart.iter().zip(&self.weights).map(|(apart, w)| w * apart).sum())
    }

    fn with_slope_at(&self, distance: f64) -> (f64, f64) {
        let r = SQRT_5 * distance.sqrt();
        let decay = self.variance * (-r).exp();
        (decay * (1.0 + r + r * r / 3.0), -5.0 / 6.0 * decay * (1.0 + r))
    }

    /// Adds `factor * dk(a, b)/da` to `gradient`, `slope` being that of [`with_slope`]; nothing
    /// along coordinates that cannot move a little.
    ///
    /// [`with_slope`]: Self::with_slope
    pub(crate) fn add_gradient(
        &self,
        slope_and_factor: f64,
        a: &[f64],
        b: &[f64],
        gradient: &mut [f64],
    ) {
        for (i, sum) in gradient.iter_mut().enumerate() {
            if self.axes[i] == Axis::Continuous {
                *sum += slope_and_factor * 2.0 * self.weights[i] * (a[i] - b[i]);
            }
        }
    }

    /// `k` of every pair, `[a, b]` row by row.
    pub(crate) fn matrix(&self, a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<f64> {
        a.iter().flat_map(|a| b.iter().map(move |b| self.at(a, b))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_materns_and_its_slope_is_its_derivative() {
        let kernel = Kernel::new(&[Axis::Continuous, Axis::Unordered(3)], &[0.5, 2.0], 1.5);
        let r: f64 = 5.0_f64.sqrt() * (0.36_f64 + 0.25).sqrt();
        let expected = 1.5 * (1.0 + r + r * r / 3.0) * (-r).exp();
        let (a, b) = ([0.1, 1.0 / 6.0], [0.4, 0.5]);
        assert!((kernel.at(&a, &b) - expected).abs() < 1e-12);
        let step = 1e-6;
        let moved = |x: f64| kernel.at(&[x, a[1]], &b);
        let slope = (moved(0.1 + step) - moved(0.1 - step)) / (2.0 * step);
        let mut gradient = [0.0; 2];
        kernel.add_gradient(kernel.with_slope(&a, &b).1, &a, &b, &mut gradient);
        assert!((gradient[0] - slope).abs() < 1e-6 && gradient[1] == 0.0);
    }

    #[test]
    fn only_the_shortest_scale_is_changed() {
        let kernel = Kernel::new(&[Axis::Continuous; 3], &[1.0, 0.5, 2.0], 1.0);
        let doubting = kernel.clone().with_shortest_scale(0.4);
        let along = |kernel: &Kernel, i: usize| {
            let mut point = [0.0; 3];
            point[i] = 0.5;
            kernel.at(&[0.0; 3], &point)
        };
        assert!(along(&doubting, 1) < along(&kernel, 1));
        assert_eq!([0, 2].map(|i| along(&doubting, i)), [0, 2].map(|i| along(&kernel, i)));
    }
}
