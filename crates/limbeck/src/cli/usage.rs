//! What clap finds wrong, on one line; help and version as they are.

use std::ffi::OsString;

use anyhow::Result;
use clap::error::ErrorKind;

use crate::console;
use crate::exit::{Ending, InputError, one_line};

/// Prints help and version; turns anything else into a one-line error.
pub fn handle(error: &clap::Error) -> Result<Ending> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            console::print(&error.render().to_string())?;
            Ok(Ending::Done)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Err(InputError::new("no command given", "", advice(&path())).into())
        }
        _ => Err(one_line_error(&error.render().to_string(), &path()).into()),
    }
}

/// The part of clap's text before the usage, with its tip as the advice.
fn one_line_error(text: &str, path: &str) -> InputError {
    let until_usage = text.lines().take_while(|line| {
        !line.starts_with("Usage:") && !line.starts_with("For more information")
    });
    let (tips, what): (Vec<&str>, Vec<&str>) =
        until_usage.partition(|line| line.trim_start().starts_with("tip: "));
    let what = one_line(&what.join(" "));
    let what = what.strip_prefix("error: ").unwrap_or(&what);
    let tip = one_line(&tips.join(" "));
    let advice = tip.strip_prefix("tip: ").map_or_else(|| advice(path), str::to_owned);
    InputError::new(what, path, advice)
}

fn advice(path: &str) -> String {
    match path {
        "" => "see `limbeck --help`".to_owned(),
        path => format!("see `limbeck {path} --help`"),
    }
}

/// The command that was typed: `bench train`.
fn path() -> String {
    path_of(std::env::args_os().skip(1))
}

fn path_of(args: impl Iterator<Item = OsString>) -> String {
    let root = super::command();
    let mut command = &root;
    let mut path = Vec::new();
    for arg in args {
        if let Some(next) = command.find_subcommand(&arg) {
            path.push(next.get_name());
            command = next;
        }
    }
    path.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(args: &[&str]) -> String {
        let error = super::super::command().try_get_matches_from(args).unwrap_err();
        let path = path_of(args.iter().skip(1).map(OsString::from));
        one_line_error(&error.render().to_string(), &path).to_string()
    }

    #[test]
    fn a_mistyped_flag_is_one_line_with_the_nearest() {
        let line = error(&["limbeck", "inspect", "--modle", "x"]);
        assert!(line.starts_with("unexpected argument '--modle' found: inspect: "), "{line}");
        assert!(line.contains("--model"), "{line}");
        assert!(!line.contains('\n'));
    }

    #[test]
    fn a_missing_flag_is_named() {
        let line = error(&["limbeck", "bench", "train"]);
        assert!(line.contains("--model"), "{line}");
        assert!(line.ends_with("bench train: see `limbeck bench train --help`"), "{line}");
    }
}
