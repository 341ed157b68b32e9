//! Waiting for a cluster that does not answer, and telling what a job's end means.

use std::thread;
use std::time::{Duration, Instant};

use super::jobs::{JobInfo, JobsError, Status};
use crate::execute::output::last_of;
use crate::study::Cause;

/// Characters of a job's last words that are kept.
const LONGEST_REASON: usize = 300;

/// Times between two looks.
#[derive(Debug, Clone, Copy)]
pub struct Rhythm {
    /// At the state of a job, once it has run for a while; at first they are closer.
    pub look: Duration,
    /// At the log of a job that runs.
    pub log: Duration,
    /// How long the log of a job that ended is asked for.
    pub patience: Duration,
    /// The longest pause while the cluster is out of reach.
    pub longest: Duration,
    /// How long it may be out of reach before somebody is told.
    pub told_after: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(2),
            log: Duration::from_secs(10),
            patience: Duration::from_secs(60),
            longest: Duration::from_secs(15),
            told_after: Duration::from_secs(60),
        }
    }
}

impl Rhythm {
    /// How long the log of this job is asked for: that of one whose node died went with it, most
    /// likely.
    pub(super) fn patience_with(&self, info: &JobInfo) -> Duration {
        match fate(info, "") {
            Fate::Lost(_) | Fate::NotRun => self.patience / 10,
            _ => self.patience,
        }
    }

    /// The time until the next look at a job that was begun so long ago.
    pub(super) fn until_next(&self, since: Duration) -> Duration {
        (since / 10).clamp(self.look / 20, self.look)
    }
}

/// Whether the cluster can be reached.
pub(super) struct Reach<'a> {
    rhythm: Rhythm,
    tell: &'a dyn Fn(&str),
    since: Option<Instant>,
    failures: u32,
    is_told: bool,
}

impl<'a> Reach<'a> {
    pub(super) fn new(rhythm: Rhythm, tell: &'a dyn Fn(&str)) -> Self {
        Self { rhythm, tell, since: None, failures: 0, is_told: false }
    }

    /// Notes whether there was an answer.
    pub(super) fn see<T>(&mut self, answer: Result<T, JobsError>) -> Result<T, JobsError> {
        match &answer {
            Err(error @ (JobsError::Unreachable(_) | JobsError::Refused(_))) => {
                self.failures += 1;
                let since = *self.since.get_or_insert_with(Instant::now);
                if !self.is_told && since.elapsed() >= self.rhythm.told_after {
                    self.is_told = true;
                    (self.tell)(&format!("out of reach, jobs there are waited for: {error}"));
                }
            }
            Ok(_) => {
                if std::mem::take(&mut self.is_told) {
                    (self.tell)("in reach again");
                }
                (self.since, self.failures) = (None, 0);
            }
        }
        answer
    }

    /// Waits before the next try, longer each time.
    pub(super) fn pause(&self, stop: &dyn Fn() -> bool) {
        let Rhythm { look, longest, .. } = self.rhythm;
        pause((look * 2_u32.pow(self.failures.min(6))).min(longest), stop);
    }
}

/// Waits, but not for somebody who wants to stop.
pub(super) fn pause(time: Duration, stop: &dyn Fn() -> bool) {
    let since = Instant::now();
    while let Some(left) = time.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) {
        if stop() {
            return;
        }
        thread::sleep(left.min(Duration::from_millis(50)));
    }
}

/// What the end of a job means that has not told it itself.
pub(super) enum Fate {
    /// Its command ended well.
    Ended,
    /// Somebody stopped it on the cluster.
    Stopped,
    /// Its command came to another end; elsewhere it would be the same.
    Failed(Cause, String),
    /// The cluster lost it, for this reason.
    Lost(String),
    /// It waited for its place until the cluster gave it up.
    NotRun,
}

/// What the end of a job means, as far as the cluster tells; `log` is what the job wrote.
pub(super) fn fate(info: &JobInfo, log: &str) -> Fate {
    let code = info.driver_exit_code;
    let error = info.error_type.as_deref().unwrap_or_default();
    let words = info.message.as_deref().map(last_words).unwrap_or_default();
    match info.status {
        Status::Stopped => Fate::Stopped,
        Status::Succeeded => Fate::Ended,
        // The program itself came to an end: another node would not help.
        _ if error == "JOB_ENTRYPOINT_COMMAND_ERROR" && code.is_some() => {
            let (cause, what) = match code.unwrap_or_default() {
                // As the program sees it, and as a shell does.
                -9 | 137 => (Cause::Signal, "signal 9, memory is short".to_owned()),
                code if code < 0 => (Cause::Signal, format!("signal {}", -code)),
                code => (Cause::Exit, format!("exit code {code}")),
            };
            let last = last_of(log).unwrap_or(words);
            let reason = if last.is_empty() { what } else { format!("{what}: {last}") };
            Fate::Failed(cause, reason)
        }
        _ if error == "JOB_SUPERVISOR_ACTOR_START_TIMEOUT" => Fate::NotRun,
        _ => Fate::Lost(format!("the cluster lost its job: {error}: {words}")),
    }
}

/// The end of a message on one line.
fn last_words(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    let words = words.join(" ");
    let skipped = words.chars().count().saturating_sub(LONGEST_REASON);
    words.chars().skip(skipped).collect()
}
