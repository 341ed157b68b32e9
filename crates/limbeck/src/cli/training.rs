//! The arguments of the commands that train.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::paths;
use super::ranks::RanksArgs;
use super::search::{positive, ray_address, size};
use super::settings::{Distilling, Finetuning, Pretraining, Settings};

/// Run the experiments that recipes describe, one after another.
///
/// A recipe is a TOML file; the reference lists all its keys. Its `[[stage]]`s run in
/// their order, and a later stage may name an earlier one as its model or teacher
/// (`teacher = "stage:NAME"`; `stage:NAME/last` is its last model where it was evaluated and the
/// best one kept). Each stage that was finished before is left as it is, an
/// unfinished one goes on where it was. Relative paths start from the current folder.
///
/// `extends = "other.toml"` (its path starts from the recipe's own folder) takes everything from
/// another recipe but where its results go: keys of this one win, stages of the same name are
/// merged, new ones come behind. A key of a stage wins over the same key outside of stages,
/// whichever of the files it stands in.
///
/// A stage with `runs = N` is trained N times with other seeds, in folders `run-1` to `run-N` of its
/// own, each of which can be gone on with by itself; `runs.json` beside them says how their scores lie
/// and which is the best. For later stages `stage:NAME` is that one.
///
/// `summary = "glue"` sums up the stages of GLUE's tasks, in `metrics.json` and `report.html` in the
/// folder of the results and on the terminal: the best, the mean, the median and the standard deviation
/// of each task's scores, average_bert (all tasks but WNLI) and average_glue (all nine). It is
/// written after every stage; an average that lacks a task is null, and what it lacks is told.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck run recipes/distilbert-squared-small.toml
  limbeck run recipes/distilbert-squared-small.toml --set data.max_train_questions=500 --out runs/try
  limbeck run one.toml two.toml --set optim.learning_rate=3e-5
  limbeck run recipes/numenta-glue-small.toml --only cola,rte
  limbeck run recipe.toml --on ray=http://head:8265 --job-cpus 8 --job-memory 16G
  limbeck run recipes/distilbert-squared.toml --set stage.teacher.train.epochs=3 --print-config")]
pub struct RunArgs {
    /// The recipe files
    #[arg(value_name = "RECIPE", required = true, value_parser = paths::local)]
    pub recipes: Vec<PathBuf>,
    /// Folder of the results; several recipes get a folder each in it
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Run these stages only; those that they name must have finished before
    #[arg(long, value_name = "STAGE,...", value_delimiter = ',', visible_alias = "tasks")]
    pub only: Vec<String>,
    /// What every training command understands.
    #[command(flatten)]
    pub how: HowArgs,
    /// Where it runs.
    #[command(flatten)]
    pub place: RunPlaceArgs,
}

/// Where a recipe runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where it runs")]
pub struct RunPlaceArgs {
    /// Run the recipe as one job of a Ray cluster instead of here, follow it and fetch its
    /// results: the address of the dashboard, as in ray=http://HOST:8265; RAY_AUTH_TOKEN holds the
    /// token that it may want
    #[arg(long, value_name = "PLACE", value_parser = ray_address)]
    pub on: Option<String>,
    /// Processors that the job reserves
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = positive)]
    pub job_cpus: f64,
    /// Memory that the job reserves, such as 4G or 500M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub job_memory: Option<u64>,
    /// A file or folder that goes along with the job; several are possible. What the recipe names
    /// by relative paths always does. Of absolute paths those that are, or lie in, what is given
    /// here; all others must be on every node
    #[arg(long, value_name = "PATH", requires = "on", value_parser = paths::local)]
    pub ship: Vec<PathBuf>,
    /// The folder of the results is one that every node has under the same path: the job writes
    /// there, and a job after a dead one goes on from its checkpoints
    #[arg(long)]
    pub shared_out: bool,
    /// How often the job is submitted again after the cluster has lost it
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub retries: usize,
    /// Tell what came of the run as this job
    #[arg(long, hide = true, value_name = "ID", conflicts_with = "on")]
    pub job: Option<String>,
}

/// Fine-tune a model on questions and answers, or on texts and labels.
///
/// Writes the final model, or with --dev the best one, to the folder that --out names,
/// as a Hugging Face folder with its scores and `train.jsonl` beside it. The same
/// command again goes on with an unfinished folder and leaves a finished one alone.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck finetune --task squad --model minilm --train train.json --dev dev.json --out teacher
  limbeck finetune --task squad_v2 --model minilm --train train.json --out teacher \\
      --epochs 3 --learning-rate 1e-4 --warmup 0.1 --seed 7
  limbeck finetune --task squad --model student --train train.json --dev dev.json \\
      --length-adaptive --out adaptive
  limbeck finetune --task squad --model teacher --train train.json --dev dev.json \\
      --sparsity 0.8 --sparse-method gmp --out sparse
  limbeck finetune --task sst2 --model minilm --train train.tsv --dev dev.tsv --out sentiment
  limbeck finetune --task rte --model minilm --train train.tsv --dev dev.tsv --out rte --runs 5
  limbeck finetune --model minilm --train train.json --out try --max-train-questions 500 --json")]
