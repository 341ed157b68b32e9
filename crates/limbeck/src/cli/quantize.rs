//! The arguments of `quantize`.

use std::path::PathBuf;

use clap::Args;

/// Write a model whose linear weights take one byte each, for faster answers.
///
/// Each output channel gets its own scale; activations are quantised row by row when they
/// come. Embeddings, biases, norms and the head stay floats. `answer`, `evaluate`, `predict`
/// and `bench answer` take the folder as any other; what trains or exports reads it as
/// floats, rounded as they are. The model itself is not changed: `limbeck.json` names it as
/// `source`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck quantize --model student --out student-int8
  limbeck bench answer --model student-int8 --data dev.json")]
pub struct QuantizeArgs {
    /// Model folder, or id of a model of the Hugging Face Hub
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Folder to write, new or empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}
