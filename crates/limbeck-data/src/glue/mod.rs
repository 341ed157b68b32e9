//! Texts and pairs of texts with their labels: the nine tasks of GLUE (Wang et al., 2019), its
//! diagnostic set, and files of one's own.
//!
//! # Layout
//! * [`task`](TextTask): every task's columns, labels and metrics, one row of a table each.
//! * `table`: GLUE's own TSV files; `named`: rows whose fields have names, of any other file.
//! * [`data`](TextData): rows with their labels understood; `labels`: how they are.
//! * [`features`](TextFeatures): rows as sequences of tokens.
//! * [`score`](mod@score): the metrics of a model's logits; [`predictions`]: `predictions.tsv`.

mod data;
mod features;
mod labels;
mod named;
pub mod predictions;
pub mod score;
mod table;
mod task;

#[cfg(test)]
mod forms;
#[cfg(test)]
mod tests;

pub use data::{Example, LeftOut, ModelLabels, TextData, Use};
pub use features::TextFeatures;
pub use task::TextTask;
