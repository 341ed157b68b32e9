//! A run: from a model and features to a better model in a folder.
//!
//! # Layout
//! - here: what a run needs, and how it begins
//! - `steps`: the loop
//! - `pace`: how batches fall into steps
//! - `batches`: what each step reads

mod batches;
mod pace;
mod steps;

use limbeck_data::metrics::Metrics;
use limbeck_data::{Examples, Tokenizer};
use limbeck_model::Model;
use limbeck_model::folder::Limbeck;

use batches::Batches;
pub(crate) use pace::Pace;
use steps::Loop;

use crate::checkpoint::{self, Progress};
use crate::error::{Result, TrainError};
use crate::evaluation::DevelopmentSet;
use crate::folder::RunFolder;
use crate::learner::Learner;
use crate::objective::Objective;
use crate::observer::Observer;
use crate::options::{OptimizerOptions, ScheduleOptions, TrainOptions};
use crate::ranks::{Exchange, Ranks};
use crate::schedule::Schedule;
use crate::sparsity::Sparsity;
use crate::teacher;
use crate::trackers::{JsonlTracker, TensorBoardTracker, Trackers};

/// All that a run needs.
pub struct Run<'a> {
    /// What is trained.
    pub model: Model,
    /// Goes into the output folder with the model.
    pub tokenizer: &'a Tokenizer,
    /// What it is trained on.
    pub features: &'a dyn Examples,
    /// What is minimised.
    pub objective: Objective,
    /// What it is evaluated on meanwhile; the best model is kept. Without, the last.
    pub dev: Option<&'a dyn DevelopmentSet>,
    /// Length and rhythm.
    pub train: &'a TrainOptions,
    /// How parameters move.
    pub optim: &'a OptimizerOptions,
    /// The learning rate over the steps.
    pub schedule: &'a ScheduleOptions,
    /// Which weights are off; without, all are on.
    pub sparsity: Option<Sparsity>,
    /// Where everything is written, by the first process.
    pub folder: Option<&'a mut RunFolder>,
    /// The processes that train together.
    pub ranks: Ranks,
    /// What `limbeck.json` will say beside the metrics.
    pub notes: Limbeck,
    /// Whether TensorBoard's event files are written.
    pub tensorboard: bool,
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// All steps are done, or it stopped early; the model lies in the folder.
    Finished {
        /// The trained model: the best where it was evaluated, else the last.
        summary: Summary,
    },
    /// The observer asked to stop; the same run will go on from here.
    Interrupted {
        /// Steps done.
        step: usize,
        /// Steps of the whole run.
        total_steps: usize,
    },
}

/// What a finished run says.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Summary {
    /// Steps done.
    pub steps: usize,
    /// The step whose model was kept.
    pub best_step: usize,
    /// Its metrics, where it was evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
}

/// How many optimiser steps a run takes.
pub fn total_steps(options: &TrainOptions, features: usize) -> usize {
    Pace::new(options, features).total_steps()
}

