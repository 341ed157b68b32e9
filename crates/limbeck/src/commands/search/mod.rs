//! `limbeck search`: a study from its first trial to its last.
//!
//! # Layout
//! - [`mod@file`]: the file that describes a search.
//! - [`objective`]: what a trial does.
//! - [`printed`]: all of it as one file.
//! - [`preflight`]: what its trials need.
//! - [`trial`]: `limbeck trial`, one of them.
//! - [`measure`]: a trained model's metrics.
//! - [`ray`]: trials on a Ray cluster.
//! - [`mod@short`]: numbers for people to read.
//! - [`watch`]: what is shown while it goes on.
//! - [`fruitless`]: a search in which nothing came to its end.

pub mod file;
mod fruitless;
mod measure;
pub mod objective;
pub mod preflight;
mod printed;
pub mod ray;
mod short;
pub mod trial;
mod watch;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use limbeck_search::execute::{Coordination, Finish, coordinate};
use limbeck_search::samplers::SamplerKind;
use limbeck_search::study::{LossPolicy, Study, Takeover};

use crate::cli::search::{SamplerName, SearchArgs, size, time};
use crate::commands::study::show;
use crate::commands::train::needs::Machine;
use crate::console::Console;
use crate::exit::{Ending, InputError};
use crate::interrupt;
use file::{Defaults, SearchFile};
use objective::Objective;
pub use short::{short, short_value};
use watch::Watch;

/// Trials that may fail alike before a search stops, where nothing else is said.
const ALIKE_FAILURES: usize = 3;

