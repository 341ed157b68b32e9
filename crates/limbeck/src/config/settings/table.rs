//! The rows of the table, group by group.

mod distilling;
mod pretraining;
mod sparsity;

use super::Kind::{Choice, Count, Number, Path, Paths, Switch};
use super::{Group, Kind, Setting};
pub use distilling::{DISTILLATION, INTERMEDIATE, LENGTHS, TEACHER_AND_STUDENT};
pub use pretraining::{NEW_MODEL, PLAIN_TEXT, SCHEDULE, SOFTENING, TEACHERS, TEXT, WINDOW};
pub use sparsity::SPARSITY;

const fn row(
    key: &'static str,
    flag: &'static str,
    kind: Kind,
    value_name: &'static str,
    help: &'static str,
) -> Setting {
    Setting { key, flag, kind, value_name, help }
}

const TASKS: Kind = Choice(&[
    "squad", "squad_v2", "cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli",
    "ax", "classify", "regress", "pretrain",
]);
const SOFT_LOSSES: Kind = Choice(&["divergence", "cross-entropy", "one-sided"]);
const RATE_SCALES: Kind = Choice(&["none", "linear", "sqrt"]);
/// Those by which a model may be kept, of all tasks.
const METRICS: Kind = Choice(&[
    "exact",
    "f1",
    "best_exact",
    "best_f1",
    "accuracy",
    "accuracy_mm",
    "matthews_correlation",
    "pearson",
    "spearmanr",
    "loss",
    "perplexity",
]);
const STRIDES: Kind = Choice(&["overlap", "advance"]);
const SCHEDULES: Kind = Choice(&[
    "linear",
    "constant",
    "cosine",
    "three-stage",
    "one-cycle",
    "range-exponential",
    "range-linear",
]);

/// What is learnt, from what.
pub const DATA: Group = Group {
    heading: "Task and data",
    settings: &[
        row(
            "task",
            "task",
            TASKS,
            "TASK",
            "What is learnt: answers to questions (squad_v2 has some without), a task of GLUE, or \
             labels (classify) or numbers (regress) of one's own texts",
        ),
        row(
            "data.train",
            "train",
            Paths,
            "FILE",
            "What to learn from: questions in SQuAD form, or labelled texts as TSV, CSV, JSON, JSON \
             lines or Parquet; several files are read one after the other",
        ),
        row("data.dev", "dev", Path, "FILE", "Evaluate on this file and keep the best model"),
        row(
            "data.dev_mismatched",
            "dev-mismatched",
            Path,
            "FILE",
            "MNLI's second development set; its scores have _mm behind their names",
        ),
        row(
            "data.max_train_questions",
            "max-train-questions",
            Count,
            "N",
            "Only the first N training questions or texts; 0 takes all",
        ),
        row(
            "data.max_dev_questions",
            "max-dev-questions",
            Count,
            "N",
            "Only the first N development questions or texts; 0 takes all",
        ),
        row("data.cache", "cache", Path, "DIR", "Keep tokenised features here for the next start"),
    ],
};

/// The model to start from, as `finetune` calls it.
pub const MODEL: Group = Group {
    heading: "Model",
    settings: &[row(
        "model.path",
        "model",
        Path,
        "MODEL",
        "Model folder, or id of a model of the Hugging Face Hub, to start from",
    )],
};

/// Changes to the model's own configuration.
pub const ARCHITECTURE: Group = Group {
    heading: "Architecture",
    settings: &[
        row(
            "model.hidden_act",
            "hidden-act",
            Choice(&["gelu", "gelu_new", "relu"]),
            "NAME",
            "Another activation than the model's config.json says",
        ),
        row(
            "model.type_vocab_size",
            "type-vocab-size",
            Count,
            "N",
            "Another number of segment embeddings; new ones are drawn at random",
        ),
        row(
            "model.hidden_dropout",
            "hidden-dropout",
            Number,
            "RATE",
            "Another dropout of hidden states than the model's config.json says",
        ),
        row(
            "model.attention_dropout",
            "attention-dropout",
            Number,
            "RATE",
            "Another dropout of attention probabilities",
        ),
        row(
            "model.head_dropout",
            "head-dropout",
            Number,
            "RATE",
            "Another dropout before the head, where the model has one",
        ),
        row(
            "model.initializer_range",
            "initializer-range",
            Number,
            "DEVIATION",
            "Another standard deviation of weights that are drawn at random",
        ),
    ],
};

