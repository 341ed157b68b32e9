//! The arguments of `classify`.

use clap::Args;

use super::lengths::LengthArgs;

/// Label one text, or a stream of texts from standard input.
///
/// For models with a classification head, such as Transformers' ...ForSequenceClassification.
/// The labels come with their probabilities, best first; a regression gives its plain score.
/// Without --text, standard input takes lines of JSON such as {"text": "..."} or {"text":
/// "...", "pair": "...", "id": 7}, or with the other names that files may use, such as
/// "sentence", or "premise" and "hypothesis"; each gives one line of JSON on standard output. A
/// line that cannot be read gives {"error": "..."} and the command goes on; it then exits with 2
/// at the end. A text that is too long loses its end, of a pair the longer one first, and the
/// JSON says "truncated": true.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck classify --model sentiment --text 'A film that stays with you.'
  limbeck classify --model nli --text 'Two dogs run.' --pair 'Animals are moving.' --json
  limbeck classify --model sentiment --text 'A film that stays with you.' --budget 0.5
  limbeck classify --model sentiment < texts.jsonl > labels.jsonl")]
pub struct ClassifyArgs {
    /// Model folder, or id of a model of the Hugging Face Hub
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// The text
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// A second text, for models that compare two
    #[arg(long, value_name = "TEXT", requires = "text")]
    pub pair: Option<String>,
    /// Read this many tokens at most; without it as many as in training, or as the model reaches
    #[arg(long, value_name = "TOKENS")]
    pub max_length: Option<usize>,
    /// Add the logits to the JSON, one a label, by the labels' numbers
    #[arg(long)]
    pub logits: bool,
    /// How many tokens go on from layer to layer.
    #[command(flatten)]
    pub length: LengthArgs,
}
