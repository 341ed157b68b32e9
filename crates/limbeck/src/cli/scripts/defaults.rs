//! The scripts' values for what a line does not say.

use super::line::Line;
use super::{habana, length_adaptive, run_squad, sigopt, table::Row, trainer};

/// Scripts with the same defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Transformers' older `run_squad.py` and `run_glue.py`.
    RunSquad,
    /// Those of the Length-Adaptive Transformer and of Intel.
    LengthAdaptive,
    /// SigOpt's distillation.
    SigOpt,
    /// Habana's script for TensorFlow.
    Habana,
    /// Those on Transformers' Trainer, optimum-habana's among them.
    Trainer,
}

/// Flags without which no line of a script trains or evaluates anything.
const MARKS: [&str; 13] = [
    "do-train",
    "do-eval",
    "do-predict",
    "do-search",
    "do-sigopt-search",
    "do-optuna-search",
    "model-type",
    "teacher-type",
    "teacher-model-type",
    "init-checkpoint",
    "distilbert-config-file",
    "bert-config-file",
    "bf16-config-path",
];

/// Flags that the older scripts share, and `run_qa.py` does not have.
const OLDER: [&str; 6] = [
    "model-type",
    "do-lower-case",
    "data-dir",
    "verbose-logging",
    "server-ip",
    "eval-all-checkpoints",
];

impl Family {
    /// Whose line it is; none where it may as well be one of this program's own, with a flag by
    /// another name.
    pub fn of(line: &Line) -> Option<Family> {
        let has = |name: &str| line.given(name).is_some();
        let any = |rows: &[Row]| rows.iter().any(|row| has(row.name));
        if !MARKS.into_iter().any(has) {
            return None;
        }
        let asks = ["do-train", "do-eval", "do-predict"].into_iter().any(has);
        Some(if any(habana::TENSORFLOW) {
            Family::Habana
        } else if any(sigopt::ROWS) || has("teacher-name-or-path") && !asks {
            Family::SigOpt
        } else if any(length_adaptive::ROWS) {
            Family::LengthAdaptive
        } else if any(trainer::ROWS) || any(habana::GAUDI) {
            Family::Trainer
        } else if any(run_squad::ROWS) || OLDER.into_iter().any(has) {
            Family::RunSquad
        } else {
            Family::Trainer
        })
    }

    /// The script, as it is told.
    pub fn script(self) -> &'static str {
        match self {
            Family::RunSquad => "Transformers' older scripts (run_squad.py)",
            Family::LengthAdaptive => "the Length-Adaptive Transformer or Dynamic-TinyBERT",
            Family::SigOpt => "SigOpt's distillation",
            Family::Habana => "Habana's run_squad.py",
            Family::Trainer => "Transformers' Trainer (run_qa.py, run_glue.py)",
        }
    }

    /// Flags and values of training.
    pub fn training(self) -> Vec<(&'static str, &'static str)> {
        let batch = if self == Family::Habana { "32" } else { "8" };
        let epochs = if self == Family::Habana { "2" } else { "3" };
        let mut all = vec![
            ("learning-rate", "5e-5"),
            ("batch-size", batch),
            ("epochs", epochs),
            ("weight-decay", "0"),
        ];
        if self == Family::Habana {
            all.extend([
                ("warmup", "0.1"),
                ("beta-1", "0.8"),
                ("beta-2", "0.95"),
                ("epsilon", "1e-6"),
                ("epsilon-inside-root", "true"),
                ("bias-correction", "false"),
                ("hidden-act", "gelu_new"),
                ("type-vocab-size", "16"),
            ]);
        }
        all
    }

    /// Those of distilling from a teacher's logits.
    pub fn distilling(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Family::SigOpt => &[
                ("student", "distilbert-base-uncased"),
                ("alpha-soft", "0.5"),
                ("alpha-hard", "0.5"),
                ("temperature", "1"),
            ],
            Family::LengthAdaptive => &[],
            _ => &[("alpha-soft", "0.5"), ("alpha-hard", "0.5"), ("temperature", "2")],
        }
    }

    /// Those of windows and answers.
    pub fn windows(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Family::Trainer => &[("doc-stride-meaning", "overlap"), ("max-query-length", "0")],
            _ => &[
                ("doc-stride-meaning", "advance"),
                ("max-query-length", "64"),
                ("max-context", "true"),
            ],
        }
    }
}
