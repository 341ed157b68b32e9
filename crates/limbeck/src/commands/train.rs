//! One training run: from its configuration to a model in its folder.
//!
//! # Layout
//! - here: the run itself
//! - [`student`]: the model that it starts from
//! - [`questions`], [`texts`]: what it learns from, by the kind of its task
//! - [`needs`]: what runs need, looked for all at once
//! - [`plain`]: plain text, and the model and vocabulary of a pretraining

pub mod needs;
mod plain;
mod questions;
mod student;
mod texts;

use std::path::{Path, PathBuf};

use anyhow::Result;
use limbeck_data::metrics::Metrics;
use limbeck_data::{Cache, Examples, Tokenizer, files};
use limbeck_model::folder::Limbeck;
use limbeck_model::{Head, Model};
use limbeck_remote::store::keeper::End;
use limbeck_remote::store::{self, StoreError};
use limbeck_runtime::folder::check_vocabulary;
use limbeck_train::TrainError;
use limbeck_train::evaluation::DevelopmentSet;
use limbeck_train::folder::{self, Found, Record, RunFolder};
use limbeck_train::observer::Observer;
use limbeck_train::ranks::RanksError;
use limbeck_train::run::{Outcome, Run, total_steps};
use limbeck_train::sparsity::Sparsity;
use limbeck_train::trackers::follow::Ending;
use serde::Serialize;
use serde_json::Value;

use super::cache;
use super::objective::{self, Student, Teachers};
use super::place::Place;
use super::subject::check_length;
use super::tracking::Tracking;
use super::{range_test, runs, train_report};
use crate::commands::guard::{refuse_own_file, refuse_own_folder};
use crate::commands::models::resolve;
use crate::commands::questions::Notes;
use crate::config::{RunConfig, Task};
use crate::console::Console;
use crate::exit::{self, InputError};
use crate::progress::Progress;
use crate::ranks::Part;
use crate::shipping::repacked;

/// How a run ended.
pub enum Trained {
    /// The model lies in the folder.
    Finished(TrainResult),
    /// Stopped on request; the folder holds what the next start needs.
    Interrupted,
    /// Another process led the run and has what came of it.
    Helped,
}

/// What a finished run says.
#[derive(Debug, Serialize)]
pub struct TrainResult {
    /// The folder.
    pub out: PathBuf,
    /// Optimiser steps; absent when the run had finished before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// The step whose model was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_step: Option<usize>,
    /// Of that model, where it was evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
}

/// What a run begins with.
struct Start {
    model: Model,
    tokenizer: Tokenizer,
    lesson: Lesson,
}

/// What a run learns from, and what its models are compared on.
struct Lesson {
    features: Box<dyn Examples>,
    dev: Option<Box<dyn DevelopmentSet>>,
}

/// Trains, goes on with an unfinished run, or leaves a finished one alone.
pub fn run(config: &RunConfig, overwrite: bool, part: &Part, console: Console) -> Result<Trained> {
    let named = given(config.output.dir.as_ref(), "output.dir")?;
    if !part.leads() {
        return run_in(Place::of_another(named)?, config, overwrite, part, console);
    }
    let place = Place::open(named, console)?;
    let mut outcome = run_in(place.folder().to_owned(), config, overwrite, part, console);
    let end = match &mut outcome {
        Ok(Trained::Finished(result)) => {
            result.out.clone_from(named);
            End::Finished
        }
        _ => End::Unfinished,
    };
    place.close(end, config.output.remove_local)?;
    outcome
}

