//! The tasks: what their files look like, what their labels are, how they are scored.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::score::Score;

/// What is learnt of texts or pairs of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextTask {
    /// Whether a sentence is acceptable English (Warstadt et al., 2019).
    Cola,
    /// Whether a sentence of a film review speaks well of it (Socher et al., 2013).
    Sst2,
    /// Whether two sentences of the news say the same (Dolan and Brockett, 2005).
    Mrpc,
    /// How similar two sentences are, from 0 to 5 (Cer et al., 2017).
    Stsb,
    /// Whether two questions ask the same.
    Qqp,
    /// Whether a premise entails a hypothesis, contradicts it or neither (Williams et al., 2018).
    Mnli,
    /// Whether a sentence holds the answer to a question (Rajpurkar et al., 2016).
    Qnli,
    /// Whether a text entails a hypothesis (Dagan et al., 2006, and later).
    Rte,
    /// Whether a sentence follows with its pronoun replaced (Levesque et al., 2011).
    Wnli,
    /// GLUE's diagnostic set, for a model of [`TextTask::Mnli`].
    Ax,
    /// Any labels, named by the data.
    Classify,
    /// Any number.
    Regress,
}

/// The labels of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Labels {
    /// Named here; the task's files write the names.
    Named(&'static [&'static str]),
    /// Named here; the task's files write the numbers.
    Numbered(&'static [&'static str]),
    /// A number that is itself what is learnt.
    Value,
    /// Named by the files.
    Open,
}

/// Where a row keeps what is read of it: the names that a column has in GLUE's own files. In other
/// files texts may have any of [their names](crate::text_keys).
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    pub text: &'static [&'static str],
    pub pair: &'static [&'static str],
    pub pair_is_needed: bool,
    pub label: &'static [&'static str],
    /// Numbers of the columns of text and label in files without a header.
    pub without_header: Option<(usize, usize)>,
    /// Whether rows that lack columns are left out instead of refused: the official file has
    /// some.
    pub leaves_short_rows_out: bool,
}

/// One text and no pair.
const SINGLE: Columns = Columns {
    text: &["sentence"],
    pair: &[],
    pair_is_needed: false,
    label: &["label"],
    without_header: None,
    leaves_short_rows_out: false,
};

/// Two sentences.
const PAIR: Columns =
    Columns { text: &["sentence1"], pair: &["sentence2"], pair_is_needed: true, ..SINGLE };

const ENTAILMENT: [&str; 2] = ["entailment", "not_entailment"];
const INFERENCE: [&str; 3] = ["entailment", "neutral", "contradiction"];

impl TextTask {
    /// All of them, in GLUE's order.
    pub const ALL: [TextTask; 12] = [
        TextTask::Cola,
        TextTask::Sst2,
        TextTask::Mrpc,
        TextTask::Stsb,
        TextTask::Qqp,
        TextTask::Mnli,
        TextTask::Qnli,
        TextTask::Rte,
        TextTask::Wnli,
        TextTask::Ax,
        TextTask::Classify,
        TextTask::Regress,
    ];

    /// The nine that GLUE has a score for, in its order.
    pub const GLUE: [TextTask; 9] = [
        TextTask::Cola,
        TextTask::Sst2,
        TextTask::Mrpc,
        TextTask::Stsb,
        TextTask::Qqp,
        TextTask::Mnli,
        TextTask::Qnli,
        TextTask::Rte,
        TextTask::Wnli,
    ];

    /// How flags and recipes call it.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Whether a number is learnt instead of a label.
    pub fn is_regression(self) -> bool {
        self.labels() == Labels::Value
    }

