//! The correlation of predicted and right labels (Matthews, 1975), for any number of labels
//! (Gorodkin, 2004).

/// Matthews correlation, from -1 to 1; 0 where all predictions or all right labels are one,
/// as scikit-learn has it.
pub fn matthews_correlation(predicted: &[usize], gold: &[usize]) -> f64 {
    let labels = predicted.iter().chain(gold).max().map_or(0, |&largest| largest + 1);
    let counts = |of: &[usize]| {
        let mut counts = vec![0.0; labels];
        of.iter().for_each(|&label| counts[label] += 1.0);
        counts
    };
    let (in_predicted, in_gold) = (counts(predicted), counts(gold));
    let total = gold.len() as f64;
    let right = predicted.iter().zip(gold).filter(|(predicted, gold)| predicted == gold).count();
    let product =
        |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(&a, &b): (&f64, &f64)| a * b).sum() };
    let covariance = |both: f64, a: &[f64], b: &[f64]| both * total - product(a, b);
    let of_predicted = covariance(total, &in_predicted, &in_predicted);
    let of_gold = covariance(total, &in_gold, &in_gold);
    if of_predicted == 0.0 || of_gold == 0.0 {
        return 0.0;
    }
    covariance(right as f64, &in_predicted, &in_gold) / (of_predicted * of_gold).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(got: f64, want: f64) {
        assert!((got - want).abs() < 1e-12, "{got}, expected {want}");
    }

    #[test]
    fn it_agrees_with_scikit_learn() {
        // sklearn.metrics.matthews_corrcoef(gold, predicted), scikit-learn 1.9.
        let gold = [1, 1, 0, 1, 0, 0, 1, 1];
        assert_near(
            matthews_correlation(&[1, 0, 0, 1, 1, 0, 1, 1], &gold),
            0.466_666_666_666_666_7,
        );
        let gold = [0, 1, 2, 2, 1, 0, 0, 2, 1];
        assert_near(
            matthews_correlation(&[0, 2, 2, 1, 1, 0, 1, 2, 1], &gold),
            0.509_524_665_365_068_1,
        );
        assert_near(matthews_correlation(&[1, 0, 1], &[0, 1, 0]), -1.0);
    }

    #[test]
    fn a_constant_side_gives_zero() {
        assert_eq!(matthews_correlation(&[1, 1, 1], &[0, 1, 1]), 0.0);
        assert_eq!(matthews_correlation(&[0, 1, 1], &[1, 1, 1]), 0.0);
        assert_eq!(matthews_correlation(&[], &[]), 0.0);
    }
}
