//! When masks change, and how much.

use std::f64::consts::PI;

use super::rounded;
use crate::error::Result;
use crate::options::{Ends, Fitted, SparseMethod, SparsityOptions, period_in};

/// When the masks of a run change.
#[derive(Debug, Clone)]
pub(super) struct Rhythm {
    method: SparseMethod,
    period: usize,
    /// Steps before the first change.
    warmup: usize,
    /// RigL: the steps of the run. Gradual pruning: the step of the last change.
    end: usize,
    fraction: f64,
    told: Vec<String>,
}

/// A change of the masks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Change {
    /// This share of the weights that are on goes, and as many come.
    Exchange(f64),
    /// This share of the way to the level is left.
    Prune(f64),
}

impl Change {
    /// How many weights of a unit go, of which `on` are on, `first` were at the start and
    /// `wanted` will be at the end.
    pub(super) fn go(self, on: usize, first: usize, wanted: usize) -> usize {
        match self {
            Change::Exchange(share) => rounded(share, on),
            Change::Prune(left) => {
                on.saturating_sub(wanted + rounded(left, first.saturating_sub(wanted)))
            }
        }
    }
}

impl Rhythm {
    /// The rhythm of a run of `total_steps`. What is counted in steps and longer than the run is
    /// shortened.
    ///
    /// # Errors
    /// When warm-up and cool-down are shares that leave no step for what is between them.
    pub(super) fn new(options: &SparsityOptions, total_steps: usize) -> Result<Rhythm> {
        // Without a level there is nothing to change, only what is kept.
        let method = if options.masks() { options.method } else { SparseMethod::Static };
        let has_cooldown = method == SparseMethod::Gmp;
        let ends = Ends {
            first: (options.warmup, "sparsity.warmup"),
            last: (if has_cooldown { options.cooldown } else { 0.0 }, "sparsity.cooldown"),
            between: 1,
        };
        if method == SparseMethod::Static {
            let (warmup, end) = (0, 0);
            return Ok(Rhythm {
                method,
                period: options.period,
                warmup,
                end,
                fraction: 0.0,
                told: Vec::new(),
            });
        }
        let Fitted { first: warmup, last: cooldown, told, .. } = ends.fit(total_steps)?;
        let room = total_steps - warmup - cooldown;
        let (period, shortened) = period_in(options.period, (room, total_steps), "sparsity.period");
        let told = told.into_iter().chain(shortened).collect();
        let end = match method {
            SparseMethod::Gmp => {
                let last = total_steps - cooldown - 1;
                last - (last - warmup) % period
            }
            _ => total_steps,
        };
        Ok(Rhythm { method, period, warmup, end, fraction: options.fraction, told })
    }

    /// What was shortened to fit the run, a line each.
    pub(super) fn told(&self) -> &[String] {
        &self.told
    }

    /// Whether as many weights come as go.
    pub(super) fn regrows(&self) -> bool {
        self.method == SparseMethod::Rigl
    }

    /// What changes before the forward pass of `step`, counted from 0.
    pub(super) fn change(&self, step: usize) -> Option<Change> {
        let &Rhythm { method, period, warmup, end, fraction, .. } = self;
        match method {
            SparseMethod::Static => None,
            // 0.5·f·(1 + cos(π·t / (T − 1))), t and T counted after the warm-up.
            SparseMethod::Rigl if step >= warmup && step.is_multiple_of(period) => {
                let (t, last) = ((step - warmup) as f64, (end - warmup - 1).max(1) as f64);
                let share = 0.5 * fraction * (1.0 + (PI * t / last).cos());
                (share > 0.0).then_some(Change::Exchange(share))
            }
            // What is left after change i of N is (1 − i / N)³ of the whole way.
            SparseMethod::Gmp
                if (warmup..=end).contains(&step) && (step - warmup).is_multiple_of(period) =>
            {
                let (i, n) = ((step - warmup) / period + 1, (end - warmup) / period + 1);
                Some(Change::Prune((1.0 - i as f64 / n as f64).powi(3)))
            }
            _ => None,
        }
    }

