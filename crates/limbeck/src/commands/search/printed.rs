//! `limbeck search --print-config`: all that decides a search, as one file.

use std::fs;
use std::path::Path;

use anyhow::Result;
use toml::{Table, Value};

use super::file::SearchFile;
use super::objective::Objective;
use super::preflight::assigned;
use crate::cli::search::SearchArgs;
use crate::config::plan::Plan;
use crate::config::recipe::Recipe;
use crate::console;
use crate::exit::Ending;

/// The section of what flags may say too.
const SEARCH: &str = "search";

/// Prints the space with what flags say, and the recipe that trials train, if they train one.
pub fn print(args: &SearchArgs) -> Result<Ending> {
    let is_recipe = SearchFile::read(&args.space)?.is_recipe;
    let text = fs::read_to_string(&args.space)?;
    let mut space = Recipe::of(&args.space, &text)?;
    let mut section = match space.search.remove(SEARCH) {
        Some(Value::Table(section)) => section,
        _ => Table::new(),
    };
    for (key, value) in flags(args)? {
        section.insert(key.to_owned(), value);
    }
    if !section.is_empty() {
        space.search.insert(SEARCH.to_owned(), Value::Table(section));
    }
    let own = is_recipe.then_some(args.space.as_path());
    let plan = match (&args.objective.recipe, own) {
        (None, None) => String::new(),
        _ => match Objective::new(&args.objective, own)? {
            Objective::Recipe { path, assignments } => plan(&path, &assignments)?,
            Objective::Lengths { .. } | Objective::Command { .. } => String::new(),
        },
    };
    console::print(&space.with_search(&plan)?)?;
    Ok(Ending::Done)
}

/// The resolved recipe of trials, before a trial's own values.
fn plan(path: &Path, assignments: &[String]) -> Result<String> {
    let recipe = Recipe::read(path)?;
    let default_out = Path::new("runs").join(path.file_stem().unwrap_or_default());
    let place = path.display().to_string();
    Plan::of_recipe(&recipe, &assigned(assignments.iter())?, None, &default_out, &place)?.to_toml()
}

/// Keys of `[search]` that flags say.
fn flags(args: &SearchArgs) -> Result<Vec<(&'static str, Value)>> {
    let limits = &args.limits;
    let count = |count: Option<usize>| count.map(|count| Value::Integer(count as i64));
    let sampler = args.sampler.map(Value::try_from).transpose()?;
    let seed = args.seed.map(Value::try_from).transpose()?;
    let time = limits.time_limit.map(|limit| Value::String(format!("{}s", limit.as_secs_f64())));
    let memory = limits.memory_limit.map(|bytes| Value::String(bytes.to_string()));
    let all = [
        ("sampler", sampler),
        ("trials", count(args.trials)),
        ("parallel", count(args.parallel)),
        ("seed", seed),
        ("time_limit", time),
        ("memory_limit", memory),
        ("early_stop", limits.early_stop.map(Value::Float)),
        ("stop_after_failures", count(args.stop_after_failures)),
    ];
    Ok(all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
}
