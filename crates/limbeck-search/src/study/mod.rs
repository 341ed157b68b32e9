//! A study: one file that holds a space, its metrics and everything that happened to every
//! trial.
//!
//! The file is a journal of events, one JSON object a line; what a study is at any moment
//! follows from them. Any number of processes may read and write it. Every change of a trial's
//! state is on the disk before a method here returns, and is refused when another process was
//! first, so that no result is counted twice.
//!
//! # Layout
//! - `journal`: the shared file.
//! - `event`: what can happen, and what follows from it.
//! - [`Trial`], [`State`], [`Outcome`]: the life of a trial.
//! - `front`: the best of them, and their hypervolume.
//! - `alike`: trials that fail for the same reason.
//! - `takeover`: an earlier study's trials.
//! - [`Worker`]: who runs it.

mod alike;
mod event;
mod front;
mod journal;
mod takeover;
mod trial;
mod worker;

use std::io::ErrorKind;
use std::path::Path;

pub use alike::Alike;
pub(crate) use front::reference;
pub use takeover::Takeover;
pub use trial::{Cause, Outcome, Report, Start, State, Trial};
pub use worker::{Process, Worker, now};

use crate::error::{Result, SearchError};
use crate::metric::{self, Metric, Metrics};
use crate::space::{Params, Space};
use event::Event;
use journal::Journal;

/// Reports of an attempt that are kept.
const MOST_REPORTS: usize = 10_000;

/// The form of the file that this version writes.
const FORMAT: u32 = 1;

/// What a study is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The space.
    pub space: Space,
    /// The metrics.
    pub metrics: Vec<Metric>,
    /// The same two as they were written.
    written: toml::Table,
}

impl Description {
    /// Reads `parameters`, `constraints` and `metrics` of a table; other keys are left to the
    /// caller.
    ///
    /// # Errors
    /// [`SearchError::Space`] for what cannot be used.
    pub fn from_toml(table: &toml::Table) -> Result<Self> {
        let space = Space::from_toml(table)?;
        let metrics = Metric::all_from_toml(table)?;
        let own = |(key, _): &(&String, &toml::Value)| Self::KEYS.contains(&key.as_str());
        let written = table.iter().filter(own).map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(Self { space, metrics, written })
    }

    /// The table that [`from_toml`](Self::from_toml) read.
    pub fn to_toml(&self) -> &toml::Table {
        &self.written
    }

    /// The keys that [`from_toml`](Self::from_toml) reads.
    pub const KEYS: [&str; 3] = ["parameters", "constraints", "metrics"];
}

/// What is done with a trial whose worker vanished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LossPolicy {
    /// How often it goes to another worker before it counts as lost.
    pub retries: usize,
}

/// An open study.
#[derive(Debug)]
pub struct Study {
    journal: Journal,
    description: Description,
    trials: Vec<Trial>,
}

impl Study {
    /// Opens the study in this file, or begins it when there is none.
    ///
    /// # Errors
    /// When the file cannot be read or written, is no study, or is one of another space or
    /// other metrics.
    pub fn open_or_create(path: &Path, description: &Description) -> Result<Self> {
        let mut journal = Journal::open(path, true)?;
        let begin = Event::Create { format: FORMAT, study: description.written.clone() };
        let (new, known) = journal.append(true, |events: Vec<Event>| {
            Ok((if events.is_empty() { vec![begin] } else { Vec::new() }, events))
        })?;
        let study = Self::of(journal, if new.is_empty() { known } else { new })?;
        if study.description.space != description.space
            || study.description.metrics != description.metrics
        {
            let reason = "it is a study of another space or other metrics; give another --study";
            return Err(study.journal.broken(reason.to_owned()));
        }
        Ok(study)
    }

