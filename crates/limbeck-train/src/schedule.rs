//! The learning rate over the steps of a run.

use crate::error::{Result, TrainError};
use crate::options::{Anneal, Ends, ScheduleKind, ScheduleOptions};

/// A learning rate for every step.
#[derive(Debug, Clone)]
pub struct Schedule {
    options: ScheduleOptions,
    peak: f64,
    warmup_steps: usize,
    cooldown_steps: usize,
    total_steps: usize,
    told: Option<String>,
}

impl Schedule {
    /// The schedule of a run of `total_steps` that peaks at `peak`. Warm-up and cool-down that are
    /// given in steps and longer than the run are shortened ([`Schedule::told`]).
    ///
    /// # Errors
    /// When warm-up or cool-down are negative, not a number, or as shares together more than the
    /// run, or a number of a one-cycle schedule or a range test cannot work.
    pub fn new(options: &ScheduleOptions, peak: f64, total_steps: usize) -> Result<Self> {
        let &ScheduleOptions { kind, warmup, cooldown, .. } = options;
        let has_cooldown = kind == ScheduleKind::ThreeStage;
        let fitted = Ends {
            first: (warmup, "schedule.warmup"),
            last: (if has_cooldown { cooldown } else { 0.0 }, "schedule.cooldown"),
            // A run may be all warm-up and cool-down, but not all warm-up.
            between: usize::from(!has_cooldown && warmup > 0.0),
        }
        .fit(total_steps)?;
        let (warmup_steps, cooldown_steps) = (fitted.first, fitted.last);
        options.validate(peak)?;
        let (options, told) = (options.clone(), fitted.told);
        Ok(Schedule { options, peak, warmup_steps, cooldown_steps, total_steps, told })
    }

    /// What was shortened to fit the run, in one line.
    pub fn told(&self) -> Option<&str> {
        self.told.as_deref()
    }

    /// Whether the rate only rises, to find out where it is too high.
    pub fn is_range_test(&self) -> bool {
        matches!(self.options.kind, ScheduleKind::RangeExponential | ScheduleKind::RangeLinear)
    }

    /// The rate of `step`, counted from 0.
    pub fn rate(&self, step: usize) -> f64 {
        let ScheduleOptions { div_factor, final_div_factor, range_start, .. } = self.options;
        let (first, whole) = (step as f64, self.total_steps.max(1) as f64);
        match self.options.kind {
            ScheduleKind::OneCycle => {
                let start = self.peak / div_factor;
                return self.cycle(step, [start, self.peak, start / final_div_factor]);
            }
            ScheduleKind::RangeExponential => {
                let done = first / (whole - 1.0).max(1.0);
                return range_start * (self.peak / range_start).powf(done);
            }
            ScheduleKind::RangeLinear => {
                let done = first / (whole - 1.0).max(1.0);
                return range_start + (self.peak - range_start) * done;
            }
            _ => {}
        }
        let warmup = self.warmup_steps as f64;
        if first < warmup {
            return self.peak * first / warmup;
        }
        let left = (whole - first).max(0.0);
        let done = 1.0 - left / (whole - warmup).max(1.0);
        self.peak
            * match self.options.kind {
                ScheduleKind::Linear => 1.0 - done,
                ScheduleKind::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
                ScheduleKind::ThreeStage => {
                    let cooldown = self.cooldown_steps as f64;
                    match 3.0 * (cooldown - left) {
                        thirds if thirds >= 2.0 * cooldown && cooldown > 0.0 => 0.01,
                        thirds if thirds >= cooldown && cooldown > 0.0 => 0.1,
                        _ => 1.0,
                    }
                }
                _ => 1.0,
            }
    }

    /// The decay of the first moment in `step`, where the schedule moves it.
    pub fn beta_1(&self, step: usize) -> Option<f64> {
        let ScheduleOptions { kind, cycle_momentum, base_momentum, max_momentum, .. } =
            self.options;
        (kind == ScheduleKind::OneCycle && cycle_momentum)
            .then(|| self.cycle(step, [max_momentum, base_momentum, max_momentum]))
    }

