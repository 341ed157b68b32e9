//! The metrics of a trained model: its scores, its sizes, its speed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use limbeck_data::{Features, Purpose, SquadData};
use limbeck_model::ModelConfig;
use limbeck_model::inspect::{self, Inspection};
use limbeck_model::{LengthPlan, Model};
use limbeck_runtime::Asked;
use limbeck_train::evaluation::EvaluationSet;
use limbeck_train::ranks::Ranks;

use crate::cli::lengths::{LengthArgs, Lengths};
use crate::commands::answer;
use crate::commands::models::resolve;
use crate::commands::subject::Subject;
use crate::config::{Layer, RunConfig};
use crate::console::Console;
use crate::exit::InputError;
use crate::progress::Progress;

/// Questions that are answered one at a time to measure latency, and how often each.
const TIMED_QUESTIONS: usize = 40;
const PASSES: usize = 3;

/// The metrics by name.
pub type Metrics = BTreeMap<String, f64>;

/// Of the model that a run left in `folder`: the scores of its evaluation, `parameters`,
/// `macs` of a window and, where it answers questions, `latency`.
pub fn of_run(folder: &Path, config: &RunConfig, console: Console) -> Result<Metrics> {
    let path = folder.join("metrics.json");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let scores: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text)?;
    let mut metrics: Metrics =
        scores.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect();
    let model = Model::open(folder)?;
    let sizes = Inspection::new(&model, config.features.max_length);
    drop(model);
    metrics.insert("parameters".to_owned(), sizes.parameters as f64);
    metrics.insert("macs".to_owned(), sizes.macs as f64);
    if let Some(dev) = config.data.dev.as_ref().filter(|_| config.task.has_windows()) {
        let data = questions(dev)?;
        let name = folder.to_string_lossy();
        let latency = latency(&name, &data, &LengthArgs::default(), console)?;
        metrics.insert("latency".to_owned(), latency);
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
    let data = questions(data)?;
    let subject = Subject::open(name, &Layer::default(), &plan, console)?;
    let (features, _) =
        Features::build(&data, &subject.tokenizer, &subject.features, Purpose::Predict)?;
    let decode = subject.decode(subject.task_for(&data));
    let length = subject.features.max_length;
    let set = EvaluationSet { data, features, decode, tune_threshold: false };
    let mut progress = Progress::new(console);
    let Some(evaluation) = set.evaluate(&subject.model, &mut Ranks::alone(), &mut progress)? else {
        return Ok(None);
    };
    drop(progress);
    let scores = serde_json::to_value(&evaluation.metrics)?;
    let scores: BTreeMap<String, serde_json::Value> = serde_json::from_value(scores)?;
    let mut metrics: Metrics =
        scores.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect();
    let config = ModelConfig::open(&resolve(name)?)?;
    let macs = match lengths.map(LengthPlan::from_numbers).transpose()? {
        Some(plan) => plan.macs(&config, length),
        None => inspect::macs(&config, length),
    };
    metrics.insert("macs".to_owned(), macs as f64);
    metrics.insert("latency".to_owned(), latency(name, &set.data, &plan, console)?);
    Ok(Some(metrics))
}

fn questions(path: &Path) -> Result<SquadData> {
    let data = SquadData::read(path)?;
    if data.questions.is_empty() {
        let place = path.display().to_string();
        return Err(InputError::new("there is no question", place, "").into());
    }
    Ok(data)
}

/// Milliseconds from a question to its answer, one at a time: the median over questions of the
/// fastest of a few passes, since trials that run beside this one disturb it.
fn latency(name: &str, data: &SquadData, lengths: &LengthArgs, console: Console) -> Result<f64> {
    let mut answerer = answer::open(name, &Layer::default(), lengths, console)?;
    let asked: Vec<Asked> = data
        .questions
        .iter()
        .take(TIMED_QUESTIONS)
        .map(|question| Asked { question: &question.text, context: data.context(question) })
        .collect();
    let mut fastest = vec![f64::INFINITY; asked.len()];
    // The first pass warms buffers up; its times count only if none is better.
    for _ in 0..PASSES {
        for (asked, fastest) in asked.iter().zip(&mut fastest) {
            let begun = Instant::now();
            answerer.answer(asked.question, asked.context)?;
            *fastest = fastest.min(begun.elapsed().as_secs_f64());
        }
    }
    fastest.sort_by(f64::total_cmp);
    Ok(1e3 * fastest[fastest.len() / 2])
}
