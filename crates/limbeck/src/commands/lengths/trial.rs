//! Trying a plan: what a model says under it, how well, how fast.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use limbeck_data::decode::SpanLogits;
use limbeck_data::glue::score::{main_score, score};
use limbeck_data::{Batch, Examples};
use limbeck_model::inference::{InferenceMemory, InferenceModel};
use limbeck_model::{LengthPlan, ModelConfig, inspect};
use limbeck_runtime::logits::tokens;
use limbeck_train::evaluation::{EvaluationSet, TextEvaluationSet};

use super::ledger::{Birth, Entry, Ledger, Measured};
use crate::commands::bench::median;
use crate::interrupt;

/// How the model's time is taken.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Windows or texts in one forward pass.
    pub batch_size: usize,
    /// Passes over each batch; the median counts.
    pub rounds: usize,
}

/// Data that plans are tried on.
pub struct Trial {
    set: Set,
    /// How many windows or texts have so many tokens.
    pieces_of: BTreeMap<usize, u64>,
}

/// Data and what it takes to score it.
pub enum Set {
    /// Questions.
    Questions(EvaluationSet),
    /// Texts.
    Texts(TextEvaluationSet),
}

impl From<EvaluationSet> for Set {
    fn from(set: EvaluationSet) -> Set {
        Set::Questions(set)
    }
}

impl From<TextEvaluationSet> for Set {
    fn from(set: TextEvaluationSet) -> Set {
        Set::Texts(set)
    }
}

impl Set {
    /// What goes through the model.
    fn examples(&self) -> &dyn Examples {
        match self {
            Set::Questions(set) => &set.features,
            Set::Texts(set) => &set.features,
        }
    }
}

impl Trial {
    /// Takes what is scored.
    pub fn of(set: impl Into<Set>) -> Trial {
        let set = set.into();
        let mut pieces_of = BTreeMap::new();
        let examples = set.examples();
        for example in 0..examples.len() {
            *pieces_of.entry(examples.rows_of(example)).or_default() += 1;
        }
        Trial { set, pieces_of }
    }

    /// How many questions or texts there are.
    pub fn len(&self) -> usize {
        match &self.set {
            Set::Questions(set) => set.data.questions.len(),
            Set::Texts(set) => set.data.examples.len(),
        }
    }

    /// Multiply-adds of a window or text under a plan, the mean over all.
    pub fn macs(&self, config: &ModelConfig, plan: Option<&LengthPlan>) -> f64 {
        let of = |length| match plan {
            Some(plan) => plan.macs(config, length),
            None => inspect::macs(config, length),
        };
        let counted = self.pieces_of.iter();
        let sum: f64 = counted.map(|(&length, &count)| of(length) as f64 * count as f64).sum();
        sum / self.set.examples().len().max(1) as f64
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

    /// Puts all data through the model under a plan.
    fn answer(&mut self, trial: &Trial, plan: Option<&LengthPlan>) -> Result<Option<Measured>> {
        let examples = trial.set.examples();
        let mut logits = Logits::of(&trial.set);
        let mut seconds = 0.0;
        let all: Vec<usize> = (0..examples.len()).collect();
        for together in all.chunks(self.timing.batch_size) {
            if interrupt::requested() {
                return Ok(None);
            }
            examples.batch(together, &mut self.batch);
            let mut times = Vec::with_capacity(self.timing.rounds);
            for _ in 0..self.timing.rounds {
                times.push(self.pass(together, plan, &mut logits)?);
            }
            seconds += median(&times);
        }
        Ok(Some(Measured {
            score: logits.score(&trial.set)?,
            macs: trial.macs(self.model.config(), plan),
            seconds,
            pieces: examples.len(),
        }))
    }

    /// One pass over a batch; the seconds that the model took.
    fn pass(
        &mut self,
        together: &[usize],
        plan: Option<&LengthPlan>,
        logits: &mut Logits,
    ) -> Result<f64> {
        let begun = Instant::now();
        let tokens = tokens(&self.batch);
        Ok(match logits {
            Logits::Spans(all) => {
                let found = self.model.span_logits_within(tokens, plan, &mut self.memory)?;
                let seconds = begun.elapsed().as_secs_f64();
                for (&window, rows) in together.iter().zip(self.batch.starts.windows(2)) {
                    let rows = rows[0]..rows[1];
                    all.set(window, &found.start[rows.clone()], &found.end[rows]);
                }
                seconds
            }
            Logits::Classes(all) => {
                let found = self.model.class_logits_within(tokens, plan, &mut self.memory)?;
                let seconds = begun.elapsed().as_secs_f64();
                let labels = (found.len() / together.len()).max(1);
                for (&text, logits) in together.iter().zip(found.chunks_exact(labels)) {
                    all[text] = logits.to_vec();
                }
                seconds
            }
        })
    }
}

/// What a model says of all data.
enum Logits {
    Spans(SpanLogits),
    /// For each text one a label.
    Classes(Vec<Vec<f32>>),
}

impl Logits {
    /// Room for those of a set.
    fn of(set: &Set) -> Logits {
        match set {
            Set::Questions(set) => Logits::Spans(SpanLogits::new(&set.features)),
            Set::Texts(set) => Logits::Classes(vec![Vec::new(); set.features.len()]),
        }
    }

    fn score(&self, set: &Set) -> Result<f64> {
        Ok(match (self, set) {
            (Logits::Spans(logits), Set::Questions(set)) => {
                let metrics = set.score(logits)?.metrics;
                // A threshold belongs to the lengths that it was chosen at.
                metrics.get("best_f1").or_else(|| metrics.get("f1")).unwrap_or(0.0)
            }
            (Logits::Classes(logits), Set::Texts(set)) => main_score(&score(&set.data, logits)),
            _ => f64::NAN,
        })
    }
}
