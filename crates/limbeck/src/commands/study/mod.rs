//! `limbeck study`: a study shown, asked, told, exported, drawn.
//!
//! # Layout
//! - [`show`]: `show` and `list`; [`exchange`]: `ask` and `tell`; [`mod@export`], [`plot`]: the
//!   commands of these names.

mod exchange;
mod export;
mod plot;
pub mod show;

use std::path::Path;

use anyhow::Result;
use limbeck_data::files;
use limbeck_search::study::Study;

use crate::cli::search::StudyCommand;
use crate::commands::place::Destination;
use crate::console::Console;
use crate::exit::{Ending, InputError};

/// Writes what was made of a study.
fn write(study: &Study, out: &Path, text: &str) -> Result<()> {
    let destination = Destination::of(out)?;
    let own = study.path().canonicalize().ok();
    if own.is_some() && destination.local().canonicalize().ok() == own {
        let place = out.display().to_string();
        return Err(InputError::new("this is the study itself", place, "give another --out").into());
    }
    files::replace(destination.local(), text.as_bytes())?;
    Ok(destination.deliver()?)
}

/// Runs the command.
pub fn run(command: &StudyCommand, console: Console) -> Result<Ending> {
    match command {
        StudyCommand::Show(args) => show::show(args, console),
        StudyCommand::List(args) => show::list(args, console),
        StudyCommand::Ask(args) => exchange::ask(args, console),
        StudyCommand::Tell(args) => exchange::tell(args, console),
        StudyCommand::Export(args) => export::run(args, console),
        StudyCommand::Plot(args) => plot::run(args, console),
    }
}
