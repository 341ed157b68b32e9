//! Pretraining on plain text: the text, the new model, the schedules.

use super::{SOFT_LOSSES, row};
use crate::config::settings::Group;
use crate::config::settings::Kind::{Choice, Count, Number, Numbers, Path, Paths, Switch};

/// The files, as `pretrain` calls them.
pub const PLAIN_TEXT: Group = Group {
    heading: "Text",
    settings: &[
        row(
            "data.train",
            "text",
            Paths,
            "FILE",
            "Plain text to learn from, of any size; several files are read one after the other",
        ),
        row(
            "data.dev",
            "dev",
            Path,
            "FILE",
            "Evaluate on this text, instead of a share of the windows",
        ),
        row(
            "data.cache",
            "cache",
            Path,
            "DIR",
            "Keep tokens and a trained vocabulary here for the next start",
        ),
    ],
};

/// What is made of the text.
pub const TEXT: Group = Group {
    heading: "Words",
    settings: &[
        row(
            "text.tokenizer",
            "tokenizer",
            Path,
            "PATH",
            "Folder of a tokenizer, or its vocab.txt or tokenizer.json; without it that of the \
             model or teacher, or else one is trained",
        ),
        row(
            "text.vocab_size",
            "vocab-size",
            Count,
            "N",
            "Entries of a vocabulary that is trained, at most",
        ),
        row(
            "text.lower_case",
            "lower-case",
            Switch,
            "BOOL",
            "Whether a trained vocabulary knows small letters only",
        ),
        row(
            "text.documents",
            "documents",
            Choice(&["lines", "blank-lines"]),
            "WHAT",
            "What is a document: every line, or what stands between empty lines",
        ),
        row(
            "text.masking",
            "masking",
            Choice(&["whole-word", "token"]),
            "WHAT",
            "Mask all pieces of a word together, or each token by itself",
        ),
        row(
            "text.mask_probability",
            "mask-probability",
            Number,
            "SHARE",
            "Share of the tokens that are to be guessed",
        ),
        row(
            "text.validation_share",
            "validation-share",
            Number,
            "SHARE",
            "Share of the windows to evaluate on; 0 evaluates on none",
        ),
        row(
            "text.validation_seed",
            "validation-seed",
            Count,
            "SEED",
            "Chooses those windows and their masks, whatever the other seed",
        ),
    ],
};

/// The length of windows of text.
pub const WINDOW: Group = Group {
    heading: "Windows",
    settings: &[row(
        "features.max_length",
        "max-length",
        Count,
        "TOKENS",
        "Tokens of a window, the two special ones included",
    )],
};

/// A model that is made new.
pub const NEW_MODEL: Group = Group {
    heading: "New model",
    settings: &[
        row("model.config", "config", Path, "FILE", "config.json of a new model, or its folder"),
        row("model.num_layers", "layers", Count, "N", "Layers of a new BERT"),
        row("model.hidden_size", "hidden-size", Count, "N", "Width of a new BERT"),
        row("model.heads", "heads", Count, "N", "Attention heads of a new BERT"),
        row(
            "model.intermediate_size",
            "intermediate-size",
            Count,
            "N",
            "Width of its feed-forward parts; 0 is four times the hidden size",
        ),
    ],
};

/// The teachers, as `pretrain` calls them.
pub const TEACHERS: Group = Group {
    heading: "Distillation",
    settings: &[
        row(
            "teacher",
            "teacher",
            Paths,
            "MODEL",
            "Pretrained model to learn from, with the same vocabulary; several are averaged",
        ),
        row(
            "distill.teacher_weights",
            "teacher-weights",
            Numbers,
            "WEIGHTS",
            "Weights of the teachers in their order; without it all alike",
        ),
        row(
            "distill.temperature",
            "temperature",
            Number,
            "T",
            "Softens the logits of teacher and student alike",
        ),
        row(
            "distill.soft_loss",
            "soft-loss",
            SOFT_LOSSES,
            "FORM",
            "divergence has the factor T squared; one-sided softens the teacher alone, without it",
        ),
    ],
};

/// How what is learnt from teachers changes over the steps of pretraining.
pub const SOFTENING: Group = Group {
    heading: "Distillation of words",
    settings: &[
        row(
            "distill.factor",
            "factor",
            Number,
            "SHARE",
            "Share of the soft loss in pretraining; the loss against the words has the rest",
        ),
        row(
            "distill.factor_end",
            "factor-end",
            Number,
            "SHARE",
            "That of the last step, reached in a straight line",
        ),
        row(
            "distill.temperature_end",
            "temperature-end",
            Number,
            "T",
            "Temperature of the last step of pretraining, reached in a straight line",
        ),
    ],
};

/// What one-cycle schedules and range tests take.
pub const SCHEDULE: Group = Group {
    heading: "One-cycle and range test",
    settings: &[
        row(
            "schedule.pct_start",
            "pct-start",
            Number,
            "SHARE",
            "One-cycle: share of the steps before the peak",
        ),
        row(
            "schedule.div_factor",
            "div-factor",
            Number,
            "N",
            "One-cycle: the first rate is the peak divided by this",
        ),
        row(
            "schedule.final_div_factor",
            "final-div-factor",
            Number,
            "N",
            "One-cycle: the last rate is the first divided by this",
        ),
        row(
            "schedule.anneal",
            "anneal",
            Choice(&["linear", "cosine"]),
            "WAY",
            "One-cycle: the way from one rate to the next",
        ),
        row(
            "schedule.cycle_momentum",
            "cycle-momentum",
            Switch,
            "BOOL",
            "One-cycle: lower beta-1 while the rate rises, and the other way round",
        ),
        row(
            "schedule.base_momentum",
            "base-momentum",
            Number,
            "BETA",
            "One-cycle: beta-1 at the peak",
        ),
        row(
            "schedule.max_momentum",
            "max-momentum",
            Number,
            "BETA",
            "One-cycle: beta-1 at both ends",
        ),
        row(
            "schedule.range_start",
            "range-start",
            Number,
            "RATE",
            "Range test: the first rate; the last is the learning rate",
        ),
        row(
            "schedule.range_loss",
            "range-loss",
            Choice(&["training", "evaluation"]),
            "LOSS",
            "Range test: the loss that tells; that of the evaluation is taken after every step, or \
             every --eval-steps",
        ),
    ],
};
