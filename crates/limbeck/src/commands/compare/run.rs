//! What the folder of a training run says, finished or not.

use std::path::{Path, PathBuf};

use anyhow::Result;
use limbeck_data::metrics::Metrics;
use limbeck_train::folder::Record;
use limbeck_train::trackers::EVALUATION_PREFIX;
use serde::Serialize;
use serde_json::{Map, Value};

/// A run and what became of it.
#[derive(Debug, Serialize)]
pub struct PastRun {
    /// What tells it from the others.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// Whether it has come to its end.
    pub finished: bool,
    /// Optimiser steps that it has reported.
    pub steps: u64,
    /// The loss of its last report, a mean over some steps.
    pub loss: Option<f64>,
    /// Of the model that it kept, the best so far.
    pub metrics: Option<Metrics>,
    /// The step of that model, where it was evaluated.
    pub best_step: Option<u64>,
    /// Of its last evaluation.
    pub last_metrics: Option<Metrics>,
    /// The median of its reports.
    pub tokens_per_second: Option<f64>,
    /// From its first report to its last, evaluations and stops between them included.
    pub seconds: Option<f64>,
    /// When it made its first report, in seconds since 1970; never: infinite.
    #[serde(skip)]
    pub began: f64,
    /// Its settings by dotted keys.
    pub settings: Map<String, Value>,
    /// The lines of its `train.jsonl`.
    #[serde(skip)]
    pub lines: Vec<Value>,
    /// Its configuration as a recipe, where there is one.
    #[serde(skip)]
    pub recipe: Option<String>,
}

impl PastRun {
    /// Reads a folder; `None` when it is not that of a training run.
    ///
    /// # Errors
    /// When the record of the run is damaged.
    pub fn open(dir: &Path) -> Result<Option<PastRun>> {
        let Some(record) = Record::read(dir)? else { return Ok(None) };
        let recipe = std::fs::read_to_string(dir.join("run.toml")).ok();
        let lines = std::fs::read_to_string(dir.join("train.jsonl")).ok();
        // A search for lengths has a record too.
        if recipe.is_none() && lines.is_none() {
            return Ok(None);
        }
        // The last line may be half-written.
        let lines = lines.unwrap_or_default();
        let lines: Vec<Value> =
            lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let mut settings = Map::new();
        flatten("", &record.configuration, &mut settings);
        let metrics = std::fs::read(dir.join("metrics.json")).ok();
        let metrics = metrics.and_then(|bytes| serde_json::from_slice::<Metrics>(&bytes).ok());
        let evaluations: Vec<(u64, Metrics)> = lines.iter().filter_map(evaluation).collect();
        let of_kept =
            |(_, found): &&(u64, Metrics)| metrics.as_ref().is_some_and(|m| same(m, found));
        let times = || lines.iter().filter_map(|line| line["time"].as_f64());
        let mut speeds: Vec<f64> =
            lines.iter().filter_map(|line| line["tokens_per_second"].as_f64()).collect();
        speeds.sort_by(f64::total_cmp);
        Ok(Some(PastRun {
            name: dir.display().to_string(),
            dir: dir.to_owned(),
            finished: record.finished,
            steps: lines.iter().filter_map(|line| line["step"].as_u64()).max().unwrap_or(0),
            loss: lines.iter().rev().find_map(|line| line["loss"].as_f64()),
            best_step: evaluations.iter().find(of_kept).map(|(step, _)| *step),
            last_metrics: evaluations.last().map(|(_, metrics)| metrics.clone()),
            metrics,
            tokens_per_second: speeds.get(speeds.len() / 2).copied(),
            seconds: times().next().zip(times().next_back()).map(|(first, last)| last - first),
            began: times().next().unwrap_or(f64::INFINITY),
            settings,
            lines,
            recipe,
        }))
    }

    /// A number of its reports over the steps.
    pub fn curve(&self, key: &str) -> Vec<(f64, f64)> {
        let point = |line: &Value| Some((line["step"].as_f64()?, line[key].as_f64()?));
        self.lines.iter().filter_map(point).collect()
    }
}

