//! `limbeck lengths`: the search for the length plans of a model.
//!
//! # Layout
//! - `search`: generation after generation on a sample, then the front on all questions.
//! - `trial`: a plan tried on questions; `ledger`: all that were, on disk.
//! - `named`: the plans worth a name.
//! - `results`: `lengths.csv` and `front.json`; `page`: `report.html`.
//!
//! Which plans are tried is decided in [`crate::evolution`].

mod ledger;
mod named;
mod page;
mod results;
mod search;
mod trial;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use limbeck_data::{Question, SquadData};
use limbeck_model::folder::resolve;
use limbeck_train::folder::RunFolder;
use limbeck_train::observer::Observer;
use serde_json::{Value, json};

use super::subject::Subject;
use crate::cli::length_search::{LengthSearchArgs, Objective};
use crate::cli::lengths::LengthArgs;
use crate::console::Console;
use crate::evolution::Gene;
use crate::exit::{self, Ending, InputError};
use crate::interrupt;
use crate::progress::Progress;
use ledger::{Ledger, Measured};
use results::Results;
use search::Search;
use trial::{Tester, Timing, Trial};

/// Runs the command.
pub fn run(args: &LengthSearchArgs, console: Console) -> Result<Ending> {
    let data = read(args)?;
    if !args.model.is_dir() {
        let what = "not a folder: found plans could not be kept in it";
        let advice = "give the folder of a trained model";
        return Err(InputError::new(what, args.model.display().to_string(), advice).into());
    }
    let name = args.model.display().to_string();
    let none = LengthArgs::default();
    let subject = Subject::open(&name, &args.settings.layer, &none, console)?;
    let identity = identity(args, &data, &subject)?;
    let (mut folder, _) = RunFolder::open(&args.out, identity, args.overwrite)?;
    folder.begin()?;
    interrupt::install()?;
    let mut ledger = Ledger::open(&args.out)?;
    let mut progress = Progress::new(console);
    // First, so that a teacher that cannot be used costs no search.
    let Some(teacher) = teacher(args, data.clone(), &mut ledger, &mut progress, console)? else {
        return Ok(interrupted(&args.out));
    };
    let searched = Search::new(args, data, &subject)?.run(&mut ledger, &mut progress)?;
    let Some(found) = searched else { return Ok(interrupted(&args.out)) };
    drop(progress);
    let results = Results::new(args, found, teacher);
    results.write(&args.out)?;
    page::write(&args.out, args, &results)?;
    named::store(&args.model, &results)?;
    folder.finish()?;
    console.result(&results.summary(&args.out), || results.as_text(&args.out))?;
    Ok(Ending::Done)
}

/// The questions of the search.
fn read(args: &LengthSearchArgs) -> Result<SquadData> {
    let mut data = SquadData::read(&args.data)?;
    if args.limit > 0 {
        data.limit(args.limit);
    }
    let has_gold = |question: &Question| question.is_impossible || !question.answers.is_empty();
    if !data.questions.iter().any(has_gold) {
        let what = "no question has an answer to score against";
        return Err(InputError::new(what, args.data.display().to_string(), "").into());
    }
    Ok(data)
}

/// What makes two searches the same. The number of generations is not part of it: a search
/// may be prolonged.
fn identity(args: &LengthSearchArgs, data: &SquadData, subject: &Subject) -> Result<Value> {
    let evolution = &args.evolution;
    let task = subject.task_for(data);
    let mut identity = json!({
        "model": fingerprint(&args.model)?,
        "data": data.fingerprint().to_hex().as_str(),
        "sample": args.sample,
        "population": evolution.population,
        "mutations": evolution.mutations,
        "mutation_probability": evolution.mutation_probability,
        "crossovers": evolution.crossovers,
        "drop_bound": evolution.drop_bound,
        "unit": format!("{:?}", evolution.unit).to_lowercase(),
        "seed": evolution.seed,
        "objective": format!("{:?}", args.cost.objective).to_lowercase(),
        "features": subject.features,
        "decode": subject.decode(task),
    });
    if args.cost.objective == Objective::Time {
        identity["batch_size"] = json!(args.cost.batch_size);
        identity["rounds"] = json!(args.cost.rounds);
        identity["threads"] = json!(limbeck_kernels::threads::count());
    }
    Ok(identity)
}

/// A hash over the files of a model that decide what it answers.
fn fingerprint(dir: &Path) -> Result<String> {
    let cannot = || format!("cannot read {}", dir.display());
    let entries = std::fs::read_dir(dir).with_context(cannot)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<std::io::Result<Vec<PathBuf>>>().with_context(cannot)?;
    let decides = |path: &PathBuf| {
        let is_weights = path.extension().is_some_and(|extension| extension == "safetensors");
        let names = ["config.json", "tokenizer.json", "vocab.txt"];
        is_weights || path.file_name().is_some_and(|name| names.iter().any(|n| name == *n))
    };
    paths.retain(decides);
    paths.sort();
    let mut hasher = blake3::Hasher::new();
    for path in paths {
        let cannot = || format!("cannot read {}", path.display());
        let file = File::open(&path).with_context(cannot)?;
        hasher.update_reader(file).with_context(cannot)?;
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// What plans are compared with.
pub enum Teacher {
    /// Nothing but the model itself.
    None,
    /// A number.
    F1(f64),
    /// Another model, under the name it was given.
    Model(String, Measured),
}

impl Teacher {
    /// Its F1 in per cent.
    pub fn f1(&self) -> Option<f64> {
        match self {
            Teacher::None => None,
            Teacher::F1(f1) => Some(*f1),
            Teacher::Model(_, measured) => Some(measured.f1),
        }
    }
}

/// Scores the teacher on all questions, where there is one. `None` when a stop was asked for.
fn teacher(
    args: &LengthSearchArgs,
    data: SquadData,
    ledger: &mut Ledger,
    progress: &mut Progress,
    console: Console,
) -> Result<Option<Teacher>> {
    let Some(name) = &args.reference.teacher else {
        return Ok(Some(args.reference.teacher_f1.map_or(Teacher::None, Teacher::F1)));
    };
    let trial_name = format!("teacher {}", fingerprint(&resolve(name)?)?);
    let whole = Gene::new();
    if let Some(known) = ledger.get(&trial_name, &whole) {
        return Ok(Some(Teacher::Model(name.clone(), known)));
    }
    let subject = Subject::open(name, &args.settings.layer, &LengthArgs::default(), console)?;
    progress.stage("scoring the teacher", None);
    let trial = Trial::new(data, &subject)?;
    let mut tester = Tester::new(&subject.model, timing(args), ledger);
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
