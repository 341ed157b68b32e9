//! The arguments of the commands that measure.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Show a model's sizes: parameters, non-zeros, multiply-adds, tensors.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck inspect --model student
  limbeck inspect --model student --length 128 --json")]
pub struct InspectArgs {
    /// Model folder, or model id in the Hugging Face cache
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Count multiply-adds for an input of this many tokens
    #[arg(long, value_name = "TOKENS", default_value_t = 384)]
    pub length: usize,
}

/// Measure how fast a model trains or answers.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    Train(BenchTrainArgs),
    Sweep(BenchSweepArgs),
    Features(BenchFeaturesArgs),
    Answer(BenchAnswerArgs),
}

/// Measure training steps on real features.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck bench train --model minilm --data train.json
  limbeck bench train --model minilm --data train.json --batch-size 8 --steps 20 --json
  limbeck bench train --model minilm --data train.json --profile
  limbeck bench train --model minilm --data train.json --teacher teacher")]
pub struct BenchTrainArgs {
    /// Model folder, or model id in the Hugging Face cache
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Questions with answers, in SQuAD form
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Features in one step
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = from_one)]
    pub batch_size: usize,
    /// Steps to measure, after one that warms up
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = from_one)]
    pub steps: usize,
    /// Tell where the time goes, kernel by kernel, and how near it comes to the floor
    #[arg(long)]
    pub profile: bool,
    /// Measure each batch a second time with the logits of this teacher, kept beforehand
    #[arg(long, value_name = "MODEL", conflicts_with = "profile")]
    pub teacher: Option<String>,
}

/// Measure training steps at chosen lengths and batch sizes, and how near they come to the
/// floor: their matrix products at the rate of the micro-kernel.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck bench sweep --model minilm
  limbeck bench sweep --model minilm --lengths 128,384 --batch-sizes 1,8,32 --json")]
pub struct BenchSweepArgs {
    /// Model folder, or model id in the Hugging Face cache
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Tokens in each sequence; without it 64, 128, 256, 384 and 512, as far as the model reaches
    #[arg(long, value_name = "TOKENS,...", value_delimiter = ',', value_parser = from_one)]
    pub lengths: Option<Vec<usize>>,
    /// Sequences in one step; without it 1, 4 and 16. Memory grows with their tokens: some 15 GB
    /// for BERT-base at 64 times 512
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = from_one)]
    pub batch_sizes: Option<Vec<usize>>,
    /// Steps to measure at each, after one that warms up
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = from_one)]
    pub steps: usize,
}

/// Measure the way from text to features, and how fast they are there the second time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck bench features --model minilm --data train.json
  limbeck bench features --model minilm --data train.json --threads 1 --json")]
pub struct BenchFeaturesArgs {
    /// Model folder, or model id in the Hugging Face cache
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Questions with answers, in SQuAD form
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
}

/// Measure answering, one question at a time, from text to text.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck bench answer --model student --data dev.json
  limbeck bench answer --model student --data dev.json --limit 1000 --threads 1 --json")]
pub struct BenchAnswerArgs {
    /// Model folder, or model id in the Hugging Face cache
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Questions in SQuAD form
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Only the first N questions; 0 takes all
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub limit: usize,
}

fn from_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n >= 1).ok_or_else(|| "expected a whole number from 1".to_owned())
}
