//! The arguments of the commands that answer and score.

use std::path::PathBuf;

use clap::Args;

use super::lengths::LengthArgs;
use super::settings::{Predicting, Settings};

/// Answer every question of a file, or label every text.
///
/// A file of questions has SQuAD's form, or rows with `id`, `context` and `question` (JSON, JSON
/// lines, CSV, TSV, Parquet); answers in it are not looked at. With --out the folder gets
/// predictions.json, nbest_predictions.json and null_odds.json, and left_out.jsonl where questions
/// could not be read. For a classifier the file has the form of its task, or texts as TSV, CSV,
/// JSON, JSON lines or Parquet; labels in it are not looked at, and the folder gets predictions.tsv
/// in the form in which GLUE takes them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck predict --model student --data questions.json --out predictions
  limbeck predict --model sentiment --task sst2 --data test.tsv --out predictions
  limbeck predict --model entailment --task rte --data RTE/test.tsv --submission to-submit
  limbeck predict --model student --data questions.json --json")]
pub struct PredictArgs {
    /// Model folder, or id of a model of the Hugging Face Hub
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Questions in SQuAD form or as rows, or texts: the task's file, or TSV, CSV, JSON, JSON lines
    /// or Parquet
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Folder of the results
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Put predictions here under the name that GLUE's server asks for, such as RTE.tsv; MNLI's
    /// second set is known by `mismatched` in the name of its file
    #[arg(long, value_name = "DIR")]
    pub submission: Option<PathBuf>,
    /// Only the first N questions or texts
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub limit: usize,
    /// How many tokens go on from layer to layer.
    #[command(flatten)]
    pub length: LengthArgs,
    /// Flags that set keys.
    #[command(flatten)]
    pub settings: Settings<Predicting>,
}

/// Answer every question of a file, or label every text, and score that.
///
/// The scores of answers have the names of the SQuAD scripts: exact, f1, total, HasAns_*,
/// NoAns_*, best_*. With --out the folder gets predictions.json, nbest_predictions.json,
/// null_odds.json, metrics.json and errors.json (scores by length and question word, and
/// the worst questions). The scores of labels have the names of GLUE's scripts: accuracy, f1,
/// matthews_correlation, pearson, spearmanr; the folder gets predictions.tsv and metrics.json.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck evaluate --model student --data dev.json
  limbeck evaluate --model student --data dev.json --out scores --json
  limbeck evaluate --model student --data dev-v2.json --null-score-diff-threshold -1.5
  limbeck evaluate --model student --data dev.json --budget 0.6
  limbeck evaluate --model nli --data dev_matched.tsv --mismatched dev_mismatched.tsv --json")]
pub struct EvaluateArgs {
    /// The same as for `predict`.
    #[command(flatten)]
    pub predict: PredictArgs,
    /// MNLI's second development set; its scores have _mm behind their names
    #[arg(long, value_name = "FILE")]
    pub mismatched: Option<PathBuf>,
}

/// Score a file of predictions.
///
/// With --null-odds, best_exact and best_f1 are what the best thresholds give. Where all numbers of
/// that file lie from 0 to 1 they are probabilities, and the thresholds those of the official script
/// of SQuAD 2.0, which looks from 0 on; else they are differences of scores, and each threshold is
/// one that gives its best score when --na-prob-thresh, evaluate or answer takes it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck score --data dev.json --predictions predictions.json
  limbeck score --data dev-v2.json --predictions predictions.json --null-odds null_odds.json --json")]
pub struct ScoreArgs {
    /// Questions with their right answers, in SQuAD form or as rows
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// JSON object of question ids and answers, or rows with `id` and `prediction_text`; an empty
    /// answer means "no answer"
    #[arg(long, value_name = "FILE")]
    pub predictions: PathBuf,
    /// JSON object of question ids and the lead of "no answer" or its probability, or rows with `id`
    /// and `no_answer_probability`, for the best_* scores
    #[arg(long, visible_alias = "na-prob-file", value_name = "FILE")]
    pub null_odds: Option<PathBuf>,
    /// Count a question as unanswered where its number in that file exceeds this; without it
    /// predictions are taken as they are
    #[arg(
        long,
        visible_alias = "null-score-diff-threshold",
        value_name = "SCORE",
        requires = "null_odds",
        allow_negative_numbers = true
    )]
    pub na_prob_thresh: Option<f64>,
}

/// Answer one question, or a stream of questions from standard input.
///
/// Without --question, standard input takes lines of JSON such as {"question": "...",
/// "context": "..."}; each gives one line of JSON on standard output. A line that cannot
/// be read gives {"error": "..."} and the command goes on; it then exits with 2 at the end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck answer --model student --question 'Who wrote it?' --context 'Ada wrote it in 1843.'
  limbeck answer --model student --question 'Who wrote it?' --context-file page.txt --json
  limbeck answer --model student < questions.jsonl > answers.jsonl")]
pub struct AnswerArgs {
    /// Model folder, or id of a model of the Hugging Face Hub
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// The question
    #[arg(long, value_name = "TEXT")]
    pub question: Option<String>,
    /// The text that holds the answer
    #[arg(long, value_name = "TEXT", requires = "question", conflicts_with = "context_file")]
    pub context: Option<String>,
    /// A file with the text that holds the answer
    #[arg(long, value_name = "FILE", requires = "question")]
    pub context_file: Option<PathBuf>,
    /// Add the logits and offsets of the first window to the JSON
    #[arg(long)]
    pub logits: bool,
    /// How many tokens go on from layer to layer.
    #[command(flatten)]
    pub length: LengthArgs,
    /// Flags that set keys.
    #[command(flatten)]
    pub settings: Settings<Predicting>,
}
