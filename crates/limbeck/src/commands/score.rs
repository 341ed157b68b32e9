//! `limbeck score`: metrics of a given predictions file.

use anyhow::Result;
use limbeck_data::metrics::squad::{self, NullOdds};
use limbeck_data::metrics::{Metrics, SquadMetrics};
use limbeck_data::{SquadData, predictions};
use serde_json::{Value, json};

use crate::cli::answering::ScoreArgs;
use crate::console::{Console, columns};
use crate::exit::{Ending, InputError};

/// Runs the command.
pub fn run(args: &ScoreArgs, console: Console) -> Result<Ending> {
    let data = SquadData::read(&args.data)?;
    let predicted = predictions::read(&args.predictions)?;
    let odds = args.null_odds.as_deref().map(predictions::read_null_odds).transpose()?;
    // The file's predictions are final: an empty one already means "no answer".
    let null_odds = odds.as_ref().map(|odds| NullOdds { odds, threshold: f64::INFINITY });
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
    console.result(&as_json(&metrics, missing.len())?, || as_text(&metrics))?;
    Ok(Ending::Done)
}

/// The metrics, and how many questions have no prediction, if any.
fn as_json(metrics: &Metrics, missing: usize) -> Result<Value> {
    let mut value = serde_json::to_value(metrics)?;
    if let (Some(object), true) = (value.as_object_mut(), missing > 0) {
        object.insert("missing".to_owned(), json!(missing));
    }
    Ok(value)
}

/// The metrics one under the other.
pub fn as_text(metrics: &Metrics) -> String {
    let is_count = |name: &str| name.ends_with("total");
    let text = |name: &str, value: f64| match is_count(name) {
        true => format!("{value:.0}"),
        false => format!("{value:.2}"),
    };
    columns(&metrics.iter().map(|(name, value)| (name, text(name, value))).collect::<Vec<_>>())
}
