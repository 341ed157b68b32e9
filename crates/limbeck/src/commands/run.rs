//! `limbeck run`, `finetune`, `distill` and `pretrain`: from what was typed to plans, and the plans
//! one after another.

use std::path::{Path, PathBuf};

use anyhow::Result;
use limbeck_data::metrics::Metrics;
use serde_json::{Value, json};

use super::search::preflight::advice_of;
use super::train::needs::{Machine, Needs};
use super::train::{self, Trained};
use super::{run_on, runs};
use crate::cli::ranks::JoinArgs;
use crate::cli::training::{HowArgs, PretrainArgs, RangeShape, RunArgs};
use crate::config::plan::{Assignment, Plan, Stage};
use crate::config::recipe::Recipe;
use crate::config::{Layer, RunConfig};
use crate::console::{self, Console, scores};
use crate::exit::{Ending, InputError};
use crate::interrupt;
use crate::ranks::Part;

/// Runs `limbeck run`.
pub fn recipes(args: &RunArgs, part: &Part, console: Console) -> Result<Ending> {
    let assignments = assignments(&args.how)?;
    if args.place.on.is_some() && !args.how.print_config {
        return run_on::run(args, &assignments, console);
    }
    let mut plans: Vec<Plan> = Vec::new();
    let mut printed = Vec::new();
    for path in &args.recipes {
        let name = path.file_stem().map_or_else(|| "run".into(), PathBuf::from);
        let out = args.out.as_ref().map(|out| match args.recipes.as_slice() {
            [_] => out.clone(),
            _ => out.join(&name),
        });
        let default_out = Path::new("runs").join(&name);
        let place = path.display().to_string();
        let recipe = Recipe::read(path)?;
        let plan = Plan::of_recipe(&recipe, &assignments, out.as_deref(), &default_out, &place)?;
        if args.how.print_config {
            printed.push(recipe.with_search(&plan.to_toml()?)?);
        }
        plans.push(plan);
    }
    refuse_shared_folders(&plans)?;
    tell_of(&plans, &args.how, part, console)?;
    if args.how.print_config {
        console::print(&printed.join("\n"))?;
        return Ok(Ending::Done);
    }
    if part.leads() {
        refuse_what_is_missing(&plans, args)?;
    }
    execute(&plans, &args.how, console, part, |results| match (&args.place.job, &args.out) {
        (Some(job), Some(out)) => run_on::hand_over(job, results, out, args.place.shared_out),
        _ => tell(results, console),
    })
}

/// Runs `limbeck finetune` and `limbeck distill`, with `runs` seeds if there is a number.
pub fn from_flags(
    flags: Layer,
    how: &HowArgs,
    runs: Option<u16>,
    command: &str,
    part: &Part,
    console: Console,
) -> Result<Ending> {
    let plan = Plan::of_flags(flags, &assignments(how)?, command)?;
    let distils = plan.stages.iter().any(|stage| !stage.config.teacher.is_empty());
    if command == "distill" && !distils {
        let what = "there is no teacher to learn from";
        return Err(InputError::new(what, command, "give --teacher MODEL").into());
    }
    tell_of(std::slice::from_ref(&plan), how, part, console)?;
    match runs {
        Some(runs) => {
            let plan = runs::repeat(&plan, runs.into());
            execute(&[plan], how, console, part, |results| tell_spread(results, console))
        }
        None => execute(&[plan], how, console, part, |results| tell(results, console)),
    }
}

/// Runs `limbeck pretrain`.
pub fn pretrain(args: PretrainArgs, part: &Part, console: Console) -> Result<Ending> {
    let mut flags = args.settings.layer;
    if let Some(shape) = args.range_test {
        flags = range_test(shape).under(&flags);
    }
    flags.set("task", toml::Value::String("pretrain".to_owned()));
    from_flags(flags, &args.how, args.seeds.runs, "pretrain", part, console)
}

/// What a range test sets, where flags do not.
fn range_test(shape: RangeShape) -> Layer {
    let mut layer = Layer::default();
    let kind = match shape {
        RangeShape::Exponential => "range-exponential",
        RangeShape::Linear => "range-linear",
    };
    layer.set("schedule.kind", toml::Value::String(kind.to_owned()));
    layer.set("optim.learning_rate", toml::Value::Float(1.0));
    layer.set("train.max_steps", toml::Value::Integer(100));
    layer.set("train.logging_steps", toml::Value::Integer(1));
    layer.set("train.save_steps", toml::Value::Integer(0));
    // Beyond any run: it is evaluated at its end only.
    layer.set("train.eval_steps", toml::Value::Integer(i64::from(u32::MAX)));
    layer
}

fn assignments(how: &HowArgs) -> Result<Vec<Assignment>> {
    Ok(how.assignments.iter().map(|text| Assignment::parse(text)).collect::<Result<_, _>>()?)
}

