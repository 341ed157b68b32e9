//! Scores of predictions, one metric a file; another metric is another file. Those of questions
//! go from data and predictions to [`Metrics`], those of labels are plain functions that
//! [`glue`](crate::glue) puts together.
//!
//! # Layout
//! * [`squad`]: `exact`, `f1` and the best thresholds, as SQuAD 2.0's script gives them.
//! * `threshold`: which threshold of null odds suits best.
//! * [`squad_v1`]: `exact_match` and `f1`, as SQuAD 1.1's script gives them.
//! * [`text`]: the normalisation and the token overlap that both rest on.
//! * [`accuracy`], [`f1`], [`matthews`]: of predicted labels.
//! * [`pearson`], [`spearman`]: of predicted numbers.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub mod accuracy;
pub mod f1;
pub mod matthews;
pub mod pearson;
pub mod spearman;
pub mod squad;
pub mod squad_v1;
pub mod text;
mod threshold;

pub use squad::SquadMetrics;

/// The text predicted for each question, by its id.
pub type Predictions = HashMap<String, String>;

/// Whether a metric of this name is the better the smaller it is.
pub fn is_small_good(name: &str) -> bool {
    ["loss", "perplexity"].contains(&name)
}

/// Named scores in a fixed order, written as a JSON object. A score that is not a number, being
/// undefined, is `null` there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(Vec<(String, f64)>);

impl Metrics {
    /// Appends a score.
    pub fn push(&mut self, key: impl Into<String>, value: f64) {
        self.0.push((key.into(), value));
    }

    /// The score named `key`.
    pub fn get(&self, key: &str) -> Option<f64> {
        self.0.iter().find(|(name, _)| name == key).map(|&(_, value)| value)
    }

    /// All scores, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(key, value)| (key.as_str(), *value))
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Counts are whole numbers in the files of other scripts, so they are here.
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Number {
            Count(u64),
            Score(f64),
        }
        serializer.collect_map(self.iter().map(|(key, value)| {
            let is_count = key == "total" || key.ends_with("_total");
            (key, if is_count { Number::Count(value as u64) } else { Number::Score(value) })
        }))
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = serde_json::Map::deserialize(deserializer)?;
        let number = |(key, value): (String, serde_json::Value)| match value.as_f64() {
            Some(number) => Ok((key, number)),
            None if value.is_null() => Ok((key, f64::NAN)),
            None => Err(serde::de::Error::custom(format!("{key:?} is not a number"))),
        };
        fields.into_iter().map(number).collect::<Result<_, _>>().map(Metrics)
    }
}