/// Names runs by the ends of their paths, as short as keeps them apart.
pub fn name(runs: &mut [PastRun]) {
    let parts: Vec<Vec<String>> = runs
        .iter()
        .map(|run| run.dir.components().map(|c| c.as_os_str().display().to_string()).collect())
        .collect();
    let ends = |count: usize| -> Vec<String> {
        let end = |parts: &Vec<String>| parts[parts.len().saturating_sub(count)..].join("/");
        parts.iter().map(end).collect()
    };
    let longest = parts.iter().map(Vec::len).max().unwrap_or(0);
    for count in 1..=longest {
        let names = ends(count);
        let distinct: std::collections::HashSet<&String> = names.iter().collect();
        if distinct.len() == names.len() || count == longest {
            runs.iter_mut().zip(names).for_each(|(run, name)| run.name = name);
            return;
        }
    }
}

/// The values of a configuration by dotted keys. Lists are values.
fn flatten(path: &str, value: &Value, flat: &mut Map<String, Value>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, flat);
            }
        }
        value => {
            flat.insert(path.to_owned(), value.clone());
        }
    }
}

/// The step and the metrics of a line that reports an evaluation.
fn evaluation(line: &Value) -> Option<(u64, Metrics)> {
    let mut metrics = Metrics::default();
    for (key, value) in line.as_object()? {
        if let Some(name) = key.strip_prefix(EVALUATION_PREFIX) {
            metrics.push(name, value.as_f64().unwrap_or(f64::NAN));
        }
    }
    let is_one = metrics.iter().next().is_some();
    is_one.then_some((line["step"].as_u64()?, metrics))
}

/// Whether two sets of metrics are those of one evaluation.
fn same(a: &Metrics, b: &Metrics) -> bool {
    let bits = |value: f64| if value.is_nan() { None } else { Some(value) };
    a.iter().count() == b.iter().count()
        && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| bits(value) == bits(other)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    impl PastRun {
        /// A run that has reported nothing.
        pub fn of(dir: &str) -> PastRun {
            PastRun {
                name: String::new(),
                dir: dir.into(),
                finished: true,
                steps: 0,
                loss: None,
                metrics: None,
                best_step: None,
                last_metrics: None,
                tokens_per_second: None,
                seconds: None,
                began: 0.0,
                settings: Map::new(),
                lines: Vec::new(),
                recipe: None,
            }
        }
    }

    #[test]
    fn names_are_as_short_as_keeps_runs_apart() {
        let named = |dirs: &[&str]| {
            let mut runs: Vec<_> = dirs.iter().map(|dir| PastRun::of(dir)).collect();
            name(&mut runs);
            runs.into_iter().map(|run| run.name).collect::<Vec<_>>()
        };
        assert_eq!(named(&["runs/a/teacher", "runs/a/student"]), ["teacher", "student"]);
        assert_eq!(named(&["runs/a/teacher", "runs/b/teacher"]), ["a/teacher", "b/teacher"]);
        assert_eq!(named(&["teacher", "runs/teacher"]), ["teacher", "runs/teacher"]);
        assert_eq!(named(&["one"]), ["one"]);
    }

    #[test]
    fn settings_have_dotted_keys_and_lists_are_values() {
        let mut flat = Map::new();
        flatten("", &json!({"task": "rte", "model": {"layers": [1, 2], "heads": 0}}), &mut flat);
        let expected = json!({"task": "rte", "model.layers": [1, 2], "model.heads": 0});
        assert_eq!(Value::Object(flat), expected);
    }

    #[test]
    fn an_evaluation_is_told_from_other_lines_and_from_other_evaluations() {
        assert!(evaluation(&json!({"step": 3, "loss": 1.0})).is_none());
        let line = json!({"step": 3, "time": 1.0, "eval_pearson": null, "eval_f1": 0.5});
        let (step, found) = evaluation(&line).unwrap();
        assert_eq!(step, 3);
        assert!(same(&found, &found));
        let (_, other) =
            evaluation(&json!({"step": 4, "eval_pearson": 0.5, "eval_f1": 0.5})).unwrap();
        assert!(!same(&found, &other) && !same(&other, &found));
    }
}
