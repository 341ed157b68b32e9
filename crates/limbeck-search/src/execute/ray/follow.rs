//! One attempt at one trial, as a job of a cluster.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::jobs::{JobInfo, Jobs, JobsError, Resources, Status, Submission};
use super::outcome;
use super::package::Package;
use super::reach::{Fate, Reach, Rhythm, fate, pause};
use crate::error::Result;
use crate::execute::Attempt;
use crate::execute::output::report;
use crate::execute::supervise::verdict;
use crate::stopping::Rule;
use crate::study::{Cause, LossPolicy, Outcome, Start, State, Study, Worker};

/// Time between two signs of life.
const BEAT_EVERY: Duration = Duration::from_secs(30);
/// How often an answer that makes no sense must come before it is believed.
const BELIEVED: usize = 3;

/// What an attempt submits.
pub struct RemoteJob<'a> {
    /// The cluster.
    pub jobs: &'a Jobs,
    /// The trial's files; it runs in the folder of the first.
    pub packages: &'a [Package],
    /// The line for the shell that runs the trial as the job of this id.
    pub entrypoint: &'a dyn Fn(&str) -> String,
    /// What the job reserves.
    pub resources: Resources,
    /// A folder of the trial's own; the job's log is kept there as `output.log`.
    pub folder: PathBuf,
    /// Jobs of the study that the cluster has at most; a trial that finds so many waits here,
    /// where nothing counts how long.
    pub most: usize,
    /// When it is ended early.
    pub stopping: Option<Rule>,
    /// What is done when the cluster loses the trial.
    pub policy: LossPolicy,
    /// When it looks.
    pub rhythm: Rhythm,
    /// Hears, in a line, that the cluster is out of reach or full, and that it is back.
    pub tell: &'a dyn Fn(&str),
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
    study.refresh()?;
    let Some(trial) = study.trials().get(number).filter(|t| t.state == State::Suggested) else {
        return Ok(Attempt::Taken);
    };
    let mut left = match trial.job.clone() {
        None => None,
        Some(id) => match left_by_another(&id, job, stop) {
            None => return Ok(Attempt::Taken),
            Some(is_of_use) => is_of_use.then_some(id),
        },
    };
    loop {
        if let Some(attempt) = attempt(study, number, job, left.take(), stop)? {
            return Ok(attempt);
        }
        (job.tell)("it had no room for the trial's job for too long; there will be another");
    }
}

/// Whether the job that an earlier worker left can be gone on with; none when asked to stop.
fn left_by_another(id: &str, job: &RemoteJob, stop: &dyn Fn() -> bool) -> Option<bool> {
    let mut reach = Reach::new(job.rhythm, job.tell);
    while !stop() {
        match reach.see(job.jobs.job(id)) {
            Ok(Some(info)) => {
                let lives = matches!(info.status, Status::Pending | Status::Running);
                return Some(lives || info.status == Status::Succeeded);
            }
            Ok(None) => return Some(false),
            Err(_) => reach.pause(stop),
        }
    }
    None
}

/// One attempt at a trial, with a new job or one that is `left`; none when the job never got
/// its place, so that nothing was attempted.
fn attempt(
    study: &mut Study,
    number: usize,
    job: &RemoteJob,
    left: Option<String>,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Attempt>> {
    let submitted = left.is_some();
    let id = left.unwrap_or_else(|| new_id(number));
    // One that is there already takes no further place.
    let most = if submitted { usize::MAX } else { job.most };
    let attempt = loop {
        // The id is in the study before the cluster has it: whatever happens then, it is found.
        match study.start_within(number, Worker::of_job(&id), most)? {
            Start::Attempt(attempt) => break attempt,
            Start::Taken => return Ok(Some(Attempt::Taken)),
            Start::Full if stop() => return Ok(Some(Attempt::Taken)),
            Start::Full => pause(job.rhythm.look, stop),
        }
    };
    let reach = Reach::new(job.rhythm, job.tell);
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
        Ending::Gone => return Ok(Some(Attempt::Refused)),
        Ending::NotRun => {
            return match study.finish(number, attempt, Outcome::Released)? {
                true => Ok(None),
                false => Ok(Some(Attempt::Refused)),
            };
        }
        Ending::Lost(reason) => {
            return match study.lose(number, attempt, &reason, job.policy)? {
                true => Ok(Some(Attempt::Lost(reason))),
                false => Ok(Some(Attempt::Refused)),
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
    Ok(Some(match study.finish(number, attempt, outcome.clone())? {
        true => Attempt::Recorded(outcome),
        false => Attempt::Refused,
    }))
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
    /// Its job waited for its place until the cluster gave it up.
    NotRun,
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
        let packages: Vec<&str> = self.job.packages.iter().map(|p| p.name.as_str()).collect();
        let submission = Submission {
            id: self.id,
            entrypoint: &entrypoint,
            packages: &packages,
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
            let outcome = self
                .job
                .jobs
                .bring(self.job.packages)
                .and_then(|()| self.job.jobs.submit(&submission));
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
            pause(self.job.rhythm.until_next(begun.elapsed()), stop);
        }
    }

    /// What a job that ended comes to.
    fn ended(&mut self, info: &JobInfo, stop: &dyn Fn() -> bool) -> Result<Ending> {
        let since = Instant::now();
        let patience = self.job.rhythm.patience_with(info);
        let log = loop {
            match self.job.jobs.logs(self.id) {
                Ok(log) => break Some(log),
                Err(_) if stop() || since.elapsed() >= patience => break None,
                Err(_) => pause(self.job.rhythm.look, stop),
            }
        };
        let log = log.unwrap_or_default();
        self.read(&log)?;
        let stopped = "its job was stopped on the cluster".to_owned();
        let failed = |cause, reason| Ending::Outcome(Outcome::Failed { cause, reason });
        Ok(match (outcome::find(&log, self.id), fate(info, &log)) {
            (Some(Outcome::Released) | None, Fate::Stopped) => failed(Cause::Told, stopped),
            (Some(Outcome::Released), _) => {
                Ending::Lost("the cluster ended its job before it was done".to_owned())
            }
            (Some(outcome), _) => Ending::Outcome(outcome),
            (None, Fate::Ended) => {
                Ending::Lost("its job ended well, but the log of it is gone".to_owned())
            }
            (None, Fate::Failed(cause, reason)) => failed(cause, reason),
            (None, Fate::NotRun) => Ending::NotRun,
            (None, Fate::Lost(reason)) => Ending::Lost(reason),
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
