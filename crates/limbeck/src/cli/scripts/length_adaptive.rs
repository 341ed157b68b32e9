//! Flags of the Length-Adaptive Transformer (LAT) and of Intel's Dynamic-TinyBERT, which is built
//! on it.

use super::table::{DEVICE, KEPT, LOGS, Row, Takes, is, off, off_switch, refused, whole};

/// What these have beyond `run_squad.py`.
pub const ROWS: &[Row] = &[
    whole("teacher-model-name-or-path", Takes::Value),
    whole("teacher-model-type", Takes::Value),
    whole("state-loss-ratio", Takes::Value),
    whole("att-loss-ratio", Takes::Value),
    whole("pred-distill", Takes::Switch),
    whole("state-distill-cs", Takes::Switch),
    whole("att-mse", Takes::Switch),
    whole("partial-reps", Takes::Switch),
    whole("length-config", Takes::Value),
    whole("do-search", Takes::Switch),
    whole("do-sigopt-search", Takes::Switch),
    whole("do-optuna-search", Takes::Switch),
    is("evo-iter", &["generations"]),
    is("population-size", &["population"]),
    is("mutation-size", &["mutations"]),
    is("mutation-prob", &["mutation-probability"]),
    is("crossover-size", &["crossovers"]),
    off("load-store-file", "plans.jsonl in --out is read again by itself"),
    refused(
        "measure-rate",
        Takes::Value,
        "score the model at one share after another: `limbeck lengths --sweep 1.0,0.9,0.8`",
    ),
    off_switch("save-only-best", KEPT),
    off_switch("save-latest", KEPT),
    off("use-gpuid", DEVICE),
    off("tb-log", LOGS),
    off("metrics-log", LOGS),
];
