//! `limbeck bench pretrain`: steps of masked-word pretraining, and with `--profile` where their
//! time goes.

use std::time::Instant;

use anyhow::Result;
use limbeck_data::Batch;
use limbeck_kernels::random::Key;
use limbeck_kernels::{matmul, profile};
use limbeck_model::{HeadKind, Model, ModelConfig};
use limbeck_train::learner::{Learner, Portion};
use limbeck_train::losses::WordLosses;
use limbeck_train::objective::Objective;
use limbeck_train::options::{DistillOptions, OptimizerOptions};
use serde::Serialize;
use serde_json::json;

use super::profile::Profile;
use super::train::LEARNING_RATE;
use super::{median, memory, peak_rss_bytes};
use crate::cli::measuring::BenchPretrainArgs;
use crate::console::{Console, columns};
use crate::exit::{Ending, InputError};

/// Beyond this, a step says nothing new.
const MOST_TOKENS: usize = 1 << 20;

/// Names of the streams of random bits that the batch is made of.
mod stream {
    pub const WORDS: u64 = 0;
    pub const MASKS: u64 = 1;
}

#[derive(Debug, Serialize)]
struct Figures {
    /// The median of the steps.
    seconds_per_step: f64,
    tokens_per_second: f64,
    masked_tokens: usize,
    parameters: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_rss_bytes: Option<u64>,
    steps: usize,
    threads: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Profile>,
}

/// Runs the command.
pub fn run(args: &BenchPretrainArgs, console: Console) -> Result<Ending> {
    let model = new_model(args)?;
    let batch = made_up(args)?;
    let parameters = model.parameters.len();
    let words = WordLosses::new(&model.config, Vec::new(), &DistillOptions::default(), args.steps)?;
    let objective = Objective { words: Some(words), ..Objective::default() };
    let mut learner = Learner::new(model, &OptimizerOptions::default(), objective);
    let mut step = |key: usize| -> Result<()> {
        let portion = Portion::whole(Key::new(key as u64), 1.0);
        learner.accumulate(&batch, portion, &mut [0.0])?;
        learner.update(LEARNING_RATE);
        Ok(())
    };
    // The first step takes its memory from the system; the others find it there.
    step(0)?;
    let mut profile = args.profile.then(Profile::default);
    let mut seconds = Vec::new();
    for key in 1..=args.steps {
        let rate_before = profile.is_some().then(matmul::tile_rate);
        let begun = Instant::now();
        let (done, costs) = match profile {
            None => (step(key), Vec::new()),
            Some(_) => profile::record(|| step(key)),
        };
        done?;
        let elapsed = begun.elapsed().as_secs_f64();
        if let (Some(profile), Some(rate)) = (&mut profile, rate_before) {
            profile.add_step(elapsed, (rate + matmul::tile_rate()) / 2.0, &costs);
        }
        seconds.push(elapsed);
    }
    let seconds_per_step = median(&seconds);
    let figures = Figures {
        seconds_per_step,
        tokens_per_second: batch.rows() as f64 / seconds_per_step,
        masked_tokens: batch.masked_rows.len(),
        parameters,
        peak_rss_bytes: peak_rss_bytes(),
        steps: args.steps,
        threads: limbeck_kernels::threads::count(),
        profile,
    };
    console.result(&figures, || {
        let mut text = columns(&[
            ("seconds a step", format!("{:.4}", figures.seconds_per_step)),
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

/// A model of the sizes asked for, as it is before the first step.
fn new_model(args: &BenchPretrainArgs) -> Result<Model> {
    let json = json!({
        "model_type": "bert",
        "hidden_size": args.hidden_size,
        "num_hidden_layers": args.layers,
        "num_attention_heads": args.heads,
        "intermediate_size": args.intermediate_size.unwrap_or(args.hidden_size.saturating_mul(4)),
        "max_position_embeddings": args.length.max(512),
        "vocab_size": args.vocab_size,
    });
    let config = ModelConfig::from_json_with_head(&json, HeadKind::MaskedWord)?;
    Ok(Model::initialise(config, 0))
}

/// A batch of any words, some of them masked: what they say does not change what a step costs.
fn made_up(args: &BenchPretrainArgs) -> Result<Batch> {
    let share = args.mask_probability;
    if !(share > 0.0 && share <= 1.0) {
        let what = format!("--mask-probability {share}: a share above 0, and 1 at most");
        return Err(InputError::new(what, "bench pretrain", "").into());
    }
    let rows = args.length.saturating_mul(args.batch_size);
    if rows > MOST_TOKENS {
        let what =
            format!("--length times --batch-size: at most {MOST_TOKENS} tokens are measured");
        return Err(InputError::new(what, "bench pretrain", "").into());
    }
    let (words, masks) = (Key::new(stream::WORDS), Key::new(stream::MASKS));
    let word = |row: u32| (words.bits(u64::from(row)) % args.vocab_size as u64) as u32;
    let is_masked = |row: &u32| (masks.bits(u64::from(*row)) as f64) < share * u64::MAX as f64;
    // At least one: a step without any has nothing to learn.
    let masked_rows = (0..rows as u32).filter(|row| *row == 0 || is_masked(row));
    let masked_rows: Vec<u32> = masked_rows.collect();
    Ok(Batch {
        input_ids: (0..rows as u32).map(word).collect(),
        token_type_ids: vec![0; rows],
        starts: (0..=args.batch_size).map(|i| i * args.length).collect(),
        masked_ids: masked_rows.iter().map(|&row| word(row)).collect(),
        masked_rows,
        features: (0..args.batch_size).collect(),
        ..Batch::default()
    })
}
