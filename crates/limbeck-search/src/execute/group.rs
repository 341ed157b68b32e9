//! The processes of this process's group.

use std::fs;

use rustix::process::{Pid, Signal};

/// A process of the group, other than this one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    id: u32,
    /// Resident memory, in bytes.
    pub(super) memory: u64,
}

/// Makes this process the leader of a group, so that what it starts can be told from others.
pub(super) fn lead() {
    if rustix::process::getpgrp() != rustix::process::getpid() {
        // It fails for the leader of a session, which leads its group already.
        let _ = rustix::process::setpgid(None, None);
    }
}

/// The other living processes of the group, where the system tells (Linux).
pub(super) fn members() -> Vec<Member> {
    let own = std::process::id();
    let group = rustix::process::getpgrp().as_raw_nonzero().get().to_string();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| *id != own)
        .filter(|id| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            let mut fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
            let alive = fields.next().is_some_and(|state| !matches!(state, "Z" | "X"));
            alive && fields.nth(1) == Some(&group)
        })
        .map(|id| Member { id, memory: resident(id).unwrap_or(0) })
        .collect()
}

fn resident(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Asks every other process of the group to end.
pub(super) fn ask_to_end() {
    members().iter().for_each(|member| send(member.id, Signal::TERM));
}

/// Ends every other process of the group, also those that are being born.
pub(super) fn end_all() {
    for _ in 0..50 {
        let members = members();
        if members.is_empty() {
            return;
        }
        members.iter().for_each(|member| send(member.id, Signal::KILL));
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Asks one process to end; that it is gone already is no error.
pub(super) fn ask(id: u32) {
    send(id, Signal::TERM);
}

fn send(id: u32, signal: Signal) {
    if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(id, signal);
    }
}
