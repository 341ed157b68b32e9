//! One attempt at one trial.

use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::group;
use super::output::{MOST_LINES, forward, last_of, metrics, report};
use crate::error::Result;
use crate::metric::Metrics;
use crate::stopping::Rule;
use crate::study::{Cause, Outcome, State, Study, Worker};

/// Time between two looks at the command.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Time between two looks at its memory.
const WEIGH_EVERY: Duration = Duration::from_millis(250);
/// Time that a command has to end after it was asked to.
const GRACE: Duration = Duration::from_secs(30);

/// What an attempt runs.
#[derive(Debug, Clone)]
pub struct Job {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// Further variables of its environment.
    pub environment: Vec<(String, String)>,
    /// A folder of the trial's own; what the command writes is kept there as `output.log`.
    pub folder: PathBuf,
    /// What it may take.
    pub limits: Limits,
    /// Seconds without a sign of life after which other machines take this process for
    /// vanished.
    pub lease: f64,
    /// When it is ended early.
    pub stopping: Option<Rule>,
    /// Whether what the command writes is written to standard output as well.
    pub echo: bool,
}

/// What a trial may take.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Resident memory of all its processes, in bytes.
    pub memory: Option<u64>,
    /// Time.
    pub time: Option<Duration>,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Attempt {
    /// The trial was not there to be taken.
    Taken,
    /// It ended so, and the study has it.
    Recorded(Outcome),
    /// It ended, but the trial had gone to somebody else.
    Refused,
    /// The machine that ran it is gone, for this reason.
    Lost(String),
}

/// Takes a trial, runs the job that `job` makes of it, and writes its outcome to the study.
///
/// The process leads a group from here on; every other process in it is taken for the job's.
/// When `stop` says so, the command is asked to end and, unless it brings its metrics, the trial
/// goes back.
///
/// # Errors
/// When the study cannot be read or written.
pub fn supervise(
    study: &mut Study,
    number: usize,
    job: &Job,
    stop: &dyn Fn() -> bool,
) -> Result<Attempt> {
    group::lead();
    let Some(attempt) = study.start(number, Worker::this(job.lease))? else {
        return Ok(Attempt::Taken);
    };
    let outcome = match begin(job) {
        Err(reason) => Some(Outcome::Failed { cause: Cause::Start, reason }),
        Ok((mut child, lines)) => {
            let mut watch = Watch { study, number, attempt, job, lines, last: String::new() };
            let outcome = watch.until_the_end(&mut child, stop);
            group::end_all();
            // Where the group cannot be seen, at least the command itself; one that has ended
            // cannot be killed, which is as well.
            let _ = child.kill().and_then(|()| child.wait());
            outcome?
        }
    };
    let Some(outcome) = outcome else { return Ok(Attempt::Refused) };
    let outcome = match &outcome {
        Outcome::Complete(metrics) if let Some(name) = study.missing_metric(metrics) => {
            let reason = format!("its last line has no number `{name}`");
            Outcome::Failed { cause: Cause::Output, reason }
        }
        _ => outcome,
    };
    match study.finish(number, attempt, outcome.clone())? {
        true => Ok(Attempt::Recorded(outcome)),
        false => Ok(Attempt::Refused),
    }
}

/// Starts the command, and a thread that reads what it writes.
fn begin(job: &Job) -> Result<(Child, Receiver<String>), String> {
    let folder = job.folder.display();
    let log = fs::create_dir_all(&job.folder)
        .and_then(|()| {
            let mut options = OpenOptions::new();
            options.create(true).append(true).open(job.folder.join("output.log"))
        })
        .map_err(|error| format!("{folder}: {error}"))?;
    let errors = log.try_clone().map_err(|error| format!("{folder}: {error}"))?;
    let (program, arguments) = job.words.split_first().ok_or("there is no command")?;
    let mut child = Command::new(program)
        .args(arguments)
        .envs(job.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    let (sender, lines) = sync_channel(MOST_LINES);
    if let Some(output) = child.stdout.take() {
        let echo = job.echo;
        thread::spawn(move || forward(output, log, &sender, echo));
    }
    Ok((child, lines))
}

/// An attempt under way.
struct Watch<'a> {
    study: &'a mut Study,
    number: usize,
    attempt: usize,
    job: &'a Job,
    lines: Receiver<String>,
    /// The last line of output.
    last: String,
}

