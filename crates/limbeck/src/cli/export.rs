//! The arguments of `export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Write a model for other programs.
///
/// `transformers`: a folder of Limbeck is one of Transformers already, but for pruned heads,
/// which Transformers no longer reads: the export puts them back as zeros, so that it computes
/// the same.
///
/// `onnx`: `model.onnx` for ONNX Runtime, OpenVINO and others, with the tokenizer and
/// `config.json` beside it. It takes `input_ids`, `attention_mask` and, but for DistilBERT,
/// `token_type_ids` of padded batches, and gives `start_logits` and `end_logits`. Weights of
/// more than 1.5 GB lie in `model.onnx.data`.
///
/// `sparse`: a folder for Limbeck alone, with the same weights in a smaller file: matrices with
/// many zeros are kept as their other values and a bit for each place.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck export --model student --out student-for-transformers
  limbeck export --model student --format onnx --out student-onnx
  limbeck export --model sparse-student --format sparse --out small")]
pub struct ExportArgs {
    /// Model folder, or id of a model of the Hugging Face Hub
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Folder to write, new or empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// For which program
    #[arg(long, value_enum, default_value_t = ExportFormat::Transformers)]
    pub format: ExportFormat,
}

/// What an export is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A folder for Hugging Face Transformers, every head in its place
    Transformers,
    /// A network for ONNX Runtime and others, in floats
    Onnx,
    /// A folder for Limbeck, sparse matrices without their zeros
    Sparse,
}
