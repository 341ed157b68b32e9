//! `--runs N`: one configuration with several seeds, and what their scores have in common.

use limbeck_data::metrics::Metrics;
use serde::Serialize;
use serde_json::Value;

use crate::config::plan::{Plan, Stage};

/// One metric over several runs.
#[derive(Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The metric.
    pub name: String,
    /// The largest value.
    pub best: f64,
    /// The folder of the run that has it.
    pub best_out: String,
    /// The mean.
    pub mean: f64,
    /// The standard deviation, of a sample: the sum of squares is divided by one less than there
    /// are runs.
    pub standard_deviation: f64,
}

/// Every stage of a plan `runs` times, with the next seed and a folder of its own each time.
pub fn repeat(plan: &Plan, runs: usize) -> Plan {
    let repeated = |stage: &Stage, run: usize| {
        let mut config = stage.config.clone();
        let name = format!("run-{}", run + 1);
        config.train.seed = config.train.seed.wrapping_add(run as u64);
        config.output.dir = config.output.dir.map(|dir| dir.join(&name));
        Stage { name: Some(name), config }
    };
    let stages = plan.stages.iter();
    Plan {
        stages: stages.flat_map(|stage| (0..runs).map(move |run| repeated(stage, run))).collect(),
        notices: plan.notices.clone(),
        lacks: plan.lacks.clone(),
    }
}

/// How the metrics of runs lie; `results` are those of `limbeck finetune --json`. Runs in which a
/// metric is undefined do not count for it.
pub fn spreads(results: &[Value]) -> Vec<Spread> {
    let measured: Vec<(String, Metrics)> = results
        .iter()
        .filter_map(|result| {
            let metrics = serde_json::from_value(result["metrics"].clone()).ok()?;
            Some((result["out"].as_str().unwrap_or_default().to_owned(), metrics))
        })
        .collect();
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
    let (best_out, best) = values.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let count = values.len() as f64;
    let mean = values.iter().map(|(_, value)| value).sum::<f64>() / count;
    let squares: f64 = values.iter().map(|(_, value)| (value - mean).powi(2)).sum();
    Some(Spread {
        name: name.to_owned(),
        best: *best,
        best_out: best_out.clone(),
        mean,
        standard_deviation: (squares / (count - 1.0).max(1.0)).sqrt(),
    })
}

/// One line a metric.
pub fn as_text(spreads: &[Spread]) -> String {
    let line = |spread: &Spread| {
        let Spread { name, best, best_out, mean, standard_deviation } = spread;
        format!(
            "{name}: best {best:.4} ({best_out}), mean {mean:.4}, standard deviation \
             {standard_deviation:.4}"
        )
    };
    spreads.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;
    use serde_json::json;

    #[test]
    fn runs_differ_in_seed_and_folder_only() {
        let mut config = RunConfig::default();
        config.train.seed = 7;
        config.output.dir = Some("o".into());
        let plan = Plan {
            stages: vec![Stage { name: None, config: config.clone() }],
            notices: Vec::new(),
            lacks: None,
        };
        let repeated = repeat(&plan, 3);
        assert_eq!(repeated.stages.len(), 3);
        for (run, stage) in repeated.stages.iter().enumerate() {
            let mut own = stage.config.clone();
            assert_eq!(own.train.seed, 7 + run as u64);
            assert_eq!(own.output.dir, Some(format!("o/run-{}", run + 1).into()));
            (own.train.seed, own.output.dir) = (7, config.output.dir.clone());
            assert_eq!(own, config);
        }
    }

    #[test]
    fn the_best_the_mean_and_the_deviation_are_over_the_runs_that_have_the_metric() {
        let result = |out: &str, accuracy: f64, pearson: Option<f64>| json!({"out": out, "metrics": {"accuracy": accuracy, "pearson": pearson}});
        let results =
            [result("a", 0.5, None), result("b", 0.75, Some(0.5)), result("c", 0.25, None)];
        let spreads = spreads(&results);
        let spread = |name: &str, best, best_out: &str, mean, standard_deviation| Spread {
            name: name.to_owned(),
            best,
            best_out: best_out.to_owned(),
            mean,
            standard_deviation,
        };
        let expected =
            [spread("accuracy", 0.75, "b", 0.5, 0.25), spread("pearson", 0.5, "b", 0.5, 0.0)];
        assert_eq!(spreads, expected);
        assert!(super::spreads(&[json!({"out": "a"})]).is_empty());
    }
}
