//! Keys of Numenta's experiments (`trainer_mixin_args`, `config_kwargs`), as flags and in recipes.

use super::table::{Row, Takes, is, off, off_switch};

/// Of distillation, RigL, gradual pruning and the one-cycle rate.
pub const ROWS: &[Row] = &[
    Row { takes: Takes::Values, ..is("teacher-model-names-or-paths", &["teacher"]) },
    is("kd-ensemble-weights", &["teacher-weights"]),
    is("kd-factor-init", &["factor"]),
    is("kd-factor-end", &["factor-end"]),
    is("kd-temperature-init", &["temperature"]),
    is("kd-temperature-end", &["temperature-end"]),
    is("prune-fraction", &["sparse-fraction"]),
    is("prune-freq", &["sparse-period"]),
    is("prune-period", &["sparse-period"]),
    is("end-sparsity", &["sparsity"]),
    is("max-lr", &["learning-rate"]),
    is("min-lr", &["range-start"]),
    is("num-runs", &["runs"]),
    is("num-hidden-layers", &["layers"]),
    is("num-attention-heads", &["heads"]),
    is("mlm-probability", &["mask-probability"]),
    off("teacher-models-cache-dir", super::table::HUB_CACHE),
    off_switch("rm-checkpoints", super::table::KEPT),
    off_switch("reuse-tokenized-data", super::table::FEATURES),
    off_switch("save-tokenized-data", super::table::FEATURES),
    off("tokenized-data-cache-dir", super::table::FEATURES),
    off_switch("override-finetuning-results", super::table::KEPT),
];
