//! A configuration with several seeds: what the scores of its runs have in common, and which is the
//! best.
//!
//! `runs.json` in the folder above those of the runs says it; with it that folder stands for the
//! best of them wherever a model is named.

use std::path::{Path, PathBuf};

use anyhow::Result;
use limbeck_data::files;
use limbeck_data::glue::score::main_score;
use limbeck_data::metrics::{Metrics, is_small_good};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::place::Destination;
use crate::config::RunConfig;

/// The file that says how the runs in the folders beside it went.
const FILE: &str = "runs.json";

/// One metric over several runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    /// The metric.
    pub name: String,
    /// The largest value; of losses and perplexities the smallest.
    pub best: f64,
    /// The folder of the run that has it.
    pub best_out: String,
    /// The mean.
    pub mean: f64,
    /// The middle value, or the mean of the two in the middle.
    pub median: f64,
    /// The standard deviation, of a sample: the sum of squares is divided by one less than there
    /// are runs.
    pub standard_deviation: f64,
}

/// How the metrics of runs lie; `results` are those of `limbeck finetune --json`. Runs in which a
/// metric is undefined do not count for it.
pub fn spreads(results: &[&Value]) -> Vec<Spread> {
    let measured: Vec<(String, Metrics)> =
        results.iter().filter_map(|result| Some((out_of(result), metrics_of(result)?))).collect();
    let names = measured.first().map(|(_, metrics)| metrics.iter().map(|(name, _)| name));
    let scores = |name: &str| -> Vec<(String, f64)> {
        let score = |(out, metrics): &(String, Metrics)| Some((out.clone(), metrics.get(name)?));
        measured.iter().filter_map(score).collect()
    };
    names.into_iter().flatten().filter_map(|name| spread(name, &scores(name))).collect()
}

/// How the scores of runs lie, each with its folder; none where all are undefined.
pub fn spread(name: &str, scores: &[(String, f64)]) -> Option<Spread> {
    let values: Vec<&(String, f64)> = scores.iter().filter(|(_, value)| !value.is_nan()).collect();
    let sign = if is_small_good(name) { -1.0 } else { 1.0 };
    // The first of equal ones.
    let by_value = |a: &&&(String, f64), b: &&&(String, f64)| (sign * a.1).total_cmp(&(sign * b.1));
    let (best_out, best) = values.iter().rev().max_by(by_value)?;
    let count = values.len() as f64;
    let mean = values.iter().map(|(_, value)| value).sum::<f64>() / count;
    let squares: f64 = values.iter().map(|(_, value)| (value - mean).powi(2)).sum();
    let mut sorted: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    };
    Some(Spread {
        name: name.to_owned(),
        best: *best,
        best_out: best_out.clone(),
        mean,
        median,
        standard_deviation: (squares / (count - 1.0).max(1.0)).sqrt(),
    })
}

/// One line a metric.
pub fn as_text(spreads: &[Spread]) -> String {
    let line = |spread: &Spread| {
        let Spread { name, best, best_out, mean, median, standard_deviation } = spread;
        format!(
            "{name}: best {best:.4} ({best_out}), mean {mean:.4}, median {median:.4}, standard \
             deviation {standard_deviation:.4}"
        )
    };
    spreads.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What `runs.json` says.
#[derive(Debug, Serialize)]
struct Record<'a> {
    /// The folder of the best run, by the number by which a run keeps its model; the first where
    /// none was evaluated.
    best: &'a str,
    /// The folders of all, with their scores.
    runs: Vec<Run<'a>>,
    /// How each metric lies.
    metrics: &'a [Spread],
}

#[derive(Debug, Serialize)]
struct Run<'a> {
    dir: &'a str,
    metrics: Option<Metrics>,
}

/// What is read of it.
#[derive(Debug, Deserialize)]
struct Best {
    best: String,
}

/// Writes `runs.json` into the folder above those of the runs; the folder of the best one, by `metric`
/// if a run keeps its model by one.
///
/// # Errors
/// When the file cannot be written.
pub fn record(folder: &Path, results: &[&Value], metric: Option<&str>) -> Result<PathBuf> {
    let score = |result: &&Value| {
        metrics_of(result).map_or(f64::NEG_INFINITY, |metrics| score_of(&metrics, metric))
    };
    let outs: Vec<String> = results.iter().map(|result| out_of(result)).collect();
    let best = (0..results.len())
        .rev()
        .max_by(|a, b| score(&results[*a]).total_cmp(&score(&results[*b])))
        .unwrap_or(0);
    let name = |out: &'_ String| -> String {
        Path::new(out).file_name().unwrap_or_default().to_string_lossy().into_owned()
    };
    let names: Vec<String> = outs.iter().map(name).collect();
    let runs =
        names.iter().zip(results).map(|(dir, result)| Run { dir, metrics: metrics_of(result) });
    let mut spreads = spreads(results);
    for spread in &mut spreads {
        spread.best_out = name(&spread.best_out);
    }
    let best = names.get(best).map_or("", String::as_str);
    let record = Record { best, runs: runs.collect(), metrics: &spreads };
    let destination = Destination::of(&folder.join(FILE))?;
    files::replace(destination.local(), &serde_json::to_vec_pretty(&record)?)?;
    destination.deliver()?;
    Ok(folder.join(best))
}

/// The number by which a run keeps its model, from its metrics.
fn score_of(metrics: &Metrics, metric: Option<&str>) -> f64 {
    if let Some(name) = metric {
        let value = metrics.get(name).filter(|value| !value.is_nan());
        let sign = if is_small_good(name) { -1.0 } else { 1.0 };
        return value.map_or(f64::NEG_INFINITY, |value| sign * value);
    }
    let of_words = || metrics.get("perplexity").map(|perplexity| -perplexity);
    let of_questions = || {
        metrics.get("exact")?;
        metrics.get("best_f1").or_else(|| metrics.get("f1"))
    };
    of_words().or_else(of_questions).unwrap_or_else(|| main_score(metrics))
}

