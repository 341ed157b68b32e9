//! Texts with labels to evaluate on.

use std::path::Path;

use limbeck_data::Examples;
use limbeck_data::glue::{TextData, TextFeatures, predictions, score};
use limbeck_data::metrics::Metrics;
use limbeck_model::Head;
use limbeck_model::inference::InferenceModel;
use limbeck_runtime::logits::{Memory, each_class_batch};

use super::{DevelopmentSet, Examined};
use crate::error::{Result, TrainError};
use crate::observer::{Observer, advance};
use crate::ranks::Ranks;

/// Labelled texts, with their features.
#[derive(Debug)]
pub struct TextEvaluationSet {
    /// The texts.
    pub data: TextData,
    /// Built of `data`.
    pub features: TextFeatures,
    /// Texts of other sources than those of training, as MNLI has: their metrics have the same
    /// names with `_mm` behind.
    pub mismatched: Option<Box<TextEvaluationSet>>,
}

/// What a classifier did on a data set.
#[derive(Debug)]
pub struct TextEvaluation {
    /// Under the names of GLUE's scripts.
    pub metrics: Metrics,
    /// For each text one a label.
    pub logits: Vec<Vec<f32>>,
}

impl TextEvaluationSet {
    /// The logits of all texts, each process a part of them; `None` when an observer asked to
    /// stop.
    ///
    /// # Errors
    /// When the features do not fit the model, or it is no classifier.
    pub fn logits(
        &self,
        model: &InferenceModel<'_>,
        ranks: &mut Ranks,
        observer: &mut dyn Observer,
    ) -> Result<Option<Vec<Vec<f32>>>> {
        let (features, count) = (&self.features, self.features.len());
        let (mut memory, mut progress) = (Memory::default(), advance(observer));
        let labels = match &model.config().head {
            Head::Classification(classes) => classes.labels.len(),
            Head::Span | Head::MaskedWord => 0,
        };
        let mut all = vec![0.0; count * labels];
        let own = ranks.share_of(count);
        let finished = each_class_batch(model, features, own, &mut memory, |range, _, logits| {
            let first = range.start * labels;
            all[first..first + logits.len()].copy_from_slice(logits);
            Ok::<_, TrainError>(progress(range.len()))
        })?;
        if ranks.any(!finished)? {
            return Ok(None);
        }
        ranks.sum(&mut all)?;
        Ok(Some(all.chunks_exact(labels.max(1)).map(<[f32]>::to_vec).collect()))
    }

    /// Evaluates a model, each process a part of the texts; `None` when an observer asked to stop.
    ///
    /// # Errors
    /// As [`TextEvaluationSet::logits`].
    pub fn evaluate(
        &self,
        model: &InferenceModel<'_>,
        ranks: &mut Ranks,
        observer: &mut dyn Observer,
    ) -> Result<Option<TextEvaluation>> {
        let own = ranks.share_of(self.features.len());
        observer.stage("evaluating", Some(own.len() as u64));
        let Some(logits) = self.logits(model, ranks, observer)? else { return Ok(None) };
        let mut metrics = score::score(&self.data, &logits);
        if let Some(mismatched) = &self.mismatched {
            let Some(second) = mismatched.evaluate(model, ranks, observer)? else {
                return Ok(None);
            };
            for (key, value) in second.metrics.iter() {
                metrics.push(format!("{key}_mm"), value);
            }
        }
        Ok(Some(TextEvaluation { metrics, logits }))
    }
}

impl DevelopmentSet for TextEvaluationSet {
    fn examine(
        &self,
        model: &InferenceModel<'_>,
        ranks: &mut Ranks,
        observer: &mut dyn Observer,
    ) -> Result<Option<Examined<'_>>> {
        let Some(evaluation) = self.evaluate(model, ranks, observer)? else { return Ok(None) };
        let TextEvaluation { metrics, logits } = evaluation;
        let score = score::main_score(&metrics);
        let predictions = Box::new(move |folder: &Path| {
            Ok(predictions::write(folder, predictions::PREDICTIONS, &self.data, &logits)?)
        });
        Ok(Some(Examined { metrics, score, threshold: None, predictions }))
    }
}