    /// The names of its labels, in the order of their numbers, where the task itself knows them.
    pub fn label_names(self) -> Option<&'static [&'static str]> {
        match self.labels() {
            Labels::Named(names) | Labels::Numbered(names) => Some(names),
            Labels::Value | Labels::Open => None,
        }
    }

    /// The name of the file in which GLUE's server takes predictions for texts that were read from
    /// `data`: MNLI has two sets, of which the second has `mismatched` in its name. `None` of tasks
    /// that are not GLUE's.
    pub fn submission(self, data: &Path) -> Option<&'static str> {
        Some(match self {
            TextTask::Cola => "CoLA.tsv",
            TextTask::Sst2 => "SST-2.tsv",
            TextTask::Mrpc => "MRPC.tsv",
            TextTask::Stsb => "STS-B.tsv",
            TextTask::Qqp => "QQP.tsv",
            TextTask::Mnli => {
                let name = data.file_name().unwrap_or_default().to_string_lossy();
                if name.contains("mismatched") { "MNLI-mm.tsv" } else { "MNLI-m.tsv" }
            }
            TextTask::Qnli => "QNLI.tsv",
            TextTask::Rte => "RTE.tsv",
            TextTask::Wnli => "WNLI.tsv",
            TextTask::Ax => "AX.tsv",
            TextTask::Classify | TextTask::Regress => return None,
        })
    }

    pub(super) fn columns(self) -> Columns {
        self.row().1
    }

    pub(super) fn labels(self) -> Labels {
        self.row().2
    }

    pub(super) fn scores(self) -> &'static [Score] {
        self.row().3
    }

    /// Name, columns, labels in the order of Transformers' `run_glue.py`, metrics.
    fn row(self) -> (&'static str, Columns, Labels, &'static [Score]) {
        use Labels::{Named, Numbered, Open, Value};
        use Score::{Accuracy, F1, Matthews, Pearson, Spearman};
        match self {
            TextTask::Cola => (
                "cola",
                Columns { without_header: Some((3, 1)), ..SINGLE },
                Numbered(&["unacceptable", "acceptable"]),
                &[Matthews],
            ),
            TextTask::Sst2 => ("sst2", SINGLE, Numbered(&["negative", "positive"]), &[Accuracy]),
            TextTask::Mrpc => (
                "mrpc",
                Columns { text: &["#1 String"], pair: &["#2 String"], label: &["Quality"], ..PAIR },
                Numbered(&["not_equivalent", "equivalent"]),
                &[Accuracy, F1],
            ),
            TextTask::Stsb => {
                ("stsb", Columns { label: &["score"], ..PAIR }, Value, &[Pearson, Spearman])
            }
            TextTask::Qqp => (
                "qqp",
                Columns {
                    text: &["question1"],
                    pair: &["question2"],
                    label: &["is_duplicate"],
                    leaves_short_rows_out: true,
                    ..PAIR
                },
                Numbered(&["not_duplicate", "duplicate"]),
                &[Accuracy, F1],
            ),
            TextTask::Mnli => {
                let columns = Columns { label: &["gold_label"], ..PAIR };
                ("mnli", columns, Named(&INFERENCE), &[Accuracy])
            }
            TextTask::Qnli => {
                let columns = Columns { text: &["question"], pair: &["sentence"], ..PAIR };
                ("qnli", columns, Named(&ENTAILMENT), &[Accuracy])
            }
            TextTask::Rte => ("rte", PAIR, Named(&ENTAILMENT), &[Accuracy]),
            TextTask::Wnli => {
                ("wnli", PAIR, Numbered(&["not_entailment", "entailment"]), &[Accuracy])
            }
            TextTask::Ax => (
                "ax",
                Columns {
                    text: &["sentence1", "Premise"],
                    pair: &["sentence2", "Hypothesis"],
                    label: &["label", "Label"],
                    ..PAIR
                },
                Named(&INFERENCE),
                &[Matthews],
            ),
            TextTask::Classify => ("classify", OWN, Open, &[Accuracy]),
            TextTask::Regress => {
                let columns = Columns { label: &["label", "score"], ..OWN };
                ("regress", columns, Value, &[Pearson, Spearman])
            }
        }
    }
}

/// Of files of one's own.
const OWN: Columns = Columns { text: &["text"], pair: &["pair"], ..SINGLE };

impl fmt::Display for TextTask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_of_glue_has_its_file_and_mnli_has_two() {
        let of = |task: TextTask, data: &str| task.submission(Path::new(data));
        assert_eq!(of(TextTask::Cola, "test.tsv"), Some("CoLA.tsv"));
        assert_eq!(of(TextTask::Mnli, "mismatched/test_matched.tsv"), Some("MNLI-m.tsv"));
        assert_eq!(of(TextTask::Mnli, "MNLI/test_mismatched.tsv"), Some("MNLI-mm.tsv"));
        assert_eq!(of(TextTask::Classify, "mine.tsv"), None);
        let names: std::collections::HashSet<_> = TextTask::ALL
            .iter()
            .filter_map(|task| task.submission(Path::new("test.tsv")))
            .collect();
        assert_eq!(names.len(), 10);
    }
}
