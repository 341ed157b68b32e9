//! Trying a plan: what a model answers under it, how well, how fast.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use limbeck_data::decode::SpanLogits;
use limbeck_data::{Batch, Features, Purpose, SquadData};
use limbeck_model::inference::{InferenceMemory, InferenceModel};
use limbeck_model::{LengthPlan, ModelConfig, inspect};
use limbeck_runtime::logits::tokens;
use limbeck_train::evaluation::EvaluationSet;

use super::ledger::{Birth, Entry, Ledger, Measured};
use crate::commands::bench::median;
use crate::commands::subject::Subject;
use crate::interrupt;

/// How the model's time is taken.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Windows in one forward pass.
    pub batch_size: usize,
    /// Passes over each batch; the median counts.
    pub rounds: usize,
}

/// Questions that plans are tried on.
pub struct Trial {
    set: EvaluationSet,
    /// How many windows have so many tokens.
    windows_of: BTreeMap<usize, u64>,
}

impl Trial {
    /// Cuts questions into the windows that the subject reads.
    pub fn new(data: SquadData, subject: &Subject) -> Result<Trial> {
        let (tokenizer, options) = (&subject.tokenizer, &subject.features);
        let (features, _) = Features::build(&data, tokenizer, options, Purpose::Predict)?;
        let mut windows_of = BTreeMap::new();
        for window in 0..features.len() {
            *windows_of.entry(features.rows_of(window)).or_default() += 1;
        }
        let decode = subject.decode(subject.task_for(&data));
        let set = EvaluationSet { data, features, decode, tune_threshold: false };
        Ok(Trial { set, windows_of })
    }

    /// How many questions there are.
    pub fn questions(&self) -> usize {
        self.set.data.questions.len()
    }

    /// Multiply-adds of a window under a plan, the mean over all windows.
    pub fn macs(&self, config: &ModelConfig, plan: Option<&LengthPlan>) -> f64 {
        let of = |length| match plan {
            Some(plan) => plan.macs(config, length),
            None => inspect::macs(config, length),
        };
        let counted = self.windows_of.iter();
        let sum: f64 = counted.map(|(&length, &count)| of(length) as f64 * count as f64).sum();
        sum / self.set.features.len().max(1) as f64
    }
}

/// A model that plans are tried on, with all memory that it takes, and what is known of it.
pub struct Tester<'a> {
    model: &'a InferenceModel<'static>,
    timing: Timing,
    ledger: &'a mut Ledger,
    memory: InferenceMemory,
    batch: Batch,
}

impl<'a> Tester<'a> {
    /// Takes a model and the ledger of its plans.
    pub fn new(
        model: &'a InferenceModel<'static>,
        timing: Timing,
        ledger: &'a mut Ledger,
    ) -> Tester<'a> {
        let (memory, batch) = Default::default();
        Tester { model, timing, ledger, memory, batch }
    }

    /// What comes of a plan on the questions called `name`: out of the ledger if it is there,
    /// else tried and written down. `None` when a stop was asked for.
    ///
    /// # Errors
    /// When the windows do not fit the model, or the ledger cannot be written.
    pub fn test(
        &mut self,
        (name, trial): (&str, &Trial),
        gene: &[u32],
        plan: Option<&LengthPlan>,
        birth: Option<Birth>,
    ) -> Result<Option<Measured>> {
        if let Some(measured) = self.ledger.get(name, gene) {
            return Ok(Some(measured));
        }
        let Some(measured) = self.answer(trial, plan)? else { return Ok(None) };
        let (trial, lengths) = (name.to_owned(), gene.to_vec());
        self.ledger.add(Entry { trial, lengths, birth, measured })?;
        Ok(Some(measured))
    }

    /// Answers all questions under a plan.
    fn answer(&mut self, trial: &Trial, plan: Option<&LengthPlan>) -> Result<Option<Measured>> {
        let features = &trial.set.features;
        let mut logits = SpanLogits::new(features);
        let mut seconds = 0.0;
        let windows: Vec<usize> = (0..features.len()).collect();
        for together in windows.chunks(self.timing.batch_size) {
            if interrupt::requested() {
                return Ok(None);
            }
            features.batch(together, &mut self.batch);
            let mut times = Vec::with_capacity(self.timing.rounds);
            for _ in 0..self.timing.rounds {
                let begun = Instant::now();
                let tokens = tokens(&self.batch);
                let found = self.model.span_logits_within(tokens, plan, &mut self.memory)?;
                times.push(begun.elapsed().as_secs_f64());
                for (&window, rows) in together.iter().zip(self.batch.starts.windows(2)) {
                    let rows = rows[0]..rows[1];
                    logits.set(window, &found.start[rows.clone()], &found.end[rows]);
                }
            }
            seconds += median(&times);
        }
        Ok(Some(Measured {
            f1: trial.set.score(&logits)?.score(),
            macs: trial.macs(self.model.config(), plan),
            seconds,
            windows: features.len(),
        }))
    }
}