/// Windows and labels.
pub const FEATURES: Group = Group {
    heading: "Windows",
    settings: &[
        row(
            "features.max_length",
            "max-length",
            Count,
            "TOKENS",
            "Tokens of a window, question included; of a text, 128 without it",
        ),
        row(
            "features.doc_stride",
            "doc-stride",
            Count,
            "TOKENS",
            "Stride of the windows of a long paragraph",
        ),
        row(
            "features.doc_stride_meaning",
            "doc-stride-meaning",
            STRIDES,
            "MEANING",
            "overlap: neighbouring windows share the stride; advance: each starts a stride later",
        ),
        row(
            "features.max_query_length",
            "max-query-length",
            Count,
            "TOKENS",
            "Longer questions are cut to this; 0 sets no limit",
        ),
        row(
            "features.refine_labels",
            "refine-labels",
            Switch,
            "BOOL",
            "Shrink a label to the tightest tokens that spell the answer",
        ),
    ],
};

/// Optimiser and schedule.
pub const OPTIMISER: Group = Group {
    heading: "Optimiser",
    settings: &[
        row("optim.learning_rate", "learning-rate", Number, "RATE", "Peak learning rate"),
        row(
            "optim.scale_learning_rate",
            "scale-learning-rate",
            RATE_SCALES,
            "LAW",
            "Let it grow with the features of a step, accumulated batches included: linear or sqrt",
        ),
        row(
            "optim.base_batch_size",
            "base-batch-size",
            Count,
            "N",
            "The features of a step that --learning-rate is meant for, where it grows with them",
        ),
        row(
            "optim.weight_decay",
            "weight-decay",
            Number,
            "DECAY",
            "Decoupled decay of weights and embeddings",
        ),
        row(
            "optim.max_grad_norm",
            "max-grad-norm",
            Number,
            "NORM",
            "Clip gradients to this norm; 0 does not clip",
        ),
        row("optim.beta_1", "beta-1", Number, "BETA", "Decay of the first moment"),
        row("optim.beta_2", "beta-2", Number, "BETA", "Decay of the second moment"),
        row("optim.epsilon", "epsilon", Number, "EPSILON", "Keeps the denominator from zero"),
        row(
            "optim.epsilon_inside_root",
            "epsilon-inside-root",
            Switch,
            "BOOL",
            "Divide by sqrt(v + epsilon squared) instead of sqrt(v) + epsilon",
        ),
        row(
            "optim.bias_correction",
            "bias-correction",
            Switch,
            "BOOL",
            "Divide the moments by 1 - beta^t",
        ),
        row("schedule.kind", "schedule", SCHEDULES, "SHAPE", "Learning rate after the warm-up"),
        row(
            "schedule.warmup",
            "warmup",
            Number,
            "SHARE",
            "Warm-up: share of all steps below 1, count of steps from 1",
        ),
        row(
            "schedule.cooldown",
            "cooldown",
            Number,
            "SHARE",
            "three-stage: last steps, of whose second third the rate is a tenth, of the last a \
             hundredth: share of all below 1, count from 1",
        ),
    ],
};