    /// What goes from the first number to the second and then to the third. As in PyTorch, the
    /// second is reached `pct_start` of the steps less one after the first, and the third in the
    /// last step.
    fn cycle(&self, step: usize, [start, middle, end]: [f64; 3]) -> f64 {
        let (step, last) = (step as f64, self.total_steps as f64 - 1.0);
        let turn = self.options.pct_start * self.total_steps as f64 - 1.0;
        let (from, to, done) = if step <= turn {
            (start, middle, step / turn)
        } else {
            (middle, end, (step - turn) / (last - turn))
        };
        match self.options.anneal {
            // A run of a single step has no way to go.
            _ if !done.is_finite() => to,
            Anneal::Linear => from + (to - from) * done,
            Anneal::Cosine => to + (from - to) / 2.0 * (1.0 + (std::f64::consts::PI * done).cos()),
        }
    }
}

impl ScheduleOptions {
    /// Checks what a one-cycle schedule or a range test up to `peak` takes.
    fn validate(&self, peak: f64) -> Result<()> {
        let refuse = |option, reason| Err(TrainError::Option { option, reason });
        let kind = self.kind;
        if kind == ScheduleKind::OneCycle {
            if self.warmup > 0.0 {
                let reason = "one-cycle has a rise of its own; set schedule.pct_start".to_owned();
                return refuse("schedule.warmup", reason);
            }
            let shares = [
                (self.pct_start, "schedule.pct_start"),
                (self.base_momentum, "schedule.base_momentum"),
                (self.max_momentum, "schedule.max_momentum"),
            ];
            for (value, option) in shares {
                if !(0.0..1.0).contains(&value) {
                    return refuse(option, format!("{value} is not at least 0 and below 1"));
                }
            }
            let divisors = [
                (self.div_factor, "schedule.div_factor"),
                (self.final_div_factor, "schedule.final_div_factor"),
            ];
            for (value, option) in divisors {
                if !(value.is_finite() && value > 0.0) {
                    return refuse(option, format!("{value} is not a number above 0"));
                }
            }
        }
        let is_range = matches!(kind, ScheduleKind::RangeExponential | ScheduleKind::RangeLinear);
        if is_range && !(self.range_start > 0.0 && self.range_start < peak) {
            let reason = format!("{} is not above 0 and below {peak}", self.range_start);
            return refuse("schedule.range_start", reason);
        }
        Ok(())
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
            let options = ScheduleOptions { kind, warmup, cooldown, ..ScheduleOptions::default() };
            Schedule::new(&options, 1.0, total)
        };
        let schedule = of(2.0, 6.0, 12).unwrap();
        let rates: Vec<f64> = (0..12).map(|step| schedule.rate(step)).collect();
        // A cool-down of steps 6 to 11: its thirds begin at 6, 8 and 10.
        assert_eq!(rates, [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01]);
        assert_eq!(of(0.0, 0.0, 3).unwrap().rate(2), 1.0);
        assert!(of(0.5, 0.6, 100).unwrap_err().to_string().contains("schedule.cooldown"));
    }

    #[test]
    fn a_warmup_that_leaves_no_step_is_shortened_and_told_and_none_is_refused() {
        let of = |warmup| {
            let options = ScheduleOptions { warmup, ..ScheduleOptions::default() };
            Schedule::new(&options, 1.0, 10)
        };
        for warmup in [10.0, 1e9] {
            let schedule = of(warmup).unwrap();
            assert_eq!((schedule.warmup_steps, schedule.rate(5)), (5, 1.0));
            assert!(schedule.told().unwrap().contains("schedule.warmup"));
        }
        assert_eq!(of(9.0).unwrap().told(), None);
        for warmup in [-0.1, f64::NAN] {
            assert!(of(warmup).is_err(), "{warmup}");
        }
    }

    /// Rates and first moments' decays.
    const ONE_CYCLE: [(Anneal, [f64; 10], [f64; 10]); 2] = [
        (
            Anneal::Linear,
            [
                0.0004,
                0.0052,
                0.01,
                0.00857143428571,
                0.00714286857143,
                0.00571430285714,
                0.00428573714286,
                0.00285717142857,
                0.00142860571429,
                3.99999999998e-08,
            ],
            [
                0.95,
                0.9,
                0.85,
                0.864285714286,
                0.878571428571,
                0.892857142857,
                0.907142857143,
                0.921428571429,
                0.935714285714,
                0.95,
            ],
        ),
        (
            Anneal::Cosine,
            [
                0.0004,
                0.0052,
                0.01,
                0.00950484632013,
                0.0081174565395,
                0.00611262021936,
                0.00388741978064,
                0.0018825834605,
                0.000495193679865,
                4e-08,
            ],
            [
                0.95,
                0.9,
                0.85,
                0.854951556605,
                0.868825509907,
                0.888873953302,
                0.911126046698,
                0.931174490093,
                0.945048443395,
                0.95,
            ],
        ),
    ];

    #[test]
    fn one_cycle_has_the_numbers_of_pytorch() {
        // torch.optim.lr_scheduler.OneCycleLR(max_lr=0.01, total_steps=10), by both anneals.
        let of = |anneal| {
            let kind = ScheduleKind::OneCycle;
            let options = ScheduleOptions { kind, anneal, ..ScheduleOptions::default() };
            Schedule::new(&options, 0.01, 10).unwrap()
        };
        for (anneal, rates, betas) in ONE_CYCLE {
            let schedule = of(anneal);
            for step in 0..10 {
                let rate = schedule.rate(step);
                assert!((rate - rates[step]).abs() < 1e-9, "{anneal:?} {step}: {rate}");
                let beta = schedule.beta_1(step).unwrap();
                assert!((beta - betas[step]).abs() < 1e-9, "{anneal:?} {step}: {beta}");
            }
        }
        assert_eq!(schedule(ScheduleKind::Linear, 0.0).beta_1(3), None);
    }

    #[test]
    fn one_cycle_refuses_what_cannot_work_and_bears_the_shortest_runs() {
        let cycle = ScheduleOptions { kind: ScheduleKind::OneCycle, ..ScheduleOptions::default() };
        for options in [
            ScheduleOptions { warmup: 0.1, ..cycle.clone() },
            ScheduleOptions { pct_start: 1.0, ..cycle.clone() },
            ScheduleOptions { div_factor: 0.0, ..cycle.clone() },
            ScheduleOptions { max_momentum: f64::NAN, ..cycle.clone() },
        ] {
            assert!(Schedule::new(&options, 1.0, 10).is_err(), "{options:?}");
        }
        for (pct_start, steps) in [(0.0, 5), (0.3, 1), (0.9, 2), (0.2, 5)] {
            let options = ScheduleOptions { pct_start, ..cycle.clone() };
            let schedule = Schedule::new(&options, 1.0, steps).unwrap();
            assert!((0..=steps).all(|step| schedule.rate(step).is_finite()), "{pct_start} {steps}");
        }
    }

    #[test]
    fn a_range_test_goes_from_its_start_to_the_peak() {
        for (kind, middle) in
            [(ScheduleKind::RangeExponential, 0.01), (ScheduleKind::RangeLinear, 0.50005)]
        {
            let options = ScheduleOptions { kind, range_start: 1e-4, ..ScheduleOptions::default() };
            let schedule = Schedule::new(&options, 1.0, 11).unwrap();
            assert!((schedule.rate(0) - 1e-4).abs() < 1e-12);
            assert!((schedule.rate(5) - middle).abs() < 1e-9, "{}", schedule.rate(5));
            assert!((schedule.rate(10) - 1.0).abs() < 1e-12);
            assert!(Schedule::new(&options, 1e-4, 11).is_err());
        }
    }
}
