//! Plain text with masked words to evaluate on.

use limbeck_data::Examples;
use limbeck_data::corpus::Windows;
use limbeck_data::metrics::Metrics;
use limbeck_kernels::vocabulary::{self, RowLoss};
use limbeck_model::heads::masked_word;
use limbeck_model::inference::InferenceModel;
use limbeck_runtime::logits::{Memory, each_masked_batch};

use super::{DevelopmentSet, Examined};
use crate::error::{Result, TrainError};
use crate::observer::{Observer, advance};
use crate::ranks::Ranks;

/// Windows of text whose masked words a model has not learnt from.
#[derive(Debug)]
pub struct WordEvaluationSet {
    /// The windows, always with the same masks.
    pub windows: Windows,
}

impl WordEvaluationSet {
    /// `loss`, the mean cross-entropy of the masked words, `perplexity`, its exponential,
    /// `accuracy`, the share of words that got the highest logit, and `total`, their number;
    /// `None` when an observer asked to stop. Each process takes a part of the windows.
    ///
    /// # Errors
    /// When the windows do not fit the model, it has another head, or another process cannot be
    /// reached.
    pub fn evaluate(
        &self,
        model: &InferenceModel<'_>,
        ranks: &mut Ranks,
        observer: &mut dyn Observer,
    ) -> Result<Option<Metrics>> {
        let windows = &self.windows;
        let own = ranks.share_of(windows.len());
        observer.stage("evaluating", Some(own.len() as u64));
        let (mut sum, mut right, mut count) = (0.0, 0_usize, 0_usize);
        let mut losses = Vec::new();
        let (mut memory, mut progress) = (Memory::default(), advance(observer));
        let finished =
            each_masked_batch(model, windows, own, &mut memory, |range, batch, memory| {
                let masked = &batch.masked_ids;
                for chunk in masked_word::chunks(masked.len(), model.config().vocab_size) {
                    losses.resize(chunk.len(), RowLoss::default());
                    let logits = model.word_logits(chunk.clone(), memory)?;
                    vocabulary::compare(logits, &masked[chunk], &mut losses);
                    sum += losses.iter().map(|loss| loss.hard).sum::<f64>();
                    right += losses.iter().filter(|loss| loss.right).count();
                }
                count += masked.len();
                Ok::<_, TrainError>(progress(range.len()))
            })?;
        if ranks.any(!finished)? {
            return Ok(None);
        }
        let mut sums = [sum as f32, right as f32, count as f32];
        if ranks.count() > 1 {
            ranks.sum(&mut sums)?;
            sum = sums[0].into();
            (right, count) = (sums[1] as usize, sums[2] as usize);
        }
        let mean = |value: f64| value / count.max(1) as f64;
        let loss = mean(sum);
        let mut metrics = Metrics::default();
        metrics.push("loss", loss);
        metrics.push("perplexity", loss.exp());
        metrics.push("accuracy", mean(right as f64));
        metrics.push("total", count as f64);
        Ok(Some(metrics))
    }
}

impl DevelopmentSet for WordEvaluationSet {
    fn examine(
        &self,
        model: &InferenceModel<'_>,
        ranks: &mut Ranks,
        observer: &mut dyn Observer,
    ) -> Result<Option<Examined<'_>>> {
        let Some(metrics) = self.evaluate(model, ranks, observer)? else { return Ok(None) };
        let score = -metrics.get("loss").unwrap_or(f64::INFINITY);
        let predictions = Box::new(|_: &std::path::Path| Ok::<_, TrainError>(()));
        Ok(Some(Examined { metrics, score, threshold: None, predictions }))
    }
}
