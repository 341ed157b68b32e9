//! One attempt at one trial, as a job of a cluster.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::jobs::{JobInfo, Jobs, JobsError, Resources, Status, Submission};
use super::outcome;
use super::package::Package;
use crate::error::Result;
use crate::execute::Attempt;
use crate::execute::supervise::{last_of, report, verdict};
use crate::stopping::Rule;
use crate::study::{Cause, LossPolicy, Outcome, State, Study, Worker};

/// Time between two signs of life.
const BEAT_EVERY: Duration = Duration::from_secs(30);
/// How often an answer that makes no sense must come before it is believed.
const BELIEVED: usize = 3;
/// Characters of a job's last words that are kept.
const LONGEST_REASON: usize = 300;

/// What an attempt submits.
pub struct RemoteJob<'a> {
    /// The cluster.
    pub jobs: &'a Jobs,
    /// The trial's files.
    pub package: &'a Package,
    /// The line for the shell that runs the trial as the job of this id.
    pub entrypoint: &'a dyn Fn(&str) -> String,
    /// What the job reserves.
    pub resources: Resources,
    /// A folder of the trial's own; the job's log is kept there as `output.log`.
    pub folder: PathBuf,
    /// When it is ended early.
    pub stopping: Option<Rule>,
    /// What is done when the cluster loses the trial.
    pub policy: LossPolicy,
    /// When it looks.
    pub rhythm: Rhythm,
    /// Hears, in a line, that the cluster is out of reach, and that it is back.
    pub tell: &'a dyn Fn(&str),
}

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

/// Takes a trial, runs it as a job, and writes its outcome to the study. A job that an earlier
/// worker left running is taken over.
///
/// When `stop` says so, the job is stopped and the trial given back, unless it has just ended.
///
/// # Errors
/// When the study cannot be read or written.
pub fn supervise(
    study: &mut Study,
    number: usize,
    job: &RemoteJob,
    stop: &dyn Fn() -> bool,
) -> Result<Attempt> {
    let mut reach = Reach::new(job);
    study.refresh()?;
    let Some(trial) = study.trials().get(number).filter(|t| t.state == State::Suggested) else {
        return Ok(Attempt::Taken);
    };
    let mut taken_over = None;
    if let Some(left) = trial.job.clone() {
        loop {
            if stop() {
                return Ok(Attempt::Taken);
            }
            match reach.see(job.jobs.job(&left)) {
                Ok(Some(info)) => {
                    let lives = matches!(info.status, Status::Pending | Status::Running);
                    let is_of_use = lives || info.status == Status::Succeeded;
                    taken_over = is_of_use.then_some(left);
                    break;
                }
                Ok(None) => break,
                Err(_) => reach.pause(stop),
            }
        }
    }
    let submitted = taken_over.is_some();
    let id = taken_over.unwrap_or_else(|| new_id(number));
    // The id is in the study before the cluster has it: whatever happens then, it is found.
    let Some(attempt) = study.start(number, Worker::of_job(&id))? else {
        return Ok(Attempt::Taken);
    };
    let beaten = Instant::now();
    let mut follow = Follow { study, number, attempt, id: &id, job, reach, beaten, reports: 0 };
    let ending = match submitted {
        true => None,
        false => follow.submit(stop)?,
    };
    let ending = match ending {
        Some(ending) => ending,
        None => follow.until_the_end(stop)?,
    };
    let study = follow.study;
    let outcome = match ending {
        Ending::Gone => return Ok(Attempt::Refused),
        Ending::Lost(reason) => {
            return match study.lose(number, attempt, &reason, job.policy)? {
                true => Ok(Attempt::Lost(reason)),
                false => Ok(Attempt::Refused),
            };
        }
        Ending::Outcome(Outcome::Complete(metrics))
            if let Some(name) = study.missing_metric(&metrics) =>
        {
            let reason = format!("its last line has no number `{name}`");
            Outcome::Failed { cause: Cause::Output, reason }
        }
        Ending::Outcome(outcome) => outcome,
    };
    match study.finish(number, attempt, outcome.clone())? {
        true => Ok(Attempt::Recorded(outcome)),
        false => Ok(Attempt::Refused),
    }
}

/// An id that no other job has, in this study or another.
fn new_id(number: usize) -> String {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let text = format!("{time} {} {number}", std::process::id());
    format!("limbeck-{number}-{}", &blake3::hash(text.as_bytes()).to_hex()[..16])
}

/// How following a job ends.
enum Ending {
    /// The trial ended so.
    Outcome(Outcome),
    /// The cluster lost it, for this reason.
    Lost(String),
    /// The trial has gone to somebody else meanwhile.
    Gone,
}

struct Follow<'a> {
    study: &'a mut Study,
    number: usize,
    attempt: usize,
    id: &'a str,
    job: &'a RemoteJob<'a>,
    reach: Reach<'a>,
    /// The last sign of life.
    beaten: Instant,
    /// Lines of the log that were reports and are in the study.
    reports: usize,
}

