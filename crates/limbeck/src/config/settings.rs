//! The one table of settings: every key of the configuration with its flag, its kind
//! of value and its meaning. Flags, `--set`, recipes and the reference all read it.

use toml::Value;

/// One key of the configuration and the flag that sets it.
#[derive(Debug)]
pub struct Setting {
    /// The dotted key: `optim.learning_rate`.
    pub key: &'static str,
    /// The flag without its dashes: `learning-rate`.
    pub flag: &'static str,
    /// What kind of value it takes.
    pub kind: Kind,
    /// How the value is called in help: `RATE`.
    pub value_name: &'static str,
    /// What it means, in one sentence without its full stop.
    pub help: &'static str,
}

/// The kinds of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A file or folder; `${NAME}` stands for an environment variable.
    Path,
    /// A list of texts; the flag may be given several times.
    Texts,
    /// A whole number from 0.
    Count,
    /// Whole numbers separated by commas.
    Counts,
    /// A number.
    Number,
    /// Numbers separated by commas.
    Numbers,
    /// `true` or `false`; the flag alone means `true`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// Settings that belong together, under one heading of help.
#[derive(Debug)]
pub struct Group {
    /// The heading.
    pub heading: &'static str,
    /// The settings, in the order of help.
    pub settings: &'static [Setting],
}

use Kind::{Choice, Count, Counts, Number, Numbers, Path, Switch, Text, Texts};

const fn row(
    key: &'static str,
    flag: &'static str,
    kind: Kind,
    value_name: &'static str,
    help: &'static str,
) -> Setting {
    Setting { key, flag, kind, value_name, help }
}

const TASKS: Kind = Choice(&["squad", "squad_v2"]);
const STRIDES: Kind = Choice(&["overlap", "advance"]);
const SCHEDULES: Kind = Choice(&["linear", "constant", "cosine"]);

/// What is learnt, from what.
pub const DATA: Group = Group {
    heading: "Task and data",
    settings: &[
        row("task", "task", TASKS, "TASK", "What is learnt; squad_v2 has questions without answer"),
        row("data.train", "train", Path, "FILE", "Questions to learn from, in SQuAD form"),
        row("data.dev", "dev", Path, "FILE", "Evaluate on these questions and keep the best model"),
        row(
            "data.max_train_questions",
            "max-train-questions",
            Count,
            "N",
            "Only the first N questions of the training file; 0 takes all",
        ),
        row(
            "data.max_dev_questions",
            "max-dev-questions",
            Count,
            "N",
            "Only the first N questions of the development file; 0 takes all",
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
        "Model folder, or model id in the Hugging Face cache, to start from",
    )],
};

/// The teachers and the student.
pub const TEACHER_AND_STUDENT: Group = Group {
    heading: "Teacher and student",
    settings: &[
        row(
            "teacher",
            "teacher",
            Texts,
            "MODEL",
            "Fine-tuned model to learn from; several teachers are averaged",
        ),
        row(
            "model.path",
            "student",
            Path,
            "MODEL",
            "Model that the student starts from; without it the first teacher",
        ),
        row(
            "model.layers",
            "student-layers",
            Counts,
            "LAYERS",
            "Keep only these layers, counted from 0, such as 0,2,5",
        ),
        row(
            "model.heads",
            "student-heads",
            Count,
            "N",
            "Keep N attention heads in every layer; 0 keeps all",
        ),
        row(
            "model.pruning_seed",
            "pruning-seed",
            Count,
            "SEED",
            "Chooses which heads go with --student-heads",
        ),
    ],
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
    ],
};

/// The losses of distillation.
pub const DISTILLATION: Group = Group {
    heading: "Distillation",
    settings: &[
        row(
            "distill.alpha_soft",
            "alpha-soft",
            Number,
            "WEIGHT",
            "Weight of the soft loss, KL(teacher || student) times T squared",
        ),
        row(
            "distill.alpha_hard",
            "alpha-hard",
            Number,
            "WEIGHT",
            "Weight of the hard loss, cross-entropy against the labels",
        ),
        row(
            "distill.temperature",
            "temperature",
            Number,
            "T",
            "Softens the logits of teacher and student alike",
        ),
        row(
            "distill.teacher_weights",
            "teacher-weights",
            Numbers,
            "WEIGHTS",
            "Weights of the teachers in their order; without it all alike",
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
            "Tokens of a window, question included",
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
            "schedule.rescale_after_warmup",
            "rescale-after-warmup",
            Switch,
            "BOOL",
            "Draw the decay from step 0, rescaled to meet the warm-up without a jump",
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
            "Forward passes averaged into one optimiser step",
        ),
        row("train.seed", "seed", Count, "SEED", "Fixes order, dropout and newly drawn weights"),
        row("train.dropout", "dropout", Switch, "BOOL", "Dropout while training"),
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
    ],
};

const THRESHOLD_HELP: &str =
    "Say \"no answer\" when its score leads by more than this; without it the model's own";

/// Decoding, as the training commands call it.
pub const EVALUATION: Group = Group {
    heading: "Evaluation",
    settings: &[
        row(
            "eval.batch_size",
            "eval-batch-size",
            Count,
            "N",
            "Features in one forward pass of an evaluation",
        ),
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
        row("eval.batch_size", "batch-size", Count, "N", "Features in one forward pass"),
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
        "squad_v2 may say \"no answer\"; without it the model's task, or the form of the data",
    )],
};

