//! What a row of the lists says of one flag of a script.

/// One flag of a script, in the spelling with dashes and without those in front.
#[derive(Debug)]
pub struct Row {
    /// `per-gpu-train-batch-size`.
    pub name: &'static str,
    /// What stands behind it.
    pub takes: Takes,
    /// What it means here.
    pub meaning: Meaning,
}

/// What stands behind a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Nothing, or `True` or `False`.
    Switch,
    /// One word.
    Value,
    /// Any number of words, up to the next flag.
    Values,
}

/// What a flag means here.
#[derive(Debug)]
pub enum Meaning {
    /// The same as the first of these flags that the command has.
    Is(&'static [&'static str]),
    /// The same as this flag, with its value in other words, or none where nothing is to be said.
    As(&'static str, fn(&str) -> Result<Option<String>, String>),
    /// It is read together with others; see [`whole`](super::whole).
    Whole,
    /// It is not needed, and why.
    Off(&'static str),
    /// There is nothing of the kind, and what to do instead. A value that asks for nothing, such
    /// as 0, is accepted.
    Refused(&'static str),
}

/// A flag that is the same as one of ours, in each command by its name there.
pub const fn is(name: &'static str, ours: &'static [&'static str]) -> Row {
    Row { name, takes: Takes::Value, meaning: Meaning::Is(ours) }
}

/// A switch that is the same as one of ours.
pub const fn switch(name: &'static str, ours: &'static [&'static str]) -> Row {
    Row { name, takes: Takes::Switch, meaning: Meaning::Is(ours) }
}

/// A flag that is the same as one of ours but for the words of its value.
pub const fn worded(
    name: &'static str,
    ours: &'static str,
    words: fn(&str) -> Result<Option<String>, String>,
) -> Row {
    Row { name, takes: Takes::Value, meaning: Meaning::As(ours, words) }
}

/// A flag that is read together with others.
pub const fn whole(name: &'static str, takes: Takes) -> Row {
    Row { name, takes, meaning: Meaning::Whole }
}

/// A flag with a value that is not needed.
pub const fn off(name: &'static str, why: &'static str) -> Row {
    Row { name, takes: Takes::Value, meaning: Meaning::Off(why) }
}

/// A switch that is not needed.
pub const fn off_switch(name: &'static str, why: &'static str) -> Row {
    Row { name, takes: Takes::Switch, meaning: Meaning::Off(why) }
}

/// A flag that there is nothing for.
pub const fn refused(name: &'static str, takes: Takes, cure: &'static str) -> Row {
    Row { name, takes, meaning: Meaning::Refused(cure) }
}

// Why flags are not needed. Those with the same reason are told in one line.

/// Number formats and devices.
pub const DEVICE: &str = "training computes in float32 on the processor";
/// Several processes.
pub const PROCESSES: &str = "--ranks N trains by N processes";
/// Padding.
pub const PADDING: &str = "there is no padding";
/// Where models of the Hub are kept.
pub const HUB_CACHE: &str =
    "models are kept in the Hugging Face cache; HF_HUB_CACHE names another folder for it";
/// Tokens of the Hub.
pub const HUB_TOKEN: &str = "HF_TOKEN, or the token that `hf auth login` left, is read";
/// The tokenizer.
pub const TOKENIZER: &str = "the tokenizer in the model's folder decides";
/// How data is read and batched.
pub const BATCHES: &str = "how data is read and batched for this changes no result";
/// Which models are kept.
pub const KEPT: &str =
    "the best model by the task's score is kept, with the last one and a checkpoint to go on from";
/// Numbers and messages.
pub const LOGS: &str = "train.jsonl, tensorboard/ and report.html have the run's numbers";
/// Uploads to the Hub.
pub const PUSH: &str = "nothing is uploaded; `hf upload` takes the folder of --out as it is";
/// Caches of features.
pub const FEATURES: &str =
    "--cache DIR keeps tokenised features, and notices by itself when they no longer fit";
/// Kinds of models.
pub const MODEL_KIND: &str = "the model's config.json decides";
/// What is so anyway.
pub const ALWAYS: &str = "it is always so";
/// Code from the Hub.
pub const CODE: &str = "no code of a model's folder is run";
/// Data of the Hub.
pub const DATASET: &str = "data comes from files: give --train_file and --validation_file. \
     SQuAD's are at https://rajpurkar.github.io/SQuAD-explorer/dataset/, GLUE's at \
     https://gluebenchmark.com/tasks; the parquet files of a dataset on the Hub are read too";
