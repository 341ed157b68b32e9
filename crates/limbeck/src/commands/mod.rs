//! One file a command.

mod inspect;
mod score;

use anyhow::Result;

use crate::cli::{Cli, Command, reference};
use crate::console::{self, Console};
use crate::exit::Ending;

/// Does what the command line says.
pub fn run(cli: Cli) -> Result<Ending> {
    let Cli { command, global } = cli;
    limbeck_kernels::threads::configure(global.threads.map_or(0, usize::from));
    let console = Console { json: global.json, quiet: global.quiet };
    match command {
        Command::Docs => console::print(&reference::markdown()).map(|()| Ending::Done),
        Command::Score(args) => score::run(&args, console),
        Command::Inspect(args) => inspect::run(&args, console),
        _ => Ok(Ending::Done),
    }
}
