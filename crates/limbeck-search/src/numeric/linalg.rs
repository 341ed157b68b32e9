//! Symmetric positive definite matrices of a few hundred rows: Cholesky's factor and what
//! follows from it. Matrices are square, row by row.

/// The lower factor `L` of `A = L Lᵀ`.
#[derive(Debug, Clone)]
pub struct Cholesky {
    size: usize,
    /// Row by row; above the diagonal is 0.
    lower: Vec<f64>,
}

impl Cholesky {
    /// The factor of a matrix `[size, size]`, of which the lower half is read; none when it is
    /// not positive definite.
    pub fn of(mut matrix: Vec<f64>, size: usize) -> Option<Self> {
        for i in 0..size {
            let (above, rest) = matrix.split_at_mut(i * size);
            let row = &mut rest[..size];
            for j in 0..i {
                let other = &above[j * size..j * size + size];
                row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
            }
            let pivot = row[i] - dot(&row[..i], &row[..i]);
            if !(pivot > 0.0 && pivot.is_finite()) {
                return None;
            }
            row[i] = pivot.sqrt();
            row[i + 1..].fill(0.0);
        }
        Some(Self { size, lower: matrix })
    }

    /// The factor of a matrix to whose diagonal the smallest of `1e-10, 1e-9, ... 1e-2` times
    /// its mean is added that makes it positive definite.
    pub fn with_jitter(matrix: &[f64], size: usize) -> Option<Self> {
        let mean = (0..size).map(|i| matrix[i * size + i]).sum::<f64>() / size.max(1) as f64;
        (2..=10).rev().find_map(|digits| {
            let mut shifted = matrix.to_vec();
            (0..size).for_each(|i| shifted[i * size + i] += mean * 0.1_f64.powi(digits));
            Self::of(shifted, size)
        })
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.lower[i * self.size..(i + 1) * self.size]
    }

    /// `L x`, for correlated draws.
    pub fn times(&self, x: &[f64]) -> Vec<f64> {
        (0..self.size).map(|i| dot(&self.row(i)[..=i], &x[..=i])).collect()
    }

    /// `L⁻¹ b`, in place.
    pub fn solve_lower(&self, b: &mut [f64]) {
        for i in 0..self.size {
            let row = self.row(i);
            b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
        }
    }

    /// `A⁻¹ b`, in place.
    pub fn solve(&self, b: &mut [f64]) {
        self.solve_lower(b);
        for i in (0..self.size).rev() {
            let row = self.row(i);
            b[i] /= row[i];
            let value = b[i];
            b[..i].iter_mut().zip(row).for_each(|(b, l)| *b -= l * value);
        }
    }

    /// `ln det A`.
    pub fn log_determinant(&self) -> f64 {
        2.0 * (0..self.size).map(|i| self.row(i)[i].ln()).sum::<f64>()
    }

    /// `A⁻¹`, whole.
    pub fn inverse(&self) -> Vec<f64> {
        let n = self.size;
        // The rows of L⁻ᵀ, so that both steps walk along rows.
        let mut columns = vec![0.0; n * n];
        for j in 0..n {
            let column = &mut columns[j * n..(j + 1) * n];
            column[j] = 1.0 / self.row(j)[j];
            for i in j + 1..n {
                let row = self.row(i);
                column[i] = -dot(&row[j..i], &column[j..i]) / row[i];
            }
        }
        let mut inverse = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let value = dot(&columns[i * n + i..(i + 1) * n], &columns[j * n + i..(j + 1) * n]);
                inverse[i * n + j] = value;
                inverse[j * n + i] = value;
            }
        }
        inverse
    }
}

/// The sum of products, in eight lanes so that it is vectorised.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (chunks_a, chunks_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = chunks_a.remainder().iter().zip(chunks_b.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in chunks_a.zip(chunks_b) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    lanes.iter().sum::<f64>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::random::Random;

    /// A random positive definite matrix.
    fn matrix(n: usize) -> Vec<f64> {
        let mut random = Random::new(&[n as u64]);
        let factor: Vec<f64> = (0..n * n).map(|_| random.normal()).collect();
        let mut matrix = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                let product = dot(&factor[i * n..(i + 1) * n], &factor[j * n..(j + 1) * n]);
                matrix[i * n + j] = product + if i == j { 1.0 } else { 0.0 };
            }
        }
        matrix
    }

    fn close(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).for_each(|(a, b)| assert!((a - b).abs() < 1e-8, "{a} {b}"));
    }

    #[test]
    fn a_known_matrix_has_its_known_factor() {
        let a = vec![4.0, 12.0, -16.0, 12.0, 37.0, -43.0, -16.0, -43.0, 98.0];
        let factor = Cholesky::of(a, 3).unwrap();
        assert_eq!(factor.lower, [2.0, 0.0, 0.0, 6.0, 1.0, 0.0, -8.0, 5.0, 3.0]);
        assert!((factor.log_determinant() - 36_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn solving_and_inverting_undo_the_matrix() {
        for n in [1, 7, 20] {
            let a = matrix(n);
            let factor = Cholesky::of(a.clone(), n).unwrap();
            let x: Vec<f64> = (0..n).map(|i| i as f64 - 2.0).collect();
            let times = |m: &[f64], x: &[f64]| -> Vec<f64> {
                (0..n).map(|i| dot(&m[i * n..(i + 1) * n], x)).collect()
            };
            let mut solved = times(&a, &x);
            factor.solve(&mut solved);
            close(&solved, &x);
            close(&times(&factor.inverse(), &times(&a, &x)), &x);
            let mut lower = factor.times(&x);
            factor.solve_lower(&mut lower);
            close(&lower, &x);
        }
    }

    #[test]
    fn a_matrix_that_is_not_definite_needs_jitter() {
        let singular = vec![1.0, 1.0, 1.0, 1.0];
        assert!(Cholesky::of(vec![1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::of(vec![f64::NAN], 1).is_none());
        assert!(Cholesky::with_jitter(&singular, 2).is_some());
    }
}
