//! How far a student's rows lie from a teacher's: hidden states and attention maps.

use crate::isa::for_each_isa;
use crate::math;
use crate::profile;
use crate::threads::{self, BLOCK_ROWS, Shared};

/// A measure of the distance between rows of the same width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// The squared difference, the mean over all values (TinyBERT; Jiao et al., 2020, §3.1).
    SquaredError,
    /// One minus the cosine of the angle between two rows, the mean over rows
    /// (DistilBERT; Sanh et al., 2019, §2).
    Cosine,
}

for_each_isa! {
    /// Adds `factor · 2 (own - wanted)` to `gradient`; returns the sum of the squares.
    fn squared_error<FMA>(own: &[f32], wanted: &[f32], factor: f32, gradient: &mut [f32]) -> f32 {
        let (wanted, gradient) = (&wanted[..own.len()], &mut gradient[..own.len()]);
        math::sum_by(own.len(), |i| {
            let difference = own[i] - wanted[i];
            gradient[i] = math::mul_add::<FMA>(2.0 * factor, difference, gradient[i]);
            difference * difference
        })
    }
}

for_each_isa! {
    /// Adds `factor` times the gradient of `1 - cos(own, wanted)` to `gradient` and returns that
    /// distance. A row of zeros has no direction: it is at distance 1 and feels nothing.
    fn cosine<FMA>(own: &[f32], wanted: &[f32], factor: f32, gradient: &mut [f32]) -> f32 {
        let (wanted, gradient) = (&wanted[..own.len()], &mut gradient[..own.len()]);
        let product = math::sum_by(own.len(), |i| own[i] * wanted[i]);
        let own_square = math::sum_by(own.len(), |i| own[i] * own[i]);
        let wanted_square = math::sum_by(own.len(), |i| wanted[i] * wanted[i]);
        let lengths = own_square.sqrt() * wanted_square.sqrt();
        if lengths == 0.0 {
            return 1.0;
        }
        let cosine = product / lengths;
        let (towards, along) = (-factor / lengths, factor * cosine / own_square);
        for (i, gradient) in gradient.iter_mut().enumerate() {
            *gradient += math::mul_add::<FMA>(towards, wanted[i], along * own[i]);
        }
        1.0 - cosine
    }
}

impl Distance {
    /// How many terms the mean over `rows` rows of `width` values has.
    pub(crate) fn terms(self, rows: usize, width: usize) -> usize {
        match self {
            Distance::SquaredError => rows * width,
            Distance::Cosine => rows,
        }
    }

    /// Adds `factor` times the gradient of the sum of one row's terms to `gradient`, and returns
    /// that sum.
    pub(crate) fn add_row(
        self,
        own: &[f32],
        wanted: &[f32],
        factor: f32,
        gradient: &mut [f32],
    ) -> f32 {
        match self {
            Distance::SquaredError => squared_error(own, wanted, factor, gradient),
            Distance::Cosine => cosine(own, wanted, factor, gradient),
        }
    }

    /// The distance of `own` from `wanted`, both `[rows, width]`. Adds `weight` times its
    /// gradient with respect to `own` to `gradient`.
    ///
    /// `sums` is memory, kept between calls.
    ///
    /// # Panics
    /// When the three have different sizes.
    pub fn add(
        self,
        own: &[f32],
        wanted: &[f32],
        width: usize,
        weight: f64,
        gradient: &mut [f32],
        sums: &mut Vec<f64>,
    ) -> f64 {
        let _timer = profile::timer("distance", || 0.0);
        assert_eq!([wanted.len(), gradient.len()], [own.len(); 2], "sizes of rows to compare");
        let rows = own.len() / width.max(1);
        let terms = self.terms(rows, width).max(1) as f64;
        let factor = (weight / terms) as f32;
        let blocks = rows.div_ceil(BLOCK_ROWS);
        sums.clear();
        sums.resize(blocks, 0.0);
        let (sums_of, gradient) = (Shared::new(sums), Shared::new(gradient));
        threads::run(blocks, |block| {
            let rows = block * BLOCK_ROWS..((block + 1) * BLOCK_ROWS).min(rows);
            // SAFETY: each block has rows and a sum of its own.
            let (sum, gradient) = unsafe {
                (
                    sums_of.range(block..block + 1),
                    gradient.range(rows.start * width..rows.end * width),
                )
            };
            for (row, gradient) in rows.zip(gradient.chunks_exact_mut(width)) {
                let range = row * width..(row + 1) * width;
                sum[0] +=
                    f64::from(self.add_row(&own[range.clone()], &wanted[range], factor, gradient));
            }
        });
        sums.iter().sum::<f64>() / terms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradient, numbers};

    const WIDTH: usize = 21;

    fn add(distance: Distance, own: &[f32], wanted: &[f32], gradient: &mut [f32]) -> f64 {
        distance.add(own, wanted, WIDTH, 30.0, gradient, &mut Vec::new())
    }

    #[test]
    fn gradients_are_derivatives() {
        let (own, wanted) = (numbers(WIDTH * 70, 1), numbers(WIDTH * 70, 2));
        for distance in [Distance::SquaredError, Distance::Cosine] {
            let mut gradient = vec![0.0; own.len()];
            add(distance, &own, &wanted, &mut gradient);
            assert_gradient(&own, &gradient, "distance", |own| {
                30.0 * add(distance, own, &wanted, &mut vec![0.0; own.len()])
            });
        }
    }

    #[test]
    fn distances_are_means_over_values_and_over_rows() {
        let wanted = [vec![1.0; WIDTH], vec![0.0; WIDTH], vec![-1.0; WIDTH]].concat();
        let own = vec![1.0; 3 * WIDTH];
        let of = |distance| add(distance, &own, &wanted, &mut vec![0.0; own.len()]);
        assert!((of(Distance::SquaredError) - 5.0 / 3.0).abs() < 1e-6);
        assert!((of(Distance::Cosine) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn what_is_equal_is_at_no_distance_and_zeros_stay_finite() {
        let own = numbers(WIDTH * 3, 1);
        for distance in [Distance::SquaredError, Distance::Cosine] {
            let mut gradient = vec![0.0; own.len()];
            assert!(add(distance, &own, &own, &mut gradient).abs() < 1e-6);
            assert!(gradient.iter().all(|g| g.abs() < 1e-6));
            let zeros = vec![0.0; own.len()];
            assert!(add(distance, &zeros, &own, &mut gradient).is_finite());
            assert!(gradient.iter().all(|g| g.is_finite()));
        }
    }
}
