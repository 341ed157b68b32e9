//! Trials that fail for the same reason before any has come to its end: what they lack is not to be
//! found by other values.

use super::event::Event;
use super::trial::{Cause, State, Trial};
use super::{Study, now};
use crate::error::Result;

/// What reasons say of a trial that was too large. Smaller ones may do, so that such a failure teaches.
const TOO_LARGE: [&str; 5] =
    ["out of memory", "memoryerror", "bad_alloc", "cannot allocate memory", "memory allocation of"];

/// Trials that failed alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alike {
    /// Their numbers, in the order in which they ended.
    pub trials: Vec<usize>,
    /// Why the last of them failed.
    pub reason: String,
}

impl Study {
    /// The trials that failed last, one after the other for the same reason, where no trial that was
    /// run has come to its end with metrics. None where the last one did not fail, or failed as the values of a
    /// trial may let it: for want of memory or time.
    pub fn alike_failures(&self) -> Option<Alike> {
        if self.trials.iter().any(Trial::went) {
            return None;
        }
        let over = self.trials.iter().filter(|trial| trial.state.is_final() && trial.was_run());
        let mut over: Vec<&Trial> = over.collect();
        let ended = |trial: &Trial| trial.ended.unwrap_or(f64::INFINITY);
        over.sort_by(|a, b| ended(b).total_cmp(&ended(a)).then(b.number.cmp(&a.number)));
        let last = over.first().and_then(|trial| kind(trial))?;
        let alike = over.into_iter().take_while(|trial| kind(trial).as_ref() == Some(&last));
        let mut alike: Vec<&Trial> = alike.collect();
        let reason = alike.first().and_then(|trial| trial.reason.clone()).unwrap_or_default();
        alike.reverse();
        Some(Alike { trials: alike.iter().map(|trial| trial.number).collect(), reason })
    }

    /// Has failed trials wait for a worker again, as if they had not been run; those of them that
    /// failed still.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn reopen(&mut self, numbers: &[usize]) -> Result<Vec<usize>> {
        let time = now();
        self.transact(true, |trials| {
            let failed = |number: &&usize| {
                trials.get(**number).is_some_and(|trial| trial.state == State::Failed)
            };
            let failed: Vec<usize> = numbers.iter().filter(failed).copied().collect();
            let events = failed.iter().map(|&trial| Event::Reopen { trial, time });
            Ok((events.collect(), failed))
        })
    }
}

/// What two failures must have in common to be alike; none for one that teaches. Numbers differ from
/// trial to trial: places, times, the trial's own folder.
fn kind(trial: &Trial) -> Option<(Cause, String)> {
    let cause = trial.cause.filter(|_| trial.state == State::Failed)?;
    let reason = trial.reason.as_deref().unwrap_or_default();
    let small = reason.to_lowercase();
    let teaches = match cause {
        Cause::Memory | Cause::Time | Cause::Lost | Cause::Told => true,
        Cause::Signal => small.starts_with("signal 9"),
        Cause::Start | Cause::Exit | Cause::Output => false,
    };
    if teaches || TOO_LARGE.iter().any(|words| small.contains(words)) {
        return None;
    }
    let mut plain = String::with_capacity(small.len());
    for c in small.chars() {
        match c.is_ascii_digit() {
            false => plain.push(c),
            true if plain.ends_with('#') => {}
            true => plain.push('#'),
        }
    }
    Some((cause, plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{Description, Outcome, Worker};

    fn study(folder: &tempfile::TempDir) -> Study {
        let text = "[parameters.x]\ntype = 'real'\nlow = 0\nhigh = 1\n[metrics.m]\n\
                    goal = 'minimize'\n";
        let description = Description::from_toml(&text.parse().unwrap()).unwrap();
        Study::open_or_create(&folder.path().join("s.study"), &description).unwrap()
    }

    /// Adds a trial that ends so.
    fn end(study: &mut Study, outcome: Outcome) {
        let params = study.description().space.decode(&[0.5]);
        let number = study.suggest(params, "test", None).unwrap().unwrap();
        let attempt = study.start(number, Worker::this(60.0)).unwrap().unwrap();
        assert!(study.finish(number, attempt, outcome).unwrap());
    }

    fn failed(cause: Cause, reason: &str) -> Outcome {
        Outcome::Failed { cause, reason: reason.to_owned() }
    }

    #[test]
    fn the_same_reason_with_other_numbers_is_alike() {
        let folder = tempfile::tempdir().unwrap();
        let mut study = study(&folder);
        assert_eq!(study.alike_failures(), None);
        end(&mut study, failed(Cause::Exit, "exit code 1: no such option"));
        for number in 1..=3 {
            let reason = format!("exit code 2: s.trials/{number}: no such model at 10:0{number}");
            end(&mut study, failed(Cause::Exit, &reason));
        }
        let alike = study.alike_failures().unwrap();
        assert_eq!(alike.trials, [1, 2, 3]);
        assert!(alike.reason.contains("s.trials/3"), "{}", alike.reason);
        end(&mut study, Outcome::Complete([("m".to_owned(), 1.0)].into()));
        end(&mut study, failed(Cause::Exit, "exit code 2: x"));
        assert_eq!(study.alike_failures(), None);
    }

    #[test]
    fn what_the_values_of_a_trial_may_be_the_cause_of_teaches() {
        for (cause, reason) in [
            (Cause::Memory, "900 MB of 500 MB"),
            (Cause::Time, "it took longer than 1 s"),
            (Cause::Signal, "signal 9, which the system sends when memory is short"),
            (Cause::Exit, "exit code 1: RuntimeError: CUDA out of memory."),
            (Cause::Exit, "exit code 1: MemoryError"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let mut study = study(&folder);
            (0..4).for_each(|_| end(&mut study, failed(cause, reason)));
            assert_eq!(study.alike_failures(), None, "{reason}");
        }
    }

    #[test]
    fn a_trial_that_is_opened_again_waits_as_if_it_had_not_been_run() {
        let folder = tempfile::tempdir().unwrap();
        let mut study = study(&folder);
        end(&mut study, failed(Cause::Start, "no-program: not found"));
        end(&mut study, Outcome::Complete([("m".to_owned(), 1.0)].into()));
        assert_eq!(study.reopen(&[0, 1, 7]).unwrap(), [0]);
        let again = Study::open(study.path()).unwrap();
        assert_eq!(again.trials(), study.trials());
        let trial = &study.trials()[0];
        assert_eq!((trial.state, &trial.reason, trial.cause), (State::Suggested, &None, None));
        let attempt = study.start(0, Worker::this(60.0)).unwrap();
        assert_eq!(attempt, Some(2));
    }
}
