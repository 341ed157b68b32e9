//! Ctrl-C: the first asks for an orderly stop, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use crate::exit;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Catches Ctrl-C and the signals that end a process, for a command that saves its
/// work before it stops.
pub fn install() -> anyhow::Result<()> {
    install_saying("stopping after this step; once more to stop at once without saving")
}

/// The same with another message after the first.
pub fn install_saying(message: &'static str) -> anyhow::Result<()> {
    ctrlc::set_handler(move || {
        if REQUESTED.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(exit::INTERRUPTED));
        }
        exit::complain(message);
    })
    .context("cannot catch Ctrl-C")
}

/// Whether an orderly stop has been asked for.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}
