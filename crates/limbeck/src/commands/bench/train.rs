//! `limbeck bench train`: steps on real features, and with `--profile` where their time goes.

use std::time::Instant;

use anyhow::Result;
use limbeck_data::{Batch, BatchOrder, Features, Purpose, SquadData, Tokenizer};
use limbeck_kernels::random::Key;
use limbeck_kernels::{matmul, profile};
use limbeck_model::Model;
use limbeck_model::folder::resolve;
use limbeck_train::learner::Learner;
use limbeck_train::losses::{HardLoss, Weighted};
use limbeck_train::options::OptimizerOptions;
use serde::Serialize;

use super::profile::Profile;
use super::{memory, peak_rss_bytes};
use crate::cli::measuring::BenchTrainArgs;
use crate::commands::subject::{check_vocabulary, fit};
use crate::config::RunConfig;
use crate::console::{Console, columns};
use crate::exit::{Ending, InputError};

/// The seed of the batches and of dropout.
const SEED: u64 = 42;

/// A rate that any model survives for a few steps.
const LEARNING_RATE: f64 = 1e-6;

#[derive(Debug, Serialize)]
struct Figures {
    seconds_per_step: f64,
    features_per_second: f64,
    tokens_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_rss_bytes: Option<u64>,
    batch_size: usize,
    steps: usize,
    threads: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Profile>,
}

/// Runs the command.
pub fn run(args: &BenchTrainArgs, console: Console) -> Result<Ending> {
    let mut bench = Bench::open(args)?;
    let mut profile = args.profile.then(Profile::default);
    // The first step takes its memory from the system; the others find it there.
    bench.step(0)?;
    let (mut seconds, mut rows, mut sequences) = (0.0, 0, 0);
    for step in 1..=args.steps {
        let rate_before = profile.is_some().then(matmul::tile_rate);
        let begun = Instant::now();
        let (done, costs) = match profile {
            None => (bench.step(step), Vec::new()),
            Some(_) => profile::record(|| bench.step(step)),
        };
        done?;
        let elapsed = begun.elapsed().as_secs_f64();
        if let (Some(profile), Some(rate)) = (&mut profile, rate_before) {
            profile.add_step(elapsed, (rate + matmul::tile_rate()) / 2.0, &costs);
        }
        seconds += elapsed;
        rows += bench.batch.rows();
        sequences += bench.batch.sequences();
    }
    let figures = Figures {
        seconds_per_step: seconds / args.steps as f64,
        features_per_second: sequences as f64 / seconds,
        tokens_per_second: rows as f64 / seconds,
        peak_rss_bytes: peak_rss_bytes(),
        batch_size: args.batch_size,
        steps: args.steps,
        threads: limbeck_kernels::threads::count(),
        profile,
    };
    console.result(&figures, || {
        let mut text = columns(&[
            ("seconds a step", format!("{:.3}", figures.seconds_per_step)),
            ("features a second", format!("{:.2}", figures.features_per_second)),
            ("tokens a second", format!("{:.0}", figures.tokens_per_second)),
            ("peak memory", memory(figures.peak_rss_bytes)),
        ]);
        if let Some(profile) = &figures.profile {
            text.push('\n');
            text.push_str(&profile.as_markdown());
        }
        text
    })?;
    Ok(Ending::Done)
}

/// A learner with the batches that it is measured on.
struct Bench {
    learner: Learner,
    losses: Vec<Weighted>,
    parts: Vec<f64>,
    features: Features,
    order: BatchOrder,
    batch: Batch,
}

impl Bench {
    fn open(args: &BenchTrainArgs) -> Result<Bench> {
        let mut data = SquadData::read(&args.data)?;
        data.limit((args.steps + 1).saturating_mul(args.batch_size));
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
        Ok(Bench {
            order: BatchOrder::new(&lengths, args.batch_size, SEED, 0),
            learner: Learner::new(model, &OptimizerOptions::default()),
            losses: vec![Weighted::new(1.0, HardLoss)],
            parts: vec![0.0],
            features,
            batch: Batch::default(),
        })
    }

    /// Forward, backward, clip and update.
    fn step(&mut self, step: usize) -> Result<()> {
        let batches = self.order.batches();
        self.features.batch(&batches[step % batches.len()], &mut self.batch);
        let key = Key::new(SEED).child(step as u64);
        let (losses, parts) = (&mut self.losses, &mut self.parts);
        self.learner.accumulate(&self.batch, losses, Some(key), 1.0, parts)?;
        self.learner.update(LEARNING_RATE);
        Ok(())
    }
}