/// Runs the command.
pub fn run(args: &SearchArgs, console: Console) -> Result<Ending> {
    if args.print_config {
        return printed::print(args);
    }
    // Only what is printed needs none.
    let study_file = args.study.as_deref().unwrap_or(Path::new(""));
    let file = SearchFile::read(&args.space)?;
    let Defaults { trials, parallel, sampler, seed, stop_after_failures, .. } = file.defaults;
    let Some(trials) = args.trials.or(trials) else {
        let what = "how many trials is not given";
        return Err(InputError::new(what, "search", "give --trials N").into());
    };
    let parallel = args.parallel.or(parallel).unwrap_or(1).max(1);
    let sampler = SamplerKind::from(args.sampler.or(sampler).unwrap_or(SamplerName::Gp)).sampler();
    let own_recipe = file.is_recipe.then_some(args.space.as_path());
    let objective = Objective::new(&args.objective, own_recipe)?;
    let mut worker_flags = objective.flags();
    worker_flags.extend(limits(args, &file.defaults)?);

    refuse_leftovers(study_file)?;
    let machine = if args.place.on.is_some() { Machine::Nodes } else { Machine::This };
    if has_work(study_file, trials) {
        preflight::check(&objective, &file.description.space, &folder_of(study_file), machine)?;
    }
    let mut study = Study::open_or_create(study_file, &file.description)?;
    warm_start(&mut study, &args.warm_start, console)?;
    if let Some(address) = &args.place.on {
        let (ship, folder) = (&args.place.ship, folder_of(study_file));
        let packages = ray::packages(&objective, &file.description, ship, &folder)?;
        ray::bring(address, &packages)?;
        worker_flags.extend(ray::flags(&args.place, &packages, args.retries));
    }
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    let threads = match args.place.on {
        Some(_) => 1,
        None => (limbeck_kernels::threads::count() / parallel).max(1),
    };
    let worker = |number: usize| {
        let mut command = Command::new(&own);
        command.arg("trial").arg("--study").arg(study_file);
        command.args(["--trial", &number.to_string(), "--threads", &threads.to_string()]);
        command.arg("--quiet").args(&worker_flags);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    interrupt::install_saying(
        "stopping: trials that run give themselves back; once more to leave them",
    )?;
    let alike_failures = args.stop_after_failures.or(stop_after_failures).unwrap_or(ALIKE_FAILURES);
    if alike_failures > 0 {
        fruitless::run_again(&mut study, console)?;
    }
    let how = Coordination {
        sampler: sampler.as_ref(),
        seed: args.seed.or(seed).unwrap_or(0),
        trials,
        parallel,
        policy: LossPolicy { retries: args.retries },
        alike_failures,
        worker: &worker,
        stop: &interrupt::requested,
    };
    let mut watch = Watch::new(console, &study, trials, parallel);
    let finish = coordinate(&mut study, &how, &mut |study, event| watch.see(study, event))?;
    drop(watch);
    match &finish {
        Finish::Stopped => {
            let left = study.trials().iter().filter(|trial| !trial.state.is_final()).count();
            console.message(&format!(
                "stopped; {left} trials wait to be taken up; the same command goes on"
            ));
            return Ok(Ending::Interrupted);
        }
        Finish::Exhausted => console.message("every combination was tried"),
        Finish::Done | Finish::Alike(_) => {}
    }
    console.result(&show::json(&study), || show::text(&study))?;
    if fruitless::tell(&study, &finish) { Ok(Ending::Fruitless) } else { Ok(Ending::Done) }
}

/// Whether a trial will be run: a study that is over is shown also where models are gone by now.
fn has_work(study: &Path, trials: usize) -> bool {
    let Ok(study) = Study::open(study) else { return true };
    study.trials().len() < trials
        || study.trials().iter().any(|trial| !trial.state.is_final())
        || study.alike_failures().is_some()
}

/// The folder of a study's trials.
pub fn folder_of(study: &Path) -> PathBuf {
    let mut name = study.as_os_str().to_owned();
    name.push(".trials");
    PathBuf::from(name)
}

/// Refuses to begin a study over the trials of one that is gone: what they left would be taken for
/// what the new ones did.
fn refuse_leftovers(study: &Path) -> Result<()> {
    let folder = folder_of(study);
    // In this order, since another search may begin the study just now: its file comes first.
    let holds_something = folder.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if holds_something && !study.exists() {
        let what = "the trials of a study that is gone are in the way";
        let advice = "delete or move the folder, or give another --study";
        return Err(InputError::new(what, folder.display().to_string(), advice).into());
    }
    Ok(())
}

/// The flags of a trial's limits.
fn limits(args: &SearchArgs, defaults: &Defaults) -> Result<Vec<String>> {
    let wrong = |key: &str, error: String| {
        InputError::new(format!("search.{key}: {error}"), args.space.display().to_string(), "")
    };
    let default = |key: &'static str, text: &Option<String>| text.clone().map(|text| (key, text));
    let mut flags = vec!["--lease".to_owned(), args.limits.lease.to_string()];
    let memory = match (args.limits.memory_limit, default("memory_limit", &defaults.memory_limit)) {
        (Some(bytes), _) => Some(bytes),
        (None, Some((key, text))) => Some(size(&text).map_err(|error| wrong(key, error))?),
        (None, None) => None,
    };
    flags.extend(memory.into_iter().flat_map(|m| ["--memory-limit".to_owned(), m.to_string()]));
    let limit = match (args.limits.time_limit, default("time_limit", &defaults.time_limit)) {
        (Some(limit), _) => Some(limit),
        (None, Some((key, text))) => Some(time(&text).map_err(|error| wrong(key, error))?),
        (None, None) => None,
    };
    let seconds = limit.map(|limit| limit.as_secs_f64().to_string());
    flags.extend(seconds.into_iter().flat_map(|s| ["--time-limit".to_owned(), s]));
    let confidence = args.limits.early_stop.or(defaults.early_stop);
    if confidence.is_some_and(|confidence| !(confidence > 0.0 && confidence < 1.0)) {
        return Err(wrong("early_stop", "expected a number between 0 and 1".to_owned()).into());
    }
    flags.extend(confidence.into_iter().flat_map(|c| ["--early-stop".to_owned(), c.to_string()]));
    Ok(flags)
}

/// Takes over what earlier studies found and this one does not have yet.
fn warm_start(study: &mut Study, earlier: &[PathBuf], console: Console) -> Result<()> {
    let own = study.path().canonicalize().ok();
    for path in earlier {
        let place = path.display().to_string();
        if path.canonicalize().ok() == own {
            let (what, advice) = ("a study cannot begin with itself", "give another --warm-start");
            return Err(InputError::new(what, place, advice).into());
        }
        let origin =
            path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let Takeover { taken, known, foreign } = study.take_over(&Study::open(path)?, &origin)?;
        let before = if known > 0 { format!(", {known} before") } else { String::new() };
        console.message(&format!(
            "{place}: {taken} trials taken over{before}, {foreign} not of this space"
        ));
    }
    Ok(())
}
