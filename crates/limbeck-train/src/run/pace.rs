//! How the batches of a run fall into its optimiser steps.
//!
//! A step takes as many batches as `train.gradient_accumulation_steps` says, and none of the next
//! epoch: the last step of an epoch takes what is left, as does the last of a run that ends within
//! one. Every sequence of a step counts the same, as with `num_items_in_batch` in Transformers
//! from 4.46 on: a batch weighs what its sequences are of those of the step.

use std::ops::Range;

use crate::options::TrainOptions;

/// The steps of a run.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    features: usize,
    batch_size: usize,
    batches_per_step: usize,
    batches_per_epoch: usize,
    /// Batches of the whole run, where epochs say how long it is.
    batches: Option<usize>,
    total_steps: usize,
}

impl Pace {
    /// That of a run on so many features.
    pub fn new(options: &TrainOptions, features: usize) -> Pace {
        let batch_size = options.batch_size.max(1);
        let batches_per_step = options.gradient_accumulation_steps.max(1);
        let batches_per_epoch = features.div_ceil(batch_size).max(1);
        let steps_per_epoch = batches_per_epoch.div_ceil(batches_per_step);
        let (batches, total_steps) = if options.max_steps > 0 {
            (None, options.max_steps)
        } else {
            // A hair less, so that a whole number of batches is that number whatever the rounding
            // of the product.
            let batches =
                (options.epochs * batches_per_epoch as f64 - 1e-9).ceil().max(1.0) as usize;
            let (epochs, rest) = (batches / batches_per_epoch, batches % batches_per_epoch);
            (Some(batches), epochs * steps_per_epoch + rest.div_ceil(batches_per_step))
        };
        Pace { features, batch_size, batches_per_step, batches_per_epoch, batches, total_steps }
    }

    /// Optimiser steps of the whole run.
    pub fn total_steps(&self) -> usize {
        self.total_steps
    }

    /// The batches of `step`, counted from 0, by their numbers in the run.
    pub fn batches_of(&self, step: usize) -> Range<usize> {
        let steps_per_epoch = self.batches_per_epoch.div_ceil(self.batches_per_step);
        let epoch = step / steps_per_epoch;
        let begin = epoch * self.batches_per_epoch + step % steps_per_epoch * self.batches_per_step;
        let end = (begin + self.batches_per_step).min((epoch + 1) * self.batches_per_epoch);
        begin..self.batches.map_or(end, |batches| end.min(batches))
    }

    /// The weight of batch `index` of the run in its step, whose batches are `batches`.
    pub fn share(&self, index: usize, batches: Range<usize>) -> f64 {
        let sequences = |index: usize| match (index + 1).is_multiple_of(self.batches_per_epoch) {
            true => self.features - (self.batches_per_epoch - 1) * self.batch_size,
            false => self.batch_size,
        };
        sequences(index) as f64 / batches.map(sequences).sum::<usize>() as f64
    }

    /// Epochs done after so many steps.
    pub fn epochs_after(&self, steps: usize) -> f64 {
        let batches = steps.checked_sub(1).map_or(0, |last| self.batches_of(last).end);
        batches as f64 / self.batches_per_epoch as f64
    }

