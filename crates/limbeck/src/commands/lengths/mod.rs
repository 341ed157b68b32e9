//! `limbeck lengths`: the search for the length plans of a model.
//!
//! # Layout
//! - `search`: plan after plan on a sample, then the front on all data; which plans, decides
//!   `evolve` or `suggest`.
//! - `reader`: what plans are tried on, questions or texts; `trial`: a plan tried; `ledger`: all that were, on disk.
//! - `named`: the plans worth a name.
//! - `sweep`: uniform ratios, without a search.
//! - `results`: `lengths.csv` and `front.json`; `page`: `report.html`.
//!
//! Which plans are tried is decided in [`crate::evolution`].

mod evolve;
mod ledger;
mod named;
mod page;
mod reader;
mod results;
mod search;
mod suggest;
mod sweep;
mod trial;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use limbeck_data::Tokenizer;
use limbeck_model::folder::CONFIG_FILE;
use limbeck_remote::store::keeper::End;
use limbeck_train::folder::RunFolder;
use limbeck_train::observer::Observer;
use serde_json::{Value, json};

use crate::cli::length_search::{LengthSearchArgs, Objective, PlanSampler};
use crate::commands::guard::{refuse_own_file, refuse_own_folder};
use crate::commands::models::resolve;
use crate::commands::place::Place;
use crate::console::Console;
use crate::evolution::Gene;
use crate::exit::{self, Ending, InputError};
use crate::interrupt;
use crate::progress::Progress;
use ledger::{Ledger, Measured};
use reader::{Data, Reader};
use results::Results;
use search::Search;
use sweep::Sweep;
use trial::{Tester, Timing};

/// Runs the command.
pub fn run(args: &LengthSearchArgs, console: Console) -> Result<Ending> {
    if !args.model.is_dir() {
        let what = "not a folder: found plans could not be kept in it";
        let advice = "give the folder of a trained model";
        return Err(InputError::new(what, args.model.display().to_string(), advice).into());
    }
    let start = args.strategy.population + 2;
    if !args.sweep.is_empty() {
        return sweep(args, console);
    }
    if let Some(trials) = args.strategy.trials.filter(|trials| *trials < start) {
        let what = format!("{trials} are fewer than the {start} plans that a search starts from");
        let advice = "give more of them, or a smaller --population";
        return Err(InputError::new(what, "--trials", advice).into());
    }
    let name = args.model.display().to_string();
    let reader = Reader::open(&name, &args.settings.layer, console)?;
    let data = reader.read(&args.data, args.limit, console)?;
    let identity = identity(args, &data, &reader)?;
    let teacher = args.reference.teacher.as_deref().map(Path::new);
    for (key, model) in [("--model", Some(args.model.as_path())), ("--teacher", teacher)] {
        model.map_or(Ok(()), |model| refuse_own_folder(&args.out, model, key))?;
    }
    refuse_own_file(&args.out, &args.data, "--data")?;
    interrupt::install()?;
    let place = Place::open(&args.out, console)?;
    let outcome = search(args, (data, reader), identity, place.folder(), console);
    let end = match &outcome {
        Ok(Some(_)) => End::Finished,
        _ => End::Unfinished,
    };
    place.close(end, false)?;
    let Some(results) = outcome? else { return Ok(interrupted(&args.out)) };
    console.result(&results.summary(&args.out), || results.as_text(&args.out))?;
    Ok(Ending::Done)
}

/// Scores the model at uniform ratios.
fn sweep(args: &LengthSearchArgs, console: Console) -> Result<Ending> {
    let reader = Reader::open(&args.model.display().to_string(), &args.settings.layer, console)?;
    let data = reader.read(&args.data, args.limit, console)?;
    let identity = json!({
        "sweep": true,
        "model": fingerprint(&args.model)?,
        "reads": reader.identity(&data),
        "batch_size": args.cost.batch_size,
        "rounds": timing(args).rounds,
    });
    refuse_own_folder(&args.out, &args.model, "--model")?;
    refuse_own_file(&args.out, &args.data, "--data")?;
    interrupt::install()?;
    let place = Place::open(&args.out, console)?;
    let scored = sweep_in(args, (data, &reader), identity, place.folder(), console);
    let end = if let Ok(Some(_)) = &scored { End::Finished } else { End::Unfinished };
    place.close(end, false)?;
    let Some(scored) = scored? else { return Ok(interrupted(&args.out)) };
    console.result(&scored.as_json(), || scored.as_text(&args.out))?;
    Ok(Ending::Done)
}

/// The same in a folder of this machine; `None` when it was asked to stop.
fn sweep_in(
    args: &LengthSearchArgs,
    data: (Data, &Reader),
    identity: Value,
    out: &Path,
    console: Console,
) -> Result<Option<Sweep>> {
    let (mut folder, _) = RunFolder::open(out, identity, args.overwrite)?;
    folder.begin()?;
    let mut ledger = Ledger::open(out)?;
    let mut progress = Progress::new(console);
    let how = (args.sweep.as_slice(), args.strategy.unit, timing(args));
    let Some(scored) = Sweep::run(data, how, &mut ledger, &mut progress)? else { return Ok(None) };
    drop(progress);
    scored.write(&args.model, out)?;
    folder.finish()?;
    Ok(Some(scored))
}

