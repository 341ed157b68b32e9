//! Losses over a vocabulary: softmaxes of many logits, one row a word to be guessed.
//!
//! Unlike the softmaxes of [`loss`](crate::loss), these have tens of thousands of logits, so
//! they run in `f32` and on all threads, and the gradient takes the place of the logits: no
//! second buffer of their size is touched. What is summed over rows is left a row each, for
//! the caller to add up in order.

use crate::isa::for_each_isa;
use crate::math::{exp, maximum, mul_add, sum_by};
use crate::profile;
use crate::threads::{self, Shared};

/// What the softmax of a row is compared with besides its right word: distributions of
/// teachers, mixed by [`add_teacher`].
#[derive(Debug, Clone, Copy)]
pub struct Soft<'a> {
    /// Weight of the loss in the gradient.
    pub weight: f64,
    /// Divides the logits of this side. The targets have had their own temperature.
    pub temperature: f64,
    /// Multiplies the loss: `T²` in the form of Hinton, Vinyals and Dean (2015, §2), else 1.
    pub factor: f64,
    /// The distributions, `[rows, vocabulary]`, each with sum 1.
    pub targets: &'a [f32],
}

/// The losses of one row, without their weights.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RowLoss {
    /// Cross-entropy against the right word.
    pub hard: f64,
    /// `factor` times the cross-entropy against the target.
    pub soft: f64,
    /// Whether no word has a higher logit than the right one.
    pub right: bool,
}

/// Compares rows of logits (`[rows, vocabulary]`) with their right words (`[rows]`) and, if
/// there are any, with soft targets. The logits become the gradient of
/// `hard_weight · Σ hard + soft.weight · Σ soft`.
///
/// # Panics
/// When a buffer is of another size, or a right word is not in the vocabulary.
pub fn learn(
    logits: &mut [f32],
    labels: &[u32],
    hard_weight: f64,
    soft: Option<Soft<'_>>,
    losses: &mut [RowLoss],
) {
    let _timer = profile::timer("vocabulary loss", || 0.0);
    let columns = columns_of(logits.len(), labels.len());
    assert_eq!(losses.len(), labels.len(), "a loss for every row");
    if let Some(soft) = soft {
        assert_eq!(soft.targets.len(), logits.len(), "size of the targets");
    }
    let (logits, losses) = (Shared::new(logits), Shared::new(losses));
    threads::run(labels.len(), |row| {
        let range = row * columns..(row + 1) * columns;
        // SAFETY: each row belongs to one task.
        let (values, loss) = unsafe { (logits.range(range.clone()), losses.range(row..row + 1)) };
        let label = labels[row] as usize;
        let largest = maximum(values);
        loss[0].right = values[label] >= largest;
        let right = f64::from(values[label] - largest);
        let sum = exp_sum(values, largest, 1.0);
        loss[0].hard = f64::from(sum).ln() - right;
        loss[0].soft = 0.0;
        let hard = hard_weight as f32;
        match soft {
            None => replace(values, largest, 1.0, hard / sum, &[], 0.0),
            Some(soft) => {
                let target = &soft.targets[range];
                let inverse = (1.0 / soft.temperature) as f32;
                let own_sum = match soft.temperature {
                    1.0 => sum,
                    _ => exp_sum(values, largest, inverse),
                };
                let expected = f64::from(expectation(target, values, largest)) / soft.temperature;
                loss[0].soft = soft.factor * (f64::from(own_sum).ln() - expected);
                let pull = (soft.weight * soft.factor / soft.temperature) as f32;
                if soft.temperature == 1.0 {
                    replace(values, largest, 1.0, (hard + pull) / sum, target, pull);
                } else if hard == 0.0 {
                    replace(values, largest, inverse, pull / own_sum, target, pull);
                } else {
                    let shares = [hard / sum, pull / own_sum];
                    replace_both(values, largest, inverse, shares, target, pull);
                }
            }
        }
        values[label] -= hard;
    });
}

/// The losses against the right words alone, without a gradient.
///
/// # Panics
/// As [`learn`].
pub fn compare(logits: &[f32], labels: &[u32], losses: &mut [RowLoss]) {
    let _timer = profile::timer("vocabulary loss", || 0.0);
    let columns = columns_of(logits.len(), labels.len());
    assert_eq!(losses.len(), labels.len(), "a loss for every row");
    let losses = Shared::new(losses);
    threads::run(labels.len(), |row| {
        let values = &logits[row * columns..(row + 1) * columns];
        // SAFETY: each row belongs to one task.
        let loss = unsafe { losses.range(row..row + 1) };
        let right = values[labels[row] as usize];
        let largest = maximum(values);
        let log_sum = f64::from(exp_sum(values, largest, 1.0)).ln();
        loss[0] = RowLoss {
            hard: log_sum - f64::from(right - largest),
            soft: 0.0,
            right: right >= largest,
        };
    });
}

