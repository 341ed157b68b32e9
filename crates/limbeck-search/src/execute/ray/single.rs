//! A job that is no trial: it is brought to the cluster, or found there, and followed to its end.

use std::time::Instant;

use super::jobs::{JobInfo, Jobs, JobsError, Resources, Status, Submission};
use super::package::Package;
use super::reach::{Fate, Reach, Rhythm, fate, pause};

/// How often an answer that makes no sense must come before it is believed.
const BELIEVED: usize = 3;

/// What is submitted.
#[derive(Clone, Copy)]
pub struct SingleJob<'a> {
    /// The cluster.
    pub jobs: &'a Jobs,
    /// Its id.
    pub id: &'a str,
    /// The line for the shell that it runs.
    pub entrypoint: &'a str,
    /// Its files; it runs in the folder of the first.
    pub packages: &'a [Package],
    /// What it reserves.
    pub resources: Resources,
    /// When it is looked at.
    pub rhythm: Rhythm,
    /// Hears, in a line, that the cluster is out of reach, and that it is back.
    pub tell: &'a dyn Fn(&str),
}

/// How a job came to its end.
#[derive(Debug)]
pub enum JobEnd {
    /// Its command ended well; what it wrote, and what the cluster knows of it.
    Well(String, JobInfo),
    /// Its command ended otherwise, so.
    Failed(String),
    /// It was stopped, by us or by somebody else.
    Stopped,
    /// The cluster lost it, for this reason: another would do better.
    Lost(String),
    /// The cluster will not have it, for this reason.
    Refused(String),
}

/// Whether the cluster has a job that lives or ended well, so that there is no need of another;
/// none when asked to stop before there was an answer.
pub fn is_of_use(job: &SingleJob, stop: &dyn Fn() -> bool) -> Option<bool> {
    let mut reach = Reach::new(job.rhythm, job.tell);
    while !stop() {
        match reach.see(job.jobs.job(job.id)) {
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

/// Submits a job, unless the cluster has it, and follows it to its end. `hear` hears every line
/// of its log once. When `stop` says so, the job is stopped.
pub fn follow(job: &SingleJob, hear: &mut dyn FnMut(&str), stop: &dyn Fn() -> bool) -> JobEnd {
    let mut reach = Reach::new(job.rhythm, job.tell);
    let packages: Vec<&str> = job.packages.iter().map(|p| p.name.as_str()).collect();
    let (id, resources, entrypoint) = (job.id, job.resources, job.entrypoint);
    let submission = Submission { id, entrypoint, packages: &packages, resources, metadata: &[] };
    loop {
        if stop() {
            // One that arrived after all has nobody who listens.
            let _ = job.jobs.stop(id);
            return JobEnd::Stopped;
        }
        let brought = job.jobs.bring(job.packages);
        match reach.see(brought.and_then(|()| job.jobs.submit(&submission))) {
            Ok(()) => break,
            Err(JobsError::Refused(reason)) => return JobEnd::Refused(reason),
            // The next submission of the same id finds the job if this one has arrived.
            Err(JobsError::Unreachable(_)) => reach.pause(stop),
        }
    }
    let mut heard = Heard { bytes: 0, hear };
    let mut unknown = 0;
    let mut logged: Option<Instant> = None;
    let begun = Instant::now();
    loop {
        if stop() {
            return end(job);
        }
        match reach.see(job.jobs.job(id)) {
            Ok(Some(info)) if info.status.is_final() => {
                return ended(job, info, &mut heard, stop);
            }
            Ok(Some(info)) => {
                unknown = 0;
                let is_due = logged.is_none_or(|last| last.elapsed() >= job.rhythm.log);
                if info.status == Status::Running && is_due {
                    logged = Some(Instant::now());
                    if let Ok(log) = job.jobs.logs(id) {
                        heard.hear(&log, false);
                    }
                }
            }
            // A head that has just come back may not know its jobs yet.
            Ok(None) => {
                unknown += 1;
                if unknown >= BELIEVED {
                    return JobEnd::Lost("the cluster knows nothing of it any more".to_owned());
                }
            }
            Err(_) => {
                reach.pause(stop);
                continue;
            }
        }
        pause(job.rhythm.until_next(begun.elapsed()), stop);
    }
}

fn ended(job: &SingleJob, info: JobInfo, heard: &mut Heard, stop: &dyn Fn() -> bool) -> JobEnd {
    let since = Instant::now();
    let patience = job.rhythm.patience_with(&info);
    let log = loop {
        match job.jobs.logs(job.id) {
            Ok(log) => break log,
            Err(_) if stop() || since.elapsed() >= patience => break String::new(),
            Err(_) => pause(job.rhythm.look, stop),
        }
    };
    heard.hear(&log, true);
    match fate(&info, &log) {
        Fate::Ended => JobEnd::Well(log, info),
        Fate::Stopped => JobEnd::Stopped,
        Fate::Failed(_, reason) => JobEnd::Failed(reason),
        Fate::Lost(reason) => JobEnd::Lost(reason),
        Fate::NotRun => JobEnd::Lost("it had no room for it for too long".to_owned()),
    }
}

/// Stops the job, and waits until it has.
fn end(job: &SingleJob) -> JobEnd {
    let since = Instant::now();
    if job.jobs.stop(job.id).is_ok() {
        while since.elapsed() < job.rhythm.patience {
            match job.jobs.job(job.id) {
                Ok(Some(info)) if info.status == Status::Running => {
                    std::thread::sleep(job.rhythm.look);
                }
                _ => break,
            }
        }
    }
    JobEnd::Stopped
}

/// What was heard of a log.
struct Heard<'a> {
    bytes: usize,
    hear: &'a mut dyn FnMut(&str),
}

impl Heard<'_> {
    /// Passes on the lines that are new; a last one without its end only when nothing will follow.
    fn hear(&mut self, log: &str, all: bool) {
        let Some(new) = log.get(self.bytes..) else { return };
        let end = if all { new.len() } else { new.rfind('\n').map_or(0, |at| at + 1) };
        new[..end].lines().for_each(|line| (self.hear)(line));
        self.bytes += end;
    }
}
