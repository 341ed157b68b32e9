//! What can happen in a study, as its file tells it.

use serde::{Deserialize, Serialize};

use super::trial::{Cause, Report, State, Trial};
use super::worker::Worker;
use crate::metric::Metrics;
use crate::space::Params;

/// One line of the file. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// The study begins; always the first line.
    Create { format: u32, study: toml::Table },
    /// A trial gets its values.
    Suggest { trial: usize, params: Params, origin: String },
    /// A worker takes it.
    Run { trial: usize, attempt: usize, worker: Worker, time: f64 },
    /// The worker is alive.
    Beat { trial: usize, attempt: usize, time: f64 },
    /// The trial says how far it is.
    Report { trial: usize, attempt: usize, report: Report, time: f64 },
    /// It ends with metrics.
    Complete { trial: usize, attempt: usize, metrics: Metrics, time: f64 },
    /// It ends without.
    Fail { trial: usize, attempt: usize, cause: Cause, reason: String, time: f64 },
    /// It is ended early.
    Stop { trial: usize, attempt: usize, reason: String, metrics: Metrics, time: f64 },
    /// Its worker gives it back.
    Release { trial: usize, attempt: usize, time: f64 },
    /// It is to be run again, though it failed.
    Reopen { trial: usize, time: f64 },
    /// Its worker vanished.
    Lose { trial: usize, attempt: usize, reason: String, retry: bool, time: f64 },
}

impl Event {
    /// The trial that it is about; 0 for the beginning.
    pub(super) fn trial(&self) -> usize {
        match self {
            Self::Create { .. } => 0,
            Self::Suggest { trial, .. }
            | Self::Run { trial, .. }
            | Self::Beat { trial, .. }
            | Self::Report { trial, .. }
            | Self::Complete { trial, .. }
            | Self::Fail { trial, .. }
            | Self::Stop { trial, .. }
            | Self::Release { trial, .. }
            | Self::Reopen { trial, .. }
            | Self::Lose { trial, .. } => *trial,
        }
    }
}

/// Changes the trials as an event says.
///
/// # Errors
/// When the event cannot have happened: the file is damaged.
pub(super) fn apply(trials: &mut Vec<Trial>, event: Event) -> Result<(), String> {
    let number = event.trial();
    if let Event::Suggest { params, origin, .. } = event {
        if number != trials.len() {
            return Err(format!("trial {number} comes after {} trials", trials.len()));
        }
        trials.push(Trial::suggested(number, params, origin));
        return Ok(());
    }
    let Some(trial) = trials.get_mut(number) else {
        return Err(format!("there is no trial {number}"));
    };
    match event {
        Event::Create { .. } => return Err("the study begins twice".to_owned()),
        Event::Suggest { .. } => {}
        Event::Run { attempt, worker, time, .. } => {
            if trial.state != State::Suggested || attempt != trial.attempts + 1 {
                return Err(format!("trial {number} is taken while {}", trial.state.name()));
            }
            trial.state = State::Running;
            trial.attempts = attempt;
            trial.job.clone_from(&worker.job);
            trial.worker = Some(worker);
            (trial.started, trial.seen) = (Some(time), time);
            trial.reports.clear();
        }
        Event::Beat { attempt, time, .. } => of_attempt(trial, attempt)?.seen = time,
        Event::Report { attempt, report, time, .. } => {
            let trial = of_attempt(trial, attempt)?;
            trial.seen = time;
            trial.reports.push(report);
        }
        Event::Complete { attempt, metrics, time, .. } => {
            let trial = end(trial, attempt, State::Complete, time)?;
            trial.metrics = metrics;
            (trial.reason, trial.cause) = (None, None);
        }
        Event::Fail { attempt, cause, reason, time, .. } => {
            let trial = end(trial, attempt, State::Failed, time)?;
            (trial.reason, trial.cause) = (Some(reason), Some(cause));
        }
        Event::Stop { attempt, reason, metrics, time, .. } => {
            let trial = end(trial, attempt, State::Stopped, time)?;
            trial.metrics = metrics;
            trial.reason = Some(reason);
        }
        Event::Release { attempt, time, .. } => {
            let trial = end(trial, attempt, State::Suggested, time)?;
            (trial.ended, trial.job) = (None, None);
        }
        Event::Reopen { .. } => {
            if trial.state != State::Failed {
                return Err(format!("trial {number} is opened again while {}", trial.state.name()));
            }
            trial.state = State::Suggested;
            (trial.ended, trial.job, trial.reason, trial.cause) = (None, None, None, None);
            trial.reports.clear();
        }
        Event::Lose { attempt, reason, retry, time, .. } => {
            let state = if retry { State::Suggested } else { State::Lost };
            let trial = end(trial, attempt, state, time)?;
            trial.losses += 1;
            (trial.reason, trial.cause) = (Some(reason), Some(Cause::Lost));
            if retry {
                trial.ended = None;
            }
        }
    }
    Ok(())
}

fn of_attempt(trial: &mut Trial, attempt: usize) -> Result<&mut Trial, String> {
    match trial.state == State::Running && trial.attempts == attempt {
        true => Ok(trial),
        false => Err(format!("trial {} has no attempt {attempt} under way", trial.number)),
    }
}

fn end(trial: &mut Trial, attempt: usize, state: State, time: f64) -> Result<&mut Trial, String> {
    let trial = of_attempt(trial, attempt)?;
    trial.state = state;
    trial.worker = None;
    trial.ended = Some(time);
    Ok(trial)
}
