//! Flags of Habana's `run_squad.py` for TensorFlow, which Google's BERT began, and of
//! optimum-habana's `run_qa.py` and `run_glue.py`.

use super::table::{
    ALWAYS, BATCHES, DEVICE, LOGS, MODEL_KIND, PROCESSES, Row, TOKENIZER, Takes, is, off,
    off_switch, whole,
};

/// What the TensorFlow script has.
pub const TENSORFLOW: &[Row] = &[
    whole("init-checkpoint", Takes::Value),
    off("vocab-file", TOKENIZER),
    off("distilbert-config-file", MODEL_KIND),
    off("bert-config-file", MODEL_KIND),
    is("train-batch-size", &["batch-size"]),
    off("predict-batch-size", BATCHES),
    is("num-train-steps", &["max-steps"]),
    whole("warmup-proportion", Takes::Value),
    off("save-summary-steps", LOGS),
    off("iterations-per-loop", LOGS),
    off("bf16-config-path", DEVICE),
    off_switch("cpu-only", DEVICE),
    off_switch("use-tpu", DEVICE),
    off("tpu-name", DEVICE),
    off("tpu-zone", DEVICE),
    off("gcp-project", DEVICE),
    off("master", DEVICE),
    off("num-tpu-cores", DEVICE),
    off_switch("enable-scoped-allocator", DEVICE),
    off_switch("deterministic-run", ALWAYS),
    is("deterministic-seed", &["seed"]),
    off_switch("use-horovod", PROCESSES),
    off_switch("horovod-hierarchical-allreduce", PROCESSES),
];

/// What optimum-habana has beyond the Trainer.
pub const GAUDI: &[Row] = &[
    off("gaudi-config-name", DEVICE),
    off_switch("use-habana", DEVICE),
    off_switch("use-lazy-mode", DEVICE),
    off_switch("use-hpu-graphs", DEVICE),
    off_switch("use-hpu-graphs-for-inference", DEVICE),
    off_switch("use-hpu-graphs-for-training", DEVICE),
    off_switch("disable-tensor-cache-hpu-graphs", DEVICE),
    off("max-hpu-graphs", DEVICE),
    off_switch("sdp-on-bf16", DEVICE),
    off_switch("non-blocking-data-copy", DEVICE),
    off_switch("pipelining-fwd-bwd", DEVICE),
    off_switch("use-fused-adam", DEVICE),
    off_switch("use-fused-clip-norm", DEVICE),
    off_switch("compile-dynamic", DEVICE),
    off("throughput-warmup-steps", LOGS),
    off_switch("adjust-throughput", LOGS),
    off("profiling-warmup-steps", LOGS),
    off("profiling-steps", LOGS),
    off_switch("profiling-record-shapes", LOGS),
    off("distribution-strategy", PROCESSES),
    off("world-size", PROCESSES),
    off_switch("use-mpi", PROCESSES),
    off_switch("use-deepspeed", PROCESSES),
    off("master-port", PROCESSES),
];
