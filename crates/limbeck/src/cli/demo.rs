//! The arguments of `demo`.

use std::path::PathBuf;

use clap::Args;

use super::paths;

/// Show the whole job in minutes: teacher, student, distilled student, scores, a report.
///
/// Makes reading-comprehension questions and models of its own, so it needs neither
/// data nor network. The same command again goes on with an unfinished folder and
/// leaves a finished one alone.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck demo
  limbeck demo --out runs/demo --seed 7 --json")]
pub struct DemoArgs {
    /// Folder of the results
    #[arg(long, value_name = "DIR", default_value = "limbeck-demo", value_parser = paths::local)]
    pub out: PathBuf,
    /// Fixes the questions, the random weights and the order of training
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,
    /// Remove what an earlier run left in the folder and start afresh
    #[arg(long)]
    pub overwrite: bool,
    /// Make only N questions to learn from
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub questions: Option<u32>,
}