/// The same in a folder of this machine.
fn run_in(
    out: PathBuf,
    config: &RunConfig,
    overwrite: bool,
    part: &Part,
    console: Console,
) -> Result<Trained> {
    let configuration = identity(config)?;
    // The other processes of a run tell nobody of it.
    let tracking = match part.leads() {
        true => Tracking::read(&config.output, &configuration)?,
        false => Tracking::default(),
    };
    let console = Console { quiet: console.quiet || !part.leads(), ..console };
    let (mut folder, found) = match part.leads() {
        true => {
            let (folder, found) = RunFolder::open(&out, configuration.clone(), overwrite)?;
            (Some(folder), found)
        }
        false if folder::has_finished(&out) && !overwrite => return Ok(Trained::Helped),
        false => (None, Found::Fresh),
    };
    if found == Found::Finished {
        // What a kill right at the end may have left undone.
        limbeck_train::checkpoint::remove(&out)?;
        if !out.join("model.safetensors").is_file() {
            let what = "a finished run whose model.safetensors is gone";
            let place = out.display().to_string();
            return Err(InputError::new(what, place, "give --overwrite to train it again").into());
        }
        console.message(&format!("{}: finished already; --overwrite starts afresh", out.display()));
        // What a service missed when the run ended.
        tracking.start(&out).finish(Ending::Finished, console);
        let metrics = std::fs::read(out.join("metrics.json")).ok();
        let metrics = metrics.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        return Ok(Trained::Finished(TrainResult { out, steps: None, best_step: None, metrics }));
    }
    let mut progress = Progress::new(console);
    // The run is that of the addresses; what is read are local copies.
    let here = with_local_data(config)?;
    let cache = cache::given(config.data.cache.as_deref(), console)?;
    let mut left_out = Notes::default();
    let start = match config.task {
        Task::Pretrain => {
            plain::start(&here, cache.as_ref(), &out, folder.as_mut(), &mut progress)?
        }
        _ => Some(labelled(&here, cache.as_ref(), &out, &mut left_out, &mut progress)?),
    };
    let Some(Start { model, tokenizer, lesson }) = start else {
        drop(progress);
        return Ok(interrupted(&out, "while the text was read", overwrite));
    };
    let Lesson { features, dev } = lesson;
    for data in here.data.train.iter().chain(&here.data.dev) {
        refuse_own_file(&out, data, "data")?;
    }
    for teacher in &config.teacher {
        refuse_own_folder(&out, &resolve(&last_or_only(teacher))?, "teacher")?;
    }
    let Some(model) = student::cut(model, &config.model, &*features, &mut progress)? else {
        drop(progress);
        return Ok(interrupted(&out, "while heads and neurons were weighed", overwrite));
    };
    progress.trains(model.layout.parameters());
    let student = Student { config: &model.config, tokenizer: &tokenizer, features: &*features };
    let teachers = Teachers::open(config, student, &mut progress)?;
    let steps = total_steps(&config.train, features.len());
    let sparsity = Sparsity::new(&config.sparsity, &model, steps, config.train.seed)?;
    if let Some(sparsity) = &sparsity {
        let account = sparsity.account(model.layout.parameters());
        progress.message(&account.to_string());
        if sparsity.masks().matrices().iter().any(|matrix| matrix.kept) {
            progress.message("what is zero in it stays zero; --keep-sparsity=false lets it learn");
        }
    }
    let run_toml = out.join("run.toml");
    if let Some(folder) = &mut folder {
        // All input is there and fits: only now may what an earlier run left go.
        folder.begin()?;
        left_out.write(&out)?;
        if let Some(message) = left_out.message(&out) {
            progress.message(&message);
        }
        files::replace(&run_toml, toml::to_string(config)?.as_bytes())?;
    }
    let together = match part.join(&run_toml, &mut progress) {
        Ok(together) => together,
        Err(error) if error.downcast_ref().is_some_and(RanksError::is_interrupt) => {
            drop(progress);
            return Ok(interrupted(&out, "while it waited for the others", overwrite));
        }
        Err(error) => return Err(error),
    };
    // What the teachers say goes with the checkpoint once the run is done, unless a cache was given
    // to keep it.
    let cache = cache.unwrap_or_else(|| Cache::folder(out.join("checkpoint")));
    let objective = objective::build(config, &cache, student, teachers, &mut progress)?;
    let Some(objective) = objective else {
        drop(progress);
        return Ok(interrupted(&out, "while the teacher answered", overwrite));
    };
    let tensorboard = tracking.tensorboard;
    let told = tracking.start(&out);
    let run = Run {
        model,
        tokenizer: &tokenizer,
        features: &*features,
        objective,
        dev: dev.as_deref(),
        train: &config.train,
        optim: &config.optim,
        schedule: &config.schedule,
        sparsity,
        folder: folder.as_mut(),
        ranks: together.ranks,
        notes: notes(config, configuration)?,
        tensorboard,
    };
    let outcome = run.execute(&mut progress);
    drop(progress);
    if range_test::is_one(config) && part.leads() {
        range_test::tell(&out, config.schedule.range_loss, console)?;
        // It is there to find out where this happens.
        if let Err(TrainError::Diverged { step, .. }) = outcome {
            train_report::write(&out, config, None)?;
            told.finish(Ending::Finished, console);
            let (steps, best_step, metrics) = (Some(step), None, None);
            return Ok(Trained::Finished(TrainResult { out, steps, best_step, metrics }));
        }
    }
    match outcome {
        Err(error) => {
            told.finish(Ending::Failed, console);
            Err(error.into())
        }
        Ok(_) if !part.leads() => Ok(Trained::Helped),
        Ok(Outcome::Finished { summary }) => {
            train_report::write(&out, config, summary.metrics.as_ref())?;
            told.finish(Ending::Finished, console);
            Ok(Trained::Finished(TrainResult {
                out,
                steps: Some(summary.steps),
                best_step: Some(summary.best_step),
                metrics: summary.metrics,
            }))
        }
        Ok(Outcome::Interrupted { step, total_steps }) => {
            told.finish(Ending::Interrupted, console);
            let when = format!("after step {step} of {total_steps}");
            Ok(interrupted(&out, &when, overwrite))
        }
    }
}

