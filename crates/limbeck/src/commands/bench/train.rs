//! `limbeck bench train`: steps on real features, and with `--profile` where their time goes.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use limbeck_data::{Batch, BatchOrder, Cache, FeatureOptions, Features, Gold, Purpose, Tokenizer};
use limbeck_kernels::random::Key;
use limbeck_model::{HeadKind, Model};
use limbeck_runtime::folder::{check_vocabulary, fit};
use limbeck_train::learner::{Learner, Portion};
use limbeck_train::losses::{HardLoss, SoftLoss, Weighted};
use limbeck_train::objective::Objective;
use limbeck_train::observer::Silent;
use limbeck_train::options::{
    InitialMask, OptimizerOptions, SoftKind, SparseMethod, SparsityOptions,
};
use limbeck_train::ranks::division::{self, Part};
use limbeck_train::sparsity::Sparsity;
use limbeck_train::teacher::TeacherLogits;
use serde::Serialize;

use super::profile::{Profile, timed};
use super::{median, memory, peak_rss_bytes};
use crate::cli::measuring::BenchTrainArgs;
use crate::commands::models::resolve;
use crate::commands::questions;
use crate::commands::subject::check_length;
use crate::config::RunConfig;
use crate::console::{Console, columns};
use crate::exit::{Ending, InputError};

/// The seed of the batches and of dropout.
const SEED: u64 = 42;

/// A rate that any model survives for a few steps.
pub(super) const LEARNING_RATE: f64 = 1e-6;

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
    /// With `--teacher`: of steps on the same batches that also learn from its logits.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_per_distillation_step: Option<f64>,
    /// With `--teacher`: the median, over the batches, of what such a step costs, the plain
    /// one being 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    distillation_cost: Option<f64>,
}