pub struct FinetuneArgs {
    /// Flags that set keys.
    #[command(flatten)]
    pub settings: Settings<Finetuning>,
    /// What every training command understands.
    #[command(flatten)]
    pub how: HowArgs,
}

/// Distil one teacher or several into a student.
///
/// The student learns from the teachers' logits (softened by a temperature) and from the
/// labels; with --alpha-hidden and --alpha-attention also from what lies before the logits. It
/// starts from --student, or from chosen layers of the first teacher. What the teachers' logits
/// say is computed once and kept.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck distill --task squad --teacher teacher --student-layers 0,2,5 \\
      --train train.json --dev dev.json --out student
  limbeck distill --task squad --teacher teacher --student distilbert-base-uncased \\
      --train train.json --out student --temperature 2 --alpha-soft 0.5 --alpha-hard 0.5
  limbeck distill --task squad --teacher teacher --student-layers 1,3,5 --alpha-hidden 1 \\
      --alpha-attention 1 --alpha-soft 0 --alpha-hard 0 --train train.json --out intermediate
  limbeck distill --task mnli --teacher nli --student-layers 1,3,5 --train train.tsv \\
      --dev dev_matched.tsv --dev-mismatched dev_mismatched.tsv --out student
  limbeck distill --task squad --teacher teacher --student student --sparsity 0.8 \\
      --sparse-method rigl --sparse-initial magnitude --train train.json --out sparse-student
  limbeck distill --task squad_v2 --teacher a --teacher b --teacher-weights 0.7,0.3 \\
      --student small --train train.json --out student")]
pub struct DistillArgs {
    /// Flags that set keys.
    #[command(flatten)]
    pub settings: Settings<Distilling>,
    /// What every training command understands.
    #[command(flatten)]
    pub how: HowArgs,
}

/// Teach a model a language from plain text: it guesses masked words.
///
/// The model is new, of the sizes given, or one to go on with; its vocabulary is given or trained
/// from the text. A share of the text is kept aside; how well its masked words are guessed is told
/// as perplexity. With --teacher it learns from the teachers' guesses instead of the words, or
/// from both (--factor). What is written opens for fine-tuning on any task.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck pretrain --text wiki.txt --out bert-tiny --layers 2 --hidden-size 128 --heads 2 \\
      --vocab-size 1000 --masking token --max-length 16 --batch-size 64 --steps 4000 \\
      --learning-rate 1e-3 --warmup 0.05 --initializer-range 0.1 --dropout=false
  limbeck pretrain --text wiki.txt --text books.txt --out bert --config bert-base/config.json \\
      --tokenizer bert-base --steps 100000 --schedule one-cycle --learning-rate 1e-3
  limbeck pretrain --text wiki.txt --out student --layers 2 --hidden-size 128 --heads 2 \\
      --teacher bert --steps 2000 --factor 1 --factor-end 0.5
  limbeck pretrain --text wiki.txt --out range --layers 2 --hidden-size 128 --heads 2 \\
      --range-test --steps 200 --range-start 1e-5 --learning-rate 0.1
  limbeck finetune --task cola --model bert-tiny --train train.tsv --dev dev.tsv --out cola")]
pub struct PretrainArgs {
    /// Flags that set keys.
    #[command(flatten)]
    pub settings: Settings<Pretraining>,
    /// Instead of a training, raise the learning rate at every step, from --range-start to
    /// --learning-rate [default: 1], and tell where the loss turns up
    #[arg(
        long, value_name = "SHAPE", value_enum, num_args = 0..=1, require_equals = true,
        default_missing_value = "exponential", help_heading = "One-cycle and range test"
    )]
    pub range_test: Option<RangeShape>,
    /// What every training command understands.
    #[command(flatten)]
    pub how: HowArgs,
}

/// How a range test raises the learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RangeShape {
    /// By equal factors.
    Exponential,
    /// In equal steps.
    Linear,
}

/// What every training command understands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
pub struct HowArgs {
    /// Set a key of the configuration; several are possible
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub assignments: Vec<String>,
    /// Print the resolved configuration and exit
    #[arg(long)]
    pub print_config: bool,
    /// Remove what an earlier run left in the folder and start afresh
    #[arg(long)]
    pub overwrite: bool,
    /// By how many processes.
    #[command(flatten)]
    pub processes: RanksArgs,
}
