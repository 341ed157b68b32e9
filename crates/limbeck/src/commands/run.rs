//! `limbeck run`, `finetune`, `distill` and `pretrain`: from what was typed to plans, and the plans
//! one after another.

use std::path::{Path, PathBuf};

use anyhow::Result;
use limbeck_data::metrics::Metrics;
use serde_json::{Value, json};

use super::glue::{self, Scorecard, campaign};
use super::run_on;
use super::runs::{self, Spread};
use super::search::preflight::advice_of;
use super::train::needs::{Machine, Needs};
use super::train::{self, Trained};
use crate::cli::ranks::JoinArgs;
use crate::cli::training::{HowArgs, PretrainArgs, RangeShape, RunArgs};
use crate::config::plan::{Assignment, Plan, Stage, Training};
use crate::config::recipe::{Recipe, Summary};
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
    let mut recipes: Vec<Recipe> = Vec::new();
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
        recipes.push(recipe);
        plans.push(plan);
    }
    refuse_shared_folders(&plans)?;
    let plans = only(plans, &args.only)?;
    tell_of(&plans, &args.how, part, console)?;
    if args.how.print_config {
        let chosen = recipes.iter().zip(&plans).filter(|(_, plan)| !plan.stages.is_empty());
        let printed = chosen.map(|(recipe, plan)| recipe.with_search(&plan.to_toml()?));
        console::print(&printed.collect::<Result<Vec<_>>>()?.join("\n"))?;
        return Ok(Ending::Done);
    }
    let plans: Vec<Plan> = plans.into_iter().filter(|plan| !plan.stages.is_empty()).collect();
    if part.leads() {
        refuse_what_is_missing(&plans, args)?;
    }
    execute(&plans, &args.how, console, part, |told| match (&args.place.job, &args.out) {
        (Some(job), Some(out)) => run_on::hand_over(job, &told.results, out, args.place.shared_out),
        _ => tell(told, console),
    })
}

/// The plans with the stages of these names only, some perhaps without any; all where there are no names.
pub(super) fn only(plans: Vec<Plan>, names: &[String]) -> Result<Vec<Plan>, InputError> {
    if names.is_empty() {
        return Ok(plans);
    }
    let stages = || plans.iter().flat_map(|plan| &plan.stages);
    let known: Vec<&str> = stages().filter_map(|stage| stage.name.as_deref()).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let advice = match known.as_slice() {
            [] => "the recipe has no stages".to_owned(),
            known => format!("the stages are {}", known.join(", ")),
        };
        return Err(InputError::new(format!("no stage `{name}`"), "--only", advice));
    }
    Ok(plans.into_iter().map(|plan| plan.only(names)).collect())
}

/// Runs `limbeck finetune` and `limbeck distill`, with several seeds if `runs` says so.
pub fn from_flags(
    flags: Layer,
    how: &HowArgs,
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
    let has_runs = plan.stages.iter().any(|stage| stage.config.runs > 0);
    execute(&[plan], how, console, part, |told| match has_runs {
        true => tell_spread(&told.results, console),
        false => tell(told, console),
    })
}

/// Runs `limbeck pretrain`.
pub fn pretrain(args: PretrainArgs, part: &Part, console: Console) -> Result<Ending> {
    let mut flags = args.settings.layer;
    if let Some(shape) = args.range_test {
        let loss = flags.get("schedule.range_loss").and_then(toml::Value::as_str);
        let by_evaluation = loss == Some("evaluation");
        flags = range_test(shape, by_evaluation).under(&flags);
    }
    flags.set("task", toml::Value::String("pretrain".to_owned()));
    from_flags(flags, &args.how, "pretrain", part, console)
}

