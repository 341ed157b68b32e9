//! `limbeck compare --glue`: past runs of GLUE's tasks, by the models that they start from.

use anyhow::Result;
use limbeck_data::glue::TextTask;
use serde_json::Value;

use super::run::PastRun;
use crate::commands::glue::{Scorecard, Scored};
use crate::config::Task;
use crate::exit::InputError;

/// Sums up runs, one card a model, in the order of their first runs. Runs that are not finished
/// are left out.
///
/// # Errors
/// When a run is not of one of the nine tasks, or was not evaluated.
pub fn scorecards(runs: &[PastRun]) -> Result<Vec<Scorecard>> {
    let mut models: Vec<(String, Vec<Scored>)> = Vec::new();
    for run in runs.iter().filter(|run| run.finished) {
        let refuse =
            |what: &str, advice: &str| InputError::new(what, run.dir.display().to_string(), advice);
        let task = run.settings.get("task").cloned().unwrap_or_default();
        let task = serde_json::from_value::<Task>(task).ok().and_then(Task::texts);
        let Some(task) = task.filter(|task| TextTask::GLUE.contains(task)) else {
            return Err(refuse("a run of none of GLUE's tasks", "leave it out").into());
        };
        let Some(metrics) = &run.metrics else {
            return Err(refuse("the run was not evaluated", "train it with --dev").into());
        };
        let out = run.dir.display().to_string();
        let scored = Scored { task, out, metrics: metrics.clone() };
        let model = model_of(run);
        match models.iter_mut().find(|(known, _)| *known == model) {
            Some((_, runs)) => runs.push(scored),
            None => models.push((model, vec![scored])),
        }
    }
    let absent = |_| "there is no finished run of it".to_owned();
    Ok(models.iter().map(|(model, runs)| Scorecard::new(model, runs, &absent)).collect())
}

/// What tells a model from others that start from the same.
fn model_of(run: &PastRun) -> String {
    let setting = |key: &str| run.settings.get(key).cloned().unwrap_or_default();
    let mut model = setting("model.path").as_str().unwrap_or_default().to_owned();
    if let Some(level) = setting("sparsity.level").as_f64().filter(|&level| level > 0.0) {
        let method = setting("sparsity.method");
        let method = method.as_str().unwrap_or("static");
        model += &format!(", {} % off by {method}", (1e3 * level).round() / 10.0);
    }
    if matches!(setting("teacher"), Value::Array(names) if !names.is_empty()) {
        model += ", distilled";
    }
    model
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(model: &str, task: &str, dir: &str, metrics: serde_json::Value) -> PastRun {
        PastRun {
            settings: json!({"task": task, "model.path": model}).as_object().unwrap().clone(),
            metrics: serde_json::from_value(metrics).ok(),
            finished: true,
            ..PastRun::of(dir)
        }
    }

    #[test]
    fn runs_are_summed_up_by_the_models_that_they_start_from() {
        let runs = [
            run("m", "rte", "a", json!({"accuracy": 0.5})),
            run("other", "rte", "other", json!({"accuracy": 0.6})),
            run("m", "rte", "b", json!({"accuracy": 0.75})),
        ];
        let cards = scorecards(&runs).unwrap();
        assert_eq!((cards.len(), cards[1].model.as_str()), (2, "other"));
        let rte = &cards[0].tasks["rte"];
        assert_eq!((rte.runs, rte.spread.best_out.as_str()), (2, "b"));
        assert_eq!(cards[0].missing["wnli"], "there is no finished run of it");
    }

    #[test]
    fn runs_that_cannot_be_scored_are_named_and_unfinished_ones_left_out() {
        let refusal = |run: PastRun| scorecards(&[run]).unwrap_err().to_string();
        assert!(refusal(run("m", "squad", "here", json!({"f1": 1.0}))).contains("here"));
        assert!(refusal(run("m", "rte", "here", json!(null))).contains("not evaluated"));
        let unfinished = PastRun { finished: false, ..run("m", "rte", "here", json!(null)) };
        assert!(scorecards(&[unfinished]).unwrap().is_empty());
    }
}
