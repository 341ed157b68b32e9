//! What the kernels' tests share: deterministic numbers and finite differences.

use crate::random::Key;

/// `len` numbers of about unit size, fixed by `seed`.
pub fn numbers(len: usize, seed: u64) -> Vec<f32> {
    (0..len).map(|i| Key::new(seed).normal(i as u64) as f32).collect()
}

/// Asserts that two slices agree to `tolerance`, relative to values above 1.
#[track_caller]
pub fn assert_close(got: &[f32], want: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: lengths");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= tolerance * w.abs().max(1.0), "{what}[{i}]: {g}, expected {w}");
    }
}

/// Asserts that `gradient` is the derivative of `loss` at `at`, by central
/// differences at up to 40 places.
#[track_caller]
pub fn assert_gradient(
    at: &[f32],
    gradient: &[f32],
    what: &str,
    mut loss: impl FnMut(&[f32]) -> f64,
) {
    assert_eq!(at.len(), gradient.len(), "{what}: lengths");
    let mut moved = at.to_vec();
    let stride = (at.len() / 40).max(1);
    for i in (0..at.len()).step_by(stride) {
        let step = 1e-2;
        moved[i] = at[i] + step;
        let above = loss(&moved);
        moved[i] = at[i] - step;
        let below = loss(&moved);
        moved[i] = at[i];
        let expected = (above - below) / (2.0 * f64::from(step));
        let got = f64::from(gradient[i]);
        let error = (got - expected).abs();
        assert!(error < 2e-3 * expected.abs().max(1.0), "{what}[{i}]: {got}, expected {expected}");
    }
}

/// A weighted sum of `values`: a loss whose gradient is `weights`.
pub fn weighted(values: &[f32], weights: &[f32]) -> f64 {
    values.iter().zip(weights).map(|(&v, &w)| f64::from(v) * f64::from(w)).sum()
}