/// Runs the command.
pub fn run(args: &BenchTrainArgs, console: Console) -> Result<Ending> {
    let mut bench = Bench::open(args, console)?;
    let mut profile = args.profile.then(Profile::default);
    // The first step takes its memory from the system; the others find it there.
    bench.step(0, false)?;
    bench.distil(0)?;
    let (mut plain, mut distillation) = (Vec::new(), Vec::new());
    let (mut seconds, mut rows, mut sequences) = (0.0, 0, 0);
    for step in 1..=args.steps {
        // Which of the two goes first on a batch takes turns.
        if step % 2 == 0 {
            distillation.extend(bench.distil(step)?);
        }
        let elapsed = timed(&mut profile, || bench.step(step, false))?;
        if step % 2 == 1 {
            distillation.extend(bench.distil(step)?);
        }
        plain.push(elapsed);
        seconds += elapsed;
        rows += bench.lengths.iter().sum::<usize>();
        sequences += bench.lengths.len();
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
        seconds_per_distillation_step: args
            .teacher
            .as_ref()
            .map(|_| distillation.iter().sum::<f64>() / args.steps as f64),
        distillation_cost: args.teacher.as_ref().map(|_| {
            let costs = distillation.iter().zip(&plain).map(|(seconds, plain)| seconds / plain);
            median(&costs.collect::<Vec<_>>())
        }),
    };
    console.result(&figures, || {
        let mut text = columns(&[
            ("seconds a step", format!("{:.3}", figures.seconds_per_step)),
            ("features a second", format!("{:.2}", figures.features_per_second)),
            ("tokens a second", format!("{:.0}", figures.tokens_per_second)),
            ("peak memory", memory(figures.peak_rss_bytes)),
        ]);
        if let Some(cost) = figures.distillation_cost {
            text.push_str(&format!(
                "a step that distils costs {cost:.3} of a plain one (median)\n"
            ));
        }
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
    /// What a step that distils minimises, while the learner holds the plain objective.
    distilling: Option<Objective>,
    parts: Vec<f64>,
    features: Features,
    order: BatchOrder,
    batch: Batch,
    /// Rows of the sequences of the present step.
    lengths: Vec<usize>,
    max_tokens_per_pass: usize,
}

impl Bench {
    fn open(args: &BenchTrainArgs, console: Console) -> Result<Bench> {
        let limit = (args.steps + 1).saturating_mul(args.batch_size);
        let data = questions::read(&args.data, Gold::Read, limit, console)?;
        let dir = resolve(&args.model)?;
        let model = Model::open_with_head(&dir, HeadKind::Span)?.0;
        let mut tokenizer = Tokenizer::from_folder(&dir)?;
        check_vocabulary(&mut tokenizer, &model.config, &dir)?;
        let mut options = RunConfig::default().features;
        fit(&mut options, model.config.max_position_embeddings);
        let (features, _) = Features::build(&data, &tokenizer, &options, Purpose::Train)?;
        if features.is_empty() {
            let place = args.data.display().to_string();
            return Err(InputError::new("there is nothing to train on", place, "").into());
        }
        let lengths: Vec<usize> = (0..features.len()).map(|i| features.rows_of(i)).collect();
        let distilling = match &args.teacher {
            Some(teacher) => Some(distilling(teacher, &features, &options)?),
            None => None,
        };
        let objective = vec![Weighted::new(1.0, HardLoss)];
        let mut learner = Learner::new(model, &OptimizerOptions::default(), objective);
        learner.recompute(args.recompute);
        if let Some(level) = args.sparsity {
            let (method, initial) = (SparseMethod::Rigl, InitialMask::Magnitude);
            // As far from the end of a long run that shares are those of its beginning.
            let (period, warmup, steps) = (1, 0.0, 1_000_000);
            let rigl =
                SparsityOptions { level, method, initial, period, warmup, ..Default::default() };
            let sparsity = Sparsity::new(&rigl, &learner.model, steps, SEED)?;
            learner.sparsify(sparsity);
        }
        Ok(Bench {
            order: BatchOrder::new(&lengths, args.batch_size, SEED, 0),
            learner,
            distilling,
            parts: vec![0.0; 2],
            features,
            batch: Batch::default(),
            lengths: Vec::new(),
            max_tokens_per_pass: args.max_tokens_per_pass,
        })
    }

    /// How long a step takes that learns from the teacher too, if there is one.
    fn distil(&mut self, step: usize) -> Result<Option<f64>> {
        if self.distilling.is_none() {
            return Ok(None);
        }
        let begun = Instant::now();
        self.step(step, true)?;
        Ok(Some(begun.elapsed().as_secs_f64()))
    }

    /// Forward, backward, clip and update; learning from the teacher too if `distil`.
    fn step(&mut self, step: usize, distil: bool) -> Result<()> {
        let batches = self.order.batches();
        let indices = &batches[step % batches.len()];
        self.lengths.clear();
        self.lengths.extend(indices.iter().map(|&index| self.features.rows_of(index)));
        let passes = division::passes(self.lengths.iter().sum(), 1, self.max_tokens_per_pass);
        let key = Key::new(SEED).child(step as u64);
        let mut other = self.distilling.as_mut().filter(|_| distil);
        if let Some(other) = &mut other {
            std::mem::swap(&mut self.learner.objective, other);
        }
        self.learner.begin_step(step);
        let mut done = Ok(0.0);
        for pass in 0..passes {
            let Part { sequences, place, shares, longest } =
                division::part(&self.lengths, pass, passes);
            if !sequences.is_empty() && done.is_ok() {
                self.features.batch(&indices[sequences], &mut self.batch);
                let portion = Portion { key, place, shares, longest, last: false };
                done = self.learner.accumulate(&self.batch, portion, &mut self.parts);
            }
        }
        self.learner.update(LEARNING_RATE);
        if let Some(other) = other {
            std::mem::swap(&mut self.learner.objective, other);
        }
        done?;
        Ok(())
    }
}

/// Both losses, against the logits that the teacher in `name` gives for these features.
fn distilling(name: &str, features: &Features, options: &FeatureOptions) -> Result<Objective> {
    let dir = resolve(name)?;
    let teacher = Model::open_with_head(&dir, HeadKind::Span)?.0;
    check_length(options, &teacher.config, &dir)?;
    let folder = tempfile::tempdir()?;
    let logits = TeacherLogits::open_or_compute(
        &Cache::folder(folder.path()),
        &teacher,
        features,
        &mut Silent,
    )?
    .context("nobody asks this observer to stop")?;
    let soft = SoftLoss::new("soft", Arc::new(logits), 2.0, SoftKind::Divergence);
    Ok(Objective::new(vec![Weighted::new(0.5, HardLoss), Weighted::new(0.5, soft)]))
}