/// Tells what was given and has no effect; refuses to run what lacks something, but not to show it.
fn tell_of(plans: &[Plan], how: &HowArgs, part: &Part, console: Console) -> Result<()> {
    if part.leads() {
        plans.iter().flat_map(|plan| &plan.notices).for_each(|line| console.message(line));
    }
    match plans.iter().find_map(|plan| plan.lacks.clone()) {
        Some(lacks) if how.print_config => console.message(&lacks.to_string()),
        Some(lacks) => return Err(lacks.into()),
        None => {}
    }
    Ok(())
}

/// Two runs that write to one folder would destroy each other.
fn refuse_shared_folders(plans: &[Plan]) -> Result<(), InputError> {
    let mut seen: Vec<&Path> = Vec::new();
    for stage in plans.iter().flat_map(|plan| &plan.stages) {
        let Some(dir) = stage.config.output.dir.as_deref() else { continue };
        if seen.contains(&dir) {
            let what = "two runs would write to the same folder";
            let place = dir.display().to_string();
            return Err(InputError::new(what, place, "give each its own `output.dir`"));
        }
        seen.push(dir);
    }
    Ok(())
}

/// Where there are several runs, the last one must not find after hours that its model is not there.
fn refuse_what_is_missing(plans: &[Plan], args: &RunArgs) -> Result<()> {
    if plans.iter().map(|plan| plan.stages.len()).sum::<usize>() < 2 {
        return Ok(());
    }
    let stages: Vec<Stage> = plans.iter().flat_map(|plan| plan.stages.clone()).collect();
    let mut needs = Needs::on(Machine::This);
    needs.of_stages(&stages, args.how.overwrite);
    let advice = args.recipes.first().map(|recipe| advice_of(recipe));
    needs.refuse(&advice.unwrap_or_default())
}

/// Runs all stages, then `report`s what came of each.
fn execute(
    plans: &[Plan],
    how: &HowArgs,
    console: Console,
    part: &Part,
    report: impl FnOnce(&[Value]) -> Result<()>,
) -> Result<Ending> {
    if how.print_config {
        let texts = plans.iter().map(Plan::to_toml).collect::<Result<Vec<_>>>()?;
        console::print(&texts.join("\n"))?;
        return Ok(Ending::Done);
    }
    let stages = plans.iter().map(|plan| plan.stages.len()).sum::<usize>();
    if stages > 1 && matches!(part, Part::OfMpi { .. }) {
        let what = format!("{stages} runs under one mpirun");
        return Err(InputError::new(what, "", "start each by itself, or give --ranks").into());
    }
    interrupt::install()?;
    let mut results = Vec::new();
    for stage in plans.iter().flat_map(|plan| &plan.stages) {
        if let Some(name) = &stage.name {
            console.message(&format!("stage {name}"));
        }
        match train::run(&stage.config, how.overwrite, part, console)? {
            Trained::Interrupted => return Ok(Ending::Interrupted),
            Trained::Helped => {}
            Trained::Finished(result) => {
                let mut result = serde_json::to_value(result)?;
                if let (Some(object), Some(name)) = (result.as_object_mut(), &stage.name) {
                    object.insert("stage".to_owned(), json!(name));
                }
                results.push(result);
            }
        }
    }
    if part.leads() {
        report(&results)?;
    }
    Ok(Ending::Done)
}

/// Runs `limbeck join`.
pub fn join(args: &JoinArgs, console: Console) -> Result<Ending> {
    let place = args.config.display().to_string();
    let text = std::fs::read_to_string(&args.config)
        .map_err(|error| InputError::new("cannot read the run", &place, error.to_string()))?;
    let config: RunConfig = toml::from_str(&text)
        .map_err(|error| InputError::new("not a `run.toml`", &place, error.message()))?;
    interrupt::install_saying("the run is asked to stop after this step")?;
    let part = Part::of_helper(args)?;
    match train::run(&config, false, &part, console)? {
        Trained::Interrupted => Ok(Ending::Interrupted),
        Trained::Finished(_) | Trained::Helped => Ok(Ending::Done),
    }
}

/// Tells of every stage.
pub(super) fn tell(results: &[Value], console: Console) -> Result<()> {
    let value = match results {
        [one] => one.clone(),
        _ => json!({ "stages": results }),
    };
    console.result(&value, || lines(results))
}

/// Tells of every run, and how their scores lie.
fn tell_spread(results: &[Value], console: Console) -> Result<()> {
    let spreads = runs::spreads(results);
    let value = json!({ "runs": results, "metrics": spreads });
    console.result(&value, || [lines(results), runs::as_text(&spreads)].join("\n"))
}

fn lines(results: &[Value]) -> String {
    results.iter().map(as_line).collect::<Vec<_>>().join("\n")
}

/// `runs/x/teacher: exact 71.20, f1 80.05`.
fn as_line(result: &Value) -> String {
    let out = result["out"].as_str().unwrap_or_default();
    let metrics: Option<Metrics> = serde_json::from_value(result["metrics"].clone()).ok();
    match metrics.as_ref().map(scores).filter(|scores| !scores.is_empty()) {
        Some(scores) => format!("{out}: {scores}"),
        None => format!("{out}: done"),
    }
}