/// The best of the runs in a folder; `None` where it is no folder of runs, or holds a model itself.
pub fn best(folder: &Path) -> Option<PathBuf> {
    if folder.join("config.json").exists() {
        return None;
    }
    let bytes = std::fs::read(folder.join(FILE)).ok()?;
    let Best { best } = serde_json::from_slice(&bytes).ok()?;
    let is_plain = Path::new(&best).components().count() == 1 && !best.starts_with('.');
    is_plain.then(|| folder.join(best))
}

/// The same configuration with the best run in the place of a folder of several that it names as a
/// model or a teacher, so that what is written of the run says which it was.
pub fn resolved(config: &RunConfig) -> RunConfig {
    let mut config = config.clone();
    let names = config.teacher.iter_mut().chain(&mut config.model.path);
    for name in names {
        let path = Path::new(name.as_str());
        let of_last =
            || Some(best(path.parent().filter(|_| path.ends_with("last"))?)?.join("last"));
        if let Some(best) = best(path).or_else(of_last) {
            *name = best.to_string_lossy().into_owned();
        }
    }
    config
}

fn out_of(result: &Value) -> String {
    result["out"].as_str().unwrap_or_default().to_owned()
}

fn metrics_of(result: &Value) -> Option<Metrics> {
    serde_json::from_value(result["metrics"].clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn result(out: &str, accuracy: f64, pearson: Option<f64>) -> Value {
        json!({"out": out, "metrics": {"accuracy": accuracy, "pearson": pearson}})
    }

    #[test]
    fn the_best_the_mean_and_the_deviation_are_over_the_runs_that_have_the_metric() {
        let results =
            [result("a", 0.5, None), result("b", 0.75, Some(0.5)), result("c", 0.25, None)];
        let spreads = spreads(&results.iter().collect::<Vec<_>>());
        let spread = |name: &str, best, mean, standard_deviation| Spread {
            name: name.to_owned(),
            best,
            best_out: "b".to_owned(),
            mean,
            median: mean,
            standard_deviation,
        };
        let expected = [spread("accuracy", 0.75, 0.5, 0.25), spread("pearson", 0.5, 0.5, 0.0)];
        assert_eq!(spreads, expected);
        assert!(super::spreads(&[&json!({"out": "a"})]).is_empty());
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two_there_and_the_first_of_equal_ones_is_best() {
        let of = |values: &[f64]| {
            let scores = (0..).zip(values).map(|(i, x): (usize, _)| (i.to_string(), *x));
            spread("s", &scores.collect::<Vec<_>>()).unwrap()
        };
        assert_eq!(of(&[-0.5, 0.25, -0.25]).median, -0.25);
        assert_eq!(of(&[0.75, 0.25, 0.5, 0.0]).median, 0.375);
        assert_eq!(of(&[0.5, 0.75, 0.75, f64::NAN]).best_out, "1");
        assert!(spread("s", &[("a".to_owned(), f64::NAN)]).is_none());
        let losses = [("a".to_owned(), 2.5), ("b".to_owned(), 1.5)];
        assert_eq!(spread("loss", &losses).unwrap().best_out, "b");
    }

    #[test]
    fn a_folder_of_runs_names_the_best_whatever_is_better_of_its_metrics() {
        let folder = tempfile::tempdir().unwrap();
        let best_of = |results: &[Value]| {
            record(folder.path(), &results.iter().collect::<Vec<_>>(), None).unwrap();
            let best = best(folder.path()).unwrap();
            best.file_name().unwrap().to_string_lossy().into_owned()
        };
        let of = |out: &str, metrics: Value| json!({"out": out, "metrics": metrics});
        let both = [result("x/run-1", 0.5, None), result("x/run-2", 0.5, Some(0.1))];
        assert_eq!(best_of(&both), "run-2");
        let words = [9.5, 7.25].map(|p| json!({"loss": 1.0, "perplexity": p}));
        assert_eq!(
            best_of(&[of("run-1", words[0].clone()), of("run-2", words[1].clone())]),
            "run-2"
        );
        let total = [90.0, 80.0].map(|f1| json!({"exact": 1.0, "f1": f1, "total": 170.0 - f1}));
        assert_eq!(
            best_of(&[of("run-1", total[0].clone()), of("run-2", total[1].clone())]),
            "run-1"
        );
        assert_eq!(best_of(&[json!({"out": "run-1"}), json!({"out": "run-2"})]), "run-1");
        let named = |path: String| {
            let mut config = RunConfig { teacher: vec![path], ..RunConfig::default() };
            config.model.path = Some("elsewhere".to_owned());
            let resolved = resolved(&config);
            assert_eq!(resolved.model.path, config.model.path);
            resolved.teacher[0].clone()
        };
        let runs = folder.path().display();
        assert_eq!(named(format!("{runs}")), format!("{runs}/run-1"));
        assert_eq!(named(format!("{runs}/last")), format!("{runs}/run-1/last"));
        let by = |metric| {
            let best = record(folder.path(), &both.iter().collect::<Vec<_>>(), Some(metric));
            best.unwrap().file_name().unwrap().to_string_lossy().into_owned()
        };
        assert_eq!((by("pearson"), by("accuracy")), ("run-2".to_owned(), "run-1".to_owned()));
        // A folder that holds a model is that model.
        std::fs::write(folder.path().join("config.json"), "{}").unwrap();
        assert_eq!(best(folder.path()), None);
    }
}
