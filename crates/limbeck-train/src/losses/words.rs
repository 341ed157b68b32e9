//! Over masked words: against the words themselves and against teachers, who answer live.
//!
//! What teachers say of a masked word is one number for every word of the vocabulary, which
//! nobody can keep for a whole corpus. So they read each batch as it comes, and student and
//! teachers meet chunk by chunk.

use limbeck_data::Batch;
use limbeck_kernels::vocabulary::{self, RowLoss, Soft};
use limbeck_model::heads::Words;
use limbeck_model::inference::{InferenceMemory, InferenceModel};
use limbeck_model::{Model, ModelConfig};
use limbeck_runtime::logits::tokens;

use crate::error::{Result, TrainError};
use crate::learner::Decoder;
use crate::options::{DistillOptions, SoftKind};

/// `factor · soft + (1 - factor) · hard`, each the mean over masked words; without teachers hard
/// alone. Factor and temperature change in a straight line from the first step to the last.
#[derive(Default)]
pub struct WordLosses {
    teachers: Vec<Teacher>,
    options: DistillOptions,
    total_steps: usize,
    /// What the teachers say together of a chunk, `[rows, vocabulary]`.
    targets: Vec<f32>,
    /// How undecided they are, `[rows]`.
    entropies: Vec<f64>,
    losses: Vec<RowLoss>,
}

/// Who reads along.
struct Teacher {
    model: InferenceModel<'static>,
    memory: InferenceMemory,
    share: f64,
}

impl WordLosses {
    /// Against the words and these teachers, for a run of so many steps.
    ///
    /// # Errors
    /// When a teacher knows other words than the student.
    pub fn new(
        student: &ModelConfig,
        teachers: Vec<Model>,
        options: &DistillOptions,
        total_steps: usize,
    ) -> Result<WordLosses> {
        let other = teachers.iter().find(|model| model.config.vocab_size != student.vocab_size);
        if let Some(other) = other {
            let (its, own) = (other.config.vocab_size, student.vocab_size);
            let reason = format!("one has a vocabulary of {its} words, the student one of {own}");
            return Err(TrainError::Option { option: "teacher", reason });
        }
        let shares = options.teacher_shares(teachers.len());
        let teacher = |(model, share)| {
            let (model, memory) = (InferenceModel::new(model), InferenceMemory::default());
            Teacher { model, memory, share }
        };
        let weighty = teachers.into_iter().zip(shares).filter(|(_, share)| *share > 0.0);
        Ok(WordLosses {
            teachers: weighty.map(teacher).collect(),
            options: options.clone(),
            total_steps,
            ..WordLosses::default()
        })
    }

    /// The names of its parts in `train.jsonl`, behind `loss_`.
    pub fn names(&self) -> &'static [&'static str] {
        if self.teachers.is_empty() { &["hard"] } else { &["hard", "soft"] }
    }

    /// Factor and temperature of a step, counted from 0.
    pub fn factor_and_temperature(&self, step: usize) -> (f64, f64) {
        let DistillOptions { factor, factor_end, temperature, temperature_end, .. } = self.options;
        let done = step as f64 / self.total_steps.saturating_sub(1).max(1) as f64;
        let at = |start: f64, end: Option<f64>| start - (start - end.unwrap_or(start)) * done;
        (at(factor, factor_end), at(temperature, temperature_end))
    }

    /// Adds `share` times the gradient of the loss of a step's batch, whose word vectors are in
    /// `words`, to what the decoder holds. Returns the loss, whatever the share; `share` times
    /// its parts are added to `parts`.
    pub(crate) fn add(
        &mut self,
        batch: &Batch,
        step: usize,
        words: &mut Words,
        decoder: Decoder<'_>,
        share: f64,
        parts: &mut [f64],
    ) -> Result<f64> {
        let (factor, temperature) = self.factor_and_temperature(step);
        let WordLosses { teachers, options, targets, entropies, losses, .. } = self;
        let kind = options.soft_loss;
        for Teacher { model, memory, .. } in teachers.iter_mut() {
            model.read_words(tokens(batch), &batch.masked_rows, memory)?;
        }
        let factor = if teachers.is_empty() { 0.0 } else { factor };
        let each = 1.0 / words.vectors.len().max(1) as f64;
        let (mut hard, mut soft) = (0.0, 0.0);
        let Decoder { model, buffers, gradients } = decoder;
        words.learn::<TrainError>(model, buffers, gradients, |chunk, logits| {
            let rows = chunk.len();
            losses.resize(rows, RowLoss::default());
            entropies.resize(rows, 0.0);
            let wanted = if teachers.is_empty() { 0 } else { logits.len() };
            // Grows to the largest chunk and stays.
            targets.resize(targets.len().max(wanted), 0.0);
            let targets = &mut targets[..wanted];
            for (index, teacher) in teachers.iter_mut().enumerate() {
                let wanted = teacher.model.word_logits(chunk.clone(), &mut teacher.memory)?;
                let (share, is_first) = (teacher.share, index == 0);
                vocabulary::add_teacher(wanted, temperature, share, is_first, targets, entropies);
            }
            let (own_temperature, scale) = match kind {
                SoftKind::Divergence => (temperature, temperature * temperature),
                SoftKind::CrossEntropy => (temperature, 1.0),
                SoftKind::OneSided => (1.0, 1.0),
            };
            let against_teachers = Soft {
                weight: share * factor * each,
                temperature: own_temperature,
                factor: scale,
                targets,
            };
            let against_teachers = (!teachers.is_empty()).then_some(against_teachers);
            let labels = &batch.masked_ids[chunk];
            let weight = share * (1.0 - factor) * each;
            vocabulary::learn(logits, labels, weight, against_teachers, losses);
            for (loss, entropy) in losses.iter().zip(&*entropies) {
                hard += each * loss.hard;
                let excess = if kind == SoftKind::Divergence { scale * entropy } else { 0.0 };
                soft += each * (loss.soft - excess);
            }
            Ok(())
        })?;
        for (part, value) in parts.iter_mut().zip([hard, soft]) {
            *part += share * value;
        }
        Ok(if teachers.is_empty() { hard } else { factor * soft + (1.0 - factor) * hard })
    }
}
