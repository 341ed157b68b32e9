//! Texts with labels to evaluate on.

use std::path::Path;

use limbeck_data::Examples;
use limbeck_data::glue::{TextData, TextFeatures, predictions, score};
use limbeck_data::metrics::Metrics;
use limbeck_model::inference::InferenceModel;
use limbeck_runtime::logits::{Memory, each_class_batch};

use super::{DevelopmentSet, Examined};
use crate::error::{Result, TrainError};
use crate::observer::{Observer, advance};

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
    /// The logits of all texts; `None` when the observer asked to stop.
    ///
    /// # Errors
    /// When the features do not fit the model, or it is no classifier.
    pub fn logits(
        &self,
        model: &InferenceModel<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Vec<Vec<f32>>>> {
        let (features, count) = (&self.features, self.features.len());
        let mut all = Vec::with_capacity(count);
        let (mut memory, mut progress) = (Memory::default(), advance(observer));
        let finished =
            each_class_batch(model, features, 0..count, &mut memory, |range, logits| {
                let labels = (logits.len() / range.len()).max(1);
                all.extend(logits.chunks_exact(labels).map(<[f32]>::to_vec));
                Ok::<_, TrainError>(progress(range.len()))
            })?;
        Ok(finished.then_some(all))
    }

    /// Evaluates a model; `None` when the observer asked to stop.
    ///
    /// # Errors
    /// As [`TextEvaluationSet::logits`].
    pub fn evaluate(
        &self,
        model: &InferenceModel<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Option<TextEvaluation>> {
        observer.stage("evaluating", Some(self.features.len() as u64));
        let Some(logits) = self.logits(model, observer)? else { return Ok(None) };
        let mut metrics = score::score(&self.data, &logits);
        if let Some(mismatched) = &self.mismatched {
            let Some(second) = mismatched.evaluate(model, observer)? else { return Ok(None) };
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
        observer: &mut dyn Observer,
    ) -> Result<Option<Examined<'_>>> {
        let Some(evaluation) = self.evaluate(model, observer)? else { return Ok(None) };
        let TextEvaluation { metrics, logits } = evaluation;
        let score = score::main_score(&metrics);
        let predictions =
            Box::new(move |folder: &Path| Ok(predictions::write(folder, &self.data, &logits)?));
        Ok(Some(Examined { metrics, score, threshold: None, predictions }))
    }
}
