//! The loop over steps.

use std::time::Instant;

use limbeck_data::metrics::Metrics;
use limbeck_data::{Batch, BatchOrder, Examples, Tokenizer};
use limbeck_kernels::random::Key;
use limbeck_model::Model;
use limbeck_model::folder::Limbeck;
use limbeck_model::inference::InferenceModel;

use crate::checkpoint::{self, Progress, Window};
use crate::error::{Result, TrainError};
use crate::evaluation::{DevelopmentSet, Examined};
use crate::folder::{ACCOUNT, RunFolder, write_json};
use crate::learner::{Learner, Portion};
use crate::objective::Objective;
use crate::observer::{Observer, StepReport};
use crate::options::{OptimizerOptions, ScheduleOptions, TrainOptions};
use crate::ranks::division::{self, Part};
use crate::ranks::{Exchange, Ranks};
use crate::schedule::Schedule;
use crate::sparsity::Sparsity;
use crate::teacher;
use crate::trackers::{
    EVALUATION_PREFIX, JsonlTracker, TensorBoardTracker, Tracker, Trackers, now,
};

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

/// Names the stream of dropout's random bits below the seed.
const DROPOUT_STREAM: u64 = 1;

/// How many optimiser steps a run takes.
pub fn total_steps(options: &TrainOptions, features: usize) -> usize {
    if options.max_steps > 0 {
        return options.max_steps;
    }
    let batches = features.div_ceil(options.batch_size.max(1)) as f64;
    // A hair less, so that an epoch of exactly n batches is n steps whatever the
    // rounding of the product.
    let steps = options.epochs * batches / options.gradient_accumulation_steps.max(1) as f64;
    (steps - 1e-9).ceil().max(1.0) as usize
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
        let total_steps = total_steps(self.train, self.features.len());
        let schedule = Schedule::new(self.schedule, self.optim.learning_rate, total_steps)?;
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
            trackers = self::trackers(folder.path(), resumed.as_ref(), self.tensorboard)?;
        }
        let mut progress = resumed.unwrap_or(Progress { inputs, ..Progress::default() });
        begin_together(&mut learner, &mut progress)?;
        if progress.step > 0 {
            let message = format!("resuming after step {} of {total_steps}", progress.step);
            observer.message(&message);
        }
        let mut loop_ = Loop {
            trackers,
            batches: Batches::new(self.features, self.train),
            tokenizer: self.tokenizer,
            names: learner.objective.names().iter().map(|name| format!("loss_{name}")).collect(),
            parts: Vec::new(),
            sums: Vec::new(),
            dev: self.dev,
            options: self.train,
            total_steps,
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

struct Loop<'a> {
    learner: Learner,
    /// Of the objective's parts, in `train.jsonl`.
    names: Vec<String>,
    /// Those parts, of the present step.
    parts: Vec<f64>,
    /// What is added up over processes beside gradients.
    sums: Vec<f32>,
    batches: Batches<'a>,
    schedule: Schedule,
    options: &'a TrainOptions,
    dev: Option<&'a dyn DevelopmentSet>,
    total_steps: usize,
    progress: Progress,
    trackers: Trackers,
    folder: Option<&'a mut RunFolder>,
    tokenizer: &'a Tokenizer,
    notes: Limbeck,
}

