//! The correlation of ranks of two rows of numbers.

use super::pearson::pearson;

/// Spearman correlation, from -1 to 1: [`pearson`] of the ranks, equal numbers sharing the mean
/// of theirs. Not a number where either side is constant or there are fewer than two.
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    if a.iter().chain(b).any(|value| value.is_nan()) {
        return f64::NAN;
    }
    pearson(&ranks(a), &ranks(b))
}

/// The rank of each number, from 0.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    // `total_cmp` puts -0 before 0, neighbours all the same.
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let mean = first as f64 + (equal.len() - 1) as f64 / 2.0;
        equal.iter().for_each(|&place| ranks[place] = mean);
        first += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_scipy() {
        // scipy.stats.spearmanr, SciPy 1.17; 3.3 comes twice.
        let (a, b) = ([2.5, 0.1, 4.9, 3.3, 3.3, 1.0], [3.0, 0.0, 5.0, 2.5, 4.0, 1.0]);
        let got = spearman(&a, &b);
        assert!((got - 0.898_645_105_261_295).abs() < 1e-12, "{got}");
    }

    #[test]
    fn equal_numbers_share_the_mean_of_their_ranks() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 0.0, -0.0, 3.0]), [4.0, 2.0, 4.0, 0.5, 0.5, 4.0]);
    }

    #[test]
    fn a_constant_side_or_what_is_no_number_has_none() {
        assert!(spearman(&[1.0, 1.0], &[1.0, 2.0]).is_nan());
        assert!(spearman(&[1.0, f64::NAN], &[1.0, 2.0]).is_nan());
    }
}
