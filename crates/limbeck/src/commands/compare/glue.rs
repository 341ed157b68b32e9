//! `limbeck compare --glue`: what models reach on the tasks of GLUE, from runs of one task each.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use limbeck_data::glue::TextTask;
use limbeck_data::glue::score::main_score;
use limbeck_data::metrics::Metrics;
use serde::Serialize;
use serde_json::Value;

use super::run::PastRun;
use super::table::aligned;
use crate::commands::runs::{Spread, spread};
use crate::config::Task;
use crate::exit::InputError;
use crate::report::{Column, Report, Section, Table};

/// The nine tasks, in GLUE's order.
const TASKS: [TextTask; 9] = [
    TextTask::Cola,
    TextTask::Sst2,
    TextTask::Mrpc,
    TextTask::Stsb,
    TextTask::Qqp,
    TextTask::Mnli,
    TextTask::Qnli,
    TextTask::Rte,
    TextTask::Wnli,
];

/// What a model reaches.
#[derive(Debug, Serialize)]
pub struct Scorecard {
    /// The model that its runs start from, and what is done to it: how sparse it becomes, who
    /// teaches it.
    pub model: String,
    /// Its tasks.
    pub tasks: BTreeMap<&'static str, TaskScore>,
    /// The mean of the best scores of all tasks but WNLI, as BERT's paper takes it; none while one
    /// is missing.
    pub average_bert: Option<f64>,
    /// The mean over all nine.
    pub average_glue: Option<f64>,
}

/// What the runs of a task have reached. The score of a run is the mean of its metrics.
#[derive(Debug, Serialize)]
pub struct TaskScore {
    /// How many finished runs there are.
    pub runs: usize,
    /// How their scores lie.
    #[serde(flatten)]
    pub spread: Spread,
    /// The metrics of the best run.
    pub metrics: Metrics,
}

/// Sums up runs, one card a model, in the order of their first runs. Runs that are not finished
/// are left out.
///
/// # Errors
/// When a run is not of one of the nine tasks, or was not evaluated.
pub fn scorecards(runs: &[PastRun]) -> Result<Vec<Scorecard>> {
    let mut models: Vec<String> = Vec::new();
    let mut scored: Vec<(String, TextTask, &PastRun, &Metrics)> = Vec::new();
    for run in runs.iter().filter(|run| run.finished) {
        let refuse =
            |what: &str, advice: &str| InputError::new(what, run.dir.display().to_string(), advice);
        let task = run.settings.get("task").cloned().unwrap_or_default();
        let task = serde_json::from_value::<Task>(task).ok().and_then(Task::texts);
        let Some(task) = task.filter(|task| TASKS.contains(task)) else {
            return Err(refuse("a run of none of GLUE's tasks", "leave it out").into());
        };
        let Some(metrics) = &run.metrics else {
            return Err(refuse("the run was not evaluated", "train it with --dev").into());
        };
        let model = model_of(run);
        if !models.contains(&model) {
            models.push(model.clone());
        }
        scored.push((model, task, run, metrics));
    }
    let card = |model: &String| {
        let tasks = TASKS.into_iter().filter_map(|task| {
            let of_task =
                |(of, on, ..): &&(String, TextTask, &PastRun, &Metrics)| of == model && *on == task;
            Some((task.name(), task_score(scored.iter().filter(of_task))?))
        });
        Scorecard::new(model, tasks.collect())
    };
    Ok(models.iter().map(card).collect())
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

fn task_score<'a>(
    runs: impl Iterator<Item = &'a (String, TextTask, &'a PastRun, &'a Metrics)>,
) -> Option<TaskScore> {
    let runs: Vec<(&PastRun, &Metrics)> =
        runs.map(|(_, _, run, metrics)| (*run, *metrics)).collect();
    let scores: Vec<(String, f64)> = runs
        .iter()
        .map(|(run, metrics)| (run.dir.display().to_string(), main_score(metrics)))
        .collect();
    let spread = spread("score", &scores)?;
    let best = scores.iter().position(|(out, _)| *out == spread.best_out)?;
    Some(TaskScore { runs: runs.len(), spread, metrics: runs[best].1.clone() })
}

impl Scorecard {
    fn new(model: &str, tasks: BTreeMap<&'static str, TaskScore>) -> Scorecard {
        let average = |of: &[TextTask]| {
            let scores = of.iter().map(|task| Some(tasks.get(task.name())?.spread.best));
            let scores = scores.collect::<Option<Vec<f64>>>()?;
            Some(scores.iter().sum::<f64>() / scores.len() as f64)
        };
        Scorecard {
            model: model.to_owned(),
            average_bert: average(&TASKS[..8]),
            average_glue: average(&TASKS),
            tasks,
        }
    }

