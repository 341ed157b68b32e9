//! `limbeck study`: a study shown, asked, told, exported, drawn.
//!
//! # Layout
//! - [`show`]: `show` and `list`; [`exchange`]: `ask` and `tell`; [`mod@export`], [`plot`]: the
//!   commands of these names.

mod exchange;
mod export;
mod plot;
pub mod show;

use anyhow::Result;

use crate::cli::search::StudyCommand;
use crate::console::Console;
use crate::exit::Ending;

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