impl Follow<'_> {
    /// Brings the job to the cluster; an ending when that cannot be.
    fn submit(&mut self, stop: &dyn Fn() -> bool) -> Result<Option<Ending>> {
        let entrypoint = (self.job.entrypoint)(self.id);
        let metadata = [("limbeck_trial", self.number.to_string())];
        let submission = Submission {
            id: self.id,
            entrypoint: &entrypoint,
            package: &self.job.package.name,
            resources: self.job.resources,
            metadata: &metadata,
        };
        loop {
            if stop() {
                // One that arrived after all has nobody who listens.
                let _ = self.job.jobs.stop(self.id);
                return Ok(Some(Ending::Outcome(Outcome::Released)));
            }
            if !self.is_wanted()? {
                return Ok(Some(Ending::Gone));
            }
            let outcome = self.bring_package().and_then(|()| self.job.jobs.submit(&submission));
            match self.reach.see(outcome) {
                Ok(()) => return Ok(None),
                Err(JobsError::Refused(reason)) => {
                    let failed = Outcome::Failed { cause: Cause::Start, reason };
                    return Ok(Some(Ending::Outcome(failed)));
                }
                // The next submission of the same id finds the job if this one has arrived.
                Err(JobsError::Unreachable(_)) => self.reach.pause(stop),
            }
        }
    }

    /// Whether the trial is still this attempt's; a sign of life now and then.
    fn is_wanted(&mut self) -> Result<bool> {
        if self.beaten.elapsed() >= BEAT_EVERY {
            self.beaten = Instant::now();
            return self.study.beat(self.number, self.attempt);
        }
        self.study.refresh()?;
        let trial = self.study.trials().get(self.number);
        Ok(trial.is_some_and(|t| t.state == State::Running && t.attempts == self.attempt))
    }

    /// The cluster may have thrown the package away since the last job.
    fn bring_package(&self) -> Result<(), JobsError> {
        let (jobs, package) = (self.job.jobs, self.job.package);
        match jobs.has_package(&package.name)? {
            true => Ok(()),
            false => jobs.put_package(&package.name, &package.bytes),
        }
    }

    fn until_the_end(&mut self, stop: &dyn Fn() -> bool) -> Result<Ending> {
        let mut unknown = 0;
        let mut logged: Option<Instant> = None;
        let begun = Instant::now();
        loop {
            if stop() {
                return Ok(Ending::Outcome(self.stop()));
            }
            if !self.is_wanted()? {
                let _ = self.job.jobs.stop(self.id);
                return Ok(Ending::Gone);
            }
            match self.reach.see(self.job.jobs.job(self.id)) {
                Ok(Some(info)) if info.status.is_final() => return self.ended(&info, stop),
                Ok(Some(info)) => {
                    unknown = 0;
                    let is_due = logged.is_none_or(|last| last.elapsed() >= self.job.rhythm.log);
                    if info.status == Status::Running && is_due {
                        logged = Some(Instant::now());
                        if let Ok(log) = self.job.jobs.logs(self.id)
                            && let Some(outcome) = self.read(&log)?
                        {
                            let _ = self.job.jobs.stop(self.id);
                            return Ok(Ending::Outcome(outcome));
                        }
                    }
                }
                // A head that has just come back may not know its jobs yet.
                Ok(None) => {
                    unknown += 1;
                    if unknown >= BELIEVED {
                        let reason = "the cluster knows nothing of its job any more";
                        return Ok(Ending::Lost(reason.to_owned()));
                    }
                }
                Err(_) => {
                    self.reach.pause(stop);
                    continue;
                }
            }
            let look = self.job.rhythm.look;
            pause((begun.elapsed() / 10).clamp(look / 20, look), stop);
        }
    }

    /// What a job that ended comes to.
    fn ended(&mut self, info: &JobInfo, stop: &dyn Fn() -> bool) -> Result<Ending> {
        let since = Instant::now();
        let log = loop {
            match self.job.jobs.logs(self.id) {
                Ok(log) => break Some(log),
                Err(_) if stop() || since.elapsed() >= self.job.rhythm.patience => break None,
                Err(_) => pause(self.job.rhythm.look, stop),
            }
        };
        let log = log.unwrap_or_default();
        self.read(&log)?;
        let told = outcome::find(&log, self.id);
        let code = info.driver_exit_code;
        let error = info.error_type.as_deref().unwrap_or_default();
        let words = info.message.as_deref().map(last_words).unwrap_or_default();
        Ok(match (told, info.status) {
            (Some(Outcome::Released), _) | (None, Status::Stopped)
                if info.status == Status::Stopped =>
            {
                let reason = "its job was stopped on the cluster".to_owned();
                Ending::Outcome(Outcome::Failed { cause: Cause::Told, reason })
            }
            (Some(Outcome::Released), _) => {
                Ending::Lost("the cluster ended its job before it was done".to_owned())
            }
            (Some(outcome), _) => Ending::Outcome(outcome),
            (None, Status::Succeeded) => {
                Ending::Lost("its job ended well, but the log of it is gone".to_owned())
            }
            // The program that runs the trial came to an end itself: another node would not help.
            (None, _) if error == "JOB_ENTRYPOINT_COMMAND_ERROR" && code.is_some() => {
                let (cause, what) = match code.unwrap_or_default() {
                    // As the program sees it, and as a shell does.
                    -9 | 137 => (Cause::Signal, "signal 9, memory is short".to_owned()),
                    code if code < 0 => (Cause::Signal, format!("signal {}", -code)),
                    code => (Cause::Exit, format!("exit code {code}")),
                };
                let last = last_of(&log).unwrap_or(words);
                let reason = if last.is_empty() { what } else { format!("{what}: {last}") };
                Ending::Outcome(Outcome::Failed { cause, reason })
            }
            (None, _) if error == "JOB_SUPERVISOR_ACTOR_START_TIMEOUT" => {
                Ending::Lost("the cluster had no room for it for too long".to_owned())
            }
            (None, _) => Ending::Lost(format!("the cluster lost its job: {error}: {words}")),
        })
    }

    /// Stops the job and gives the trial back; takes what it has if it has just ended.
    fn stop(&mut self) -> Outcome {
        let released = Outcome::Released;
        if self.job.jobs.stop(self.id).is_err() {
            return released;
        }
        let since = Instant::now();
        while since.elapsed() < self.job.rhythm.patience {
            match self.job.jobs.job(self.id) {
                // It may wait for its place for many minutes; it has done nothing.
                Ok(Some(info)) if info.status == Status::Pending => return released,
                Ok(Some(info)) if !info.status.is_final() => thread::sleep(self.job.rhythm.look),
                Ok(Some(_)) => {
                    let log = self.job.jobs.logs(self.id).unwrap_or_default();
                    let told = outcome::find(&log, self.id);
                    return told
                        .filter(|told| matches!(told, Outcome::Complete(_)))
                        .unwrap_or(released);
                }
                Ok(None) | Err(_) => return released,
            }
        }
        released
    }

    /// Keeps a log and takes in its reports; an outcome when they are reason to end the trial.
    fn read(&mut self, log: &str) -> Result<Option<Outcome>> {
        if !log.is_empty() {
            // A full disk must not stop the trial: its metrics go to the study.
            let _ = fs::create_dir_all(&self.job.folder)
                .and_then(|()| fs::write(self.job.folder.join("output.log"), log));
        }
        // A line without its end is still being written.
        let whole = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let new: Vec<_> = whole.filter_map(|line| report(line.trim())).skip(self.reports).collect();
        for report in new {
            self.reports += 1;
            if self.study.report(self.number, self.attempt, report)?
                && let Some(outcome) = verdict(self.study, self.number, self.job.stopping)
            {
                return Ok(Some(outcome));
            }
        }
        Ok(None)
    }
}