/// Where results go.
pub const OUTPUT: Group = Group {
    heading: "Output",
    settings: &[row("output.dir", "out", Path, "DIR", "Folder of the results")],
};

/// All that a recipe can set, one group a heading, each key once.
pub const RECIPE: [&Group; 10] = [
    &DATA,
    &MODEL,
    &TEACHER_AND_STUDENT,
    &ARCHITECTURE,
    &DISTILLATION,
    &FEATURES,
    &OPTIMISER,
    &TRAINING,
    &EVALUATION,
    &OUTPUT,
];

/// All known keys; a key with two flags comes twice.
pub fn keys() -> impl Iterator<Item = &'static str> {
    RECIPE.iter().flat_map(|group| group.settings).map(|setting| setting.key)
}

/// The setting of a dotted key.
pub fn find(key: &str) -> Option<&'static Setting> {
    RECIPE.iter().flat_map(|group| group.settings).find(|setting| setting.key == key)
}

impl Kind {
    /// The value that a flag's or `--set`'s text stands for.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn parse(self, text: &str) -> Result<Value, String> {
        match self {
            Text | Path => Ok(Value::String(text.to_owned())),
            Texts => Ok(list(text, |part| Ok(Value::String(part.to_owned())))?),
            Count => count(text),
            Counts => list(text, count),
            Number => number(text),
            Numbers => list(text, number),
            Switch => match text {
                "true" => Ok(Value::Boolean(true)),
                "false" => Ok(Value::Boolean(false)),
                _ => Err("expected true or false".to_owned()),
            },
            Choice(words) if words.contains(&text) => Ok(Value::String(text.to_owned())),
            Choice(words) => Err(format!("expected {}", words.join(" or "))),
        }
    }
}

fn count(text: &str) -> Result<Value, String> {
    match text.parse::<i64>() {
        Ok(n) if n >= 0 => Ok(Value::Integer(n)),
        _ => Err("expected a whole number from 0".to_owned()),
    }
}

fn number(text: &str) -> Result<Value, String> {
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(Value::Float(x)),
        _ => Err("expected a number".to_owned()),
    }
}

/// The parts between commas; brackets around and quotes inside, as TOML has them, may
/// stand or not. An empty text is an empty list.
fn list(text: &str, each: impl Fn(&str) -> Result<Value, String>) -> Result<Value, String> {
    let inner = text.trim();
    let inner = inner.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(inner);
    if inner.trim().is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    let unquoted = |part: &str| part.trim().trim_matches(['"', '\'']).to_owned();
    inner.split(',').map(|part| each(&unquoted(part))).collect::<Result<_, _>>().map(Value::Array)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{Layer, RunConfig};

    /// A configuration in which every optional key has a value.
    fn full() -> RunConfig {
        let mut config = RunConfig::default();
        config.model.path = Some("m".into());
        config.model.hidden_act = Some("gelu".into());
        config.model.type_vocab_size = Some(2);
        config.data.train = Some("t".into());
        config.data.dev = Some("d".into());
        config.data.cache = Some("c".into());
        config.eval.null_score_diff_threshold = Some(0.0);
        config.output.dir = Some("o".into());
        config
    }

    fn leaves(prefix: &str, table: &toml::Table, into: &mut BTreeSet<String>) {
        for (key, value) in table {
            match value {
                Value::Table(inner) => leaves(&format!("{prefix}{key}."), inner, into),
                _ => drop(into.insert(format!("{prefix}{key}"))),
            }
        }
    }

    #[test]
    fn the_table_knows_exactly_the_keys_of_the_configuration() {
        let mut expected = BTreeSet::new();
        leaves("", &Layer::of(&full()).unwrap().into_table(), &mut expected);
        let known: BTreeSet<String> = keys().map(str::to_owned).collect();
        assert_eq!(known, expected);
    }

    #[test]
    fn every_word_of_a_choice_is_accepted_by_the_configuration() {
        for setting in RECIPE.iter().flat_map(|group| group.settings) {
            if let Choice(words) = setting.kind {
                for word in words {
                    let mut layer = Layer::default();
                    layer.set(setting.key, setting.kind.parse(word).unwrap());
                    let table = layer.into_table();
                    table.try_into::<RunConfig>().unwrap_or_else(|e| panic!("{word}: {e}"));
                }
            }
        }
    }

    #[test]
    fn no_two_settings_of_a_command_share_a_flag() {
        let groups =
            [&DATA, &MODEL, &ARCHITECTURE, &FEATURES, &OPTIMISER, &TRAINING, &EVALUATION, &OUTPUT];
        let flags: Vec<_> = groups.iter().flat_map(|g| g.settings).map(|s| s.flag).collect();
        assert_eq!(flags.iter().collect::<BTreeSet<_>>().len(), flags.len());
    }

    #[test]
    fn texts_become_values_of_their_kind() {
        assert_eq!(Count.parse("16"), Ok(Value::Integer(16)));
        assert!(Count.parse("-1").is_err());
        assert_eq!(Number.parse("3e-5"), Ok(Value::Float(3e-5)));
        assert!(Number.parse("nan").is_err());
        let expected = Value::Array([0, 2, 5].map(Value::Integer).to_vec());
        assert_eq!(Counts.parse("0,2,5"), Ok(expected.clone()));
        assert_eq!(Counts.parse("[0, 2, 5]"), Ok(expected));
        assert_eq!(Texts.parse("[\"a\"]"), Ok(Value::Array(vec![Value::String("a".into())])));
        assert_eq!(Counts.parse(""), Ok(Value::Array(Vec::new())));
    }
}