/// The metrics that a finished run of this configuration has left on this machine; those of a run
/// of another one in its folder are not its.
pub fn finished(config: &RunConfig) -> Option<Metrics> {
    let named = config.output.dir.as_deref()?;
    let out = Place::of_another(named).ok()?;
    let record = Record::read(&out).ok().flatten()?;
    if !record.finished || record.configuration != identity(config).ok()? {
        return None;
    }
    serde_json::from_slice(&std::fs::read(out.join("metrics.json")).ok()?).ok()
}

/// The same configuration with data that is at hand: what lies in a store is fetched.
fn with_local_data(config: &RunConfig) -> Result<RunConfig> {
    let mut here = config.clone();
    let data = &mut here.data;
    let paths = data.train.iter_mut().chain(&mut data.dev).chain(&mut data.dev_mismatched);
    for path in paths.chain(&mut here.text.tokenizer).chain(&mut here.model.config) {
        if let Some(text) = path.to_str() {
            *path = store::local(text)?;
        }
    }
    Ok(here)
}

/// What a run on questions or on texts with labels begins with.
fn labelled(
    config: &RunConfig,
    cache: Option<&Cache>,
    out: &Path,
    left_out: &mut Notes,
    progress: &mut Progress,
) -> Result<Start> {
    let dir = resolve(&last_or_only(given(config.model.path.as_ref(), "model.path")?))?;
    refuse_own_folder(out, &dir, "model.path")?;
    let texts = match config.task.texts() {
        Some(task) => Some(texts::Texts::read(config, task, &dir)?),
        None => None,
    };
    let head = texts.as_ref().map_or(Head::Span, texts::Texts::head);
    let model = student::open(&config.model, head, &dir, config.train.seed, progress)?;
    let mut tokenizer = Tokenizer::from_folder(&dir)?;
    check_vocabulary(&mut tokenizer, &model.config, &dir)?;
    check_length(&config.features, &model.config, &dir)?;
    let lesson = match texts {
        Some(texts) => texts.lesson(config, &tokenizer, left_out, progress)?,
        None => questions::lesson(config, cache, &tokenizer, left_out, progress)?,
    };
    Ok(Start { model, tokenizer, lesson })
}

/// Says how to go on, also with `--quiet`: the exit code alone would not tell.
fn interrupted(out: &Path, when: &str, overwrite: bool) -> Trained {
    let out = out.display();
    let without = if overwrite { " without --overwrite" } else { "" };
    exit::complain(&format!(
        "interrupted {when}: {out}: saved; the same command{without} goes on from there"
    ));
    Trained::Interrupted
}

/// The folder of a finished run in the place of `last` in it, where the last model is the one
/// that was kept and has no folder of its own.
pub fn last_or_only(name: &str) -> String {
    if store::is_url(name) {
        let is_missing = || matches!(store::local(name), Err(StoreError::Address { .. }));
        let run = name.strip_suffix("/last").filter(|_| is_missing());
        return run.unwrap_or(name).to_owned();
    }
    let path = Path::new(name);
    // The last model of the best of several runs.
    if let Some(best) = path.parent().filter(|_| path.ends_with("last")).and_then(runs::best) {
        return last_or_only(&best.join("last").to_string_lossy());
    }
    let of_run = path
        .parent()
        .filter(|run| path.ends_with("last") && !path.exists() && folder::has_finished(run));
    of_run.map_or_else(|| name.to_owned(), |run| run.to_string_lossy().into_owned())
}

/// A key that [`check`](crate::config::check) has already asked for.
fn given<'a, T>(value: Option<&'a T>, key: &str) -> Result<&'a T, InputError> {
    value.ok_or_else(|| InputError::new(format!("`{key}` is not given"), "", ""))
}

/// What makes two runs the same: all but where they write and keep things, and where a cluster has
/// put what they read.
pub fn identity(config: &RunConfig) -> Result<Value> {
    let mut value = serde_json::to_value(config)?;
    if let Some(object) = value.as_object_mut() {
        object.remove("output");
        if let Some(data) = object.get_mut("data").and_then(Value::as_object_mut) {
            data.remove("cache");
        }
        // They change memory and time. A run that took too much of either may go on with others, as
        // it may with another number of processes.
        if let Some(train) = object.get_mut("train").and_then(Value::as_object_mut) {
            train.remove("recompute");
            train.remove("max_tokens_per_pass");
        }
    }
    repacked(&mut value);
    Ok(value)
}

fn notes(config: &RunConfig, configuration: Value) -> Result<Limbeck> {
    let meaning = serde_json::to_value(config.features.doc_stride_meaning)?;
    let has_windows = config.task.has_windows();
    Ok(Limbeck {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        max_length: Some(config.features.max_length),
        doc_stride: has_windows.then_some(config.features.doc_stride),
        doc_stride_meaning: meaning.as_str().filter(|_| has_windows).map(str::to_owned),
        config: configuration,
        ..Limbeck::default()
    })
}
