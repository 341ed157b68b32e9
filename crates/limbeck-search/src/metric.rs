//! What is measured of a trial, and what is wanted of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Result, SearchError};

/// The metrics of a trial by name.
pub type Metrics = BTreeMap<String, f64>;

/// One metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Which way is better.
    pub goal: Goal,
    /// What it is for.
    pub role: Role,
    /// To optimise: values that are worse are of no interest, and the hypervolume is measured
    /// from here. To constrain: values that are worse are not allowed.
    pub threshold: Option<f64>,
    /// The standard deviation of its noise, where it is known; else it is estimated.
    pub noise: Option<f64>,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Smaller.
    Minimize,
    /// Larger.
    Maximize,
}

/// What a metric is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A side of the trade-off.
    Optimize,
    /// Kept and shown, without influence.
    Store,
    /// Must keep to its threshold.
    Constrain,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    goal: Goal,
    #[serde(default = "optimize")]
    role: Role,
    threshold: Option<f64>,
    noise: Option<f64>,
}

fn optimize() -> Role {
    Role::Optimize
}

impl Metric {
    /// Reads `[metrics.NAME]` out of a table, in the order of names.
    ///
    /// # Errors
    /// [`SearchError::Space`] names the key and what is wrong with it.
    pub fn all_from_toml(table: &toml::Table) -> Result<Vec<Self>> {
        let Some(toml::Value::Table(written)) = table.get("metrics") else {
            return Err(SearchError::space("metrics", "write `[metrics.NAME]` for each"));
        };
        let metrics = written
            .iter()
            .map(|(name, value)| Self::from_toml(name, value))
            .collect::<Result<Vec<_>>>()?;
        if !metrics.iter().any(|metric| metric.role == Role::Optimize) {
            return Err(SearchError::space("metrics", "none has the role `optimize`"));
        }
        Ok(metrics)
    }

    fn from_toml(name: &str, value: &toml::Value) -> Result<Self> {
        let wrong = |reason: &str| SearchError::space(format!("metrics.{name}"), reason);
        let Written { goal, role, threshold, noise } =
            value.clone().try_into().map_err(|e: toml::de::Error| wrong(e.message()))?;
        if name == "step" {
            return Err(wrong("in a trial's output, `step` tells how far it is"));
        }
        if threshold.is_some_and(|t| !t.is_finite()) {
            return Err(wrong("the threshold is no number"));
        }
        if noise.is_some_and(|noise| !(noise >= 0.0 && noise.is_finite())) {
            return Err(wrong("`noise` is a standard deviation, from 0"));
        }
        match (role, threshold) {
            (Role::Constrain, None) => Err(wrong("the role `constrain` needs a `threshold`")),
            (Role::Store, Some(_)) => Err(wrong("the role `store` takes no `threshold`")),
            _ => Ok(Self { name: name.to_owned(), goal, role, threshold, noise }),
        }
    }

    /// A value of this metric turned so that smaller is better.
    pub fn loss(&self, value: f64) -> f64 {
        match self.goal {
            Goal::Minimize => value,
            Goal::Maximize => -value,
        }
    }
}

/// The metrics that make the trade-off.
pub fn optimized(metrics: &[Metric]) -> impl Iterator<Item = &Metric> + Clone {
    metrics.iter().filter(|metric| metric.role == Role::Optimize)
}

/// Whether the values keep to the thresholds of all constraints. A missing value does not.
pub fn is_feasible(metrics: &[Metric], values: &Metrics) -> bool {
    metrics.iter().filter(|metric| metric.role == Role::Constrain).all(|metric| {
        let value = values.get(&metric.name).map(|&value| metric.loss(value));
        let bound = metric.threshold.map(|threshold| metric.loss(threshold));
        value.zip(bound).is_some_and(|(value, bound)| value <= bound)
    })
}

/// The losses of the optimised metrics, in their order; none when one is missing.
pub fn losses(metrics: &[Metric], values: &Metrics) -> Option<Vec<f64>> {
    optimized(metrics).map(|metric| values.get(&metric.name).map(|&v| metric.loss(v))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(text: &str) -> Result<Vec<Metric>> {
        Metric::all_from_toml(&text.parse().unwrap())
    }

    const THREE: &str = "
        metrics.exact = { goal = 'maximize', threshold = 50 }
        metrics.memory = { goal = 'minimize', role = 'constrain', threshold = 4 }
        metrics.size = { goal = 'minimize', role = 'optimize' }";

    #[test]
    fn losses_are_small_where_values_are_good() {
        let metrics = metrics(THREE).unwrap();
        let values = |memory| {
            Metrics::from(
                [("exact", 60.0), ("size", 3.0), ("memory", memory)]
                    .map(|(k, v)| (k.to_owned(), v)),
            )
        };
        assert_eq!(losses(&metrics, &values(1.0)), Some(vec![-60.0, 3.0]));
        assert!(is_feasible(&metrics, &values(4.0)) && !is_feasible(&metrics, &values(4.1)));
        assert!(!is_feasible(&metrics, &Metrics::new()));
        assert_eq!(losses(&metrics, &Metrics::new()), None);
    }

    #[test]
    fn mistakes_are_named_with_their_key() {
        for (text, part) in [
            ("", "metrics: write"),
            ("metrics.a = { goal = 'up' }", "metrics.a"),
            ("metrics.step = { goal = 'minimize' }", "how far"),
            ("metrics.a = { goal = 'minimize', role = 'constrain' }", "threshold"),
            ("metrics.a = { goal = 'minimize', role = 'store' }", "`optimize`"),
            ("metrics.a = { goal = 'minimize', noise = -1.0 }", "noise"),
        ] {
            let error = metrics(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