/// Whether the cluster can be reached.
struct Reach<'a> {
    job: &'a RemoteJob<'a>,
    since: Option<Instant>,
    failures: u32,
    is_told: bool,
}

impl<'a> Reach<'a> {
    fn new(job: &'a RemoteJob<'a>) -> Self {
        Self { job, since: None, failures: 0, is_told: false }
    }

    /// Notes whether there was an answer.
    fn see<T>(&mut self, answer: Result<T, JobsError>) -> Result<T, JobsError> {
        match &answer {
            Err(error @ (JobsError::Unreachable(_) | JobsError::Refused(_))) => {
                self.failures += 1;
                let since = *self.since.get_or_insert_with(Instant::now);
                if !self.is_told && since.elapsed() >= self.job.rhythm.told_after {
                    self.is_told = true;
                    (self.job.tell)(&format!("out of reach, trials there are waited for: {error}"));
                }
            }
            Ok(_) => {
                if std::mem::take(&mut self.is_told) {
                    (self.job.tell)("in reach again");
                }
                (self.since, self.failures) = (None, 0);
            }
        }
        answer
    }

    /// Waits before the next try, longer each time.
    fn pause(&self, stop: &dyn Fn() -> bool) {
        let rhythm = self.job.rhythm;
        pause((rhythm.look * 2_u32.pow(self.failures.min(6))).min(rhythm.longest), stop);
    }
}

/// Waits, but not for somebody who wants to stop.
fn pause(time: Duration, stop: &dyn Fn() -> bool) {
    let since = Instant::now();
    while let Some(left) = time.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) {
        if stop() {
            return;
        }
        thread::sleep(left.min(Duration::from_millis(50)));
    }
}

/// The end of a message on one line.
fn last_words(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    let words = words.join(" ");
    let skipped = words.chars().count().saturating_sub(LONGEST_REASON);
    words.chars().skip(skipped).collect()
}
