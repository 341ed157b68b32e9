//! Losses over one softmax, such as that over the tokens of a sequence, and over one number.
//!
//! Sequences are short and their logits few, so these run in `f64` and on one thread.

/// The logarithm of the sum of `exp(logit / temperature)`.
fn log_sum_exp(logits: &[f32], temperature: f64) -> f64 {
    let scaled = |logit: f32| f64::from(logit) / temperature;
    let maximum = logits.iter().map(|&l| scaled(l)).fold(f64::NEG_INFINITY, f64::max);
    maximum + logits.iter().map(|&l| (scaled(l) - maximum).exp()).sum::<f64>().ln()
}

/// Cross-entropy of a softmax against one right index: `-log softmax(logits)[target]`.
///
/// Adds `weight` times its gradient, `softmax(logits) - onehot(target)`, to
/// `gradient`, and returns `weight` times the loss.
///
/// # Panics
/// When `target` is not an index of `logits`.
pub fn cross_entropy(logits: &[f32], target: usize, weight: f64, gradient: &mut [f32]) -> f64 {
    let total = log_sum_exp(logits, 1.0);
    for (gradient, &logit) in gradient.iter_mut().zip(logits) {
        *gradient += (weight * (f64::from(logit) - total).exp()) as f32;
    }
    gradient[target] -= weight as f32;
    weight * (total - f64::from(logits[target]))
}

/// `T² · KL(softmax(teacher / T) ‖ softmax(logits / T))` (Hinton, Vinyals and Dean,
/// 2015, §2: the factor `T²` keeps the size of the gradient when `T` changes).
///
/// Adds `weight` times its gradient, `T · (softmax(logits / T) - softmax(teacher / T))`,
/// to `gradient`, and returns `weight` times the loss.
pub fn divergence(
    logits: &[f32],
    teacher: &[f32],
    temperature: f64,
    weight: f64,
    gradient: &mut [f32],
) -> f64 {
    let own_total = log_sum_exp(logits, temperature);
    let teacher_total = log_sum_exp(teacher, temperature);
    let mut loss = 0.0;
    for ((gradient, &logit), &teacher) in gradient.iter_mut().zip(logits).zip(teacher) {
        let own = f64::from(logit) / temperature - own_total;
        let wanted = f64::from(teacher) / temperature - teacher_total;
        loss += wanted.exp() * (wanted - own);
        *gradient += (weight * temperature * (own.exp() - wanted.exp())) as f32;
    }
    weight * temperature * temperature * loss
}

/// `KL(softmax(logits) ‖ softmax(teacher))`: the divergence the other way round, which asks a
/// student to say nothing that its teacher does not say.
///
/// Adds `weight` times its gradient to `gradient`, and returns `weight` times the loss.
pub fn reverse_divergence(
    logits: &[f32],
    teacher: &[f32],
    weight: f64,
    gradient: &mut [f32],
) -> f64 {
    let own_total = log_sum_exp(logits, 1.0);
    let teacher_total = log_sum_exp(teacher, 1.0);
    let terms = || {
        logits.iter().zip(teacher).map(|(&logit, &teacher)| {
            let own = f64::from(logit) - own_total;
            (own.exp(), own - (f64::from(teacher) - teacher_total))
        })
    };
    let loss: f64 = terms().map(|(own, excess)| own * excess).sum();
    for (gradient, (own, excess)) in gradient.iter_mut().zip(terms()) {
        *gradient += (weight * own * (excess - loss)) as f32;
    }
    weight * loss
}

/// Cross-entropy against a teacher's softmax: `-Σ softmax(teacher / T) log softmax(logits / T)`.
/// It is the [`divergence`] plus what does not depend on the student, and without the factor `T²`.
///
/// Adds `weight` times its gradient to `gradient`, and returns `weight` times the loss.
pub fn soft_cross_entropy(
    logits: &[f32],
    teacher: &[f32],
    temperature: f64,
    weight: f64,
    gradient: &mut [f32],
) -> f64 {
    let total = log_sum_exp(teacher, temperature);
    let logarithms = teacher.iter().map(|&logit| f64::from(logit) / temperature - total);
    let entropy = -logarithms.map(|logarithm| logarithm.exp() * logarithm).sum::<f64>();
    let without_square = weight / (temperature * temperature);
    divergence(logits, teacher, temperature, without_square, gradient) + weight * entropy
}

