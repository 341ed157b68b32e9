//! The command line: what can be typed, and nothing of what it does.
//!
//! # Layout
//! - [`training`], [`answering`], [`classify`], [`compare`], [`measuring`], [`mod@export`], [`quantize`],
//!   [`mod@prune`], [`length_search`], [`serve`], [`demo`]: the arguments of the commands.
//! - [`ranks`]: those of training by several processes, and of `join`.
//! - [`search`]: those of `search`, `study` and `trial`.
//! - [`lengths`]: flags that several of them share.
//! - [`paths`]: which paths may be addresses.
//! - [`scripts`]: command lines of other programs' scripts, put into this program's.
//! - [`settings`]: flags made from the [table of settings](crate::config::settings).
//! - [`spellings`]: the underscore spelling and older names of every flag.
//! - [`usage`]: clap's errors on one line.
//! - [`mod@reference`]: the reference in Markdown.

pub mod answering;
pub mod classify;
pub mod compare;
pub mod demo;
#[cfg(test)]
mod documents;
pub mod export;
pub mod length_search;
pub mod lengths;
pub mod measuring;
pub mod paths;
pub mod prune;
pub mod quantize;
pub mod ranks;
pub mod reference;
pub mod scripts;
pub mod search;
pub mod serve;
pub mod settings;
pub mod spellings;
pub mod training;
pub mod usage;

use std::ffi::OsString;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::exit::InputError;
use scripts::Translation;

/// Distils large BERT-family models into small, fast ones, and runs them.
#[derive(Debug, Parser)]
#[command(name = "limbeck", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = "Examples:
  limbeck finetune --task squad --model bert-base --train train.json --dev dev.json --out teacher
  limbeck distill --task squad --teacher teacher --student-layers 0,2,5 --train train.json \\
      --dev dev.json --out student
  limbeck answer --model student --question 'Who wrote it?' --context-file page.txt
  limbeck serve --model student")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What every command understands.
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// What every command understands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct GlobalArgs {
    /// Write the result as one JSON object on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Use N threads; without it all cores
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Write neither messages nor progress to standard error
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Take models of the Hugging Face Hub, where their ids name no revision themselves
    /// (`id@revision`), from this branch, tag or commit [default: main]
    #[arg(long, global = true, value_name = "REVISION", value_parser = revision)]
    pub revision: Option<String>,
}

fn revision(text: &str) -> Result<String, String> {
    match limbeck_remote::hub::is_revision(text) {
        true => Ok(text.to_owned()),
        false => Err("expected a branch, a tag or a commit".to_owned()),
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    Run(training::RunArgs),
    Finetune(training::FinetuneArgs),
    Distill(training::DistillArgs),
    Pretrain(training::PretrainArgs),
    Join(ranks::JoinArgs),
    Predict(answering::PredictArgs),
    Evaluate(answering::EvaluateArgs),
    Score(answering::ScoreArgs),
    Compare(compare::CompareArgs),
    Answer(answering::AnswerArgs),
    Classify(classify::ClassifyArgs),
    Inspect(measuring::InspectArgs),
    Export(export::ExportArgs),
    Quantize(quantize::QuantizeArgs),
    Prune(prune::PruneArgs),
    Lengths(length_search::LengthSearchArgs),
    Serve(serve::ServeArgs),
    #[command(subcommand)]
    Bench(measuring::BenchCommand),
    Search(search::SearchArgs),
    #[command(subcommand)]
    Study(search::StudyCommand),
    Trial(search::TrialArgs),
    Demo(demo::DemoArgs),
    /// Print this reference in Markdown
    #[command(hide = true)]
    Docs,
}

impl Command {
    /// By how many processes it trains, where it does.
    pub fn processes(&self) -> Option<&ranks::RanksArgs> {
        match self {
            Command::Run(args) => Some(&args.how.processes),
            Command::Finetune(args) => Some(&args.how.processes),
            Command::Distill(args) => Some(&args.how.processes),
            Command::Pretrain(args) => Some(&args.how.processes),
            _ => None,
        }
    }
}

/// The whole command line as clap sees it, with every spelling of every flag.
pub fn command() -> clap::Command {
    spellings::add(Cli::command())
}

/// Why a command line cannot be read.
#[derive(Debug)]
pub enum Mistake {
    /// A flag of a script that nothing stands for here.
    Script(InputError),
    /// What clap says, help and version among it.
    Typed(Box<Typed>),
}

/// What clap says of a command line.
#[derive(Debug)]
pub struct Typed {
    /// The error.
    pub error: clap::Error,
    /// The command line, in this program's words.
    pub args: Vec<OsString>,
}

/// Reads the command line of this process, and what is to be told of it.
///
/// # Errors
/// Help and version come as errors too; [`usage`] knows what to do with each.
pub fn parse() -> Result<(Cli, Vec<String>), Mistake> {
    let mut root = command();
    root.build();
    let Translation { args, notes } =
        scripts::translate(std::env::args_os().collect(), &root).map_err(Mistake::Script)?;
    match command().try_get_matches_from(&args).and_then(|matches| Cli::from_arg_matches(&matches))
    {
        Ok(cli) => Ok((cli, notes)),
        Err(error) => Err(Mistake::Typed(Box::new(Typed { error, args }))),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        super::command().debug_assert();
    }
}
