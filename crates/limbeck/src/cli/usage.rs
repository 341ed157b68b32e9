//! What clap finds wrong, on one line; help and version as they are.

use std::ffi::OsString;

use anyhow::Result;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::scripts::advice::for_flag;
use super::{Mistake, Typed};
use crate::console;
use crate::exit::{Ending, InputError, one_line};

/// Prints help and version; turns anything else into a one-line error.
pub fn handle(mistake: Mistake) -> Result<Ending> {
    let Typed { error, args } = match mistake {
        Mistake::Script(error) => return Err(error.into()),
        Mistake::Typed(typed) => *typed,
    };
    let path = || path_of(args.iter().skip(1).cloned());
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            console::print(&error.render().to_string())?;
            Ok(Ending::Done)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Err(InputError::new("no command given", "", advice(&path())).into())
        }
        _ => Err(one_line_of(&error, &path()).into()),
    }
}

/// The error on one line. What to use in place of an unknown flag is this program's own advice:
/// the nearest name is not always near in meaning.
fn one_line_of(error: &clap::Error, path: &str) -> InputError {
    let mut line = one_line_error(&error.render().to_string(), path);
    let flag = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(flag))) => flag,
        _ => return line,
    };
    if flag.starts_with("--") {
        let root = super::command();
        let command = path.split(' ').filter(|name| !name.is_empty());
        let command = command.fold(&root, |at, name| at.find_subcommand(name).unwrap_or(at));
        line.advice = for_flag(flag, command, &root).unwrap_or_else(|| advice(path));
    }
    line
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
        one_line_of(&error, &path).to_string()
    }

    #[test]
    fn a_mistyped_flag_is_one_line_with_the_nearest() {
        let line = error(&["limbeck", "inspect", "--modle", "x"]);
        assert!(line.starts_with("unexpected argument '--modle' found: inspect: "), "{line}");
        assert!(line.contains("--model"), "{line}");
        assert!(!line.contains('\n'));
    }

    #[test]
    fn no_flag_to_learn_from_is_suggested_for_data_that_is_held_out() {
        let line = |flag| error(&["limbeck", "finetune", "--model", "m", flag, "x"]);
        for flag in ["--predict-fil", "--eval_file", "--dev_data", "--val_file", "--validation-fle"]
        {
            let line = line(flag);
            assert!(line.ends_with("finetune: did you mean --dev?"), "{line}");
        }
        for flag in ["--train_fle", "--training-data", "--trian"] {
            let line = line(flag);
            assert!(line.ends_with("finetune: did you mean --train?"), "{line}");
        }
        assert!(line("--lr").ends_with("it is --learning-rate here"));
        assert!(line("--qwertz").ends_with("see `limbeck finetune --help`"));
        let evaluate = error(&["limbeck", "evaluate", "--eval_data", "x"]);
        assert!(evaluate.ends_with("did you mean --data?"), "{evaluate}");
    }

    #[test]
    fn flags_of_scripts_are_named_with_what_they_are_in_other_commands() {
        let bench = |flag| error(&["limbeck", "bench", "train", flag, "x"]);
        assert!(bench("--per_gpu_train_batch_size").ends_with("it is --batch-size here"));
        assert!(bench("--fp16").contains("float32"));
        let search = error(&["limbeck", "search", "--weight_decay", "0"]);
        assert!(search.contains("--set optim.weight_decay=DECAY"), "{search}");
        let evaluate = error(&["limbeck", "evaluate", "--num_train_epochs", "3"]);
        assert!(evaluate.ends_with("`limbeck finetune` has --epochs"), "{evaluate}");
    }

    #[test]
    fn a_missing_flag_is_named() {
        let line = error(&["limbeck", "bench", "train"]);
        assert!(line.contains("--model"), "{line}");
        assert!(line.ends_with("bench train: see `limbeck bench train --help`"), "{line}");
    }
}
