//! The arguments of the commands that measure.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::lengths::LengthArgs;

/// Show a model's sizes: parameters, non-zeros, multiply-adds, tensors.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck inspect --model student
  limbeck inspect --model student --length 128 --json")]
pub struct InspectArgs {
    /// Model folder, or id of a model of the Hugging Face Hub
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
    Pretrain(BenchPretrainArgs),
    Features(BenchFeaturesArgs),
    Answer(BenchAnswerArgs),
    Serve(BenchServeArgs),
}

/// Measure training steps on real features.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck bench train --model minilm --data train.json
  limbeck bench train --model minilm --data train.json --batch-size 8 --steps 20 --json
  limbeck bench train --model minilm --data train.json --profile
  limbeck bench train --model minilm --data train.json --profile --sparsity 0.8
  limbeck bench train --model minilm --data train.json --teacher teacher")]
pub struct BenchTrainArgs {
    /// Model folder, or id of a model of the Hugging Face Hub
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
    /// Keep only what enters each layer and compute the rest again in backward
    #[arg(long)]
    pub recompute: bool,
    /// Tokens in one pass: larger batches go through in parts, within less memory; 0 sets no limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub max_tokens_per_pass: usize,
    /// Train with so large a share of the weights off, and exchange some in every step (RigL,
    /// which does so every hundredth): with --profile, what masks cost
    #[arg(long, value_name = "SHARE")]
    pub sparsity: Option<f64>,
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
    /// Model folder, or id of a model of the Hugging Face Hub
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

/// Measure steps of masked-word pretraining of a new BERT, on words of no text.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck bench pretrain --layers 2 --hidden-size 128 --heads 2
  limbeck bench pretrain --layers 4 --hidden-size 256 --heads 4 --vocab-size 8000 --profile")]
pub struct BenchPretrainArgs {
    /// Layers of the model
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = from_one)]
    pub layers: usize,
    /// Width of a hidden state
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = from_one)]
    pub hidden_size: usize,
    /// Attention heads of a layer
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = from_one)]
    pub heads: usize,
    /// Neurons of a feed-forward block; without it four times the width
    #[arg(long, value_name = "N", value_parser = from_one)]
    pub intermediate_size: Option<usize>,
    /// Words of the vocabulary
    #[arg(long, value_name = "N", default_value_t = 30_522, value_parser = from_one)]
    pub vocab_size: usize,
    /// Tokens in each window
    #[arg(long, value_name = "TOKENS", default_value_t = 128, value_parser = from_one)]
    pub length: usize,
    /// Windows in one step
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = from_one)]
    pub batch_size: usize,
    /// Share of the tokens that are masked
    #[arg(long, value_name = "SHARE", default_value_t = 0.15)]
    pub mask_probability: f64,
    /// Steps to measure, after one that warms up
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = from_one)]
    pub steps: usize,
    /// Tell where the time goes, kernel by kernel, and how near it comes to the floor
    #[arg(long)]
    pub profile: bool,
}

/// Measure the way from text to features, and how fast they are there the second time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck bench features --model minilm --data train.json
  limbeck bench features --model minilm --data train.json --threads 1 --json")]
pub struct BenchFeaturesArgs {
    /// Model folder, or id of a model of the Hugging Face Hub
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Questions with answers, in SQuAD form
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
}

/// Measure answering, one question at a time or several, from text to text.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck bench answer --model student --data dev.json
  limbeck bench answer --model student --data dev.json --limit 1000 --threads 1 --json
  limbeck bench answer --model student --data dev.json --batch-size 64
  limbeck bench answer --model student --data dev.json --lengths 0.9,0.7,0.5")]
pub struct BenchAnswerArgs {
    /// Model folder, or id of a model of the Hugging Face Hub
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Questions in SQuAD form
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Only the first N questions; 0 takes all
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub limit: usize,
    /// Questions answered together
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = from_one)]
    pub batch_size: usize,
    /// How many tokens go on from layer to layer.
    #[command(flatten)]
    pub length: LengthArgs,
}

/// Measure a running server under load.
///
/// The questions come in random order. Every client keeps one connection and sends its next
/// question when it has the answer. With
/// --rate, questions are due at given times instead, so many a second, whether or not the
/// ones before are answered, and the time counts from when a question was due.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck bench serve --url http://127.0.0.1:8080 --data dev.json
  limbeck bench serve --url http://127.0.0.1:8080 --data dev.json --rate 60 --requests 3000")]
pub struct BenchServeArgs {
    /// Where the server is
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Questions in SQuAD form
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Only the first N questions, again and again; 0 takes all
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub limit: usize,
    /// Requests in all, ten million at most
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub requests: u32,
    /// Clients at a time, each on a thread of its own; 4096 at most
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub clients: u16,
    /// Questions due in a second; without it as many as are answered
    #[arg(long, value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,
    /// When questions of a rate are due
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Arrivals::Poisson, requires = "rate")]
    pub arrivals: Arrivals,
    /// The model to ask, by its name; without it the default
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Key of the server
    #[arg(long, value_name = "KEY", env = "LIMBECK_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
}

/// When the questions of a rate are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Arrivals {
    /// At random times, as many people ask who do not know of each other
    Poisson,
    /// One after the other at the same distance
    Constant,
}

/// Slower than once in a hundred seconds is no load, and its times would overflow.
fn rate(text: &str) -> Result<f64, String> {
    let in_range = |n: &f64| (0.01..=1e9).contains(n);
    text.parse().ok().filter(in_range).ok_or_else(|| "expected a number from 0.01".to_owned())
}

fn from_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n >= 1).ok_or_else(|| "expected a whole number from 1".to_owned())
}