/// Adds `share` times the softmax of a teacher's logits at `temperature` to the targets, both
/// `[rows, vocabulary]`; the first teacher of several begins the targets anew. To `entropies`
/// (`[rows]`) goes `share` times the entropy of that softmax: what the cross-entropy against
/// it exceeds the divergence by.
///
/// # Panics
/// When a buffer is of another size.
pub fn add_teacher(
    logits: &[f32],
    temperature: f64,
    share: f64,
    is_first: bool,
    targets: &mut [f32],
    entropies: &mut [f64],
) {
    let _timer = profile::timer("vocabulary targets", || 0.0);
    let rows = entropies.len();
    let columns = columns_of(logits.len(), rows);
    assert_eq!(targets.len(), logits.len(), "size of the targets");
    let (targets, entropies) = (Shared::new(targets), Shared::new(entropies));
    let inverse = (1.0 / temperature) as f32;
    threads::run(rows, |row| {
        let range = row * columns..(row + 1) * columns;
        let values = &logits[range.clone()];
        // SAFETY: each row belongs to one task.
        let (target, entropy) = unsafe { (targets.range(range), entropies.range(row..row + 1)) };
        if is_first {
            target.fill(0.0);
            entropy[0] = 0.0;
        }
        let largest = maximum(values);
        let sum = exp_sum(values, largest, inverse);
        let mean = mix(values, largest, inverse, share as f32 / sum, target) / share as f32;
        entropy[0] += share * (f64::from(sum).ln() - f64::from(mean));
    });
}

fn columns_of(values: usize, rows: usize) -> usize {
    let columns = values / rows.max(1);
    assert_eq!(columns * rows, values, "whole rows of logits");
    columns
}

for_each_isa! {
    /// `Σ exp((value - largest) · inverse)`.
    fn exp_sum<FMA>(values: &[f32], largest: f32, inverse: f32) -> f32 {
        sum_by(values.len(), |i| exp::<FMA>((values[i] - largest) * inverse))
    }
}

for_each_isa! {
    /// `Σ target · (value - largest)`.
    fn expectation<FMA>(target: &[f32], values: &[f32], largest: f32) -> f32 {
        let target = &target[..values.len()];
        sum_by(values.len(), |i| target[i] * (values[i] - largest))
    }
}

for_each_isa! {
    /// `value = scale · exp((value - largest) · inverse) - pull · target`.
    fn replace<FMA>(
        values: &mut [f32], largest: f32, inverse: f32, scale: f32, target: &[f32], pull: f32,
    ) {
        if target.is_empty() {
            for value in values.iter_mut() {
                *value = scale * exp::<FMA>((*value - largest) * inverse);
            }
            return;
        }
        for (value, &target) in values.iter_mut().zip(target) {
            let own = scale * exp::<FMA>((*value - largest) * inverse);
            *value = mul_add::<FMA>(-pull, target, own);
        }
    }
}

for_each_isa! {
    /// The same with a softmax of the value as it is and one at a temperature.
    fn replace_both<FMA>(
        values: &mut [f32], largest: f32, inverse: f32, shares: [f32; 2], target: &[f32],
        pull: f32,
    ) {
        for (value, &target) in values.iter_mut().zip(target) {
            let below = *value - largest;
            let plain = shares[0] * exp::<FMA>(below);
            let own = mul_add::<FMA>(shares[1], exp::<FMA>(below * inverse), plain);
            *value = mul_add::<FMA>(-pull, target, own);
        }
    }
}

