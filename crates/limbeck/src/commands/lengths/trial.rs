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

use super::ledger::Measured;
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

    /// Answers all questions under a plan. `None` when a stop was asked for.
    ///
    /// # Errors
    /// When the windows do not fit the model.
    pub fn run(
        &self,
        model: &InferenceModel<'_>,
        plan: Option<&LengthPlan>,
        timing: Timing,
    ) -> Result<Option<Measured>> {
        let features = &self.set.features;
        let mut logits = SpanLogits::new(features);
        let (mut memory, mut batch) = (InferenceMemory::default(), Batch::default());
        let mut seconds = 0.0;
        let windows: Vec<usize> = (0..features.len()).collect();
        for together in windows.chunks(timing.batch_size) {
            if interrupt::requested() {
                return Ok(None);
            }
            features.batch(together, &mut batch);
            let mut times = Vec::with_capacity(timing.rounds);
            for _ in 0..timing.rounds {
                let begun = Instant::now();
                let found = model.span_logits_within(tokens(&batch), plan, &mut memory)?;
                times.push(begun.elapsed().as_secs_f64());
                for (&window, rows) in together.iter().zip(batch.starts.windows(2)) {
                    let rows = rows[0]..rows[1];
                    logits.set(window, &found.start[rows.clone()], &found.end[rows]);
                }
            }
            seconds += median(&times);
        }
        Ok(Some(Measured {
            f1: self.set.score(&logits)?.score(),
            macs: self.macs(model.config(), plan),
            seconds,
            windows: features.len(),
        }))
    }
}