/// Length and rhythm of training.
pub const TRAINING: Group = Group {
    heading: "Training",
    settings: &[
        row(
            "train.epochs",
            "epochs",
            Number,
            "N",
            "Passes over the training features; may be a fraction",
        ),
        row(
            "train.max_steps",
            "max-steps",
            Count,
            "N",
            "Optimiser steps, instead of epochs; 0 counts epochs",
        ),
        row("train.batch_size", "batch-size", Count, "N", "Features in one forward pass"),
        row(
            "train.gradient_accumulation_steps",
            "gradient-accumulation-steps",
            Count,
            "N",
            "Forward passes averaged into one optimiser step; the last of an epoch takes what is left",
        ),
        row("train.seed", "seed", Count, "SEED", "Fixes order, dropout and newly drawn weights"),
        row(
            "runs",
            "runs",
            Count,
            "N",
            "Train N times, with this and the following seeds, in folders run-1, run-2, ... of the \
             run's; then tell the best, the mean, the median and the standard deviation of the \
             scores. More runs may be asked for later; 0 trains once, in the folder itself",
        ),
        row("train.dropout", "dropout", Switch, "BOOL", "Dropout while training"),
        row(
            "train.recompute",
            "recompute",
            Switch,
            "BOOL",
            "Keep only what enters each layer: less memory, more time, the same bytes",
        ),
        row(
            "train.max_tokens_per_pass",
            "max-tokens-per-pass",
            Count,
            "N",
            "Tokens in one pass: larger batches go through in parts, within less memory, to the same \
             step but for rounding; 0 sets no limit",
        ),
        row(
            "train.save_steps",
            "save-steps",
            Count,
            "N",
            "Steps between resumable checkpoints; 0 saves none between",
        ),
        row(
            "train.eval_steps",
            "eval-steps",
            Count,
            "N",
            "Steps between evaluations; 0 evaluates after every epoch",
        ),
        row(
            "train.logging_steps",
            "logging-steps",
            Count,
            "N",
            "Steps between lines of train.jsonl",
        ),
        row(
            "train.early_stop_patience",
            "early-stop",
            Count,
            "N",
            "Stop after N evaluations without a better score; 0 never does",
        ),
        row(
            "train.best_metric",
            "best-metric",
            METRICS,
            "METRIC",
            "Keep the model that is best by this metric, instead of by F1, the mean of a task's \
             metrics, or the loss of masked words",
        ),
    ],
};

const THRESHOLD_HELP: &str =
    "Say \"no answer\" when its score leads by more than this; without it the model's own";

/// Decoding, as the training commands call it.
pub const EVALUATION: Group = Group {
    heading: "Evaluation",
    settings: &[
        row("eval.n_best_size", "n-best-size", Count, "N", "Candidates kept for a question"),
        row("eval.max_answer_length", "max-answer-length", Count, "TOKENS", "The longest answer"),
        row(
            "eval.null_score_diff_threshold",
            "null-score-diff-threshold",
            Number,
            "SCORE",
            THRESHOLD_HELP,
        ),
        row(
            "eval.max_context",
            "max-context",
            Switch,
            "BOOL",
            "Take a token only from the window where it has the most context",
        ),
    ],
};

/// Decoding, for a model that is only run.
pub const ANSWERING: Group = Group {
    heading: "Answering",
    settings: &[
        row("eval.n_best_size", "n-best-size", Count, "N", "Candidates kept for a question"),
        row("eval.max_answer_length", "max-answer-length", Count, "TOKENS", "The longest answer"),
        row(
            "eval.null_score_diff_threshold",
            "null-score-diff-threshold",
            Number,
            "SCORE",
            THRESHOLD_HELP,
        ),
        row(
            "eval.max_context",
            "max-context",
            Switch,
            "BOOL",
            "Take a token only from the window where it has the most context",
        ),
    ],
};

/// The task, for a model that is only run.
pub const TASK: Group = Group {
    heading: "Task",
    settings: &[row(
        "task",
        "task",
        TASKS,
        "TASK",
        "squad_v2 may say \"no answer\", the others label texts; without it the model's task, or for \
         questions the form of the data",
    )],
};

/// Where results go.
pub const OUTPUT: Group = Group {
    heading: "Output",
    settings: &[
        row("output.dir", "out", Path, "DIR", "Folder of the results"),
        row(
            "output.track",
            "track",
            Paths,
            "TRACKER,...",
            "What is told of the run beside train.jsonl: tensorboard (the default), \
             mlflow=http://HOST:PORT, cloudwatch=GROUP, none",
        ),
        row(
            "output.register_model",
            "register-model",
            Path,
            "NAME",
            "Register the finished model in MLflow under this name",
        ),
        row(
            "output.remove_local",
            "remove-local",
            Switch,
            "BOOL",
            "With --out s3://...: remove this machine's copy of the finished run, once all that \
             the store has was read and compared",
        ),
    ],
};

/// All that a recipe can set, one group a heading, each key once.
pub const RECIPE: [&Group; 17] = [
    &DATA,
    &MODEL,
    &TEACHER_AND_STUDENT,
    &ARCHITECTURE,
    &NEW_MODEL,
    &TEXT,
    &DISTILLATION,
    &SOFTENING,
    &INTERMEDIATE,
    &LENGTHS,
    &SPARSITY,
    &FEATURES,
    &OPTIMISER,
    &SCHEDULE,
    &TRAINING,
    &EVALUATION,
    &OUTPUT,
];
