//! The `limbeck` command: reads flags and recipes, calls the other crates, and shows
//! what they do. It holds no domain logic of its own.
//!
//! # Layout
//! - [`cli`]: what can be typed, and its reference.
//! - [`config`]: the typed configuration that recipes, `--set` and flags fill.
//! - [`commands`]: one file a command.
//! - [`evolution`]: which length plans to try next.
//! - [`progress`]: what is shown of a run while it goes on.
//! - [`ranks`]: how the processes of one run come together.
//! - [`report`]: a run as one page of HTML.
//! - [`shipping`]: what a recipe needs on another machine.
//! - [`console`], [`exit`], [`interrupt`]: output, exit codes, Ctrl-C.

mod cli;
mod commands;
mod config;
mod console;
mod evolution;
mod exit;
mod interrupt;
mod progress;
mod ranks;
mod report;
mod revision;
mod shipping;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    exit::finish(match cli::parse() {
        Ok((cli, notes)) => commands::run(cli, &notes),
        Err(mistake) => cli::usage::handle(mistake),
    })
}
