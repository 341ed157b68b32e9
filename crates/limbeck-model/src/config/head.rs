//! The head of a model: what stands on the encoder and turns hidden states into logits.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};

/// The most labels a classifier may have. A larger number in a `config.json` is taken for
/// damage or malice: every label has a name in memory.
pub const MAX_LABELS: usize = 1 << 20;

/// The kinds of heads this crate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// `*ForQuestionAnswering`.
    Span,
    /// `*ForSequenceClassification`.
    Classification,
    /// `*ForMaskedLM`.
    MaskedWord,
}

impl fmt::Display for HeadKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            HeadKind::Span => "span head, for questions and their contexts",
            HeadKind::Classification => "classification head, for whole texts",
            HeadKind::MaskedWord => "masked-word head, for pretraining",
        })
    }
}

/// A model's head, with what it must know.
#[derive(Clone, Debug, PartialEq)]
pub enum Head {
    /// Two logits a token: whether an answer starts there, and whether one ends there.
    Span,
    /// One logit a label for each sequence.
    Classification(Classes),
    /// One logit a word of the vocabulary for each masked token.
    MaskedWord,
}

impl Head {
    /// Which of the kinds it is.
    pub fn kind(&self) -> HeadKind {
        match self {
            Head::Span => HeadKind::Span,
            Head::Classification(_) => HeadKind::Classification,
            Head::MaskedWord => HeadKind::MaskedWord,
        }
    }
}

/// What the logits of a classification head mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Classes {
    /// The labels' names, by the number of their logit: `id2label`.
    pub labels: Vec<String>,
    /// `problem_type` as the file gives it; [`Classes::problem`] says what it comes to.
    pub problem_type: Option<ProblemType>,
}

/// How logits and labels belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemType {
    /// A logit is a number of its own, such as a similarity.
    Regression,
    /// Of all labels one is right: a softmax over the logits.
    SingleLabelClassification,
    /// Any labels may be right: a sigmoid for each logit.
    MultiLabelClassification,
}

impl ProblemType {
    /// The spelling of `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            ProblemType::Regression => "regression",
            ProblemType::SingleLabelClassification => "single_label_classification",
            ProblemType::MultiLabelClassification => "multi_label_classification",
        }
    }
}

impl Classes {
    /// The names that transformers gives to labels without: `LABEL_0`, `LABEL_1` and so on.
    pub fn unnamed(count: usize) -> Classes {
        let labels = (0..count).map(|label| format!("LABEL_{label}")).collect();
        Classes { labels, problem_type: None }
    }

    /// The problem. Where the file does not say, one label alone is a regression, and of
    /// several one is right.
    pub fn problem(&self) -> ProblemType {
        self.problem_type.unwrap_or(match self.labels.len() {
            1 => ProblemType::Regression,
            _ => ProblemType::SingleLabelClassification,
        })
    }

    pub(super) fn validate(&self) -> Result<()> {
        check_count("num_labels", self.labels.len())?;
        if self.labels.len() == 1 && self.problem() == ProblemType::SingleLabelClassification {
            return Err(ModelError::config(
                "problem_type",
                self.problem().name(),
                "needs two labels or more; with one label it is regression or \
                 multi_label_classification",
            ));
        }
        Ok(())
    }
}

/// Checks a number of labels, which may be larger than memory.
pub(super) fn check_count(key: &str, count: usize) -> Result<()> {
    match count {
        0 => Err(ModelError::config(key, count, "a classifier needs at least 1 label")),
        1..=MAX_LABELS => Ok(()),
        _ => {
            let reason = format!("more than {MAX_LABELS} labels are not supported");
            Err(ModelError::config(key, count, reason))
        }
    }
}
