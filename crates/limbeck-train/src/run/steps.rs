//! The loop over steps.

use std::time::Instant;

use limbeck_data::Tokenizer;
use limbeck_data::metrics::{Metrics, is_small_good};
use limbeck_kernels::random::Key;
use limbeck_model::folder::Limbeck;
use limbeck_model::inference::InferenceModel;

use super::batches::Batches;
use super::pace::Pace;
use super::{Outcome, Summary};
use crate::checkpoint::{self, Progress, Window};
use crate::error::{Result, TrainError};
use crate::evaluation::{DevelopmentSet, Examined};
use crate::folder::{ACCOUNT, RunFolder, write_json};
use crate::learner::{Learner, Portion};
use crate::observer::{Observer, StepReport};
use crate::options::TrainOptions;
use crate::ranks::Exchange;
use crate::schedule::Schedule;
use crate::sparsity::Sparsity;
use crate::trackers::{EVALUATION_PREFIX, Tracker, Trackers, now};

/// Names the stream of dropout's random bits below the seed.
const DROPOUT_STREAM: u64 = 1;

/// A run between two steps.
pub(super) struct Loop<'a> {
    pub(super) learner: Learner,
    /// Of the objective's parts, in `train.jsonl`.
    pub(super) names: Vec<String>,
    /// Those parts, of the present step.
    pub(super) parts: Vec<f64>,
    /// What is added up over processes beside gradients.
    pub(super) sums: Vec<f32>,
    pub(super) batches: Batches<'a>,
    pub(super) pace: Pace,
    pub(super) schedule: Schedule,
    pub(super) options: &'a TrainOptions,
    pub(super) dev: Option<&'a dyn DevelopmentSet>,
    pub(super) progress: Progress,
    pub(super) trackers: Trackers,
    pub(super) folder: Option<&'a mut RunFolder>,
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) notes: Limbeck,
}

impl Loop<'_> {
    /// Trains until all steps are done, or somebody asks to stop.
    pub(super) fn run(&mut self, observer: &mut dyn Observer) -> Result<Outcome> {
        observer.stage("training", Some(self.pace.total_steps() as u64));
        observer.advance(self.progress.step as u64);
        loop {
            if self.evaluation_is_due() {
                if !self.evaluate(observer)? {
                    return self.interrupt();
                }
                if !self.only_looks() {
                    self.save()?;
                }
                observer.stage("training", Some(self.pace.total_steps() as u64));
                observer.advance(self.progress.step as u64);
            }
            if self.progress.step >= self.pace.total_steps() || self.out_of_patience() {
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
        let step = self.progress.step;
        let micro_batches = self.pace.batches_of(step);
        let key = Key::new(self.options.seed).child(DROPOUT_STREAM).child(step as u64);
        self.parts.clear();
        self.parts.resize(self.names.len(), 0.0);
        let (mut loss, mut tokens) = (0.0, 0);
        let masks_change = self.learner.begin_step(step);
        let Exchange { ranks, .. } = &self.learner.exchange;
        let (rank, processes) = (ranks.rank(), ranks.count());
        for (micro_batch, index) in micro_batches.clone().enumerate() {
            let share = self.pace.share(index, micro_batches.clone());
            let passes = self.batches.passes(index, processes);
            for pass in 0..passes {
                let begins = micro_batch == 0 && pass == 0;
                // What went from the masks must come back before anything is saved.
                if !begins && !masks_change && self.any(observer.should_stop())? {
                    return Ok(None);
                }
                let (number, count) = (rank * passes + pass, processes * passes);
                let (batch, part) = self.batches.get(index, number, count);
                if part.sequences.is_empty() {
                    continue;
                }
                tokens += batch.rows();
                let ends = index + 1 == micro_batches.end && pass + 1 == passes;
                let portion = Portion {
                    key: key.child(micro_batch as u64),
                    place: part.place,
                    shares: part.shares.times(share),
                    longest: part.longest,
                    last: ends && processes > 1,
                };
                loss += self.learner.accumulate(batch, portion, &mut self.parts)?;
            }
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
        if step + 1 == self.pace.total_steps() {
            // No later loss would tell.
            let weights = self.learner.model.parameters.iter();
            if let Some(&weight) = weights.into_iter().find(|weight| !weight.is_finite()) {
                let (what, value) = ("largest weight", f64::from(weight));
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
            total_steps: self.pace.total_steps(),
            epoch: self.pace.epochs_after(self.progress.step),
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
        if !report.step.is_multiple_of(every) && report.step != self.pace.total_steps() {
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
        let epochs = |steps: usize| self.pace.epochs_after(steps).floor();
        step == self.pace.total_steps()
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
        let score = match &self.options.best_metric {
            Some(name) => score_by(&examined.metrics, name)?,
            None => examined.score,
        };
        self.progress.evaluated_at = step;
        self.progress.threshold = examined.threshold;
        if self.only_looks() {
            return Ok(true);
        }
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

    /// Whether the run is looked at only to find a rate, and its model on the way is none to keep.
    fn only_looks(&self) -> bool {
        self.schedule.is_range_test() && self.progress.step < self.pace.total_steps()
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
        Ok(Outcome::Interrupted { step: self.progress.step, total_steps: self.pace.total_steps() })
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

/// The number by which models are compared when one metric decides; larger is better. What is
/// undefined is worse than anything.
fn score_by(metrics: &Metrics, name: &str) -> Result<f64> {
    let value = metrics.get(name).ok_or_else(|| TrainError::Option {
        option: "train.best_metric",
        reason: format!("there is no metric {name} in this task's evaluation"),
    })?;
    Ok(match value {
        value if value.is_nan() => f64::NEG_INFINITY,
        value if is_small_good(name) => -value,
        value => value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metric_that_decides_is_the_better_the_larger_but_for_losses() {
        let mut metrics = Metrics::default();
        for (name, value) in [("f1", 0.5), ("perplexity", 9.0), ("pearson", f64::NAN)] {
            metrics.push(name, value);
        }
        let of = |name| score_by(&metrics, name);
        assert_eq!(of("f1").unwrap(), 0.5);
        assert_eq!(of("perplexity").unwrap(), -9.0);
        assert_eq!(of("pearson").unwrap(), f64::NEG_INFINITY);
        assert!(of("exact").unwrap_err().to_string().contains("train.best_metric"));
    }
}
