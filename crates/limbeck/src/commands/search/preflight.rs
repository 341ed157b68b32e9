//! What the trials of a search need, looked for before the first of them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use limbeck_search::execute;
use limbeck_search::space::{Domain, Params, Space, Value};

use super::objective::{LENGTHS, Objective, sets};
use crate::cli::lengths::{LengthArgs, Lengths};
use crate::commands::train::needs::{Machine, Needs};
use crate::config::plan::{Assignment, Plan};
use crate::config::recipe::Recipe;
use crate::exit::InputError;

/// Points of the space at which it is looked what a trial needs, beside each choice by itself.
const POINTS: usize = 64;

/// Programs whose first argument is the file that they run.
const INTERPRETERS: [&str; 9] =
    ["bash", "julia", "node", "perl", "python", "python3", "ruby", "Rscript", "sh"];

/// Refuses a search whose trials lack something; all that is missing is told at once. `folder` is
/// where they write.
///
/// # Errors
/// What is missing, or why no trial of the space can be run at all.
pub fn check(objective: &Objective, space: &Space, folder: &Path, machine: Machine) -> Result<()> {
    let mut needs = Needs::on(machine);
    needs.writable(folder, "--study");
    let mut advice = String::new();
    match objective {
        Objective::Command { words, .. } => of_command(words, space, &mut needs),
        Objective::Lengths { model, data } => of_lengths(model, data, space, &mut needs)?,
        Objective::Recipe { path, assignments } => {
            of_recipe(path, assignments, space, &mut needs)?;
            advice = advice_of(path);
        }
    }
    needs.refuse(&advice)
}

/// What to do where a recipe lacks what it reads.
pub fn advice_of(recipe: &Path) -> String {
    let place = recipe.display();
    let begins = std::fs::read_to_string(recipe).is_ok_and(|text| text.starts_with('#'));
    match begins {
        true => format!("the first lines of {place} say how to get what it reads"),
        false => format!("give other names in {place} or with --set KEY=VALUE"),
    }
}

/// Points at which a trial may be: the middle, which any trial must be able to be, each choice of
/// every parameter in turn, whatever its condition says, and some all over the space.
fn points(space: &Space) -> Vec<Params> {
    let middle = space.decode(&vec![0.5; space.dimensions()]);
    let mut points = vec![middle.clone()];
    for parameter in space.parameters() {
        for choice in choices(&parameter.domain) {
            let mut params = middle.clone();
            params.insert(parameter.name.clone(), choice.clone());
            points.push(params);
        }
    }
    // Each coordinate in steps of a share of its own, so that no two go together.
    let unit =
        |point: usize, axis: usize| ((point + 1) as f64 * (axis as f64 + 2.0).sqrt()).fract();
    let all_over = (0..POINTS).map(|point| {
        let units: Vec<f64> = (0..space.dimensions()).map(|axis| unit(point, axis)).collect();
        space.decode(&units)
    });
    points.extend(all_over.filter(|params| space.allows(params)));
    points
}

fn choices(domain: &Domain) -> &[Value] {
    match domain {
        Domain::Ordinal(values) | Domain::Categorical(values) => values,
        Domain::Real(_) | Domain::Integer(_) | Domain::Falling { .. } => &[],
    }
}

fn of_recipe(path: &Path, assignments: &[String], space: &Space, needs: &mut Needs) -> Result<()> {
    let recipe = Recipe::read(path)?;
    let place = path.display().to_string();
    let out = Path::new("trial");
    for (number, params) in points(space).iter().enumerate() {
        let all = assignments.iter().cloned().chain(sets(space, params));
        let all = match assigned(all) {
            Ok(all) => all,
            Err(error) if number == 0 => return Err(error),
            Err(error) => {
                needs.add(error.to_string());
                continue;
            }
        };
        let plan = Plan::of_recipe(&recipe, &all, Some(out), out, &place);
        let plan = match plan.and_then(|plan| Ok(plan.runnable()?)) {
            Ok(plan) => plan,
            Err(error) if number == 0 => return Err(error),
            // What goes together is found by trying.
            Err(_) => continue,
        };
        let last = plan.stages.last();
        if number == 0 && last.is_some_and(|stage| stage.config.data.dev.is_none()) {
            let what = "a trial of this recipe would measure nothing";
            return Err(InputError::new(what, place, "set `data.dev`").into());
        }
        needs.of_stages(&plan.stages, true);
    }
    Ok(())
}

/// `--set`s as they are laid over a recipe.
///
/// # Errors
/// When one cannot be.
pub fn assigned(texts: impl Iterator<Item = impl AsRef<str>>) -> Result<Vec<Assignment>> {
    Ok(texts.map(|text| Assignment::parse(text.as_ref())).collect::<Result<_, _>>()?)
}

fn of_lengths(model: &str, data: &Path, space: &Space, needs: &mut Needs) -> Result<()> {
    if !space.parameters().iter().any(|parameter| parameter.name == LENGTHS) {
        let advice = "add [parameters.lengths] of the type falling_reals or falling_integers";
        let what = "the space has no parameter `lengths`";
        return Err(InputError::new(what, "--model", advice).into());
    }
    let Some(config) = needs.trained(model, data) else { return Ok(()) };
    let middle = space.decode(&vec![0.5; space.dimensions()]);
    let numbers: Option<Vec<f64>> = middle.get(LENGTHS).and_then(|value| match value {
        Value::List(values) => values.iter().map(Value::as_number).collect(),
        value => Some(vec![value.as_number()?]),
    });
    let lengths = numbers.map(Lengths::Numbers);
    LengthArgs { lengths, budget: None }
        .plan(&config, config.max_position_embeddings, &Default::default())
        .map(drop)
}

/// Adds programs that are not there, and scripts that their interpreters would not find.
fn of_command(words: &[String], space: &Space, needs: &mut Needs) {
    let names: Vec<&str> = space.parameters().iter().map(|p| p.name.as_str()).collect();
    for params in points(space) {
        let words = execute::fill(words, &params, &names);
        let Some(program) = words.first() else { continue };
        if let Err(wrong) = executable(program, needs.machine()) {
            needs.add(format!("the program of --command is {program}: {wrong}"));
            continue;
        }
        let name = Path::new(program).file_name().and_then(|name| name.to_str());
        let script = words.get(1).map(Path::new).filter(|script| {
            name.is_some_and(|name| INTERPRETERS.contains(&name))
                && script.extension().is_some()
                && !script.to_string_lossy().starts_with('-')
        });
        let script = script.filter(|script| is_ours(script, needs.machine()));
        if let Some(script) = script.filter(|script| !script.is_file()) {
            needs.add(format!("--command runs {}: there is no such file", script.display()));
        }
    }
}

/// Whether a path is seen from here.
fn is_ours(path: &Path, machine: Machine) -> bool {
    machine == Machine::This || path.is_relative()
}

/// Whether a program can be started: by its path, or by its name as the system looks for it.
fn executable(program: &str, machine: Machine) -> Result<(), String> {
    let runs = |path: &Path| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        let path = Path::new(program);
        return match (path.exists(), runs(path)) {
            _ if !is_ours(path, machine) => Ok(()),
            (false, _) => Err("there is no such file".to_owned()),
            (true, false) => Err("it cannot be executed (chmod +x)".to_owned()),
            (true, true) => Ok(()),
        };
    }
    if program.is_empty() {
        return Err("there is no name".to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder: PathBuf| runs(&folder.join(program)));
    match found || machine == Machine::Nodes {
        true => Ok(()),
        false => Err("there is no such program on the PATH".to_owned()),
    }
}
