//! One file a command, and what they share.
//!
//! # Layout
//! - [`mod@run`]: `run`, `finetune`, `distill`, `pretrain`, `join`, which differ in where their plan comes from;
//!   [`runs`] repeats it with other seeds, [`run_on`] has a cluster do it; [`train`] carries out one stage of it, minimising its [`objective`], and [`train_report`]
//!   writes its `report.html`.
//! - [`evaluate`]: `evaluate` and `predict`; [`answer`], [`classify`], [`score`], [`inspect`],
//!   [`mod@export`], [`mod@quantize`], [`mod@prune`], [`serve`], [`mod@bench`]: the commands of
//!   these names.
//! - [`cache`]: where what is derived from data is kept.
//! - [`compare`]: training runs side by side.
//! - [`demo`]: a teacher and two students on questions of its own.
//! - [`glue`]: what models reach on GLUE's tasks.
//! - [`lengths`]: the search for length plans.
//! - [`mod@search`]: `search` and `trial`; [`study`]: what is done with a study.
//! - [`tracking`]: who is told of a run.
//! - [`models`]: from what a user names to a model's folder.
//! - [`place`]: where results go; [`guard`]: where they must not.
//! - [`questions`]: files of questions, and what is said of what cannot be used of them.
//! - [`range_test`]: what a learning-rate range test says.
//! - [`stream`]: lines of JSON answered one by one, for `answer` and `classify`.
//! - [`subject`]: the model that a command runs, with the options that belong to it.

mod answer;
mod bench;
mod cache;
mod classify;
mod compare;
mod demo;
mod evaluate;
mod export;
mod glue;
mod guard;
mod inspect;
mod lengths;
pub(crate) mod models;
mod objective;
mod place;
mod prune;
mod quantize;
mod questions;
pub mod range_test;
mod run;
mod run_on;
mod runs;
mod score;
mod search;
mod serve;
mod stream;
mod study;
mod subject;
mod tracking;
mod train;
mod train_report;

use anyhow::Result;
use limbeck_remote::store;

use crate::cli::{Cli, Command, reference};
use crate::console::{self, Console};
use crate::exit::Ending;
use crate::ranks::Part;
use crate::revision;

/// Does what the command line says, after telling the notes on it.
pub fn run(cli: Cli, notes: &[String]) -> Result<Ending> {
    let Cli { mut command, global } = cli;
    let part = command.processes().map_or(Ok(Part::Alone), Part::of)?;
    let threads = global.threads.map_or_else(|| part.threads(), usize::from);
    limbeck_kernels::threads::configure(threads);
    limbeck_data::configure_threads(threads);
    models::configure(global.quiet);
    if let Some(given) = global.revision {
        revision::set(given);
    }
    for path in command.files_read() {
        if let Some(text) = path.to_str() {
            *path = store::local(text)?;
        }
    }
    let console = Console { json: global.json, quiet: global.quiet, reports: false };
    notes.iter().for_each(|note| console.message(note));
    match command {
        Command::Run(args) => run::recipes(&args, &part, console),
        Command::Finetune(args) => {
            run::from_flags(args.settings.layer, &args.how, "finetune", &part, console)
        }
        Command::Distill(args) => {
            run::from_flags(args.settings.layer, &args.how, "distill", &part, console)
        }
        Command::Pretrain(args) => run::pretrain(args, &part, console),
        Command::Join(args) => run::join(&args, console),
        Command::Predict(args) => evaluate::predict(&args, console),
        Command::Evaluate(args) => evaluate::evaluate(&args, console),
        Command::Score(args) => score::run(&args, console),
        Command::Compare(args) => compare::run(&args, console),
        Command::Answer(args) => answer::run(&args, console),
        Command::Classify(args) => classify::run(&args, console),
        Command::Inspect(args) => inspect::run(&args, console),
        Command::Export(args) => export::run(&args, console),
        Command::Quantize(args) => quantize::run(&args, console),
        Command::Prune(args) => prune::run(&args, console),
        Command::Lengths(args) => lengths::run(&args, console),
        Command::Serve(args) => serve::run(&args, console),
        Command::Bench(command) => bench::run(&command, console),
        Command::Search(args) => search::run(&args, console),
        Command::Study(command) => study::run(&command, console),
        Command::Trial(args) => search::trial::run(&args, console),
        Command::Demo(args) => demo::run(&args, console),
        Command::Docs => console::print(&reference::markdown()).map(|()| Ending::Done),
    }
}