/// What a range test sets, where flags do not.
fn range_test(shape: RangeShape, by_evaluation: bool) -> Layer {
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
    // After every step, or beyond any run: then it is evaluated at its end only.
    let every = if by_evaluation { 1 } else { i64::from(u32::MAX) };
    layer.set("train.eval_steps", toml::Value::Integer(every));
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
    let refuse = |dir: &Path, what: &str| {
        Err(InputError::new(what, dir.display().to_string(), "give each its own `output.dir`"))
    };
    for stage in plans.iter().flat_map(|plan| &plan.stages) {
        let Some(dir) = stage.config.output.dir.as_deref() else { continue };
        if seen.contains(&dir) {
            return refuse(dir, "two runs would write to the same folder");
        }
        seen.push(dir);
    }
    for (_, dir) in plans.iter().filter_map(|plan| plan.summary.as_ref()) {
        if seen.contains(&dir.as_path()) {
            return refuse(dir, "two runs, or a run and a summary, would write to the same folder");
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
    let advice = args.recipes.first().map(|recipe| advice_of(recipe)).unwrap_or_default();
    let has_summary = plans.iter().any(|plan| plan.summary.is_some());
    let only = if has_summary { "; --only STAGE,... runs those whose data is there" } else { "" };
    needs.refuse(&format!("{advice}{only}"))
}

/// What came of some plans.
#[derive(Default)]
pub(super) struct Told {
    /// Of each training, in the order in which they ran.
    pub results: Vec<Value>,
    /// Of each recipe that is summed up.
    pub summaries: Vec<Scorecard>,
}

/// Runs all stages, then `report`s what came of them.
fn execute(
    plans: &[Plan],
    how: &HowArgs,
    console: Console,
    part: &Part,
    report: impl FnOnce(&Told) -> Result<()>,
) -> Result<Ending> {
    if how.print_config {
        let texts = plans.iter().map(Plan::to_toml).collect::<Result<Vec<_>>>()?;
        console::print(&texts.join("\n"))?;
        return Ok(Ending::Done);
    }
    let count = |stage: &Stage| stage.config.runs.max(1);
    let trainings: usize = plans.iter().flat_map(|plan| &plan.stages).map(count).sum();
    if trainings > 1 && matches!(part, Part::OfMpi { .. }) {
        let what = format!("{trainings} runs under one mpirun");
        return Err(InputError::new(what, "", "start each by itself, or give --ranks").into());
    }
    for (_, folder) in plans.iter().filter_map(|plan| plan.summary.as_ref()) {
        campaign::refuse_other_files(folder)?;
    }
    interrupt::install()?;
    let mut told = Told::default();
    for plan in plans {
        let first = told.results.len();
        for stage in &plan.stages {
            if !train_stage(stage, how.overwrite, part, console, &mut told.results)? {
                return Ok(Ending::Interrupted);
            }
            // So that what has been reached can be read while the rest goes on.
            if let Some((Summary::Glue, folder)) = plan.summary.as_ref().filter(|_| part.leads()) {
                campaign::sum_up(plan, folder, &told.results[first..])?;
            }
        }
        if let Some((Summary::Glue, folder)) = plan.summary.as_ref().filter(|_| part.leads()) {
            let card = campaign::sum_up(plan, folder, &told.results[first..])?;
            console.message(&format!("summed up in {}", folder.join(campaign::PAGE).display()));
            told.summaries.push(card);
        }
    }
    if part.leads() {
        report(&told)?;
    }
    Ok(Ending::Done)
}

/// Runs a stage as often as it says and adds what came of it. `false` when it was interrupted.
fn train_stage(
    stage: &Stage,
    overwrite: bool,
    part: &Part,
    console: Console,
    results: &mut Vec<Value>,
) -> Result<bool> {
    let first = results.len();
    for Training { run, config } in stage.trainings() {
        let of_runs = run.map(|run| format!("run {run} of {}", stage.config.runs));
        let name = stage.name.as_ref().map(|name| format!("stage {name}"));
        if name.is_some() || of_runs.is_some() {
            let parts: Vec<String> = name.into_iter().chain(of_runs).collect();
            console.message(&parts.join(", "));
        }
        match train::run(&runs::resolved(&config), overwrite, part, console)? {
            Trained::Interrupted => return Ok(false),
            Trained::Helped => {}
            Trained::Finished(result) => {
                let mut result = serde_json::to_value(result)?;
                if let Some(object) = result.as_object_mut() {
                    let as_stage = || run.map(|run| format!("run-{run}"));
                    if let Some(name) = stage.name.clone().or_else(as_stage) {
                        object.insert("stage".to_owned(), json!(name));
                    }
                    if let Some(run) = run {
                        object.insert("run".to_owned(), json!(run));
                    }
                }
                results.push(result);
            }
        }
    }
    let folder = stage.config.output.dir.as_ref().filter(|_| stage.config.runs > 0);
    if let Some(folder) = folder.filter(|_| part.leads()) {
        let own: Vec<&Value> = results[first..].iter().collect();
        let best = runs::record(folder, &own, stage.config.train.best_metric.as_deref())?;
        console.message(&format!("the best of {} runs is {}", own.len(), best.display()));
    }
    Ok(true)
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

/// Tells of every stage, and how those with several runs and the whole are summed up.
pub(super) fn tell(told: &Told, console: Console) -> Result<()> {
    let Told { results, summaries } = told;
    let spreads = spreads_of_stages(results);
    if let ([one], [], []) = (results.as_slice(), spreads.as_slice(), summaries.as_slice()) {
        return console.result(one, || lines(results));
    }
    let mut value = json!({ "stages": results });
    if !spreads.is_empty() {
        let of_stage =
            |(stage, spreads): &(&str, Vec<Spread>)| json!({ "stage": stage, "metrics": spreads });
        value["runs"] = spreads.iter().map(of_stage).collect();
    }
    match summaries.as_slice() {
        [] => {}
        [one] => value["summary"] = serde_json::to_value(one)?,
        several => value["summaries"] = serde_json::to_value(several)?,
    }
    console.result(&value, || {
        let of_stage = |(stage, spreads): &(&str, Vec<Spread>)| {
            runs::as_text(spreads).lines().map(|line| format!("\n{stage}, {line}")).collect()
        };
        let spreads: Vec<String> = spreads.iter().map(of_stage).collect();
        let summary = match summaries.is_empty() {
            true => String::new(),
            false => format!("\n\n{}", glue::as_text(summaries)),
        };
        format!("{}{}{summary}", lines(results), spreads.concat())
    })
}

/// How the metrics of the runs of each stage that has several lie.
fn spreads_of_stages(results: &[Value]) -> Vec<(&str, Vec<Spread>)> {
    let mut stages: Vec<(&str, Vec<&Value>)> = Vec::new();
    for result in results.iter().filter(|result| result.get("run").is_some()) {
        let stage = result["stage"].as_str().unwrap_or_default();
        // Of several recipes there may be stages of one name, whose runs follow each other too.
        match stages.last_mut() {
            Some((last, runs)) if *last == stage && result["run"] != 1 => runs.push(result),
            _ => stages.push((stage, vec![result])),
        }
    }
    let spreads = |(stage, runs): (_, Vec<&Value>)| (stage, runs::spreads(&runs));
    stages.into_iter().map(spreads).filter(|(_, spreads)| !spreads.is_empty()).collect()
}

/// Tells of every run, and how their scores lie.
fn tell_spread(results: &[Value], console: Console) -> Result<()> {
    let spreads = runs::spreads(&results.iter().collect::<Vec<_>>());
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
