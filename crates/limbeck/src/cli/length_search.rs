//! The arguments of `lengths`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::paths;
use super::settings::{Predicting, Settings};

/// Search the length plans of a model: how many tokens should go on from layer to layer.
///
/// Plans evolve as in the Length-Adaptive Transformer: each generation keeps the plans that no
/// other beats in both score and cost, and adds mutations and means of them. With --sampler gp a
/// Gaussian process suggests one after another, which needs fewer of them. The score is F1 of a
/// model that answers questions; of a classifier the metric of its task, or the mean where it has
/// two (combined_score). Plans are scored on a
/// sample of the data; those on the front at the end, on all of it. What is found is
/// written to --out (front.json, lengths.csv, report.html), and plans worth a name into the
/// model's limbeck.json, where `--lengths NAME` finds them: `within-1-percent` (the cheapest
/// that keeps 99 % of the score of the teacher, or of the model itself when no teacher is named),
/// `half` (the best at half the cost), `fastest` and `best`. Every plan is scored once:
/// plans.jsonl remembers it, so the same command goes on after a stop, also with more or
/// fewer --generations or --trials.
///
/// With --sweep nothing is searched: the model is scored at uniform ratios on all data, and
/// sweep.json, sweep.csv and report.html are written.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck lengths --model student --data dev.json --out student-lengths
  limbeck lengths --model student --data dev.json --teacher teacher --out student-lengths
  limbeck lengths --model student --data dev.json --sampler gp --trials 100 --out student-lengths
  limbeck lengths --model sentiment --data dev.tsv --out sentiment-lengths
  limbeck lengths --model student-int8 --data dev.json --teacher-score 88.5 --objective time \\
      --sample 200 --generations 10 --out int8-lengths
  limbeck lengths --model student --data dev.json --sweep 1.0,0.9,0.8,0.7 --out student-sweep
  limbeck evaluate --model student --data dev.json --lengths within-1-percent")]
pub struct LengthSearchArgs {
    /// Model folder, of floats or of one byte a weight
    #[arg(long, value_name = "DIR", value_parser = paths::local)]
    pub model: PathBuf,
    /// Questions with answers in SQuAD form, or labelled texts in the form of the task
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Folder of the search
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Only the first N questions or texts; 0 takes all
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub limit: usize,
    /// Questions or texts that every plan is scored on, drawn by the seed; 0 takes all
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub sample: usize,
    /// Instead of a search, score the model on all data where every layer keeps such a share of the
    /// tokens that reach it, one ratio after another; with --unit tokens counted from the longest
    /// input, padding included
    #[arg(long, value_name = "RATIOS", value_delimiter = ',', value_parser = ratio)]
    #[arg(conflicts_with_all = ["teacher", "teacher_score", "trials"])]
    pub sweep: Vec<f64>,
    /// Take away what an earlier search left in --out
    #[arg(long)]
    pub overwrite: bool,
    /// What is compared with.
    #[command(flatten)]
    pub reference: ReferenceArgs,
    /// How it is searched.
    #[command(flatten)]
    pub strategy: StrategyArgs,
    /// How plans evolve.
    #[command(flatten)]
    pub evolution: EvolutionArgs,
    /// What a plan costs.
    #[command(flatten)]
    pub cost: CostArgs,
    /// Flags that set keys.
    #[command(flatten)]
    pub settings: Settings<Predicting>,
}

/// What plans are compared with.
#[derive(Debug, Args)]
#[command(next_help_heading = "Teacher")]
pub struct ReferenceArgs {
    /// Model to score and show beside the plans; folder, or id on the Hugging Face Hub
    #[arg(long, value_name = "MODEL", conflicts_with = "teacher_score")]
    pub teacher: Option<String>,
    /// The teacher's score, where it is known: F1 in per cent, or the metric of a task of texts
    #[arg(long, value_name = "SCORE", aliases = ["teacher-f1", "teacher_f1"], value_parser = score)]
    #[arg(allow_negative_numbers = true)]
    pub teacher_score: Option<f64>,
}

/// How it is searched.
#[derive(Debug, Args)]
#[command(next_help_heading = "Search")]
pub struct StrategyArgs {
    /// What suggests plans
    #[arg(long, value_enum, default_value_t = PlanSampler::Evolution)]
    pub sampler: PlanSampler,
    /// Plans to score on the sample; without it, 150 with gp, and as many as there are in all
    /// generations with evolution
    #[arg(long, value_name = "N")]
    pub trials: Option<usize>,
    /// Plans to start from, beside the shortest and the whole one
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = up_to_ten_thousand)]
    pub population: usize,
    /// The shortest plan drops this share in every layer; no plan may be cheaper
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = share)]
    pub drop_bound: f64,
    /// What a length counts
    #[arg(long, value_enum, default_value_t = Unit::Shares)]
    pub unit: Unit,
    /// Fixes the sample and the plans that are tried
    #[arg(long, value_name = "SEED", default_value_t = 42)]
    pub seed: u64,
}

/// What suggests plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanSampler {
    /// Children of the best plans, generation after generation
    Evolution,
    /// Gaussian processes and the expected improvement of the hypervolume, plan after plan
    Gp,
}

/// How plans evolve; the numbers are those of the paper's own code.
#[derive(Debug, Args)]
#[command(next_help_heading = "With --sampler evolution")]
pub struct EvolutionArgs {
    /// Generations after the first plans
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub generations: usize,
    /// Mutations of a generation
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = up_to_ten_thousand)]
    pub mutations: usize,
    /// Probability that a mutation draws a layer's length anew
    #[arg(long, value_name = "P", default_value_t = 0.5, value_parser = share)]
    pub mutation_probability: f64,
    /// Crossovers of a generation
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = up_to_ten_thousand)]
    pub crossovers: usize,
}

/// What a plan costs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cost")]
pub struct CostArgs {
    /// Multiply-adds at the data's own lengths, or the time that the model takes
    #[arg(long, value_enum, default_value_t = Objective::Macs)]
    pub objective: Objective,
    /// Windows or texts in one forward pass
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub batch_size: u16,
    /// With --objective time, passes of which each batch gives the median
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: u16,
}

/// What a plan costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Objective {
    /// Multiply-adds of a window or text, the mean over the data.
    Macs,
    /// Milliseconds of a window or text.
    Time,
}

/// What a length counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Unit {
    /// Thousandths of the input, whatever its length.
    Shares,
    /// Tokens, as in the paper, counted from the longest input; shorter inputs stay whole.
    Tokens,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|n| (0.0..=1.0).contains(n));
    share.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.trim().parse().ok().filter(|n| *n > 0.0 && *n <= 1.0);
    ratio.ok_or_else(|| "expected shares above 0 and up to 1, such as 1.0,0.8".to_owned())
}

fn score(text: &str) -> Result<f64, String> {
    let score = text.parse().ok().filter(|n| (-1.0..=100.0).contains(n));
    score.ok_or_else(|| "expected a score, from -1 to 100".to_owned())
}

fn up_to_ten_thousand(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|n| *n <= 10_000);
    number.ok_or_else(|| "expected a whole number up to 10000".to_owned())
}
