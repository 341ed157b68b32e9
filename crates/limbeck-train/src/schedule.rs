//! The learning rate over the steps of a run.

use crate::error::{Result, TrainError};
use crate::options::{ScheduleKind, ScheduleOptions};

/// A learning rate for every step.
#[derive(Debug, Clone)]
pub struct Schedule {
    kind: ScheduleKind,
    peak: f64,
    warmup_steps: usize,
    total_steps: usize,
}

impl Schedule {
    /// The schedule of a run of `total_steps` that peaks at `peak`.
    ///
    /// # Errors
    /// When the warm-up is negative, not a number, or as long as the run.
    pub fn new(options: &ScheduleOptions, peak: f64, total_steps: usize) -> Result<Self> {
        let warmup = options.warmup;
        if !warmup.is_finite() || warmup < 0.0 {
            return Err(TrainError::Option {
                option: "schedule.warmup",
                reason: format!("{warmup} is neither a share of the steps nor a count of them"),
            });
        }
        let steps = if warmup < 1.0 { (warmup * total_steps as f64).ceil() } else { warmup };
        if steps > 0.0 && steps as usize >= total_steps {
            return Err(TrainError::Option {
                option: "schedule.warmup",
                reason: format!("{steps} steps of warm-up leave none of the run's {total_steps}"),
            });
        }
        Ok(Schedule { kind: options.kind, peak, warmup_steps: steps as usize, total_steps })
    }

    /// The rate of `step`, counted from 0.
    pub fn rate(&self, step: usize) -> f64 {
        let (step, warmup, total) =
            (step as f64, self.warmup_steps as f64, self.total_steps.max(1) as f64);
        if step < warmup {
            return self.peak * step / warmup;
        }
        let left = (total - step).max(0.0);
        self.peak
            * match self.kind {
                ScheduleKind::Constant => 1.0,
                ScheduleKind::Linear => left / (total - warmup).max(1.0),
                ScheduleKind::Cosine => {
                    let done = 1.0 - left / (total - warmup).max(1.0);
                    0.5 * (1.0 + (std::f64::consts::PI * done).cos())
                }
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(kind: ScheduleKind, warmup: f64) -> Schedule {
        let options = ScheduleOptions { kind, warmup };
        Schedule::new(&options, 1.0, 10).unwrap()
    }

    fn rates(schedule: &Schedule) -> Vec<f64> {
        (0..10).map(|step| (schedule.rate(step) * 1000.0).round() / 1000.0).collect()
    }

    #[test]
    fn linear_rises_to_the_peak_and_falls_to_zero() {
        let want = [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125];
        assert_eq!(rates(&schedule(ScheduleKind::Linear, 0.2)), want);
        assert_eq!(rates(&schedule(ScheduleKind::Linear, 2.0)), want);
        // Google BERT's form, peak / (1 - 0.2) * (1 - step / 10), is this very line.
        assert!((schedule(ScheduleKind::Linear, 0.2).rate(6) - 0.4 / 0.8).abs() < 1e-12);
        assert_eq!(schedule(ScheduleKind::Linear, 0.0).rate(0), 1.0);
    }

    #[test]
    fn cosine_and_constant_keep_their_shapes() {
        let cosine = schedule(ScheduleKind::Cosine, 0.0);
        assert_eq!((cosine.rate(0), cosine.rate(10)), (1.0, 0.0));
        assert!((cosine.rate(5) - 0.5).abs() < 1e-12);
        assert_eq!(schedule(ScheduleKind::Constant, 0.0).rate(9), 1.0);
    }

    #[test]
    fn a_warmup_that_leaves_no_step_is_refused() {
        for warmup in [-0.1, f64::NAN, 10.0, 1e9] {
            let options = ScheduleOptions { warmup, ..ScheduleOptions::default() };
            assert!(Schedule::new(&options, 1.0, 10).is_err(), "{warmup}");
        }
    }
}