impl Loop<'_> {
    fn run(&mut self, observer: &mut dyn Observer) -> Result<Outcome> {
        observer.stage("training", Some(self.total_steps as u64));
        observer.advance(self.progress.step as u64);
        loop {
            if self.evaluation_is_due() {
                if !self.evaluate(observer)? {
                    return self.interrupt();
                }
                self.save()?;
                observer.stage("training", Some(self.total_steps as u64));
                observer.advance(self.progress.step as u64);
            }
            if self.progress.step >= self.total_steps || self.out_of_patience() {
                return self.finish();
            }
            if self.any(observer.should_stop())? {
                return self.interrupt();
            }
            let Some(report) = self.step(observer)? else {
                return self.interrupt();
            };
            self.log(&report)?;
            observer.step(&report);
            observer.advance(1);
            let every = self.options.save_steps;
            if every > 0 && self.progress.step.is_multiple_of(every) {
                self.save()?;
            }
        }
    }

    /// One optimiser step. `None` when the observer asked to stop between its batches: the
    /// step will be taken again from its beginning.
    fn step(&mut self, observer: &dyn Observer) -> Result<Option<StepReport>> {
        let begun = Instant::now();
        let micro_batches = self.options.gradient_accumulation_steps;
        let step = self.progress.step;
        let key = Key::new(self.options.seed).child(DROPOUT_STREAM).child(step as u64);
        self.parts.clear();
        self.parts.resize(self.names.len(), 0.0);
        let (mut loss, mut tokens) = (0.0, 0);
        let masks_change = self.learner.begin_step(step);
        for micro_batch in 0..micro_batches {
            // What went from the masks must come back before anything is saved.
            if micro_batch > 0 && !masks_change && self.any(observer.should_stop())? {
                return Ok(None);
            }
            let Exchange { ranks, .. } = &self.learner.exchange;
            let (batch, part) =
                self.batches.get(step * micro_batches + micro_batch, ranks.rank(), ranks.count());
            if part.sequences.is_empty() {
                continue;
            }
            tokens += batch.rows();
            let portion = Portion {
                key: key.child(micro_batch as u64),
                place: part.place,
                shares: part.shares.times(1.0 / micro_batches as f64),
                last: micro_batch + 1 == micro_batches && ranks.count() > 1,
            };
            loss += self.learner.accumulate(batch, portion, &mut self.parts)?;
        }
        let waiting = Instant::now();
        self.exchange(&mut loss, &mut tokens)?;
        let waited = waiting.elapsed().as_secs_f64();
        let learning_rate = self.schedule.rate(step);
        if let Some(beta_1) = self.schedule.beta_1(step) {
            self.learner.optimizer.set_beta_1(beta_1);
        }
        let gradient_norm = self.learner.update(learning_rate);
        for (what, value) in [("loss", loss), ("gradient norm", gradient_norm)] {
            if !value.is_finite() {
                return Err(TrainError::Diverged { step: step + 1, what, value });
            }
        }
        self.progress.step += 1;
        let seconds = begun.elapsed().as_secs_f64();
        let window = &mut self.progress.window;
        window.parts.resize(self.parts.len(), 0.0);
        window.parts.iter_mut().zip(&self.parts).for_each(|(sum, part)| *sum += part);
        window.steps += 1;
        window.loss += loss;
        window.gradient_norm += gradient_norm;
        window.tokens += tokens;
        window.seconds += seconds;
        window.waited += waited;
        if masks_change {
            window.mask_changes += self.learner.sparsity().map_or(0, Sparsity::changed);
        }
        Ok(Some(StepReport {
            step: self.progress.step,
            total_steps: self.total_steps,
            epoch: self.batches.epochs_after(self.progress.step * micro_batches),
            loss,
            gradient_norm,
            learning_rate,
            tokens,
            seconds,
        }))
    }

    /// Adds up gradients, losses and tokens over all processes.
    fn exchange(&mut self, loss: &mut f64, tokens: &mut usize) -> Result<()> {
        if self.learner.exchange.ranks.count() == 1 {
            return Ok(());
        }
        let numbers = [*loss, *tokens as f64].into_iter().chain(self.parts.iter().copied());
        self.sums.clear();
        self.sums.extend(numbers.map(|number| number as f32));
        self.learner.exchange(&mut self.sums)?;
        (*loss, *tokens) = (f64::from(self.sums[0]), self.sums[1] as usize);
        for (part, &sum) in self.parts.iter_mut().zip(&self.sums[2..]) {
            *part = f64::from(sum);
        }
        Ok(())
    }

    /// Whether any of the processes says so.
    fn any(&mut self, says: bool) -> Result<bool> {
        Ok(self.learner.exchange.ranks.any(says)?)
    }

    /// Reports the means since the last report.
    fn log(&mut self, report: &StepReport) -> Result<()> {
        let every = self.options.logging_steps.max(1);
        if !report.step.is_multiple_of(every) && report.step != self.total_steps {
            return Ok(());
        }
        let window = std::mem::take(&mut self.progress.window);
        let steps = window.steps as f64;
        let mut values = vec![
            ("epoch", report.epoch),
            ("loss", window.loss / steps),
            ("learning_rate", report.learning_rate),
            ("gradient_norm", window.gradient_norm / steps),
            ("tokens_per_second", window.tokens as f64 / window.seconds),
        ];
        if self.learner.exchange.ranks.count() > 1 {
            values.push(("share_waiting_for_others", window.waited / window.seconds));
        }
        values
            .extend(self.names.iter().zip(&window.parts).map(|(name, sum)| (&**name, sum / steps)));
        if let Some(sparsity) = self.learner.sparsity() {
            let account = sparsity.account(self.learner.model.layout.parameters());
            values.extend([
                ("sparsity", account.sparsity),
                ("target_sparsity", account.target),
                ("on_parameters", account.on_parameters as f64),
                ("mask_changes", window.mask_changes as f64),
            ]);
        }
        self.trackers.scalars(report.step as u64, now(), &values)?;
        self.progress.window = Window { parts: window.parts, ..Window::default() };
        self.progress.window.parts.fill(0.0);
        Ok(())
    }

    fn evaluation_is_due(&self) -> bool {
        let step = self.progress.step;
        if self.dev.is_none() || step == 0 || self.progress.evaluated_at == step {
            return false;
        }
        let micro_batches = self.options.gradient_accumulation_steps;
        let epochs = |steps: usize| self.batches.epochs_after(steps * micro_batches).floor();
        step == self.total_steps
            || match self.options.eval_steps {
                0 => epochs(step) > epochs(step - 1),
                every => step.is_multiple_of(every),
            }
    }

    /// Evaluates and keeps the model if it is the best so far. `false` when the observer
    /// asked to stop.
    fn evaluate(&mut self, observer: &mut dyn Observer) -> Result<bool> {
        let Some(dev) = self.dev else { return Ok(true) };
        let Learner { model, exchange, .. } = &mut self.learner;
        let model = InferenceModel::of(model);
        let Some(examined) = dev.examine(&model, &mut exchange.ranks, observer)? else {
            return Ok(false);
        };
        let step = self.progress.step;
        let values: Vec<(String, f64)> = examined
            .metrics
            .iter()
            .map(|(key, value)| (format!("{EVALUATION_PREFIX}{key}"), value))
            .collect();
        let values: Vec<(&str, f64)> = values.iter().map(|(key, value)| (&**key, *value)).collect();
        self.trackers.scalars(step as u64, now(), &values)?;
        observer.evaluated(step, &examined.metrics);
        let score = examined.score;
        self.progress.evaluated_at = step;
        self.progress.threshold = examined.threshold;
        if self.learner.sparsity().is_some_and(|sparsity| !sparsity.has_arrived(step)) {
            // A model that is not yet as sparse as asked is none to keep.
            return Ok(true);
        }
        if self.progress.best_score.is_none_or(|best| score > best) {
            self.progress.best_score = Some(score);
            self.progress.best_step = step;
            self.progress.evaluations_since_best = 0;
            self.keep_evaluated(&examined)?;
        } else {
            self.progress.evaluations_since_best += 1;
        }
        Ok(true)
    }

    fn keep_evaluated(&mut self, examined: &Examined<'_>) -> Result<()> {
        let Some(folder) = self.folder.as_deref().map(|folder| folder.path().to_owned()) else {
            return Ok(());
        };
        let metrics = serde_json::to_value(&examined.metrics).unwrap_or_default();
        // The model first: what speaks of it must not be newer than it.
        self.keep(&folder, metrics)?;
        examined.save(&folder)
    }

    /// Leaves the model as a Hugging Face folder.
    fn keep(&mut self, folder: &std::path::Path, metrics: serde_json::Value) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(TrainError::io("create", folder))?;
        self.notes.metrics = metrics;
        self.notes.null_score_diff_threshold = self.progress.threshold.map(|t| t as f32);
        self.tokenizer.save(folder)?;
        self.learner.model.save(folder)?;
        if let Some(sparsity) = self.learner.sparsity() {
            let account = sparsity.account(self.learner.model.layout.parameters());
            write_json(&folder.join(ACCOUNT), &account)?;
        }
        self.notes.save(folder)?;
        Ok(())
    }

    fn out_of_patience(&self) -> bool {
        let patience = self.options.early_stop_patience;
        patience > 0 && self.progress.evaluations_since_best >= patience
    }

    fn save(&mut self) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        self.trackers.flush()?;
        checkpoint::save(folder.path(), &self.learner, &self.progress)
    }

    fn interrupt(&mut self) -> Result<Outcome> {
        self.save()?;
        Ok(Outcome::Interrupted { step: self.progress.step, total_steps: self.total_steps })
    }

    fn finish(&mut self) -> Result<Outcome> {
        self.trackers.flush()?;
        let step = self.progress.step;
        let Some(folder) = self.folder.as_deref().map(|folder| folder.path().to_owned()) else {
            return Ok(Outcome::Finished {
                summary: Summary { steps: step, best_step: self.progress.best_step, metrics: None },
            });
        };
        let (best_step, metrics) = if self.dev.is_some() {
            if self.progress.best_step != step {
                self.keep(&folder.join("last"), serde_json::Value::Null)?;
            }
            let path = folder.join("metrics.json");
            let bytes = std::fs::read(&path).map_err(TrainError::io("read", &path))?;
            let metrics = serde_json::from_slice(&bytes)
                .map_err(|error| TrainError::File { path, reason: error.to_string() })?;
            (self.progress.best_step, Some(metrics))
        } else {
            self.keep(&folder, serde_json::Value::Null)?;
            (step, None)
        };
        if let Some(folder) = &mut self.folder {
            folder.finish()?;
        }
        checkpoint::remove(&folder)?;
        Ok(Outcome::Finished { summary: Summary { steps: step, best_step, metrics } })
    }
}

