//! The arguments of training by several processes.

use std::path::PathBuf;

use clap::Args;

/// Training by several processes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Processes")]
pub struct RanksArgs {
    /// Train with N processes that share every batch [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub ranks: Option<u16>,
    /// Listen here for processes on other machines, instead of starting them on this one; they
    /// are started with `limbeck join`
    #[arg(long, value_name = "HOST:PORT", requires = "ranks")]
    pub rendezvous: Option<String>,
}

/// Help a run that another process leads, on this machine or another.
///
/// The run was started with `--ranks N --rendezvous HOST:PORT` and has left its `run.toml` in its
/// folder; the models and data that it names have to be there under the same names on every
/// machine. All have to know the same secret: what nobody else can guess, in the variable
/// LIMBECK_SECRET.
///
/// The model is the same as that of one process, but for rounding: a batch is divided, not
/// multiplied. Nothing is written here but teachers' logits, in the run's folder or `data.cache`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  LIMBECK_SECRET=... limbeck finetune --model minilm --train train.json --out teacher \\
      --ranks 2 --rendezvous 0.0.0.0:7777
  LIMBECK_SECRET=... limbeck join teacher/run.toml --rank 1 --ranks 2 --rendezvous first:7777")]
pub struct JoinArgs {
    /// The `run.toml` of the run
    #[arg(value_name = "RUN.TOML")]
    pub config: PathBuf,
    /// The number of this process, from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub rank: u16,
    /// How many processes there are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=1024))]
    pub ranks: u16,
    /// Where the first one listens
    #[arg(long, value_name = "HOST:PORT")]
    pub rendezvous: String,
}
