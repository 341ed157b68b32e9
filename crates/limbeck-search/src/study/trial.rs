//! One trial and its life.

use serde::{Deserialize, Serialize};

use super::worker::Worker;
use crate::metric::Metrics;
use crate::space::Params;

/// Where a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It has values and waits for a worker.
    Suggested,
    /// A worker has it.
    Running,
    /// Its metrics are known.
    Complete,
    /// It ended without metrics; the reason is known.
    Failed,
    /// It was ended early, since it could not reach the front.
    Stopped,
    /// Its worker vanished and it was not given to another.
    Lost,
}

impl State {
    /// Whether nothing will happen to it any more.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Suggested | Self::Running)
    }

    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Suggested => "suggested",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Lost => "lost",
        }
    }
}

/// Why a trial has no metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The command could not be started.
    Start,
    /// It ended with another exit code than 0.
    Exit,
    /// A signal ended it.
    Signal,
    /// It took more memory than it may.
    Memory,
    /// It took more time than it may.
    Time,
    /// What it wrote last are not its metrics.
    Output,
    /// Its worker vanished.
    Lost,
    /// A program told so.
    Told,
}

impl Cause {
    /// In a few words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "could not be started",
            Self::Exit => "exit code",
            Self::Signal => "signal",
            Self::Memory => "memory limit",
            Self::Time => "time limit",
            Self::Output => "no metrics",
            Self::Lost => "worker vanished",
            Self::Told => "told so",
        }
    }
}

/// What a trial said on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How far it was, in its own measure.
    pub step: f64,
    /// Its metrics there, not all of them necessarily.
    pub metrics: Metrics,
}

/// How an attempt at a trial ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// With these metrics.
    Complete(Metrics),
    /// Without.
    Failed {
        /// The kind of failure.
        cause: Cause,
        /// What happened.
        reason: String,
    },
    /// Ended early.
    Stopped {
        /// Why.
        reason: String,
        /// The last that it reported.
        metrics: Metrics,
    },
    /// Interrupted; another worker may take it up.
    Released,
}

/// What comes of the wish to run a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It is the attempt of this number.
    Attempt(usize),
    /// Somebody else has it, or it is over.
    Taken,
    /// As many trials run as may.
    Full,
}

/// A trial of a study.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Its number, from 0.
    pub number: usize,
    /// Its values.
    pub params: Params,
    /// Who suggested it: a sampler, `ask`, or another study.
    pub origin: String,
    /// Where it stands.
    pub state: State,
    /// How often a worker took it up.
    pub attempts: usize,
    /// How often a worker vanished with it.
    pub losses: usize,
    /// Its worker, while one has it.
    pub worker: Option<Worker>,
    /// The job of a cluster that its newest worker followed, unless the worker gave it back.
    pub job: Option<String>,
    /// The last sign of life, seconds since 1970.
    pub seen: f64,
    /// When the newest attempt began.
    pub started: Option<f64>,
    /// When it came to its end.
    pub ended: Option<f64>,
    /// Its metrics; of a stopped trial the last that it reported.
    pub metrics: Metrics,
    /// What its newest attempt said on its way.
    pub reports: Vec<Report>,
    /// Why it failed, was stopped or was lost.
    pub reason: Option<String>,
    /// The kind of its failure.
    pub cause: Option<Cause>,
}

impl Trial {
    pub(super) fn suggested(number: usize, params: Params, origin: String) -> Self {
        Self {
            number,
            params,
            origin,
            state: State::Suggested,
            attempts: 0,
            losses: 0,
            worker: None,
            job: None,
            seen: 0.0,
            started: None,
            ended: None,
            metrics: Metrics::new(),
            reports: Vec::new(),
            reason: None,
            cause: None,
        }
    }

    /// Whether it was run, and not taken over from an earlier study, where it begins and ends at once.
    pub fn was_run(&self) -> bool {
        self.started.is_some() && self.started != self.ended
    }

    /// Whether it was run and came to its end with metrics, at least those of the way.
    pub fn went(&self) -> bool {
        self.was_run() && matches!(self.state, State::Complete | State::Stopped)
    }

    /// Seconds that its last attempt took, once it is over.
    pub fn seconds(&self) -> Option<f64> {
        Some((self.ended? - self.started?).max(0.0))
    }
}