    /// Whether masks are as sparse before `step` as they will be at the end.
    pub(super) fn has_arrived(&self, step: usize) -> bool {
        self.method != SparseMethod::Gmp || step > self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rhythm(method: SparseMethod, warmup: f64, cooldown: f64, total: usize) -> Result<Rhythm> {
        let period = 100;
        let options = SparsityOptions {
            level: 0.8,
            method,
            period,
            warmup,
            cooldown,
            ..SparsityOptions::default()
        };
        Rhythm::new(&options, total)
    }

    #[test]
    fn rigl_exchanges_along_half_a_cosine() {
        let rigl = rhythm(SparseMethod::Rigl, 100.0, 0.0, 1001).unwrap();
        let shares: Vec<_> = (0..1001).filter_map(|step| rigl.change(step)).collect();
        // Steps 100, 200, ..., 900, the last step is 1000 with a share of 0.
        assert_eq!(shares.len(), 9);
        for (i, share) in shares.iter().enumerate() {
            let want = 0.15 * (1.0 + (PI * i as f64 / 9.0).cos());
            let Change::Exchange(share) = share else { panic!("{share:?}") };
            assert!((share - want).abs() < 1e-12, "{share} instead of {want}");
        }
        assert_eq!(shares[0], Change::Exchange(0.3));
        assert!(rigl.has_arrived(0) && rigl.change(99).is_none() && rigl.change(150).is_none());
    }

    #[test]
    fn gradual_pruning_follows_the_cubic_curve_and_arrives() {
        // 200 + 3,000 + 800 steps.
        let gmp = rhythm(SparseMethod::Gmp, 200.0, 0.2, 4000).unwrap();
        let steps: Vec<_> = (0..4000).filter_map(|step| Some((step, gmp.change(step)?))).collect();
        assert_eq!((steps[0].0, steps[steps.len() - 1].0, steps.len()), (200, 3100, 30));
        let (first, wanted) = (10_000, 2_000);
        let mut on = first;
        for (i, (_, change)) in steps.iter().enumerate() {
            on -= change.go(on, first, wanted);
            let left = 1.0 - (i + 1) as f64 / 30.0;
            let want = 2_000.0 + 8_000.0 * left * left * left;
            assert!((on as f64 - want).abs() <= 0.5, "{on} instead of {want}");
        }
        assert_eq!(on, wanted);
        assert!(!gmp.has_arrived(3100) && gmp.has_arrived(3101));
        assert_eq!(Change::Prune(0.0).go(5, 5, 7), 0, "what is sparser already stays");
    }

    #[test]
    fn a_run_without_room_for_changes_makes_some_and_shares_of_all_are_refused() {
        let changes = |rhythm: &Rhythm, total| {
            (0..total).filter(|&step| rhythm.change(step).is_some()).collect::<Vec<_>>()
        };
        let rigl = rhythm(SparseMethod::Rigl, 100.0, 0.0, 60).unwrap();
        assert_eq!((rigl.warmup, rigl.period, rigl.told().len()), (30, 3, 2));
        assert_eq!(changes(&rigl, 60).len(), 10);
        let gmp = rhythm(SparseMethod::Gmp, 2000.0, 20_000.0, 60).unwrap();
        assert_eq!((gmp.warmup, gmp.period, gmp.end), (2, 3, 32));
        assert!(gmp.has_arrived(60) && changes(&gmp, 60).len() > 3);
        let short = rhythm(SparseMethod::Gmp, 100.0, 0.4, 2).unwrap();
        assert_eq!(changes(&short, 2), [0, 1]);
        assert_eq!(short.change(1), Some(Change::Prune(0.0)));
        assert!(rhythm(SparseMethod::Gmp, 0.5, 0.6, 100).is_err());
        assert!(rhythm(SparseMethod::Static, 100.0, 0.4, 10).unwrap().told().is_empty());
    }
}
