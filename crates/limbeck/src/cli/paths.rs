//! Which paths of the command line may be addresses in an object store.

use std::path::PathBuf;

use limbeck_remote::store;

use super::Command;
use super::measuring::BenchCommand;

/// A path that must be one of this machine, because several processes write to it or other paths
/// are relative to it.
pub fn local(text: &str) -> Result<PathBuf, String> {
    match store::is_url(text) {
        true => Err("it must be a path of this machine".to_owned()),
        false => Ok(PathBuf::from(text)),
    }
}

impl Command {
    /// The files that a command reads as they are. What a training reads is part of its
    /// configuration, and results go to where `--out` says.
    pub fn files_read(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Command::Predict(args) => vec![&mut args.data],
            Command::Evaluate(args) => {
                let mut all = vec![&mut args.predict.data];
                all.extend(&mut args.mismatched);
                all
            }
            Command::Score(args) => {
                let mut all = vec![&mut args.data, &mut args.predictions];
                all.extend(&mut args.null_odds);
                all
            }
            Command::Answer(args) => args.context_file.iter_mut().collect(),
            Command::Prune(args) => args.how.data.iter_mut().collect(),
            Command::Lengths(args) => vec![&mut args.data],
            Command::Search(args) => args.objective.data.iter_mut().collect(),
            Command::Trial(args) => args.objective.data.iter_mut().collect(),
            Command::Bench(command) => match command {
                BenchCommand::Train(args) => vec![&mut args.data],
                BenchCommand::Features(args) => vec![&mut args.data],
                BenchCommand::Answer(args) => vec![&mut args.data],
                BenchCommand::Serve(args) => vec![&mut args.data],
                BenchCommand::Sweep(_) | BenchCommand::Pretrain(_) => Vec::new(),
            },
            _ => Vec::new(),
        }
    }
}
