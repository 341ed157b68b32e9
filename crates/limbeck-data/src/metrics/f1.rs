//! F1 of one of two labels, as GLUE scores paraphrases.

/// The harmonic mean of precision and recall of the label of number `positive`; 0 where it is neither predicted nor
/// right anywhere, as scikit-learn has it.
pub fn f1(predicted: &[usize], gold: &[usize], positive: usize) -> f64 {
    let count = |labels: &[usize]| labels.iter().filter(|&&label| label == positive).count();
    let both = predicted.iter().zip(gold).filter(|&pair| pair == (&positive, &positive));
    match count(predicted) + count(gold) {
        0 => 0.0,
        sum => 2.0 * both.count() as f64 / sum as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_scikit_learn() {
        // sklearn.metrics.f1_score(gold, predicted), scikit-learn 1.9.
        let gold = [1, 1, 0, 1, 0, 0, 1, 1];
        assert!((f1(&[1, 0, 0, 1, 1, 0, 1, 1], &gold, 1) - 0.8).abs() < 1e-12);
        assert!((f1(&[1; 8], &gold, 1) - 0.769_230_769_230_769_2).abs() < 1e-12);
    }

    #[test]
    fn without_a_hit_it_is_zero() {
        assert_eq!(f1(&[0, 0], &[0, 0], 1), 0.0);
        assert_eq!(f1(&[1, 0], &[0, 1], 1), 0.0);
        assert_eq!(f1(&[], &[], 1), 0.0);
    }
}
