//! The standard normal distribution, exact enough in its tails for logarithms.

use std::f64::consts::{PI, SQRT_2};

/// Below this the tail's continued fraction is used, above it the series of erf.
const TAIL: f64 = -3.0;

/// The density at `z`.
pub fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// The logarithm of the density at `z`.
pub fn log_density(z: f64) -> f64 {
    -0.5 * z * z - 0.5 * (2.0 * PI).ln()
}

/// The share below `z`.
pub fn cumulative(z: f64) -> f64 {
    if z > -TAIL {
        1.0 - cumulative(-z)
    } else if z >= TAIL {
        0.5 + half_erf(z / SQRT_2)
    } else {
        density(z) / (-z + tail_fraction(-z))
    }
}

/// The logarithm of the share below `z`, finite for every finite `z`.
pub fn log_cumulative(z: f64) -> f64 {
    if z < TAIL { log_density(z) - (-z + tail_fraction(-z)).ln() } else { cumulative(z).ln() }
}

/// What `E[(z - Y)+]` of a standard normal `Y` comes to, with its derivatives in relation to
/// it: the terms of an expected improvement in logarithms (Ament et al., 2023).
#[derive(Debug, Clone, Copy)]
pub struct Improvement {
    /// `ln(density(z) + z cumulative(z))`.
    pub log: f64,
    /// `cumulative(z)` over the improvement.
    pub cumulative_ratio: f64,
    /// `density(z)` over the improvement.
    pub density_ratio: f64,
}

impl Improvement {
    /// At `z`, which may be infinite on either side.
    pub fn at(z: f64) -> Self {
        if z == f64::NEG_INFINITY {
            return Self { log: z, cumulative_ratio: 0.0, density_ratio: 0.0 };
        }
        if z < TAIL {
            // With the tail x + c, c its continued fraction, the improvement is
            // density(z) * c / (x + c): nothing cancels.
            let (x, c) = (-z, tail_fraction(-z));
            let log = log_density(z) + (c / (x + c)).ln();
            return Self { log, cumulative_ratio: 1.0 / c, density_ratio: (x + c) / c };
        }
        let (density, cumulative) = (density(z), cumulative(z));
        let value = density + z * cumulative;
        Self {
            log: value.ln(),
            cumulative_ratio: cumulative / value,
            density_ratio: density / value,
        }
    }
}

/// The `z` below which the share `p` lies (Acklam's rational approximation, one step of
/// Halley's method after it). `p` must lie strictly between 0 and 1.
pub fn quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 6] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 5] =
        [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0];
    let polynomial = |factors: &[f64], x: f64| factors.iter().fold(0.0, |sum, f| sum * x + f);
    if p > 0.5 {
        return -quantile(1.0 - p);
    }
    let z = if p < 0.02425 {
        let q = (-2.0 * p.ln()).sqrt();
        polynomial(&C, q) / polynomial(&D, q)
    } else {
        let q = p - 0.5;
        q * polynomial(&A, q * q) / polynomial(&B, q * q)
    };
    let error = (cumulative(z) - p) / density(z);
    if error.is_finite() { z - error / (1.0 + 0.5 * z * error) } else { z }
}

/// Half of erf(x), by its Taylor series; `|x|` up to about 3.
fn half_erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        // erf(x) = 2/sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (2n+1)!!
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
        if term.abs() < 1e-17 * sum.abs() {
            break;
        }
    }
    sum * (-x * x).exp() / PI.sqrt()
}

/// `c` in the upper tail `density(x) / (x + c)`, for `x >= 3`: 1/(x + 2/(x + 3/(x + ...))).
fn tail_fraction(x: f64) -> f64 {
    (1..=60).rev().fold(0.0, |c, n| f64::from(n) / (x + c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-12 * b.abs().max(1e-300), "{a} {b}");
    }

    #[test]
    fn shares_are_those_of_the_tables() {
        close(cumulative(0.0), 0.5);
        close(cumulative(1.0), 0.841_344_746_068_542_9);
        close(cumulative(-2.9), 0.001_865_813_300_384_038);
        close(cumulative(-5.0), 2.866_515_718_791_939e-7);
        close(cumulative(-10.0), 7.619_853_024_160_527e-24);
        close(log_cumulative(-40.0), -804.608_442_013_753_9);
    }

    #[test]
    fn quantiles_undo_shares() {
        for z in [-8.0, -3.5, -1.0, -0.1, 0.0, 0.7, 2.0] {
            assert!((quantile(cumulative(z)) - z).abs() < 1e-9, "{z}");
        }
    }

    #[test]
    fn the_improvement_is_smooth_where_its_formula_changes() {
        let (below, above) = (Improvement::at(TAIL - 1e-9), Improvement::at(TAIL + 1e-9));
        assert!((below.log - above.log).abs() < 1e-7);
        assert!((below.cumulative_ratio / above.cumulative_ratio - 1.0).abs() < 1e-7);
        assert!((below.density_ratio / above.density_ratio - 1.0).abs() < 1e-7);
    }

    #[test]
    fn the_derivative_of_the_improvement_is_the_share() {
        for z in [-30.0, -6.0, -1.0, 0.5, 4.0] {
            let step = 1e-5;
            let slope =
                (Improvement::at(z + step).log - Improvement::at(z - step).log) / (2.0 * step);
            let ratio = Improvement::at(z).cumulative_ratio;
            assert!((slope / ratio - 1.0).abs() < 1e-6, "{z}: {slope} {ratio}");
        }
        assert_eq!(Improvement::at(f64::NEG_INFINITY).log, f64::NEG_INFINITY);
    }
}