impl Run<'_> {
    /// Trains, from the beginning or from where an earlier run was stopped.
    ///
    /// # Errors
    /// When options make no sense, the loss diverges or the folder cannot be written.
    /// The last checkpoint is kept.
    pub fn execute(mut self, observer: &mut dyn Observer) -> Result<Outcome> {
        self.train.validate()?;
        self.optim.validate()?;
        if self.features.is_empty() {
            return Err(TrainError::Option {
                option: "data.train",
                reason: "there is no feature to train on".into(),
            });
        }
        let pace = Pace::new(self.train, self.features.len());
        let total_steps = pace.total_steps();
        let schedule = Schedule::new(self.schedule, self.optim.peak_rate(self.train), total_steps)?;
        let masks = self.sparsity.as_ref().map_or(&[][..], Sparsity::told).iter();
        for line in schedule.told().into_iter().chain(masks.map(String::as_str)) {
            observer.message(line);
        }
        if self.train.eval_steps > total_steps && self.dev.is_some() && !schedule.is_range_test() {
            let every = self.train.eval_steps;
            observer.message(&format!(
                "the run has {total_steps} steps: `train.eval_steps` is shortened from {every} to \
                 {total_steps}, one evaluation at the end"
            ));
        }
        let inputs = fingerprint(&self.model, self.features, &self.objective);
        let mut learner = Learner::new(self.model, self.optim, self.objective);
        learner.exchange.ranks = self.ranks;
        learner.dropout = self.train.dropout;
        learner.recompute(self.train.recompute);
        learner.sparsify(self.sparsity.take());
        let mut resumed = None;
        let mut trackers = Trackers(Vec::new());
        if let Some(folder) = &mut self.folder {
            folder.begin()?;
            resumed = checkpoint::load(folder.path(), &mut learner)?;
            if resumed.as_ref().is_some_and(|progress| progress.inputs != inputs) {
                return Err(TrainError::Folder {
                    path: folder.path().to_owned(),
                    reason: "the data, the model or a teacher changed since this run was stopped; \
                             give another --out, or --overwrite"
                        .into(),
                });
            }
            if resumed.as_ref().is_some_and(|progress| progress.steps_crossed_epochs(&pace)) {
                return Err(TrainError::Folder {
                    path: folder.path().to_owned(),
                    reason: "this run was begun by a version whose steps reached from one epoch \
                             into the next; give another --out, or --overwrite"
                        .into(),
                });
            }
            trackers = self::trackers(folder.path(), resumed.as_ref(), self.tensorboard)?;
        }
        let mut progress = resumed.unwrap_or(Progress { inputs, ..Progress::default() });
        progress.steps_end_with_epochs = true;
        begin_together(&mut learner, &mut progress)?;
        if progress.step > 0 {
            let message = format!("resuming after step {} of {total_steps}", progress.step);
            observer.message(&message);
        }
        let mut loop_ = Loop {
            trackers,
            batches: Batches::new(self.features, self.train),
            pace,
            tokenizer: self.tokenizer,
            names: learner.objective.names().iter().map(|name| format!("loss_{name}")).collect(),
            parts: Vec::new(),
            sums: Vec::new(),
            dev: self.dev,
            options: self.train,
            schedule,
            folder: self.folder,
            notes: self.notes,
            learner,
            progress,
        };
        loop_.run(observer)
    }
}

/// Names what a run begins with: the model, its features, and what its losses depend on.
fn fingerprint(model: &Model, features: &dyn Examples, objective: &Objective) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(&teacher::identity(model));
    hash.update(&teacher::fingerprint(features));
    hash.update(&objective.identity);
    hash.finalize().to_hex().to_string()
}

/// Makes sure that all processes begin with the same: what they have read, and the first one's
/// state.
fn begin_together(learner: &mut Learner, progress: &mut Progress) -> Result<()> {
    let Exchange { ranks, .. } = &mut learner.exchange;
    let of_first: Progress = ranks.say_after_first(progress)?;
    if ranks.any(of_first.inputs != progress.inputs)? {
        return Err(TrainError::Option {
            option: "train.ranks",
            reason: "the processes have read different data, models or teachers; give all the \
                     same files"
                .into(),
        });
    }
    *progress = of_first;
    learner.optimizer.steps = progress.step;
    learner.copy_from_first()
}

/// Opens the trackers of a run: anew, or after the step where it goes on.
fn trackers(
    folder: &std::path::Path,
    resumed: Option<&Progress>,
    tensorboard: bool,
) -> Result<Trackers> {
    let path = folder.join("train.jsonl");
    let step = resumed.map_or(0, |progress| progress.step);
    let lines = match resumed {
        None => JsonlTracker::create(&path)?,
        Some(progress) => JsonlTracker::resume(&path, step as u64, progress.evaluated_at == step)?,
    };
    let mut trackers = Trackers(vec![Box::new(lines)]);
    if tensorboard {
        let board = TensorBoardTracker::create(&folder.join("tensorboard"), step as u64)?;
        trackers.0.push(Box::new(board));
    }
    Ok(trackers)
}