    /// Whether all steps take the same number of sequences, or one batch each. Then a step is what
    /// it was when steps reached from one epoch into the next and batches weighed the same.
    pub fn is_even(&self) -> bool {
        let steps = self.batches_per_step;
        steps == 1
            || self.features.is_multiple_of(self.batch_size)
                && self.batches_per_epoch.is_multiple_of(steps)
                && self.batches.is_none_or(|batches| batches.is_multiple_of(steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The batches of a run of one step.
    fn only(batches: Range<usize>) -> Vec<Range<usize>> {
        Vec::from([batches])
    }

    fn pace(features: usize, batch_size: usize, accumulation: usize, epochs: f64) -> Pace {
        let options = TrainOptions {
            epochs,
            batch_size,
            gradient_accumulation_steps: accumulation,
            ..TrainOptions::default()
        };
        Pace::new(&options, features)
    }

    fn steps(pace: &Pace) -> Vec<Range<usize>> {
        (0..pace.total_steps()).map(|step| pace.batches_of(step)).collect()
    }

    #[test]
    fn an_epoch_on_little_data_is_one() {
        let seven = pace(7, 2, 8, 1.0);
        assert_eq!(steps(&seven), only(0..4));
        assert_eq!(seven.epochs_after(1), 1.0);
        let shares: Vec<f64> = (0..4).map(|index| seven.share(index, 0..4)).collect();
        assert_eq!(shares, [2.0 / 7.0, 2.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0]);
        assert_eq!(steps(&pace(7, 2, 8, 2.0)), [0..4, 4..8]);
    }

    #[test]
    fn the_last_step_of_an_epoch_and_of_a_run_takes_what_is_left() {
        assert_eq!(steps(&pace(10, 2, 3, 2.0)), [0..3, 3..5, 5..8, 8..10]);
        assert_eq!(steps(&pace(7, 2, 8, 0.5)), only(0..2));
        assert_eq!(pace(7, 2, 8, 0.5).epochs_after(1), 0.5);
        assert_eq!(steps(&pace(10, 2, 2, 1.5)), [0..2, 2..4, 4..5, 5..7, 7..8]);
        assert_eq!(steps(&pace(10, 2, 1, 0.1)), only(0..1));
        assert_eq!(steps(&pace(10, 2, 1, 1e-6)), only(0..1));
    }

    #[test]
    fn steps_given_as_a_number_end_with_epochs_too() {
        let options = TrainOptions { max_steps: 3, ..options(2, 8) };
        let pace = Pace::new(&options, 7);
        assert_eq!(steps(&pace), [0..4, 4..8, 8..12]);
        assert_eq!(pace.epochs_after(3), 3.0);
    }

    fn options(batch_size: usize, gradient_accumulation_steps: usize) -> TrainOptions {
        TrainOptions { batch_size, gradient_accumulation_steps, ..TrainOptions::default() }
    }

    #[test]
    fn every_batch_comes_once_and_shares_of_a_step_make_it_up() {
        for features in 1..30 {
            for batch_size in [1, 2, 3, 7, 16] {
                for accumulation in [1, 2, 3, 4, 9] {
                    for epochs in [0.3, 1.0, 1.5, 3.0] {
                        let pace = pace(features, batch_size, accumulation, epochs);
                        let per_epoch = features.div_ceil(batch_size);
                        let mut next = 0;
                        for batches in steps(&pace) {
                            assert_eq!(batches.start, next);
                            assert!((1..=accumulation).contains(&batches.len()));
                            let shares = batches.clone().map(|i| pace.share(i, batches.clone()));
                            assert!((shares.sum::<f64>() - 1.0).abs() < 1e-12);
                            next = batches.end;
                        }
                        assert_eq!(next, (epochs * per_epoch as f64 - 1e-9).ceil() as usize);
                        if pace.is_even() {
                            let all = 0..pace.total_steps();
                            assert!(all.clone().all(|s| pace.batches_of(s).len() == accumulation));
                            // What every batch weighed in steps that knew no epochs.
                            let weight = 1.0 / accumulation as f64;
                            let even = |step| {
                                let batches: Range<usize> = pace.batches_of(step);
                                batches.clone().all(|i| pace.share(i, batches.clone()) == weight)
                            };
                            assert!(all.clone().all(even));
                        }
                    }
                }
            }
        }
        assert!(pace(32, 4, 4, 1.0).is_even() && pace(9, 4, 1, 1.0).is_even());
        assert!(!pace(31, 4, 4, 1.0).is_even() && !pace(24, 4, 4, 1.0).is_even());
    }
}
