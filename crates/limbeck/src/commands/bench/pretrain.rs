//! `limbeck bench pretrain`: steps of masked-word pretraining, and with `--profile` where their
//! time goes.

use anyhow::{Context, Result};
use limbeck_data::Batch;
use limbeck_kernels::random::Key;
use limbeck_model::{HeadKind, Model, ModelConfig};
use limbeck_train::learner::{Learner, Portion};
use limbeck_train::losses::WordLosses;
use limbeck_train::objective::Objective;
use limbeck_train::options::{DistillOptions, OptimizerOptions};
use serde::Serialize;
use serde_json::json;

use super::profile::{Profile, timed};
use super::sweep::made_up;
use super::train::LEARNING_RATE;
use super::{median, memory, peak_rss_bytes};
use crate::cli::measuring::BenchPretrainArgs;
use crate::console::{Console, columns};
use crate::exit::{Ending, InputError};

/// Beyond this, a step says nothing new.
const MOST_TOKENS: usize = 1 << 20;

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
    let batch = masked(&model.config, args)?;
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
        seconds.push(timed(&mut profile, || step(key))?);
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
    let config = ModelConfig::from_json_with_head(&json, HeadKind::MaskedWord)
        .context("--layers, --hidden-size, --heads, --intermediate-size, --vocab-size")?;
    Ok(Model::initialise(config, 0))
}

/// A batch of any words, some of which are to be guessed.
fn masked(config: &ModelConfig, args: &BenchPretrainArgs) -> Result<Batch> {
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
    let mut batch = made_up(config, args.length, args.batch_size);
    let key = Key::new(1);
    let is_masked = |row: usize| (key.bits(row as u64) as f64) < share * u64::MAX as f64;
    // At least one: a step without any has nothing to learn.
    let masked = (0..rows).filter(|&row| row == 0 || is_masked(row));
    batch.masked_rows = masked.map(|row| row as u32).collect();
    let word = |&row: &u32| batch.input_ids[row as usize];
    batch.masked_ids = batch.masked_rows.iter().map(word).collect();
    Ok(batch)
}
