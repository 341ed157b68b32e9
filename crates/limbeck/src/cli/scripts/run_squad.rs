//! Flags of the older `run_squad.py` and `run_glue.py` of Transformers, and of
//! `run_squad_w_distillation.py`.

use super::table::{BATCHES, Row, TOKENIZER, Takes, is, off, whole};

/// Flags that only the older scripts have.
pub const ROWS: &[Row] = &[
    whole("predict-file", Takes::Value),
    whole("evaluate-during-training", Takes::Switch),
    whole("teacher-type", Takes::Value),
    is("per-gpu-train-batch-size", &["batch-size"]),
    off("per-gpu-eval-batch-size", BATCHES),
    off("lang-id", TOKENIZER),
    is("alpha-squad", &["alpha-hard"]),
    whole("alpha-ce", Takes::Value),
];
