//! Length plans under names, as `limbeck.json` keeps them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{ModelError, Result};
use crate::lengths::LengthPlan;

/// A length plan and what was measured of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedPlan {
    /// The plan.
    pub lengths: LengthPlan,
    /// Its F1 in per cent, of a model that answers questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f1: Option<f64>,
    /// Its score, of a classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What `score` is: `accuracy`, `matthews_correlation`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Multiply-adds of a window under the plan, the mean over the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macs: Option<f64>,
    /// The same as a share of what all tokens take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_of_macs: Option<f64>,
    /// Milliseconds of a window, where they were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<f64>,
    /// All other keys.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The length plans of a model by their names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NamedPlans(pub BTreeMap<String, NamedPlan>);

impl NamedPlans {
    /// The plan of that name.
    ///
    /// # Errors
    /// Names the plans that there are.
    pub fn find(&self, name: &str) -> Result<&LengthPlan> {
        if let Some(plan) = self.0.get(name) {
            return Ok(&plan.lengths);
        }
        let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        let known = match names.as_slice() {
            [] => "the model has none".to_owned(),
            names => format!("the model has {}", names.join(", ")),
        };
        Err(ModelError::Lengths(format!("no length plan `{name}`; {known}")))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets what holds only for the weights that it was measured with: scores and times.
    pub fn forget_measurements(&mut self) {
        for plan in self.0.values_mut() {
            (plan.f1, plan.score, plan.metric, plan.milliseconds) = (None, None, None, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plans(json: &str) -> NamedPlans {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn plans_read_as_people_write_them_and_come_back_the_same() {
        let plans = plans(
            r#"{"a": {"lengths": [1, 0.5], "f1": 80.5, "new": 1}, "b": {"lengths": [9, 1]}}"#,
        );
        assert_eq!(plans.find("a").unwrap(), &LengthPlan::Fractions(vec![1.0, 0.5]));
        assert_eq!(plans.find("b").unwrap(), &LengthPlan::Tokens(vec![9, 1]));
        let text = serde_json::to_string(&plans).unwrap();
        assert_eq!(serde_json::from_str::<NamedPlans>(&text).unwrap(), plans);
        assert!(text.contains("\"new\":1") && text.contains("[9,1]"), "{text}");
        // All tokens are a share, whichever way they are written.
        let whole = serde_json::from_str::<LengthPlan>("[1, 1]").unwrap();
        assert_eq!(whole, LengthPlan::Fractions(vec![1.0, 1.0]));
        assert!(serde_json::from_str::<LengthPlan>("[0.5, -1]").is_err());
    }

    #[test]
    fn a_name_that_is_not_there_is_answered_with_those_that_are() {
        let message = |plans: NamedPlans| plans.find("fast").unwrap_err().to_string();
        assert_eq!(message(NamedPlans::default()), "no length plan `fast`; the model has none");
        let two = plans(r#"{"half": {"lengths": [0.5]}, "best": {"lengths": [1]}}"#);
        assert_eq!(message(two), "no length plan `fast`; the model has best, half");
    }

    #[test]
    fn what_was_measured_can_be_forgotten() {
        let mut measured = plans(
            r#"{"a": {"lengths": [0.5], "f1": 80, "milliseconds": 3, "macs": 7},
                "b": {"lengths": [0.5], "score": 0.8, "metric": "accuracy", "macs": 7}}"#,
        );
        measured.forget_measurements();
        let left =
            plans(r#"{"a": {"lengths": [0.5], "macs": 7}, "b": {"lengths": [0.5], "macs": 7}}"#);
        assert_eq!(measured, left);
    }
}
