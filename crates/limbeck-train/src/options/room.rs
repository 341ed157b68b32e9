//! How what is counted in steps finds room in a short run.
//!
//! A warm-up of 2,000 steps belongs to a run of 100,000. Of one of 60 steps it leaves nothing, and
//! nobody who tries a recipe in 60 steps means that. So counts that leave no step between them are
//! shortened by the same factor, to half of the steps that shares leave, and that is told.

use super::{require, steps_of};
use crate::error::Result;

/// The steps at the beginning and at the end of a run, by the names of their options.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    /// A share of the steps (below 1) or a count of them, before.
    pub first: (f64, &'static str),
    /// The same, behind.
    pub last: (f64, &'static str),
    /// Steps that have to lie between them.
    pub between: usize,
}

/// What comes of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fitted {
    pub first: usize,
    pub last: usize,
    /// What was changed, in one line.
    pub told: Option<String>,
}

impl Ends {
    /// Fits them into a run of `total` steps.
    ///
    /// # Errors
    /// When one is no number of 0 or more, or shares by themselves leave nothing.
    pub(crate) fn fit(self, total: usize) -> Result<Fitted> {
        let Ends { first, last, between } = self;
        let (before, behind) =
            (steps_of(first.0, total, first.1)?, steps_of(last.0, total, last.1)?);
        let fits = |a: usize, b: usize| a.saturating_add(b).saturating_add(between) <= total;
        if fits(before, behind) {
            return Ok(Fitted { first: before, last: behind, told: None });
        }
        let is_count = |value: f64| value >= 1.0;
        let shares: f64 = [first.0, last.0].into_iter().filter(|value| !is_count(*value)).sum();
        require(shares < 1.0, if last.0 > 0.0 { last.1 } else { first.1 }, || {
            format!("{} of the steps leave none of the run's {total}", shares)
        })?;
        let counts: f64 = [first.0, last.0].into_iter().filter(|value| is_count(*value)).sum();
        let room = (1.0 - shares) * total as f64 / 2.0;
        let factor = if counts > room { room / counts } else { 1.0 };
        // Rounded down, so that shares of a few steps leave one, too.
        let shortened = |value: f64| match is_count(value) {
            true => (value * factor) as usize,
            false => (value * total as f64) as usize,
        };
        let (a, b) = (shortened(first.0), shortened(last.0));
        let (a, b) = if fits(a, b) { (a, b) } else { (0, 0) };
        require(fits(a, b), first.1, || format!("a run of {total} steps has no room for it"))?;
        let changes = [(first, before, a), (last, behind, b)]
            .into_iter()
            .filter(|(_, given, now)| given != now);
        let changes: Vec<String> = changes
            .map(|((_, option), given, now)| {
                format!("`{option}` is shortened from {given} to {now}")
            })
            .collect();
        let told = format!("the run has {total} steps: {}", changes.join(", "));
        Ok(Fitted { first: a, last: b, told: Some(told) })
    }
}

/// Steps between two events of which the run would see none: a tenth of the `room` for them.
pub(crate) fn period_in(
    period: usize,
    (room, total): (usize, usize),
    option: &str,
) -> (usize, Option<String>) {
    if period < total {
        return (period, None);
    }
    let shortened = (room / 10).max(1);
    if shortened >= period {
        return (period, None);
    }
    let told =
        format!("the run has {total} steps: `{option}` is shortened from {period} to {shortened}");
    (shortened, Some(told))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(first: f64, last: f64) -> Ends {
        Ends { first: (first, "a"), last: (last, "b"), between: 1 }
    }

    fn refused(ends: Ends, total: usize) -> bool {
        ends.fit(total).is_err()
    }

    fn fitted(first: f64, last: f64, total: usize) -> (usize, usize) {
        let fitted = ends(first, last).fit(total).unwrap();
        assert!(fitted.first + fitted.last < total);
        (fitted.first, fitted.last)
    }

    #[test]
    fn what_fits_stays_as_it_was_given() {
        for (first, last, total) in [(0.1, 0.4, 100), (99.0, 0.0, 100), (30.0, 69.0, 100)] {
            assert_eq!(ends(first, last).fit(total).unwrap().told, None);
        }
        assert_eq!(fitted(0.25, 0.0, 10), (3, 0));
    }

    #[test]
    fn counts_that_leave_nothing_are_shortened_alike_and_that_is_told() {
        assert_eq!(fitted(100.0, 0.0, 60), (30, 0));
        assert_eq!(fitted(2000.0, 20_000.0, 60), (2, 27));
        assert_eq!(fitted(100.0, 0.4, 60), (18, 24));
        assert_eq!(fitted(5.0, 0.0, 1), (0, 0));
        assert_eq!(fitted(f64::MAX, 1.0, 10), (5, 0));
        let told = ends(100.0, 0.0).fit(60).unwrap().told.unwrap();
        assert_eq!(told, "the run has 60 steps: `a` is shortened from 100 to 30");
    }

    #[test]
    fn shares_of_a_few_steps_leave_one_and_those_of_all_are_refused() {
        assert_eq!(fitted(0.1, 0.0, 1), (0, 0));
        assert_eq!(fitted(0.9, 0.0, 2), (1, 0));
        assert_eq!(fitted(0.5, 0.4, 3), (1, 1));
        assert!(refused(ends(0.5, 0.6), 100));
        assert!(refused(ends(-0.1, 0.0), 100) && refused(ends(f64::NAN, 0.0), 100));
        assert!(refused(ends(0.0, f64::INFINITY), 100));
    }

    #[test]
    fn a_period_longer_than_the_run_becomes_a_tenth_of_its_room() {
        assert_eq!(period_in(100, (30, 60), "p").0, 3);
        assert_eq!(period_in(100, (900, 1000), "p"), (100, None));
        assert_eq!(period_in(100, (2, 5), "p").0, 1);
        assert_eq!(period_in(1, (0, 1), "p"), (1, None));
    }
}