    /// Opens the study in this file.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let mut journal = Journal::open(path, false).map_err(|error| match error {
            SearchError::Io { path, source, .. } if source.kind() == ErrorKind::NotFound => {
                let reason = "there is no such study; a search begins one, as does `study ask` with \
                              a space";
                SearchError::Study { path, reason: reason.to_owned() }
            }
            error => error,
        })?;
        let events = journal.catch_up()?;
        Self::of(journal, events)
    }

    fn of(journal: Journal, events: Vec<Event>) -> Result<Self> {
        let mut events = events.into_iter();
        let table = match events.next() {
            Some(Event::Create { format: FORMAT, study }) => study,
            Some(Event::Create { format, .. }) => {
                let reason = format!("it has form {format}, this program reads {FORMAT}");
                return Err(journal.broken(reason));
            }
            _ => return Err(journal.broken("it is no study".to_owned())),
        };
        let description = Description::from_toml(&table)?;
        let mut study = Self { journal, description, trials: Vec::new() };
        study.apply(events)?;
        Ok(study)
    }

    fn apply(&mut self, events: impl IntoIterator<Item = Event>) -> Result<()> {
        for event in events {
            event::apply(&mut self.trials, event).map_err(|reason| self.journal.broken(reason))?;
        }
        Ok(())
    }

    /// Takes in what other processes have written.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn refresh(&mut self) -> Result<()> {
        let events = self.journal.catch_up()?;
        self.apply(events)
    }

    /// Decides on the newest state, writes what follows and takes it in.
    fn transact<T>(
        &mut self,
        durable: bool,
        decide: impl FnOnce(&[Trial]) -> Result<(Vec<Event>, T)>,
    ) -> Result<T> {
        let Self { journal, trials, .. } = self;
        let path = journal.path().to_owned();
        let broken = |reason| SearchError::Study { path: path.clone(), reason };
        let (events, result) = journal.append(durable, |seen| {
            for event in seen {
                event::apply(trials, event).map_err(broken)?;
            }
            decide(trials)
        })?;
        self.apply(events)?;
        Ok(result)
    }

    /// Adds a trial with these values; its number. With `number` it must get that one, for which
    /// the values were chosen: none when somebody else was first, and others are to be chosen.
    ///
    /// # Errors
    /// When the values are not of the space, or the file cannot be written.
    pub fn suggest(
        &mut self,
        params: Params,
        origin: &str,
        number: Option<usize>,
    ) -> Result<Option<usize>> {
        self.description.space.check(&params)?;
        self.transact(true, |trials| {
            let trial = trials.len();
            if number.is_some_and(|number| number != trial) {
                return Ok((Vec::new(), None));
            }
            let event = Event::Suggest { trial, params, origin: origin.to_owned() };
            Ok((vec![event], Some(trial)))
        })
    }

    /// Gives a suggested trial to a worker; the number of the attempt, or none when somebody
    /// else has it or it is over.
    ///
    /// # Errors
    /// When there is no such trial or the file cannot be written.
    pub fn start(&mut self, trial: usize, worker: Worker) -> Result<Option<usize>> {
        Ok(match self.start_within(trial, worker, usize::MAX)? {
            Start::Attempt(attempt) => Some(attempt),
            Start::Taken | Start::Full => None,
        })
    }

    /// As [`start`](Self::start), but only while fewer than `most` trials run as jobs of a
    /// cluster.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_within(&mut self, trial: usize, worker: Worker, most: usize) -> Result<Start> {
        self.transact(true, |trials| {
            let known = find(trials, trial)?;
            if known.state != State::Suggested {
                return Ok((Vec::new(), Start::Taken));
            }
            let attempt = known.attempts + 1;
            let is_job = |trial: &&Trial| trial.state == State::Running && trial.job.is_some();
            if trials.iter().filter(is_job).count() >= most {
                return Ok((Vec::new(), Start::Full));
            }
            let run = Event::Run { trial, attempt, worker, time: now() };
            Ok((vec![run], Start::Attempt(attempt)))
        })
    }

    /// Gives a sign of life; false when the attempt is no longer wanted.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn beat(&mut self, trial: usize, attempt: usize) -> Result<bool> {
        self.of_attempt(false, trial, attempt, Event::Beat { trial, attempt, time: now() })
    }

    /// Notes what an attempt says on its way; false when the attempt is no longer wanted. Of one that
    /// says very much, the beginning is kept, and a [`beat`](Self::beat) tells whether it is wanted.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn report(&mut self, trial: usize, attempt: usize, report: Report) -> Result<bool> {
        if find(&self.trials, trial)?.reports.len() >= MOST_REPORTS {
            return Ok(true);
        }
        self.of_attempt(
            false,
            trial,
            attempt,
            Event::Report { trial, attempt, report, time: now() },
        )
    }

    /// Ends an attempt; false when another attempt has taken its place, and the outcome does
    /// not count. A complete outcome must hold every metric that is optimised or constrained.
    ///
    /// # Errors
    /// When there is no such trial, a metric is missing, or the file cannot be written.
    pub fn finish(&mut self, trial: usize, attempt: usize, outcome: Outcome) -> Result<bool> {
        let time = now();
        let event = match outcome {
            Outcome::Complete(metrics) => {
                self.check_metrics(trial, &metrics)?;
                Event::Complete { trial, attempt, metrics, time }
            }
            Outcome::Failed { cause, reason } => {
                Event::Fail { trial, attempt, cause, reason, time }
            }
            Outcome::Stopped { reason, metrics } => {
                Event::Stop { trial, attempt, reason, metrics, time }
            }
            Outcome::Released => Event::Release { trial, attempt, time },
        };
        self.of_attempt(true, trial, attempt, event)
    }

    /// Takes a trial from an attempt whose machine is gone, as the policy says; false as for
    /// [`finish`](Self::finish).
    ///
    /// # Errors
    /// When there is no such trial or the file cannot be written.
    pub fn lose(
        &mut self,
        trial: usize,
        attempt: usize,
        reason: &str,
        policy: LossPolicy,
    ) -> Result<bool> {
        self.refresh()?;
        let retry = find(&self.trials, trial)?.losses < policy.retries;
        let reason = reason.to_owned();
        let event = Event::Lose { trial, attempt, reason, retry, time: now() };
        self.of_attempt(true, trial, attempt, event)
    }

    /// Marks a trial that waits as failed, for no worker could be made to take it.
    ///
    /// # Errors
    /// When there is no such trial or the file cannot be written.
    pub(crate) fn give_up(&mut self, trial: usize, reason: &str) -> Result<()> {
        let reason = reason.to_owned();
        self.transact(true, |trials| {
            let known = find(trials, trial)?;
            if known.state != State::Suggested {
                return Ok((Vec::new(), ()));
            }
            let (attempt, time) = (known.attempts + 1, now());
            let run = Event::Run { trial, attempt, worker: Worker::elsewhere(None), time };
            let fail = Event::Fail { trial, attempt, cause: Cause::Start, reason, time };
            Ok((vec![run, fail], ()))
        })
    }

    fn of_attempt(
        &mut self,
        durable: bool,
        trial: usize,
        attempt: usize,
        event: Event,
    ) -> Result<bool> {
        self.transact(durable, |trials| {
            let known = find(trials, trial)?;
            let wanted = known.state == State::Running && known.attempts == attempt;
            Ok((if wanted { vec![event] } else { Vec::new() }, wanted))
        })
    }

    fn check_metrics(&self, number: usize, metrics: &Metrics) -> Result<()> {
        match self.missing_metric(metrics) {
            Some(name) => Err(SearchError::trial(number, format!("no number `{name}`"))),
            None => Ok(()),
        }
    }

    /// A metric that is optimised or constrained and has no value here.
    pub(crate) fn missing_metric(&self, metrics: &Metrics) -> Option<&str> {
        let needed = |metric: &&Metric| metric.role != metric::Role::Store;
        let is_missing =
            |metric: &&Metric| !metrics.get(&metric.name).is_some_and(|v| v.is_finite());
        let all = self.description.metrics.iter();
        all.filter(needed).find(is_missing).map(|metric| metric.name.as_str())
    }

    /// Takes trials from workers that vanished, as the policy says; their numbers. What such a
    /// worker left running on this system is ended first, so that nothing runs twice.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn reap(&mut self, policy: LossPolicy) -> Result<Vec<usize>> {
        self.refresh()?;
        let time = now();
        if !self.trials.iter().any(|trial| gone(trial, time).is_some()) {
            return Ok(Vec::new());
        }
        self.transact(true, |trials| {
            let mut events = Vec::new();
            for trial in trials {
                let Some(reason) = gone(trial, time) else { continue };
                trial.worker.iter().for_each(Worker::end_orphans);
                let retry = trial.losses < policy.retries;
                let (trial, attempt) = (trial.number, trial.attempts);
                events.push(Event::Lose { trial, attempt, reason, retry, time });
            }
            let numbers = events.iter().map(Event::trial).collect();
            Ok((events, numbers))
        })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.journal.path()
    }

    /// What it is about.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// All trials, by number.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }
}

fn find(trials: &[Trial], number: usize) -> Result<&Trial> {
    trials.get(number).ok_or_else(|| SearchError::trial(number, "the study has no such trial"))
}

/// Why the worker of a running trial must be taken for vanished.
fn gone(trial: &Trial, now: f64) -> Option<String> {
    let worker = trial.worker.as_ref().filter(|_| trial.state == State::Running)?;
    worker.vanished(trial.seen, now)
}

#[cfg(test)]
mod tests;
