//! The command lines of other programs' scripts, put into this program's.
//!
//! Whoever has a line of `run_squad.py`, `run_qa.py`, `run_glue.py`, or of a script made from
//! them, writes `limbeck finetune` (or `distill`, `evaluate`, ...) in place of `python run_squad.py`.
//! Their flags then mean what they mean there; what is not needed is told once, and what cannot be
//! had is refused with what to use.
//!
//! # Layout
//! - [`table`]: what a row of the lists says.
//! - [`common`], [`run_squad`], [`trainer`], [`length_adaptive`], [`sigopt`], [`habana`],
//!   [`numenta`]: the lists, one for a family of scripts; [`words`]: their values in our words.
//! - [`mod@line`]: a line in parts.
//! - [`whole`]: what several flags say together: what is done, with which files, how often.
//! - [`distilling`]: the losses of SigOpt's and Intel's scripts.
//! - [`defaults`]: the scripts' values for what a line does not say.
//! - [`advice`]: what to say of a flag that a command does not have.

pub mod advice;
mod common;
mod defaults;
mod distilling;
mod habana;
mod length_adaptive;
mod line;
mod numenta;
mod run_squad;
mod sigopt;
mod table;
#[cfg(test)]
mod tests;
mod trainer;
mod whole;
mod words;

use std::ffi::OsString;

use clap::Command;

use crate::exit::InputError;
use line::Line;
use table::Row;

/// The commands that understand lines of scripts.
const COMMANDS: [&str; 6] = ["finetune", "distill", "pretrain", "evaluate", "predict", "lengths"];

/// All lists.
const LISTS: [&[Row]; 8] = [
    common::ROWS,
    run_squad::ROWS,
    trainer::ROWS,
    length_adaptive::ROWS,
    sigopt::ROWS,
    habana::TENSORFLOW,
    habana::GAUDI,
    numenta::ROWS,
];

/// What the lists say of a flag or key, in the spelling with dashes.
fn row(key: &str) -> Option<&'static Row> {
    LISTS.iter().copied().flatten().find(|row| row.name == key)
}

/// A command line in this program's words.
#[derive(Debug, PartialEq, Eq)]
pub struct Translation {
    /// All words, the program's name first.
    pub args: Vec<OsString>,
    /// What was understood otherwise than it may have been meant, a line each.
    pub notes: Vec<String>,
}

/// Puts the words of this process's command line into this program's. `root` is the built
/// command line. A line without a flag of a script comes back as it is.
///
/// # Errors
/// A flag that nothing stands for here, or flags that contradict one another.
pub fn translate(args: Vec<OsString>, root: &Command) -> Result<Translation, InputError> {
    let found = args
        .iter()
        .enumerate()
        .skip(1)
        .find_map(|(at, word)| root.find_subcommand(word).map(|command| (at, command)));
    let Some((at, command)) = found.filter(|(_, command)| COMMANDS.contains(&command.get_name()))
    else {
        return Ok(Translation { args, notes: Vec::new() });
    };
    let others = COMMANDS.iter().filter_map(|name| root.find_subcommand(name));
    let commands: Vec<&Command> = [command].into_iter().chain(others).collect();
    let typed = command.get_name();
    let placed = |mut error: InputError| {
        if error.place.is_empty() {
            typed.clone_into(&mut error.place);
        }
        error
    };
    let line = Line::split(&args[at + 1..], &commands).map_err(placed)?;
    let read =
        whole::Reading::new(&line, typed, root).and_then(whole::Reading::done).map_err(placed)?;
    let mut translated: Vec<OsString> = args[..at].to_vec();
    translated.push(read.command.into());
    translated.extend(read.words);
    translated.extend(line.rest);
    Ok(Translation { args: translated, notes: read.notes })
}
