//! `limbeck compare`: training runs side by side.
//!
//! # Layout
//! - `run`: what the folder of a run says.
//! - `table`: what differs and what came of it, as rows of one cell a run.
//! - `page`: the same and the curves as a page.
//! - `glue`: runs of GLUE's tasks by model.

mod glue;
pub mod page;
mod run;
pub mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use super::glue::{self as scores, page as scores_page};
use super::place::Destination;
use crate::cli::compare::CompareArgs;
use crate::console::Console;
use crate::exit::{Ending, InputError};
use run::PastRun;

/// Runs the command.
pub fn run(args: &CompareArgs, console: Console) -> Result<Ending> {
    let runs = open(&args.runs)?;
    if args.glue {
        return glue(args, &runs, console);
    }
    let differences = table::differences(&runs);
    let page = args.out.as_deref().map(Destination::of).transpose()?;
    if let Some(page) = page {
        page::write(page.local(), &runs, &differences)?;
        page.deliver()?;
    }
    let value = json!({
        "runs": runs,
        "differences": differences
            .iter()
            .map(|row| (row.key.clone(), row.values.clone().into()))
            .collect::<serde_json::Map<_, _>>(),
    });
    console.result(&value, || table::as_text(&runs, &differences))?;
    tell_of_page(args, console);
    Ok(Ending::Done)
}

/// Sums up runs of GLUE's tasks.
fn glue(args: &CompareArgs, runs: &[PastRun], console: Console) -> Result<Ending> {
    let unfinished = runs.iter().filter(|run| !run.finished).count();
    if unfinished > 0 {
        console.message(&format!("left out: {unfinished} runs that are not finished"));
    }
    let cards = glue::scorecards(runs)?;
    let page = args.out.as_deref().map(Destination::of).transpose()?;
    if let Some(page) = page {
        scores_page::of_models(page.local(), &cards)?;
        page.deliver()?;
    }
    console.result(&json!({ "models": cards }), || scores::as_text(&cards))?;
    tell_of_page(args, console);
    Ok(Ending::Done)
}

fn tell_of_page(args: &CompareArgs, console: Console) {
    if let Some(out) = &args.out {
        console.message(&format!("written to {}", out.display()));
    }
}

/// The runs of some folders, each under a name that tells it from the others.
fn open(folders: &[PathBuf]) -> Result<Vec<PastRun>> {
    let mut runs: Vec<PastRun> = Vec::new();
    for folder in folders {
        for run in of_folder(folder)? {
            if runs.iter().all(|other| other.dir != run.dir) {
                runs.push(run);
            }
        }
    }
    run::name(&mut runs);
    Ok(runs)
}

/// How deep a recipe lays its runs: below a stage's folder in that of the results.
const DEPTH: usize = 2;

/// The run in a folder, or those in the folders that it holds.
fn of_folder(folder: &Path) -> Result<Vec<PastRun>> {
    if let Some(run) = PastRun::open(folder)? {
        return Ok(vec![run]);
    }
    let place = || folder.display().to_string();
    if !folder.is_dir() {
        let what = "no such folder";
        return Err(InputError::new(what, place(), "give the folder of a training run").into());
    }
    let mut runs = Vec::new();
    below(folder, DEPTH, &mut runs)?;
    if runs.is_empty() {
        let what = "not the folder of a training run";
        let advice = "give one that `finetune`, `distill` or `run` has written to";
        return Err(InputError::new(what, place(), advice).into());
    }
    // In the order in which they were trained, as stages are.
    runs.sort_by(|a, b| a.began.total_cmp(&b.began));
    Ok(runs)
}

/// Adds the runs in the folders below one, down to a depth. What lies in a run's own folder is the
/// run's.
fn below(folder: &Path, depth: usize, runs: &mut Vec<PastRun>) -> Result<()> {
    let cannot = || format!("cannot read {}", folder.display());
    let entries = std::fs::read_dir(folder).with_context(cannot)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<std::io::Result<Vec<PathBuf>>>().with_context(cannot)?;
    paths.sort();
    for path in paths {
        match PastRun::open(&path)? {
            Some(run) => runs.push(run),
            None if depth > 1 && path.is_dir() => below(&path, depth - 1, runs)?,
            None => {}
        }
    }
    Ok(())
}
