//! `limbeck score`: metrics of a given predictions file.

use std::collections::HashSet;

use anyhow::Result;
use limbeck_data::metrics::squad::{self, NullKind, NullOdds};
use limbeck_data::metrics::{Metrics, Predictions, SquadMetrics};
use limbeck_data::predictions::Predicted;
use limbeck_data::{Gold, SquadData, predictions};
use serde_json::{Value, json};

use super::questions;
use crate::cli::answering::ScoreArgs;
use crate::console::{Console, columns};
use crate::exit::{Ending, InputError};

/// Runs the command.
pub fn run(args: &ScoreArgs, console: Console) -> Result<Ending> {
    let data = questions::read(&args.data, Gold::Read, 0, console)?;
    let Predicted { texts: predicted, no_answer } = predictions::read(&args.predictions)?;
    let odds = args.null_odds.as_deref().map(predictions::read_null_odds).transpose()?;
    let odds = odds.or(no_answer);
    // Without a threshold predictions are final: an empty one already means "no answer".
    let threshold = args.na_prob_thresh.unwrap_or(f64::INFINITY);
    let null_odds =
        odds.as_ref().map(|odds| NullOdds { odds, threshold, kind: NullKind::of(odds) });
    let SquadMetrics { metrics, missing } = squad::evaluate(&data, &predicted, null_odds)?;
    if missing.len() == data.questions.len() {
        let what = format!("no prediction is for a question of {}", args.data.display());
        let place = args.predictions.display().to_string();
        return Err(InputError::new(what, place, "give the predictions for this data").into());
    }
    if let Some(first) = missing.first() {
        let (count, of) = (missing.len(), data.questions.len());
        console.message(&format!(
            "{count} of {of} questions have no prediction and are not counted; the first is {first}"
        ));
    }
    let unknown = unknown(&data, &predicted);
    if let Some(first) = unknown.first() {
        let (count, of) = (unknown.len(), predicted.len());
        console.message(&format!(
            "{count} of {of} predictions are for no question of the data; the first is {first}"
        ));
    }
    console.result(&as_json(&metrics, missing.len(), unknown.len())?, || as_text(&metrics))?;
    Ok(Ending::Done)
}

/// The predictions whose question is not in the data, in the order of their ids.
fn unknown<'a>(data: &SquadData, predicted: &'a Predictions) -> Vec<&'a str> {
    let known: HashSet<&str> = data.questions.iter().map(|question| &*question.id).collect();
    let ids = predicted.keys().map(String::as_str);
    let mut unknown: Vec<&str> = ids.filter(|id| !known.contains(id)).collect();
    unknown.sort_unstable();
    unknown
}

/// The metrics; where there are any, how many questions have no prediction and how many
/// predictions no question.
fn as_json(metrics: &Metrics, missing: usize, unknown: usize) -> Result<Value> {
    let mut value = serde_json::to_value(metrics)?;
    if let Some(object) = value.as_object_mut() {
        for (key, count) in [("missing", missing), ("unknown", unknown)] {
            if count > 0 {
                object.insert(key.to_owned(), json!(count));
            }
        }
    }
    Ok(value)
}

/// The metrics one under the other.
pub fn as_text(metrics: &Metrics) -> String {
    let text = |name: &str, value: f64| match name {
        _ if name.ends_with("total") => format!("{value:.0}"),
        // With all digits: it is there to be given again.
        _ if name.ends_with("_thresh") => format!("{value:?}"),
        _ => format!("{value:.2}"),
    };
    columns(&metrics.iter().map(|(name, value)| (name, text(name, value))).collect::<Vec<_>>())
}