    /// The tasks of which there is no run.
    fn missing(&self) -> Vec<&'static str> {
        TASKS
            .map(TextTask::name)
            .into_iter()
            .filter(|name| !self.tasks.contains_key(name))
            .collect()
    }

    /// One row a task: what its runs have reached.
    fn rows(&self) -> Vec<Vec<String>> {
        let tasks = TASKS.map(TextTask::name).into_iter();
        let row = |name: &str| {
            let TaskScore { runs, spread, metrics } = self.tasks.get(name)?;
            let metrics = metrics.iter().map(|(key, value)| format!("{key} {}", percent(value)));
            let of_several = |value: f64| if *runs > 1 { percent(value) } else { String::new() };
            Some(vec![
                name.to_owned(),
                percent(spread.best),
                of_several(spread.mean),
                of_several(spread.standard_deviation),
                runs.to_string(),
                metrics.collect::<Vec<_>>().join(", "),
            ])
        };
        tasks.filter_map(row).collect()
    }

    /// Both averages, or what they lack.
    fn averages(&self) -> Vec<(&'static str, String)> {
        let missing = self.missing();
        let text = |average: Option<f64>, lacks: &[&str]| match average {
            Some(average) => percent(average),
            None => format!("lacks {}", lacks.join(", ")),
        };
        let without: Vec<&str> = missing.iter().copied().filter(|name| *name != "wnli").collect();
        vec![
            ("average_bert", text(self.average_bert, &without)),
            ("average_glue", text(self.average_glue, &missing)),
        ]
    }
}

const COLUMNS: [&str; 6] = ["task", "best", "mean", "deviation", "runs", "metrics of the best"];

/// A table a model.
pub fn as_text(cards: &[Scorecard]) -> String {
    let card = |card: &Scorecard| {
        let header = COLUMNS.map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = std::iter::once(header).chain(card.rows()).collect();
        let averages = card.averages().into_iter().map(|(name, text)| format!("{name}  {text}\n"));
        format!("{}\n{}{}", card.model, aligned(&rows), averages.collect::<String>())
    };
    cards.iter().map(card).collect::<Vec<_>>().join("\n")
}

/// Writes the page: all models in one table, then one table each.
pub fn write(out: &Path, cards: &[Scorecard]) -> Result<()> {
    let column = |name: &str, numeric| Column { name: name.to_owned(), numeric };
    let names = TASKS.map(TextTask::name);
    let numbers = names.into_iter().chain(["average_bert", "average_glue"]);
    let of_models = cards.iter().map(|card| {
        let score = |name: &str| card.tasks.get(name).map(|task| task.spread.best);
        let averages = [card.average_bert, card.average_glue];
        let scores = names.into_iter().map(score).chain(averages);
        let cells = scores.map(|score| score.map_or_else(|| "–".to_owned(), percent));
        std::iter::once(card.model.clone()).chain(cells).collect()
    });
    let all = Table {
        heading: "Best scores".to_owned(),
        note: "In per cent; the score of a task is the mean of its metrics. average_bert is the \
               mean of all but WNLI, average_glue that of all nine."
            .to_owned(),
        columns: std::iter::once(column("model", false))
            .chain(numbers.map(|name| column(name, true)))
            .collect(),
        rows: of_models.collect(),
    };
    let of_card = |card: &Scorecard| Table {
        heading: card.model.clone(),
        note: String::new(),
        columns: COLUMNS
            .iter()
            .map(|name| column(name, !["task", "metrics of the best"].contains(name)))
            .collect(),
        rows: card.rows(),
    };
    let tables = std::iter::once(all).chain(cards.iter().map(of_card));
    let report = Report {
        title: "GLUE".to_owned(),
        summary: "Scores on the development sets, from finished runs.".to_owned(),
        figures: Vec::new(),
        sections: tables.map(Section::Table).collect(),
    };
    super::page::replace(out, &report)
}

fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
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
    fn averages_are_over_eight_and_over_nine_tasks_of_the_best_runs() {
        let mut runs: Vec<PastRun> = TASKS[..8]
            .iter()
            .map(|task| run("m", task.name(), task.name(), json!({"accuracy": 0.5})))
            .collect();
        runs.push(run("m", "mrpc", "again", json!({"accuracy": 0.8, "f1": 1.0})));
        let cards = scorecards(&runs).unwrap();
        let mean = cards[0].average_bert.unwrap();
        assert!((mean - (7.0 * 0.5 + 0.9) / 8.0).abs() < 1e-12, "{mean}");
        assert_eq!(cards[0].average_glue, None);
        let mrpc = &cards[0].tasks["mrpc"];
        assert_eq!((mrpc.runs, mrpc.spread.best_out.as_str()), (2, "again"));
        assert!((mrpc.spread.mean - 0.7).abs() < 1e-12);
        assert!(as_text(&cards).contains("average_glue  lacks wnli"), "{}", as_text(&cards));

        runs.push(run("m", "wnli", "wnli", json!({"accuracy": 0.5})));
        runs.push(run("other", "rte", "other", json!({"accuracy": 0.6})));
        let cards = scorecards(&runs).unwrap();
        assert!((cards[0].average_glue.unwrap() - (8.0 * 0.5 + 0.9) / 9.0).abs() < 1e-12);
        assert_eq!((cards.len(), cards[1].model.as_str()), (2, "other"));
        assert_eq!(cards[1].average_bert, None);
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