/// Cross-entropy against a teacher's softmax at a temperature that the student's does not have:
/// `-Σ softmax(teacher / T) log softmax(logits)`.
///
/// Adds `weight` times its gradient, `softmax(logits) - softmax(teacher / T)`, to `gradient`,
/// and returns `weight` times the loss.
pub fn one_sided_cross_entropy(
    logits: &[f32],
    teacher: &[f32],
    temperature: f64,
    weight: f64,
    gradient: &mut [f32],
) -> f64 {
    let own_total = log_sum_exp(logits, 1.0);
    let teacher_total = log_sum_exp(teacher, temperature);
    let mut loss = 0.0;
    for ((gradient, &logit), &teacher) in gradient.iter_mut().zip(logits).zip(teacher) {
        let own = f64::from(logit) - own_total;
        let wanted = (f64::from(teacher) / temperature - teacher_total).exp();
        loss -= wanted * own;
        *gradient += (weight * (own.exp() - wanted)) as f32;
    }
    weight * loss
}

/// `Σ (value - target)²` over the numbers of one regression, which is commonly one.
///
/// Adds `weight` times its gradient to `gradient`, and returns `weight` times the loss.
pub fn squared_error(values: &[f32], targets: &[f32], weight: f64, gradient: &mut [f32]) -> f64 {
    let mut loss = 0.0;
    for ((gradient, &value), &target) in gradient.iter_mut().zip(values).zip(targets) {
        let error = f64::from(value) - f64::from(target);
        loss += error * error;
        *gradient += (weight * 2.0 * error) as f32;
    }
    weight * loss
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradient, numbers};

    #[test]
    fn gradients_are_derivatives() {
        let logits: Vec<f32> = numbers(23, 1).iter().map(|v| 3.0 * v).collect();
        let teacher: Vec<f32> = numbers(23, 2).iter().map(|v| 3.0 * v).collect();
        let mut gradient = vec![0.0; 23];
        cross_entropy(&logits, 4, 0.7, &mut gradient);
        assert_gradient(&logits, &gradient, "cross-entropy", |logits| {
            cross_entropy(logits, 4, 0.7, &mut [0.0; 23])
        });
        for temperature in [1.0, 2.0, 7.5] {
            let mut gradient = vec![0.0; 23];
            divergence(&logits, &teacher, temperature, 1.3, &mut gradient);
            assert_gradient(&logits, &gradient, "divergence", |logits| {
                divergence(logits, &teacher, temperature, 1.3, &mut [0.0; 23])
            });
        }
    }

    #[test]
    fn gradients_of_the_other_soft_losses_are_derivatives() {
        let logits: Vec<f32> = numbers(23, 1).iter().map(|v| 2.0 * v).collect();
        let teacher: Vec<f32> = numbers(23, 2).iter().map(|v| 2.0 * v).collect();
        let mut gradient = vec![0.0; 23];
        reverse_divergence(&logits, &teacher, 1.3, &mut gradient);
        assert_gradient(&logits, &gradient, "reverse divergence", |logits| {
            reverse_divergence(logits, &teacher, 1.3, &mut [0.0; 23])
        });
        for temperature in [1.0, 3.0] {
            let mut gradient = vec![0.0; 23];
            soft_cross_entropy(&logits, &teacher, temperature, 1.3, &mut gradient);
            assert_gradient(&logits, &gradient, "soft cross-entropy", |logits| {
                soft_cross_entropy(logits, &teacher, temperature, 1.3, &mut [0.0; 23])
            });
            let mut gradient = vec![0.0; 23];
            one_sided_cross_entropy(&logits, &teacher, temperature, 1.3, &mut gradient);
            assert_gradient(&logits, &gradient, "one-sided cross-entropy", |logits| {
                one_sided_cross_entropy(logits, &teacher, temperature, 1.3, &mut [0.0; 23])
            });
        }
    }

    #[test]
    fn the_gradient_of_the_squared_error_is_its_derivative() {
        let (values, targets) = (numbers(3, 1), numbers(3, 2));
        let mut gradient = vec![0.0; 3];
        let loss = squared_error(&values, &targets, 0.7, &mut gradient);
        assert!(loss > 0.0);
        assert_gradient(&values, &gradient, "squared error", |values| {
            squared_error(values, &targets, 0.7, &mut [0.0; 3])
        });
        assert_eq!(squared_error(&[1.5], &[0.5], 2.0, &mut [0.0]), 2.0);
    }

    #[test]
    fn a_student_that_equals_its_teacher_has_no_loss() {
        let logits = numbers(9, 1);
        let shifted: Vec<f32> = logits.iter().map(|v| v + 5.0).collect();
        assert!(reverse_divergence(&logits, &shifted, 1.0, &mut [0.0; 9]).abs() < 1e-6);
        assert!(divergence(&logits, &shifted, 2.0, 1.0, &mut [0.0; 9]).abs() < 1e-9);
    }

    #[test]
    fn large_logits_neither_overflow_nor_hide_a_nan() {
        let mut gradient = [0.0; 3];
        let loss = cross_entropy(&[1e30, -1e30, 0.0], 0, 1.0, &mut gradient);
        assert_eq!((loss, gradient), (0.0, [0.0; 3]));
        assert!(cross_entropy(&[f32::NAN, 0.0], 1, 1.0, &mut [0.0; 2]).is_nan());
    }
}
