//! Other spellings of the flags: underscores for dashes, and the names that the
//! SQuAD and GLUE scripts used.

use clap::{Arg, Command};

/// Our flag and the name by which `run_squad.py`, `run_qa.py` or `run_glue.py` knows it.
const OLDER_NAMES: [(&str, &str); 14] = [
    ("task", "task-name"),
    ("model", "model-name-or-path"),
    ("train", "train-file"),
    ("data", "predict-file"),
    ("dev", "validation-file"),
    ("out", "output-dir"),
    ("max-length", "max-seq-length"),
    ("epochs", "num-train-epochs"),
    ("max-steps", "steps"),
    ("batch-size", "per-device-train-batch-size"),
    ("best-metric", "metric-for-best-model"),
    ("runs", "num-runs"),
    ("beta-1", "adam-beta1"),
    ("beta-2", "adam-beta2"),
];

/// Lets every flag of a command and of the commands below it answer to all its spellings.
pub fn add(command: Command) -> Command {
    command.mut_args(add_to).mut_subcommands(add)
}

fn add_to(arg: Arg) -> Arg {
    let Some(flag) = arg.get_long().map(str::to_owned) else { return arg };
    let older = OLDER_NAMES.iter().filter(|(ours, _)| *ours == flag).map(|(_, older)| *older);
    let dashed: Vec<String> = older.map(str::to_owned).chain([flag.clone()]).collect();
    let underscored = dashed.iter().map(|name| name.replace('-', "_"));
    let mut spellings: Vec<String> = dashed.iter().cloned().chain(underscored).collect();
    spellings.retain(|spelling| *spelling != flag);
    spellings.sort();
    spellings.dedup();
    arg.aliases(spellings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    #[test]
    fn every_flag_with_a_dash_answers_to_underscores_too() {
        fn check(command: &Command, seen: &mut usize) {
            for arg in command.get_arguments() {
                let Some(flag) = arg.get_long().filter(|flag| flag.contains('-')) else { continue };
                let aliases = arg.get_all_aliases().unwrap_or_default();
                assert!(aliases.contains(&flag.replace('-', "_").as_str()), "--{flag}");
                *seen += 1;
            }
            command.get_subcommands().for_each(|command| check(command, seen));
        }
        let mut seen = 0;
        check(&cli::command(), &mut seen);
        assert!(seen > 50);
    }

    #[test]
    fn every_older_name_still_has_its_flag() {
        fn has(command: &Command, flag: &str) -> bool {
            command.get_arguments().any(|arg| arg.get_long() == Some(flag))
                || command.get_subcommands().any(|command| has(command, flag))
        }
        for (ours, _) in OLDER_NAMES {
            assert!(has(&cli::command(), ours), "--{ours}");
        }
    }
}
