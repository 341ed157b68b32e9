//! The linear correlation of two rows of numbers.

/// Pearson correlation, from -1 to 1; not a number where either side is constant or there are
/// fewer than two, as SciPy has it.
pub fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let centred = |values: &[f64]| -> Vec<f64> {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|value| value - mean).collect()
    };
    if [a, b].iter().any(|values| values.iter().all(|value| *value == values[0])) {
        return f64::NAN;
    }
    let (a, b) = (centred(a), centred(b));
    let product = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let correlation = product(&a, &b) / (product(&a, &a).sqrt() * product(&b, &b).sqrt());
    correlation.clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_scipy() {
        // scipy.stats.pearsonr, SciPy 1.17.
        let (a, b) = ([2.5, 0.1, 4.9, 3.3, 3.3, 1.0], [3.0, 0.0, 5.0, 2.5, 4.0, 1.0]);
        let got = pearson(&a, &b);
        assert!((got - 0.959_578_628_667_511_1).abs() < 1e-12, "{got}");
        assert!((pearson(&[1.0, 2.0], &[5.0, 3.0]) + 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_constant_side_has_none() {
        assert!(pearson(&[3.0, 3.0, 3.0], &[1.0, 2.0, 3.0]).is_nan());
        assert!(pearson(&[0.1; 7], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0]).is_nan());
        assert!(pearson(&[1.0], &[1.0]).is_nan() && pearson(&[], &[]).is_nan());
    }
}