/// The batches of all epochs, in the order that the seed fixes.
struct Batches<'a> {
    features: &'a dyn Examples,
    lengths: Vec<usize>,
    batch_size: usize,
    seed: u64,
    epoch: usize,
    order: BatchOrder,
    batch: Batch,
    /// Rows of the sequences of a batch.
    rows: Vec<usize>,
}

impl<'a> Batches<'a> {
    fn new(features: &'a dyn Examples, options: &TrainOptions) -> Self {
        let lengths: Vec<usize> = (0..features.len()).map(|i| features.rows_of(i)).collect();
        Batches {
            order: BatchOrder::new(&lengths, options.batch_size, options.seed, 0),
            features,
            lengths,
            batch_size: options.batch_size,
            seed: options.seed,
            epoch: 0,
            batch: Batch::default(),
            rows: Vec::new(),
        }
    }

    /// Epochs done after so many batches.
    fn epochs_after(&self, batches: usize) -> f64 {
        batches as f64 / self.order.len() as f64
    }

    /// Of batch `index` of the run the part that process `rank` of `count` takes.
    fn get(&mut self, index: usize, rank: usize, count: usize) -> (&Batch, Part) {
        let epoch = index / self.order.len();
        if epoch != self.epoch {
            self.epoch = epoch;
            self.order = BatchOrder::new(&self.lengths, self.batch_size, self.seed, epoch as u64);
        }
        let indices = &self.order.batches()[index % self.order.len()];
        self.rows.clear();
        self.rows.extend(indices.iter().map(|&index| self.lengths[index]));
        let mut part = division::part(&self.rows, rank, count);
        let own = &indices[part.sequences.clone()];
        let mut masked = |indices: &[usize]| {
            self.features.batch_of_epoch(indices, epoch as u64, &mut self.batch);
            self.batch.masked_ids.len()
        };
        let of_all = if own.len() < indices.len() { masked(indices) } else { 0 };
        let of_part = masked(own);
        if of_all > 0 {
            part.shares.masked = of_part as f64 / of_all as f64;
        }
        (&self.batch, part)
    }
}
