//! The arguments of `prune`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::settings::{Pruning, Settings};
use crate::config::Importance;

/// Write a smaller model: fewer layers, attention heads, feed-forward neurons.
///
/// What matters least goes. By default that is measured on questions, or with a classifier on
/// labelled texts: a head or a neuron is worth the size of the loss's gradient to a gate on it,
/// taken window by window, or text by text, and averaged.
/// Layers go evenly, or, with --layer-choice loss, one after the other those without which the
/// loss is least; heads and neurons are weighed after that. The result is an ordinary, dense
/// model; `distill --student OUT --teacher MODEL` is the way to win back what was lost.
/// Transformers loads it, except for pruned heads, which `export` puts back as zeros.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck prune --model teacher --data train.json --heads 8 --ffn 768 --out pruned
  limbeck prune --model teacher --data train.json --drop-layers 2 --layer-choice loss --out pruned
  limbeck prune --model sentiment --data train.tsv --heads 8 --ffn 768 --out pruned
  limbeck prune --model teacher --layers 0,2,5 --heads 6 --importance random --seed 7 --out pruned
  limbeck distill --task squad --student pruned --teacher teacher --train train.json \\
      --dev dev.json --out student")]
pub struct PruneArgs {
    /// Model folder, or id of a model of the Hugging Face Hub
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Folder to write, new or empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// What stays.
    #[command(flatten)]
    pub what: WhatArgs,
    /// How it is chosen.
    #[command(flatten)]
    pub how: HowArgs,
    /// Flags that set keys.
    #[command(flatten)]
    pub settings: Settings<Pruning>,
}

/// What stays of a model.
#[derive(Debug, Args)]
#[command(next_help_heading = "Parts")]
#[group(required = true, multiple = true)]
pub struct WhatArgs {
    /// Keep N attention heads in every layer
    #[arg(long, value_name = "N", value_parser = from_one)]
    pub heads: Option<usize>,
    /// Keep N attention heads of all layers together, at least one in each
    #[arg(long, value_name = "N", conflicts_with = "heads", value_parser = from_one)]
    pub heads_total: Option<usize>,
    /// Keep N feed-forward neurons in every layer
    #[arg(long, value_name = "N", value_parser = from_one)]
    pub ffn: Option<usize>,
    /// Keep these layers, counted from 0, such as 0,2,5
    #[arg(long, value_name = "LAYERS", value_delimiter = ',')]
    pub layers: Option<Vec<usize>>,
    /// Drop N layers
    #[arg(long, value_name = "N", conflicts_with = "layers", value_parser = from_one)]
    pub drop_layers: Option<usize>,
}

/// How it is chosen what stays.
#[derive(Debug, Args)]
#[command(next_help_heading = "Importance")]
pub struct HowArgs {
    /// What makes heads and neurons important
    #[arg(long, value_enum, default_value_t = Importance::Gradient)]
    pub importance: Importance,
    /// Which layers go with --drop-layers
    #[arg(long, value_enum, default_value_t = LayerChoice::Uniform)]
    pub layer_choice: LayerChoice,
    /// Questions with answers to measure on, in SQuAD form, or labelled texts in the form of the
    /// task
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Questions or texts to measure on, drawn by the seed; 0 takes all
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub sample: usize,
    /// Draws the sample, and what stays with --importance random
    #[arg(long, value_name = "SEED", default_value_t = 42)]
    pub seed: u64,
}

/// Which layers go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayerChoice {
    /// Those between evenly spread ones; the first and the last stay.
    Uniform,
    /// Those without which the loss is least.
    Loss,
}

fn from_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n >= 1).ok_or_else(|| "expected a whole number from 1".to_owned())
}
