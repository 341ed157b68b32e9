//! From logits to answers or labels to metrics, on a whole data set.
//!
//! # Layout
//! - here: what a run asks of the data that it is evaluated on; questions
//! - `texts`: texts with labels
//! - `words`: plain text with masked words

mod texts;
mod words;

use std::path::Path;

use limbeck_data::decode::{self, DecodeOptions, Decoded, SpanLogits};
use limbeck_data::metrics::Metrics;
use limbeck_data::metrics::squad::{self, NullKind, NullOdds};
use limbeck_data::{Features, SquadData, predictions};
use limbeck_model::inference::InferenceModel;
use limbeck_runtime::logits::{Memory, span_logits};

use crate::error::Result;
use crate::folder::write_json;
use crate::observer::{Observer, advance};
use crate::ranks::Ranks;
pub use texts::{TextEvaluation, TextEvaluationSet};
pub use words::WordEvaluationSet;

/// Data on which the models of a run are compared, whatever their head.
pub trait DevelopmentSet {
    /// Examines a model, each process a part of the data; `None` when an observer asked to stop.
    ///
    /// # Errors
    /// When the data does not fit the model.
    fn examine(
        &self,
        model: &InferenceModel<'_>,
        ranks: &mut Ranks,
        observer: &mut dyn Observer,
    ) -> Result<Option<Examined<'_>>>;
}

/// Leaves predictions in a folder.
type WritePredictions<'a> = Box<dyn Fn(&Path) -> Result<()> + 'a>;

/// What a model did on a development set.
pub struct Examined<'a> {
    /// Its metrics, under the names of the field's scripts.
    pub metrics: Metrics,
    /// The number by which models of one run are compared; larger is better.
    pub score: f64,
    /// The threshold of null scores that answers were chosen by, where questions may have none.
    pub threshold: Option<f64>,
    predictions: WritePredictions<'a>,
}

impl Examined<'_> {
    /// Leaves predictions and metrics in a folder.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        (self.predictions)(folder)?;
        write_json(&folder.join("metrics.json"), &self.metrics)
    }
}

/// Questions to evaluate on, with its features and the rules of decoding.
#[derive(Debug)]
pub struct EvaluationSet {
    /// Questions with gold answers.
    pub data: SquadData,
    /// Built of `data` for prediction.
    pub features: Features,
    /// How logits become answers.
    pub decode: DecodeOptions,
    /// Where questions may have no answer: choose them by the threshold that gives the
    /// best `f1` here, not by that of `decode`.
    pub tune_threshold: bool,
}

/// What a model did on a data set.
#[derive(Debug)]
pub struct Evaluation {
    /// `exact`, `f1`, ... as percentages.
    pub metrics: Metrics,
    /// One for each question, in the data's order.
    pub decoded: Vec<Decoded>,
    /// The threshold of null scores that the answers were chosen by, where questions may
    /// have none.
    pub threshold: Option<f64>,
}

impl EvaluationSet {
    /// Evaluates a model, each process a part of the questions; `None` when an observer asked to
    /// stop.
    ///
    /// # Errors
    /// When the features do not fit the model.
    pub fn evaluate(
        &self,
        model: &InferenceModel<'_>,
        ranks: &mut Ranks,
        observer: &mut dyn Observer,
    ) -> Result<Option<Evaluation>> {
        let own = ranks.share_of(self.features.len());
        observer.stage("evaluating", Some(own.len() as u64));
        let memory = &mut Memory::default();
        let logits = span_logits(model, &self.features, own, memory, advance(observer))?;
        if ranks.any(logits.is_none())? {
            return Ok(None);
        }
        let Some(mut logits) = logits else { return Ok(None) };
        for values in logits.values_mut() {
            ranks.sum(values)?;
        }
        self.score(&logits).map(Some)
    }

    /// Evaluates logits that are there already.
    ///
    /// # Errors
    /// When a score is not a number.
    pub fn score(&self, logits: &SpanLogits) -> Result<Evaluation> {
        let mut decoded = decode::decode_all(&self.data, &self.features, logits, &self.decode);
        if !self.decode.allow_null {
            let texts = predictions::texts(&self.data, &decoded);
            let metrics = squad::evaluate(&self.data, &texts, None)?.metrics;
            return Ok(Evaluation { metrics, decoded, threshold: None });
        }
        let odds = predictions::null_odds(&self.data, &decoded);
        let best_texts = predictions::best_texts(&self.data, &decoded);
        let evaluate = |threshold: f64| -> Result<Metrics> {
            // In the precision in which answers are chosen.
            let threshold = f64::from(threshold as f32);
            let kind = NullKind::Differences;
            let null_odds = Some(NullOdds { odds: &odds, threshold, kind });
            Ok(squad::evaluate(&self.data, &best_texts, null_odds)?.metrics)
        };
        let mut threshold = self.decode.null_score_diff_threshold;
        let mut metrics = evaluate(threshold)?;
        if let (true, Some(best)) = (self.tune_threshold, metrics.get("best_f1_thresh")) {
            threshold = best;
            metrics = evaluate(threshold)?;
            for decoded in &mut decoded {
                decoded.apply_threshold(threshold);
            }
        }
        Ok(Evaluation { metrics, decoded, threshold: Some(threshold) })
    }
}

impl DevelopmentSet for EvaluationSet {
    fn examine(
        &self,
        model: &InferenceModel<'_>,
        ranks: &mut Ranks,
        observer: &mut dyn Observer,
    ) -> Result<Option<Examined<'_>>> {
        let Some(evaluation) = self.evaluate(model, ranks, observer)? else { return Ok(None) };
        let (score, threshold) = (evaluation.score(), evaluation.threshold);
        let Evaluation { metrics, decoded, .. } = evaluation;
        let predictions =
            Box::new(move |folder: &Path| Ok(predictions::write(folder, &self.data, &decoded)?));
        Ok(Some(Examined { metrics, score, threshold, predictions }))
    }
}

impl Evaluation {
    /// The number by which models of one run are compared: `f1` at the threshold that goes with the
    /// model, so that what is kept is what is told and what answers. Where the threshold was chosen
    /// here, that is `best_f1`.
    pub fn score(&self) -> f64 {
        self.metrics.get("f1").unwrap_or(0.0)
    }
}
