//! `limbeck bench sweep`: training steps at chosen lengths and batch sizes.

use std::fmt::Write;
use std::time::Instant;

use anyhow::Result;
use limbeck_data::Batch;
use limbeck_kernels::random::Key;
use limbeck_kernels::{matmul, profile};
use limbeck_model::{HeadKind, Model, ModelConfig};
use limbeck_train::learner::{Learner, Portion};
use limbeck_train::losses::{HardLoss, Weighted};
use limbeck_train::options::OptimizerOptions;
use serde::Serialize;

use super::median;
use super::train::LEARNING_RATE;
use crate::cli::measuring::BenchSweepArgs;
use crate::commands::models::resolve;
use crate::console::Console;
use crate::exit::{Ending, InputError};

/// Lengths that are measured unless others are asked for.
const LENGTHS: [usize; 5] = [64, 128, 256, 384, 512];

/// Batch sizes that are measured unless others are asked for.
const BATCH_SIZES: [usize; 3] = [1, 4, 16];

/// Beyond this, a step says nothing new.
const MOST_SEQUENCES: usize = 4096;

#[derive(Debug, Serialize)]
struct Figures {
    threads: usize,
    sizes: Vec<Size>,
}

/// The medians of the steps at one length and batch size.
#[derive(Debug, Serialize)]
struct Size {
    length: usize,
    batch_size: usize,
    seconds_per_step: f64,
    tokens_per_second: f64,
    /// The time of a step's matrix products at the micro-kernel's rate, measured right
    /// before and after it, as a share of the step's time.
    share_of_floor: f64,
}

/// Runs the command.
pub fn run(args: &BenchSweepArgs, console: Console) -> Result<Ending> {
    let dir = resolve(&args.model)?;
    let model = Model::open_with_head(&dir, HeadKind::Span)?.0;
    let most = model.config.max_position_embeddings;
    let lengths = args.lengths.clone().unwrap_or_else(|| {
        let mut lengths: Vec<usize> = LENGTHS.iter().map(|&length| length.min(most)).collect();
        lengths.dedup();
        lengths
    });
    let batch_sizes = args.batch_sizes.as_deref().unwrap_or(&BATCH_SIZES);
    let place = || dir.display().to_string();
    if let Some(length) = lengths.iter().find(|&&length| length > most) {
        let what = format!("--lengths {length}: the model reads {most} tokens at most");
        return Err(InputError::new(what, place(), "").into());
    }
    if let Some(size) = batch_sizes.iter().find(|&&size| size > MOST_SEQUENCES) {
        let what = format!("--batch-sizes {size}: at most {MOST_SEQUENCES} are measured");
        return Err(InputError::new(what, place(), "").into());
    }
    let mut learner =
        Learner::new(model, &OptimizerOptions::default(), vec![Weighted::new(1.0, HardLoss)]);
    let mut sizes = Vec::new();
    for &length in &lengths {
        for &batch_size in batch_sizes {
            let size = measure(&mut learner, length, batch_size, args.steps)?;
            let rate = size.tokens_per_second;
            console.message(&format!("{batch_size} times {length} tokens: {rate:.0} tokens/s"));
            sizes.push(size);
        }
    }
    let figures = Figures { threads: limbeck_kernels::threads::count(), sizes };
    console.result(&figures, || as_markdown(&figures.sizes))?;
    Ok(Ending::Done)
}

fn measure(learner: &mut Learner, length: usize, batch_size: usize, steps: usize) -> Result<Size> {
    let batch = made_up(&learner.model.config, length, batch_size);
    let mut step = |key| -> Result<()> {
        learner.accumulate(&batch, Portion::whole(Key::new(key), 1.0), &mut [0.0])?;
        learner.update(LEARNING_RATE);
        Ok(())
    };
    step(0)?;
    let (mut seconds, mut shares) = (Vec::new(), Vec::new());
    for key in 1..=steps {
        let rate = matmul::tile_rate();
        let begun = Instant::now();
        let (done, costs) = profile::record(|| step(key as u64));
        let elapsed = begun.elapsed().as_secs_f64();
        done?;
        let rate = (rate + matmul::tile_rate()) / 2.0;
        let operations: f64 = costs.iter().map(|cost| cost.operations).sum();
        seconds.push(elapsed);
        shares.push(operations / rate / elapsed);
    }
    let seconds_per_step = median(&seconds);
    Ok(Size {
        length,
        batch_size,
        seconds_per_step,
        tokens_per_second: (length * batch_size) as f64 / seconds_per_step,
        share_of_floor: median(&shares),
    })
}

/// A batch of any words: what they say does not change what a step costs.
pub(super) fn made_up(config: &ModelConfig, length: usize, batch_size: usize) -> Batch {
    let (key, words) = (Key::new(7), config.vocab_size as u64);
    let rows = length * batch_size;
    Batch {
        input_ids: (0..rows as u64).map(|i| (key.bits(i) % words) as u32).collect(),
        token_type_ids: vec![0; rows],
        starts: (0..=batch_size).map(|i| i * length).collect(),
        start_positions: vec![0; batch_size],
        end_positions: vec![0; batch_size],
        features: (0..batch_size).collect(),
        ..Batch::default()
    }
}

fn as_markdown(sizes: &[Size]) -> String {
    let mut text = String::from("| tokens | batch | ms a step | tokens/s | share of the floor |\n");
    text.push_str("|---|---|---|---|---|\n");
    for size in sizes {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} | {:.0} | {:.0} % |",
            size.length,
            size.batch_size,
            1e3 * size.seconds_per_step,
            size.tokens_per_second,
            100.0 * size.share_of_floor
        );
    }
    text
}
