//! Questions and contexts in, answers and scores out; texts in, labels and scores out:
//! everything about the data of extractive question answering and of text classification, and
//! nothing about models.
//!
//! The crate reads SQuAD files, tokenises them once, cuts contexts into windows, keeps the
//! result in a mapped cache, deals it out in ragged batches, turns a model's logits back
//! into slices of the original text, and scores those; it does the same for the labelled texts
//! of GLUE. It does not know what a model is: logits come in as plain slices.
//!
//! # Layout
//! * [`rows`]: data files of any container: compressed or UTF-16 text, JSON, CSV, Parquet.
//! * [`squad`]: the data itself, SQuAD 1.1 and 2.0 files.
//! * [`tokenizer`]: `tokenizer.json` or `vocab.txt`, with byte offsets into the text.
//! * [`features`]: windows with their labels, built in parallel, owned or mapped.
//! * [`texts`]: a text or a pair of them as one sequence, for classifiers.
//! * [`text_keys`]: the names under which texts and labels come in.
//! * [`glue`]: labelled texts, the tasks of GLUE and one's own: files, features, scores.
//! * [`corpus`]: plain text to learn a language from: tokens on disk, windows, masked words.
//! * [`mod@cache`]: where files that are derived from data are kept.
//! * [`examples`]: what features of all kinds have in common.
//! * [`batch`] and [`order`]: ragged batches, and which features go into which batch.
//! * [`decode`]: logits to answers; the one decoder of every command.
//! * [`metrics`]: one metric a file.
//! * [`predictions`]: the prediction files; [`error_report`]: where a model goes wrong.
//! * [`demo`]: a small invented corpus with its own tokenizer.
//! * [`files`]: whole replacement of files; [`random`]: the generator behind every shuffle.
//!
//! All offsets inside the crate are byte offsets. Code points appear at its edges only:
//! `answer_start` of SQuAD files, `start` and `end` of candidates.

pub mod batch;
pub mod cache;
pub mod corpus;
pub mod decode;
pub mod demo;
pub mod error_report;
pub mod examples;
pub mod features;
pub mod files;
pub mod glue;
pub mod metrics;
pub mod order;
pub mod predictions;
pub mod random;
pub mod rows;
pub mod squad;
pub mod text_keys;
pub mod texts;
pub mod tokenizer;

mod error;
mod text;

#[cfg(test)]
mod testing;

pub use batch::Batch;
pub use cache::Cache;
pub use decode::{DecodeOptions, Decoded};
pub use error::DataError;
pub use examples::Examples;
pub use features::{
    BuildReport, DocStrideMeaning, Feature, FeatureOptions, Features, MovedAnswer, Purpose,
};
pub use order::BatchOrder;
pub use squad::{Answer, Gold, Paragraph, Question, ReadReport, SquadData};
pub use texts::Sequence;
pub use tokenizer::{Encoded, TOKENIZER_FILES, Tokenizer, model_max_length};

/// Sets the number of threads on which texts are tokenised and logits decoded; 0 takes all
/// cores. Must come before the first of them starts; afterwards it changes nothing.
pub fn configure_threads(threads: usize) {
    // An error says that they have started: then they stay.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
}
