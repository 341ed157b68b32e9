//! The learning rate over the steps of a run.

use crate::error::{Result, TrainError};
use crate::options::{ScheduleKind, ScheduleOptions, steps_of};

/// A learning rate for every step.
#[derive(Debug, Clone)]
pub struct Schedule {
    kind: ScheduleKind,
    peak: f64,
    warmup_steps: usize,
    cooldown_steps: usize,
    total_steps: usize,
}

impl Schedule {
    /// The schedule of a run of `total_steps` that peaks at `peak`.
    ///
    /// # Errors
    /// When warm-up or cool-down are negative, not a number, or together as long as the run.
    pub fn new(options: &ScheduleOptions, peak: f64, total_steps: usize) -> Result<Self> {
        let &ScheduleOptions { kind, warmup, cooldown } = options;
        let warmup_steps = steps_of(warmup, total_steps, "schedule.warmup")?;
        if warmup_steps > 0 && warmup_steps >= total_steps {
            return Err(TrainError::Option {
                option: "schedule.warmup",
                reason: format!(
                    "{warmup_steps} steps of warm-up leave none of the run's {total_steps}"
                ),
            });
        }
        let cooldown_steps = match kind {
            ScheduleKind::ThreeStage => steps_of(cooldown, total_steps, "schedule.cooldown")?,
            _ => 0,
        };
        if cooldown_steps > total_steps - warmup_steps.min(total_steps) {
            return Err(TrainError::Option {
                option: "schedule.cooldown",
                reason: format!(
                    "{cooldown_steps} steps of cool-down after {warmup_steps} of warm-up are more \
                     than the run's {total_steps}"
                ),
            });
        }
        Ok(Schedule { kind, peak, warmup_steps, cooldown_steps, total_steps })
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
                ScheduleKind::ThreeStage => {
                    let cooldown = self.cooldown_steps as f64;
                    match 3.0 * (cooldown - left) {
                        thirds if thirds >= 2.0 * cooldown && cooldown > 0.0 => 0.01,
                        thirds if thirds >= cooldown && cooldown > 0.0 => 0.1,
                        _ => 1.0,
                    }
                }
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(kind: ScheduleKind, warmup: f64) -> Schedule {
        let options = ScheduleOptions { kind, warmup, ..ScheduleOptions::default() };
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
    fn three_stages_are_warmup_peak_and_a_cooldown_in_thirds() {
        let of = |warmup, cooldown, total| {
            let kind = ScheduleKind::ThreeStage;
            Schedule::new(&ScheduleOptions { kind, warmup, cooldown }, 1.0, total)
        };
        let schedule = of(2.0, 6.0, 12).unwrap();
        let rates: Vec<f64> = (0..12).map(|step| schedule.rate(step)).collect();
        // A cool-down of steps 6 to 11: its thirds begin at 6, 8 and 10.
        assert_eq!(rates, [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01]);
        assert_eq!(of(0.0, 0.0, 3).unwrap().rate(2), 1.0);
        assert!(of(0.5, 0.6, 100).unwrap_err().to_string().contains("schedule.cooldown"));
    }

    #[test]
    fn a_warmup_that_leaves_no_step_is_refused() {
        for warmup in [-0.1, f64::NAN, 10.0, 1e9] {
            let options = ScheduleOptions { warmup, ..ScheduleOptions::default() };
            assert!(Schedule::new(&options, 1.0, 10).is_err(), "{warmup}");
        }
    }
}
