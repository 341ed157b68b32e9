//! Flags that the scripts of several families share.

use super::table::{DEVICE, FEATURES, HUB_CACHE, KEPT, LOGS, PROCESSES, TOKENIZER, off};
use super::table::{Row, Takes, is, off_switch, switch, whole};
use super::words;

/// Of `run_squad.py`, `run_qa.py`, `run_glue.py` and what was made from them.
pub const ROWS: &[Row] = &[
    whole("do-train", Takes::Switch),
    whole("do-eval", Takes::Switch),
    whole("do-predict", Takes::Switch),
    whole("model-type", Takes::Value),
    whole("data-dir", Takes::Value),
    whole("train-file", Takes::Value),
    whole("version-2-with-negative", Takes::Switch),
    whole("warmup-steps", Takes::Value),
    whole("warmup-ratio", Takes::Value),
    whole("config-name", Takes::Value),
    whole("tokenizer-name", Takes::Value),
    whole("model-name-or-path", Takes::Value),
    whole("teacher-name-or-path", Takes::Value),
    words::TASK_NAME,
    is("output-dir", &["out"]),
    switch("overwrite-output-dir", &["overwrite"]),
    is("max-seq-length", &["max-length"]),
    is("num-train-epochs", &["epochs"]),
    is("adam-epsilon", &["epsilon"]),
    off("cache-dir", HUB_CACHE),
    off_switch("overwrite-cache", FEATURES),
    off_switch("do-lower-case", TOKENIZER),
    off_switch("no-cuda", DEVICE),
    off_switch("fp16", DEVICE),
    off("fp16-opt-level", DEVICE),
    off("local-rank", PROCESSES),
    off_switch("verbose-logging", LOGS),
    off_switch("eval-all-checkpoints", KEPT),
    off("server-ip", LOGS),
    off("server-port", LOGS),
];
