//! `limbeck trial`: one trial of a study, or a recipe or a model measured here.

use std::path::{Path, PathBuf};

use anyhow::Result;
use limbeck_search::execute::{Attempt, Job, Limits, supervise};
use limbeck_search::stopping::Rule;
use limbeck_search::study::{Outcome, Study};
use serde_json::json;

use super::objective::Objective;
use super::{measure, ray};
use crate::cli::search::{LimitArgs, TrialArgs};
use crate::commands::train;
use crate::config::plan::{Assignment, Plan};
use crate::config::recipe::Recipe;
use crate::console::{self, Console};
use crate::exit::{Ending, InputError};
use crate::interrupt;
use crate::ranks::Part;

/// Complete trials with a learning curve that are needed before one is ended early.
pub(super) const LEAST_CURVES: usize = 5;

/// Runs the command.
pub fn run(args: &TrialArgs, console: Console) -> Result<Ending> {
    let objective = Objective::new(&args.objective, None)?;
    if args.job.is_some() {
        return ray::run_job(args, &objective);
    }
    if let (Some(study), Some(number)) = (&args.study, args.trial) {
        return of_study(&mut Study::open(study)?, number, &objective, args, console);
    }
    match objective {
        Objective::Command { line, .. } => {
            let advice = "give --study and --trial, or run the command itself";
            Err(InputError::new("a command needs a trial's values", line, advice).into())
        }
        Objective::Lengths { model, data } => {
            let metrics = measure::at_lengths(&model, &data, args.lengths.as_deref(), console)?;
            let Some(metrics) = metrics else { return Ok(Ending::Interrupted) };
            console::print(&serde_json::to_string(&metrics)?)?;
            Ok(Ending::Done)
        }
        Objective::Recipe { path, assignments } => {
            let Some(out) = &args.out else {
                let what = "nowhere to write to";
                return Err(InputError::new(what, "trial", "give --out DIR").into());
            };
            let recipe = Recipe::read(&path)?;
            let all = assignments.iter().map(|text| Assignment::parse(text));
            let all: Vec<Assignment> = all.collect::<Result<_, _>>()?;
            let place = path.display().to_string();
            let plan = Plan::of_recipe(&recipe, &all, Some(out), out, &place)?.runnable()?;
            measured(&plan, console)
        }
    }
}

/// Trains the stages of a plan and writes the metrics of the last.
fn measured(plan: &Plan, console: Console) -> Result<Ending> {
    if let Some(stage) = plan.stages.iter().find(|stage| stage.config.runs > 0) {
        let what = format!("`runs` is {} in a recipe that is searched", stage.config.runs);
        let place = stage.name.as_ref().map(|name| format!("stage `{name}`")).unwrap_or_default();
        return Err(InputError::new(what, place, "leave it out: a trial is one run").into());
    }
    interrupt::install()?;
    let console = Console { reports: true, ..console };
    let mut trained: Option<PathBuf> = None;
    for stage in &plan.stages {
        match train::run(&stage.config, false, &Part::Alone, console)? {
            train::Trained::Interrupted => return Ok(Ending::Interrupted),
            train::Trained::Helped => {}
            train::Trained::Finished(result) => trained = Some(result.out),
        }
    }
    if let (Some(folder), Some(stage)) = (trained, plan.stages.last()) {
        let metrics = measure::of_run(&folder, &stage.config, console)?;
        console::print(&serde_json::to_string(&metrics)?)?;
    }
    Ok(Ending::Done)
}

fn of_study(
    study: &mut Study,
    number: usize,
    objective: &Objective,
    args: &TrialArgs,
    console: Console,
) -> Result<Ending> {
    if number >= study.trials().len() {
        let place = study.path().display().to_string();
        return Err(InputError::new(format!("there is no trial {number}"), place, "").into());
    }
    let attempt = match args.place.on {
        Some(_) => ray::follow(study, number, objective, args)?,
        None => {
            let folder = super::folder_of(study.path()).join(number.to_string());
            here(study, (number, number), &folder, objective, &args.limits, false)?
        }
    };
    let (state, reason) = match &attempt {
        Attempt::Taken => ("taken", "somebody else has it, or it is over".to_owned()),
        Attempt::Refused => ("refused", "it was given to somebody else meanwhile".to_owned()),
        Attempt::Lost(reason) => ("lost", reason.clone()),
        Attempt::Recorded(Outcome::Complete(_)) => ("complete", String::new()),
        Attempt::Recorded(Outcome::Failed { reason, .. }) => ("failed", reason.clone()),
        Attempt::Recorded(Outcome::Stopped { reason, .. }) => ("stopped", reason.clone()),
        Attempt::Recorded(Outcome::Released) => return Ok(Ending::Interrupted),
    };
    let value = json!({ "trial": number, "state": state, "reason": reason });
    console.result(&value, || match reason.as_str() {
        "" => format!("trial {number}: {state}"),
        _ => format!("trial {number}: {state}: {reason}"),
    })?;
    Ok(Ending::Done)
}

/// Runs a trial on this machine. It is the one at `index` of `study`, and its command is told
/// that it is number `number`.
pub(super) fn here(
    study: &mut Study,
    (index, number): (usize, usize),
    folder: &Path,
    objective: &Objective,
    limits: &LimitArgs,
    echo: bool,
) -> Result<Attempt> {
    let params = &study.trials()[index].params;
    let folder = folder.to_owned();
    let threads = limbeck_kernels::threads::count().to_string();
    let mut words = objective.words(&study.description().space, params, &folder)?;
    if !matches!(objective, Objective::Command { .. }) {
        words.extend(["--threads".to_owned(), threads.clone(), "--quiet".to_owned()]);
    }
    // Those of the usual numerical libraries too: trials side by side must share the cores.
    let counts = ["LIMBECK_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"];
    let mut environment: Vec<(String, String)> =
        counts.iter().map(|name| ((*name).to_owned(), threads.clone())).collect();
    environment.extend([
        ("LIMBECK_PARAMS".to_owned(), serde_json::to_string(params)?),
        ("LIMBECK_TRIAL".to_owned(), number.to_string()),
        ("LIMBECK_TRIAL_DIR".to_owned(), folder.to_string_lossy().into_owned()),
    ]);
    let stopping = limits.early_stop.map(|confidence| Rule { confidence, least: LEAST_CURVES });
    let limit = Limits { memory: limits.memory_limit, time: limits.time_limit };
    let lease = limits.lease;
    let job = Job { words, environment, folder, limits: limit, lease, stopping, echo };
    interrupt::install_saying("stopping: the trial gives itself back; once more to leave it")?;
    Ok(supervise(study, index, &job, &interrupt::requested)?)
}
