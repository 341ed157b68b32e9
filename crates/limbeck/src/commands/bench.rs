//! `limbeck bench`: how fast a model trains and answers.

use std::time::Instant;

use anyhow::Result;
use limbeck_data::{Batch, BatchOrder, Features, Purpose, SquadData, Tokenizer};
use limbeck_kernels::random::Key;
use limbeck_model::Model;
use limbeck_model::folder::resolve;
use limbeck_train::learner::Learner;
use limbeck_train::losses::{HardLoss, Weighted};
use limbeck_train::options::OptimizerOptions;
use serde::Serialize;

use super::answer;
use super::subject::{check_vocabulary, fit};
use crate::cli::measuring::{BenchAnswerArgs, BenchTrainArgs};
use crate::config::{Layer, RunConfig};
use crate::console::{Console, columns};
use crate::exit::{Ending, InputError};

/// The seed of the batches and of dropout.
const SEED: u64 = 42;

/// A rate that any model survives for a few steps.
const LEARNING_RATE: f64 = 1e-6;

#[derive(Debug, Serialize)]
struct TrainFigures {
    seconds_per_step: f64,
    features_per_second: f64,
    tokens_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_rss_bytes: Option<u64>,
    batch_size: usize,
    steps: usize,
    threads: usize,
}

#[derive(Debug, Serialize)]
struct AnswerFigures {
    p50_ms: f64,
    p95_ms: f64,
    questions_per_second: f64,
    questions: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_rss_bytes: Option<u64>,
    threads: usize,
}

/// Runs `bench train`.
pub fn train(args: &BenchTrainArgs, console: Console) -> Result<Ending> {
    let mut data = SquadData::read(&args.data)?;
    let batches = args.steps + 1;
    data.limit(batches.saturating_mul(args.batch_size));
    let dir = resolve(&args.model)?;
    let model = Model::open(&dir)?;
    let tokenizer = Tokenizer::from_folder(&dir)?;
    check_vocabulary(&tokenizer, &model, &dir)?;
    let mut options = RunConfig::default().features;
    fit(&mut options, model.config.max_position_embeddings);
    let (features, _) = Features::build(&data, &tokenizer, &options, Purpose::Train)?;
    if features.is_empty() {
        let place = args.data.display().to_string();
        return Err(InputError::new("there is nothing to train on", place, "").into());
    }
    let lengths: Vec<usize> = (0..features.len()).map(|i| features.rows_of(i)).collect();
    let order = BatchOrder::new(&lengths, args.batch_size, SEED, 0);
    let mut learner = Learner::new(model, &OptimizerOptions::default());
    let mut losses = vec![Weighted::new(1.0, HardLoss)];
    let mut parts = vec![0.0];
    let mut batch = Batch::default();
    let (mut seconds, mut rows, mut count) = (0.0, 0, 0);
    for step in 0..batches {
        let begun = Instant::now();
        features.batch(&order.batches()[step % order.len()], &mut batch);
        let key = Key::new(SEED).child(step as u64);
        learner.accumulate(&batch, &mut losses, Some(key), 1.0, &mut parts)?;
        learner.update(LEARNING_RATE);
        // The first step takes its memory from the system; the others find it there.
        if step > 0 {
            seconds += begun.elapsed().as_secs_f64();
            rows += batch.rows();
            count += batch.sequences();
        }
    }
    let figures = TrainFigures {
        seconds_per_step: seconds / args.steps as f64,
        features_per_second: count as f64 / seconds,
        tokens_per_second: rows as f64 / seconds,
        peak_rss_bytes: peak_rss_bytes(),
        batch_size: args.batch_size,
        steps: args.steps,
        threads: limbeck_kernels::threads::count(),
    };
    console.result(&figures, || {
        columns(&[
            ("seconds a step", format!("{:.3}", figures.seconds_per_step)),
            ("features a second", format!("{:.2}", figures.features_per_second)),
            ("tokens a second", format!("{:.0}", figures.tokens_per_second)),
            ("peak memory", memory(figures.peak_rss_bytes)),
        ])
    })?;
    Ok(Ending::Done)
}

/// Runs `bench answer`.
pub fn answer(args: &BenchAnswerArgs, console: Console) -> Result<Ending> {
    let mut data = SquadData::read(&args.data)?;
    if args.limit > 0 {
        data.limit(args.limit);
    }
    let mut answerer = answer::open(&args.model, &Layer::default(), console)?;
    let Some(first) = data.questions.first() else {
        let place = args.data.display().to_string();
        return Err(InputError::new("there is no question", place, "").into());
    };
    answerer.answer(&first.text, data.context(first))?;
    let mut seconds = Vec::with_capacity(data.questions.len());
    for question in &data.questions {
        let begun = Instant::now();
        answerer.answer(&question.text, data.context(question))?;
        seconds.push(begun.elapsed().as_secs_f64());
    }
    let total: f64 = seconds.iter().sum();
    seconds.sort_by(f64::total_cmp);
    let figures = AnswerFigures {
        p50_ms: 1e3 * percentile(&seconds, 0.50),
        p95_ms: 1e3 * percentile(&seconds, 0.95),
        questions_per_second: seconds.len() as f64 / total,
        questions: seconds.len(),
        peak_rss_bytes: peak_rss_bytes(),
        threads: limbeck_kernels::threads::count(),
    };
    console.result(&figures, || {
        columns(&[
            ("median", format!("{:.1} ms", figures.p50_ms)),
            ("95th percentile", format!("{:.1} ms", figures.p95_ms)),
            ("questions a second", format!("{:.1}", figures.questions_per_second)),
            ("peak memory", memory(figures.peak_rss_bytes)),
        ])
    })?;
    Ok(Ending::Done)
}

/// The value below which a share of the sorted values lies (nearest rank).
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// The most memory that this process has held, where the system tells (Linux).
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn memory(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "unknown".to_owned(), |bytes| format!("{:.0} MB", bytes as f64 / 1e6))
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.50), 50.0);
        assert_eq!(percentile(&values, 0.95), 95.0);
        assert_eq!(percentile(&values[..1], 0.95), 1.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