for_each_isa! {
    /// `target += scale · e`, `e = exp((value - largest) · inverse)`; returns the sum of what
    /// was added, each times its exponent.
    fn mix<FMA>(
        values: &[f32], largest: f32, inverse: f32, scale: f32, target: &mut [f32],
    ) -> f32 {
        let target = &mut target[..values.len()];
        sum_by(values.len(), |i| {
            let exponent = (values[i] - largest) * inverse;
            let added = scale * exp::<FMA>(exponent);
            target[i] += added;
            added * exponent
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss;
    use crate::testing::{assert_close, assert_gradient, numbers};

    const ROWS: usize = 5;
    const WORDS: usize = 37;
    const LABELS: [u32; ROWS] = [3, 0, 36, 17, 3];

    fn logits(seed: u64) -> Vec<f32> {
        numbers(ROWS * WORDS, seed).iter().map(|v| 3.0 * v).collect()
    }

    fn targets(temperature: f64) -> (Vec<f32>, Vec<f64>) {
        let (mut targets, mut entropies) = (vec![9.0; ROWS * WORDS], vec![9.0; ROWS]);
        for (index, (seed, share)) in [(2, 0.75), (3, 0.25)].into_iter().enumerate() {
            let first = index == 0;
            add_teacher(&logits(seed), temperature, share, first, &mut targets, &mut entropies);
        }
        (targets, entropies)
    }

    fn sum(losses: &[RowLoss], hard: f64, soft: f64) -> f64 {
        losses.iter().map(|loss| hard * loss.hard + soft * loss.soft).sum()
    }

    #[test]
    fn gradients_are_derivatives_of_the_losses_in_every_mixture() {
        let (targets, _) = targets(2.0);
        for (hard, weight, temperature, factor) in
            [(0.7, 0.0, 1.0, 1.0), (0.4, 0.6, 2.0, 4.0), (0.0, 1.1, 2.0, 4.0), (0.3, 0.7, 1.0, 1.0)]
        {
            let of = |values: &[f32]| {
                let (mut values, mut losses) = (values.to_vec(), [RowLoss::default(); ROWS]);
                let soft = Soft { weight, temperature, factor, targets: &targets };
                let soft = (weight > 0.0).then_some(soft);
                learn(&mut values, &LABELS, hard, soft, &mut losses);
                (values, sum(&losses, hard, weight))
            };
            let (gradient, _) = of(&logits(1));
            assert_gradient(&logits(1), &gradient, "vocabulary loss", |values| of(values).1);
        }
    }

    #[test]
    fn losses_and_gradients_are_those_of_the_exact_softmaxes() {
        let (temperature, own) = (2.0, logits(1));
        let (targets, entropies) = targets(temperature);
        let (mut got, mut losses) = (own.clone(), [RowLoss::default(); ROWS]);
        let soft = Soft { weight: 0.6, temperature, factor: 4.0, targets: &targets };
        learn(&mut got, &LABELS, 0.4, Some(soft), &mut losses);
        for row in 0..ROWS {
            let part = |values: &[f32]| values[row * WORDS..(row + 1) * WORDS].to_vec();
            let mut want = vec![0.0; WORDS];
            let hard = loss::cross_entropy(&part(&own), LABELS[row] as usize, 0.4, &mut want) / 0.4;
            let divergence: f64 = [(2, 0.75), (3, 0.25)]
                .map(|(seed, share)| {
                    let (teacher, weight) = (part(&logits(seed)), 0.6 * share);
                    loss::divergence(&part(&own), &teacher, temperature, weight, &mut want)
                })
                .iter()
                .sum();
            assert_close(&part(&got), &want, 1e-5, "gradient");
            assert!((losses[row].hard - hard).abs() < 1e-5);
            let soft = losses[row].soft - 4.0 * entropies[row];
            assert!((soft - divergence / 0.6).abs() < 1e-4, "{soft} {divergence}");
        }
    }

    #[test]
    fn a_comparison_gives_the_loss_of_learning_and_leaves_the_logits() {
        let own = logits(1);
        let mut compared = [RowLoss::default(); ROWS];
        compare(&own, &LABELS, &mut compared);
        let mut learnt = [RowLoss::default(); ROWS];
        learn(&mut own.clone(), &LABELS, 1.0, None, &mut learnt);
        assert_eq!(compared, learnt);
        let mut certain = vec![0.0; ROWS * WORDS];
        LABELS
            .iter()
            .enumerate()
            .for_each(|(row, &word)| certain[row * WORDS + word as usize] = 50.0);
        compare(&certain, &LABELS, &mut compared);
        assert!(compared.iter().all(|loss| loss.right && loss.hard < 1e-6));
    }

    #[test]
    fn a_number_that_is_none_shows_in_the_loss() {
        let mut own = logits(1);
        own[WORDS + 5] = f32::NAN;
        let mut losses = [RowLoss::default(); ROWS];
        compare(&own, &LABELS, &mut losses);
        assert!(losses[1].hard.is_nan() && losses[0].hard.is_finite());
    }
}