impl Watch<'_> {
    /// How the command ended, or why it was ended; none when the trial has gone to somebody
    /// else meanwhile.
    fn until_the_end(
        &mut self,
        child: &mut Child,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Outcome>> {
        let begun = Instant::now();
        let beat_every = Duration::from_secs_f64((self.job.lease / 4.0).clamp(0.05, 30.0));
        let (mut beaten, mut weighed) = (begun, begun);
        let mut asked: Option<Instant> = None;
        loop {
            let looked = Instant::now();
            if let Some(outcome) = self.read_lines()? {
                return Ok(Some(outcome));
            }
            match child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => return self.ended(status, asked.is_some()).map(Some),
                Err(error) => {
                    let reason = format!("cannot wait for it: {error}");
                    return Ok(Some(Outcome::Failed { cause: Cause::Start, reason }));
                }
            }
            if let Some(outcome) = self.over_time(begun) {
                return Ok(Some(outcome));
            }
            if self.job.limits.memory.is_some() && weighed.elapsed() >= WEIGH_EVERY {
                weighed = Instant::now();
                if let Some(outcome) = self.over_memory() {
                    return Ok(Some(outcome));
                }
            }
            if beaten.elapsed() >= beat_every {
                beaten = Instant::now();
                if !self.study.beat(self.number, self.attempt)? {
                    return Ok(None);
                }
            }
            match asked {
                None if stop() => {
                    group::ask_to_end();
                    asked = Some(Instant::now());
                }
                Some(since) if since.elapsed() >= GRACE => return Ok(Some(Outcome::Released)),
                _ => {}
            }
            thread::sleep(LOOK_EVERY.saturating_sub(looked.elapsed()));
        }
    }

    /// Takes in what the command has written, as much as there is time for until the next look at
    /// other things; an outcome when that is reason to end it.
    fn read_lines(&mut self) -> Result<Option<Outcome>> {
        let begun = Instant::now();
        while begun.elapsed() < LOOK_EVERY
            && let Ok(line) = self.lines.try_recv()
        {
            if self.take_line(line)?
                && let Some(outcome) = verdict(self.study, self.number, self.job.stopping)
            {
                return Ok(Some(outcome));
            }
        }
        Ok(None)
    }

    /// Takes in a line; whether it was a report of an attempt that is still wanted.
    fn take_line(&mut self, line: String) -> Result<bool> {
        let report = report(&line);
        self.last = line;
        match report {
            Some(report) => self.study.report(self.number, self.attempt, report),
            None => Ok(false),
        }
    }

    fn over_time(&self, begun: Instant) -> Option<Outcome> {
        let limit = self.job.limits.time?;
        (begun.elapsed() > limit).then(|| Outcome::Failed {
            cause: Cause::Time,
            reason: format!("it took longer than {:.1} s", limit.as_secs_f64()),
        })
    }

    fn over_memory(&self) -> Option<Outcome> {
        let limit = self.job.limits.memory?;
        let memory: u64 = group::members().iter().map(|member| member.memory).sum();
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        (memory > limit).then(|| Outcome::Failed {
            cause: Cause::Memory,
            reason: format!("{:.0} MB of {:.0} MB", megabytes(memory), megabytes(limit)),
        })
    }

    /// What an ended command comes to.
    fn ended(&mut self, status: ExitStatus, was_asked: bool) -> Result<Outcome> {
        // What it wrote right before its end may still be on its way. A process that it left
        // behind may hold the other end open, and is not waited for.
        let patience = Instant::now();
        while let Some(left) = Duration::from_secs(2).checked_sub(patience.elapsed()) {
            match self.lines.recv_timeout(left) {
                Ok(line) => drop(self.take_line(line)?),
                Err(_) => break,
            }
        }
        let failed = |cause, reason| Outcome::Failed { cause, reason };
        if was_asked {
            // What it may have said last is how far it was.
            let is_whole = |metrics: &Metrics| self.study.missing_metric(metrics).is_none();
            let brought = metrics(&self.last).ok().filter(is_whole);
            let brought = brought.filter(|_| status.success() && report(&self.last).is_none());
            return Ok(brought.map_or(Outcome::Released, Outcome::Complete));
        }
        Ok(match (status.code(), status.signal()) {
            (Some(0), _) => match metrics(&self.last) {
                Ok(metrics) => Outcome::Complete(metrics),
                Err(reason) => failed(Cause::Output, reason),
            },
            (Some(code), _) => failed(Cause::Exit, self.with_last(format!("exit code {code}"))),
            (None, Some(9)) => {
                let reason = "signal 9, which the system sends when memory is short";
                failed(Cause::Signal, self.with_last(reason.to_owned()))
            }
            (None, signal) => {
                let reason = format!("signal {}", signal.unwrap_or_default());
                failed(Cause::Signal, self.with_last(reason))
            }
        })
    }

    /// A reason with the last line of what was kept of the command's output.
    fn with_last(&self, reason: String) -> String {
        let kept = fs::read(self.job.folder.join("output.log")).unwrap_or_default();
        let tail = String::from_utf8_lossy(&kept[kept.len().saturating_sub(4096)..]).into_owned();
        match last_of(&tail) {
            Some(last) => format!("{reason}: {last}"),
            None => reason,
        }
    }
}

/// The end of a trial whose reports show that it cannot reach the front, if the rule says so.
pub(super) fn verdict(study: &Study, number: usize, rule: Option<Rule>) -> Option<Outcome> {
    let reason = rule?.verdict(study, number)?;
    let reports = study.trials().get(number).map(|trial| &trial.reports);
    let metrics = reports.into_iter().flatten().fold(Metrics::new(), |mut all, report| {
        all.extend(report.metrics.clone());
        all
    });
    Some(Outcome::Stopped { reason, metrics })
}

/// Whether a trial may still be taken up.
pub(super) fn is_open(study: &Study, number: usize) -> bool {
    study.trials().get(number).is_some_and(|trial| trial.state == State::Suggested)
}
