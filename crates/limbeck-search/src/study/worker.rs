//! Who runs a trial, and whether it is still there.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A process that runs a trial, or a program that asked for one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    /// The running system that it belongs to; absent where systems cannot be told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The name of the computer, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Its process, which leads a group of its own; absent for a program that asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// Seconds without a sign of life after which it counts as vanished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<f64>,
    /// The job of a cluster that runs the trial, which the worker only follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

/// A process that no later one can be taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub id: u32,
    /// When it began, in the system's ticks; 0 where the system does not tell.
    pub born: u64,
}

/// Seconds of silence after which who follows a job from another machine has vanished.
const LEASE_OF_FOLLOWER: f64 = 900.0;

impl Worker {
    /// This process.
    pub fn this(lease: f64) -> Self {
        let id = std::process::id();
        let process = Some(Process { id, born: born(id).unwrap_or(0) });
        let host = fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host = host.map(|name| name.trim().to_owned());
        Self { machine: machine(), host, process, lease: Some(lease), job: None }
    }

    /// This process, which follows the job of this id. It gives a sign of life a few times a
    /// minute, or less often while the cluster hangs.
    pub fn of_job(id: &str) -> Self {
        Self { job: Some(id.to_owned()), ..Self::this(LEASE_OF_FOLLOWER) }
    }

    /// A program elsewhere that asked for a trial and will tell what came of it.
    pub fn elsewhere(lease: Option<f64>) -> Self {
        Self { machine: None, host: None, process: None, lease, job: None }
    }

    /// Whether it is a process of this system whose end can be seen.
    fn is_visible(&self) -> bool {
        self.machine.is_some() && self.machine == machine()
    }

    /// Why it must be taken for vanished, if it must; `seen` and `now` as [`now`] gives them.
    pub fn vanished(&self, seen: f64, now: f64) -> Option<String> {
        if let Some(process) = self.process.filter(|process| process.born != 0 && self.is_visible())
        {
            return (born(process.id) != Some(process.born))
                .then(|| format!("its worker, process {}, is gone", process.id));
        }
        let lease = self.lease?;
        (now - seen > lease).then(|| format!("no sign of life for {:.0} s", now - seen))
    }

    /// Its process, if that lives on this system.
    pub(crate) fn living_process(&self) -> Option<u32> {
        let process = self.process.filter(|_| self.is_visible())?;
        (born(process.id) == Some(process.born)).then_some(process.id)
    }

    /// Ends what a vanished worker of this system left running.
    pub fn end_orphans(&self) {
        let Some(process) = self.process.filter(|_| self.is_visible()) else { return };
        // As long as one of the group lives, its number goes to nobody else; a process of this
        // number is therefore the worker itself or a stranger, and both are left alone.
        if born(process.id).is_none() {
            end_group(process.id);
        }
    }
}

/// Kills every process of a group; that there is none is no error.
fn end_group(leader: u32) {
    let id = i32::try_from(leader).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(id) = id {
        let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
    }
}

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// Names the booted system and the space of process numbers.
fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), space.display()))
}

/// When a living process began; none when there is no such process or it has ended.
fn born(id: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in brackets, may hold anything; the state comes after it.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let is_over = matches!(fields.first(), Some(&"Z" | &"X"));
    (!is_over).then(|| fields.get(19)?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_lives_has_not_vanished_however_long_it_was_silent() {
        assert_eq!(Worker::this(1.0).vanished(0.0, now()), None);
    }

    #[test]
    fn a_process_that_ended_has_vanished_at_once() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process { id: child.id(), born: born(child.id()).unwrap() };
        let worker = Worker { process: Some(process), ..Worker::this(1e9) };
        assert_eq!(worker.vanished(now(), now()), None);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(worker.vanished(now(), now()).unwrap().contains("gone"));
    }

    #[test]
    fn a_worker_elsewhere_vanishes_when_its_lease_runs_out() {
        let worker = Worker { machine: Some("other".into()), ..Worker::this(10.0) };
        assert_eq!(worker.vanished(100.0, 109.0), None);
        assert!(worker.vanished(100.0, 111.0).unwrap().contains("11 s"));
        assert_eq!(Worker::elsewhere(None).vanished(0.0, 1e9), None);
    }
}