/// Searches in a folder; `None` when it was asked to stop.
fn search(
    args: &LengthSearchArgs,
    (data, reader): (Data, Reader),
    identity: Value,
    out: &Path,
    console: Console,
) -> Result<Option<Results>> {
    let (mut folder, _) = RunFolder::open(out, identity, args.overwrite)?;
    folder.begin()?;
    let mut ledger = Ledger::open(out)?;
    let mut progress = Progress::new(console);
    // First, so that a teacher that cannot be used costs no search.
    let Some(teacher) = teacher(args, &reader, &mut ledger, &mut progress, console)? else {
        return Ok(None);
    };
    let searched = Search::new(args, data, &reader)?.run(&mut ledger, &mut progress)?;
    let Some(found) = searched else { return Ok(None) };
    drop(progress);
    let results = Results::new(args, reader.metric(), found, teacher);
    results.write(out)?;
    page::write(out, args, &results)?;
    named::store(&args.model, &results)?;
    folder.finish()?;
    Ok(Some(results))
}

/// What makes two searches the same. The number of generations or trials is not part of it: a
/// search may be prolonged.
fn identity(args: &LengthSearchArgs, data: &Data, reader: &Reader) -> Result<Value> {
    let strategy = &args.strategy;
    let mut identity = json!({
        "model": fingerprint(&args.model)?,
        "sample": args.sample,
        "sampler": format!("{:?}", strategy.sampler).to_lowercase(),
        "population": strategy.population,
        "drop_bound": strategy.drop_bound,
        "unit": format!("{:?}", strategy.unit).to_lowercase(),
        "seed": strategy.seed,
        "objective": format!("{:?}", args.cost.objective).to_lowercase(),
    });
    if strategy.sampler == PlanSampler::Evolution {
        let evolution = &args.evolution;
        identity["mutations"] = json!(evolution.mutations);
        identity["mutation_probability"] = json!(evolution.mutation_probability);
        identity["crossovers"] = json!(evolution.crossovers);
    }
    if let (Some(identity), Value::Object(of_reader)) =
        (identity.as_object_mut(), reader.identity(data))
    {
        identity.extend(of_reader);
    }
    if args.cost.objective == Objective::Time {
        identity["batch_size"] = json!(args.cost.batch_size);
        identity["rounds"] = json!(args.cost.rounds);
        identity["threads"] = json!(limbeck_kernels::threads::count());
    }
    Ok(identity)
}

/// A hash over all of a model's folder that decides what it answers.
fn fingerprint(dir: &Path) -> Result<String> {
    let cannot = || format!("cannot read {}", dir.display());
    let entries = std::fs::read_dir(dir).with_context(cannot)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<std::io::Result<Vec<PathBuf>>>().with_context(cannot)?;
    let decides = |path: &PathBuf| {
        let is_weights = path.extension().is_some_and(|extension| extension == "safetensors");
        is_weights || path.file_name().is_some_and(|name| name == CONFIG_FILE)
    };
    paths.retain(decides);
    paths.sort();
    let mut hasher = blake3::Hasher::new();
    for path in paths {
        let cannot = || format!("cannot read {}", path.display());
        let file = File::open(&path).with_context(cannot)?;
        hasher.update_reader(file).with_context(cannot)?;
    }
    hasher.update(Tokenizer::from_folder(dir)?.fingerprint().as_bytes());
    Ok(hasher.finalize().to_hex().to_string())
}

/// What plans are compared with.
pub enum Teacher {
    /// Nothing but the model itself.
    None,
    /// A number.
    Score(f64),
    /// Another model, under the name it was given.
    Model(String, Measured),
}

impl Teacher {
    /// Its score, by the metric of the search.
    pub fn score(&self) -> Option<f64> {
        match self {
            Teacher::None => None,
            Teacher::Score(score) => Some(*score),
            Teacher::Model(_, measured) => Some(measured.score),
        }
    }
}

/// Scores the teacher on all data, where there is one. `None` when a stop was asked for.
fn teacher(
    args: &LengthSearchArgs,
    reader: &Reader,
    ledger: &mut Ledger,
    progress: &mut Progress,
    console: Console,
) -> Result<Option<Teacher>> {
    let Some(name) = &args.reference.teacher else {
        return Ok(Some(args.reference.teacher_score.map_or(Teacher::None, Teacher::Score)));
    };
    let trial_name = format!("teacher {}", fingerprint(&resolve(name)?)?);
    let whole = Gene::new();
    if let Some(known) = ledger.get(&trial_name, &whole) {
        return Ok(Some(Teacher::Model(name.clone(), known)));
    }
    let theirs = Reader::open(name, &args.settings.layer, console)?;
    if theirs.metric() != reader.metric() {
        let (theirs, ours) = (theirs.metric(), reader.metric());
        let what = format!("the teacher is for {}, the model for {}", theirs.task(), ours.task());
        return Err(InputError::new(what, name, "give a teacher of the model's task").into());
    }
    progress.stage("scoring the teacher", None);
    // Read anew: its labels may have another order.
    let trial = theirs.trial(theirs.read(&args.data, args.limit, console)?)?;
    let mut tester = Tester::new(theirs.model(), timing(args), ledger);
    let measured = tester.test((&trial_name, &trial), &whole, None, None)?;
    Ok(measured.map(|measured| Teacher::Model(name.clone(), measured)))
}

fn timing(args: &LengthSearchArgs) -> Timing {
    let rounds = match args.cost.objective {
        Objective::Macs => 1,
        Objective::Time => args.cost.rounds.into(),
    };
    Timing { batch_size: args.cost.batch_size.into(), rounds }
}

/// Says how to go on, also with `--quiet`.
fn interrupted(out: &Path) -> Ending {
    let out = out.display();
    exit::complain(&format!(
        "interrupted: {out}: every plan that was tried is kept; the same command without \
         --overwrite goes on from there"
    ));
    Ending::Interrupted
}
