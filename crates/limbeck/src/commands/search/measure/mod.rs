//! The metrics of a trained model: its scores, its sizes, its speed.
//!
//! # Layout
//! - here: what all models have
//! - [`questions`]: one that answers questions
//! - [`texts`]: a classifier

mod questions;
mod texts;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use limbeck_model::inspect::{self, Inspection};
use limbeck_model::{LengthPlan, Model, ModelConfig};
use serde::Serialize;
use serde_json::Value;

use crate::cli::lengths::{LengthArgs, Lengths};
use crate::commands::models::resolve;
use crate::commands::subject::is_classifier;
use crate::config::RunConfig;
use crate::console::Console;

/// Questions or texts that the model gets one at a time to measure latency, and how often each.
const TIMED: usize = 40;
const PASSES: usize = 3;

/// The metrics by name.
pub type Metrics = BTreeMap<String, f64>;

/// What the data says of a trained model.
struct Measured {
    scores: Metrics,
    /// Tokens of the longest window or text.
    max_length: usize,
    latency: f64,
}

/// Of the model that a run left in `folder`: the scores of its evaluation, `parameters`,
/// `macs` of a window or text, and `latency`.
pub fn of_run(folder: &Path, config: &RunConfig, console: Console) -> Result<Metrics> {
    let path = folder.join("metrics.json");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let mut metrics = numbers(serde_json::from_str(&text)?);
    let model = Model::open(folder)?;
    let sizes = Inspection::new(&model, config.features.max_length);
    drop(model);
    metrics.insert("parameters".to_owned(), sizes.parameters as f64);
    metrics.insert("macs".to_owned(), sizes.macs as f64);
    if let Some(dev) = &config.data.dev {
        let latency = if config.task.has_windows() {
            Some(questions::latency_of_run(folder, dev, console)?)
        } else if config.task.texts().is_some() {
            Some(texts::latency_of_run(folder, dev, console)?)
        } else {
            None
        };
        metrics.extend(latency.map(|latency| ("latency".to_owned(), latency)));
    }
    Ok(metrics)
}

/// Of a trained model at a length plan: the scores on all of `data`, `macs` and `latency`.
/// None when it was interrupted.
pub fn at_lengths(
    name: &str,
    data: &Path,
    lengths: Option<&[f64]>,
    console: Console,
) -> Result<Option<Metrics>> {
    let numbers = lengths.map(|numbers| Lengths::Numbers(numbers.to_vec()));
    let plan = LengthArgs { lengths: numbers, budget: None };
    let measured = match is_classifier(name)? {
        true => texts::measured(name, data, &plan, console)?,
        false => questions::measured(name, data, &plan, console)?,
    };
    let Some(Measured { scores, max_length, latency }) = measured else { return Ok(None) };
    let config = ModelConfig::open(&resolve(name)?)?;
    let macs = match lengths.map(LengthPlan::from_numbers).transpose()? {
        Some(plan) => plan.macs(&config, max_length),
        None => inspect::macs(&config, max_length),
    };
    let mut metrics = scores;
    metrics.insert("macs".to_owned(), macs as f64);
    metrics.insert("latency".to_owned(), latency);
    Ok(Some(metrics))
}

/// The numbers among scores.
fn scores(scores: &impl Serialize) -> Result<Metrics> {
    Ok(numbers(serde_json::from_value(serde_json::to_value(scores)?)?))
}

fn numbers(scores: BTreeMap<String, Value>) -> Metrics {
    scores.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect()
}

/// Milliseconds that `once` takes for each of the first `count` questions or texts: the median of
/// the fastest of a few passes, since trials that run beside this one disturb it.
fn median_latency(count: usize, mut once: impl FnMut(usize) -> Result<()>) -> Result<f64> {
    let mut fastest = vec![f64::INFINITY; count.min(TIMED)];
    // The first pass warms buffers up; its times count only if none is better.
    for _ in 0..PASSES {
        for (index, fastest) in fastest.iter_mut().enumerate() {
            let begun = Instant::now();
            once(index)?;
            *fastest = fastest.min(begun.elapsed().as_secs_f64());
        }
    }
    fastest.sort_by(f64::total_cmp);
    Ok(1e3 * fastest[fastest.len() / 2])
}
