//! What a model reaches on the tasks of GLUE, summed up as its tables are: from runs of one task
//! each, for `compare --glue` and for recipes with `summary = "glue"`.
//!
//! # Layout
//! - here: the scores of tasks, and the two averages
//! - [`campaign`]: the summary of a recipe
//! - [`page`]: the same as a page

pub mod campaign;
pub mod page;

use std::collections::BTreeMap;

use limbeck_data::glue::TextTask;
use limbeck_data::glue::score::reported;
use limbeck_data::metrics::Metrics;
use serde::Serialize;

use super::compare::table::aligned;
use super::runs::{Spread, spread};

/// The task that BERT's paper leaves out of its average.
const NOT_BERTS: TextTask = TextTask::Wnli;

/// What a finished run of a task has reached.
#[derive(Debug, Clone)]
pub struct Scored {
    /// What it has learnt.
    pub task: TextTask,
    /// Its folder.
    pub out: String,
    /// Of the model that it kept.
    pub metrics: Metrics,
}

impl Scored {
    /// The mean of the metrics that GLUE's tables have of the task.
    ///
    /// # Errors
    /// The metric that is missing or undefined: a mean over fewer would be another score.
    fn score(&self) -> Result<f64, String> {
        let names = reported(self.task);
        let mut sum = 0.0;
        for name in &names {
            match self.metrics.get(name) {
                Some(value) if !value.is_nan() => sum += value,
                Some(_) => return Err(format!("{name} is undefined")),
                None if *name == "accuracy_mm" => {
                    return Err(format!(
                        "{name} is missing: give the second set, data.dev_mismatched"
                    ));
                }
                None => return Err(format!("{name} is missing")),
            }
        }
        Ok(sum / names.len() as f64)
    }
}

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
    /// The first average over the means of several runs instead of their best.
    pub average_bert_of_means: Option<f64>,
    /// The second one so.
    pub average_glue_of_means: Option<f64>,
    /// Why tasks have no score, which is why an average has none.
    pub missing: BTreeMap<&'static str, String>,
}

/// What the runs of a task have reached. The score of a run is the mean of its metrics.
#[derive(Debug, Serialize)]
pub struct TaskScore {
    /// How many finished runs there are.
    pub runs: usize,
    /// How many of them have no score, being without a metric or with one that is undefined.
    pub without_score: usize,
    /// How the scores of the others lie.
    #[serde(flatten)]
    pub spread: Spread,
    /// The metrics of the best run.
    pub metrics: Metrics,
}

impl Scorecard {
    /// Sums up the runs of a model. `absent` says why there is none of a task.
    pub fn new(model: &str, runs: &[Scored], absent: &dyn Fn(TextTask) -> String) -> Scorecard {
        let mut tasks = BTreeMap::new();
        let mut missing = BTreeMap::new();
        for task in TextTask::GLUE {
            let own: Vec<&Scored> = runs.iter().filter(|run| run.task == task).collect();
            match task_score(&own) {
                Some(Ok(score)) => drop(tasks.insert(task.name(), score)),
                Some(Err(reason)) => drop(missing.insert(task.name(), reason)),
                None => drop(missing.insert(task.name(), absent(task))),
            }
        }
        let average = |but: Option<TextTask>, of: &dyn Fn(&TaskScore) -> f64| {
            let counted = TextTask::GLUE.into_iter().filter(|task| Some(*task) != but);
            let scores: Option<Vec<f64>> =
                counted.map(|task| tasks.get(task.name()).map(of)).collect();
            scores.map(|scores| scores.iter().sum::<f64>() / scores.len() as f64)
        };
        let (best, mean) =
            (|task: &TaskScore| task.spread.best, |task: &TaskScore| task.spread.mean);
        Scorecard {
            model: model.to_owned(),
            average_bert: average(Some(NOT_BERTS), &best),
            average_glue: average(None, &best),
            average_bert_of_means: average(Some(NOT_BERTS), &mean),
            average_glue_of_means: average(None, &mean),
            tasks,
            missing,
        }
    }

    /// Both averages, over the best runs and over the means, or which tasks they lack.
    fn averages(&self) -> Vec<(&'static str, String)> {
        let lacks = |but: &str| {
            let names = TextTask::GLUE.map(TextTask::name).into_iter();
            let names = names.filter(|name| *name != but && self.missing.contains_key(name));
            format!("none, it lacks {}", names.collect::<Vec<_>>().join(", "))
        };
        let text = |best: Option<f64>, mean: Option<f64>, but: &str| match best.zip(mean) {
            Some((best, mean)) if self.has_several() => {
                format!("{} (of the means {})", percent(best), percent(mean))
            }
            Some((best, _)) => percent(best),
            None => lacks(but),
        };
        let (bert, glue) = (self.average_bert_of_means, self.average_glue_of_means);
        vec![
            ("average_bert", text(self.average_bert, bert, NOT_BERTS.name())),
            ("average_glue", text(self.average_glue, glue, "")),
        ]
    }

    fn has_several(&self) -> bool {
        self.tasks.values().any(|task| task.runs > 1)
    }

    /// One row a task: what its runs have reached.
    fn rows(&self) -> Vec<Vec<String>> {
        let row = |name: &str| {
            let TaskScore { runs, without_score, spread, metrics } = self.tasks.get(name)?;
            let metrics = metrics.iter().map(|(key, value)| format!("{key} {}", percent(value)));
            let of_several = |value: f64| if *runs > 1 { percent(value) } else { String::new() };
            Some(vec![
                name.to_owned(),
                percent(spread.best),
                of_several(spread.mean),
                of_several(spread.median),
                of_several(spread.standard_deviation),
                match without_score {
                    0 => runs.to_string(),
                    without => format!("{runs}, {without} without a score"),
                },
                metrics.collect::<Vec<_>>().join(", "),
            ])
        };
        TextTask::GLUE.map(TextTask::name).into_iter().filter_map(row).collect()
    }
}

/// The score of the runs of one task, or why they have none; `None` where there is no run.
fn task_score(runs: &[&Scored]) -> Option<Result<TaskScore, String>> {
    let scores: Vec<Result<f64, String>> = runs.iter().map(|run| run.score()).collect();
    let of = |score: &Result<f64, String>| *score.as_ref().unwrap_or(&f64::NAN);
    let named: Vec<(String, f64)> =
        runs.iter().zip(&scores).map(|(run, score)| (run.out.clone(), of(score))).collect();
    let Some(spread) = spread("score", &named) else {
        return scores.into_iter().find_map(Result::err).map(Err);
    };
    let best = runs.iter().find(|run| run.out == spread.best_out)?;
    Some(Ok(TaskScore {
        runs: runs.len(),
        without_score: scores.iter().filter(|score| score.is_err()).count(),
        metrics: best.metrics.clone(),
        spread,
    }))
}

const COLUMNS: [&str; 7] =
    ["task", "best", "mean", "median", "deviation", "runs", "metrics of the best"];

/// A table a model.
pub fn as_text(cards: &[Scorecard]) -> String {
    let card = |card: &Scorecard| {
        let header = COLUMNS.map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = std::iter::once(header).chain(card.rows()).collect();
        let averages = card.averages().into_iter().map(|(name, text)| format!("{name}  {text}\n"));
        let missing = card.missing.iter().map(|(task, reason)| format!("  {task}: {reason}\n"));
        format!(
            "{}\n{}{}{}",
            card.model,
            aligned(&rows),
            averages.collect::<String>(),
            missing.collect::<String>()
        )
    };
    cards.iter().map(card).collect::<Vec<_>>().join("\n")
}

fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(task: TextTask, out: &str, metrics: serde_json::Value) -> Scored {
        Scored { task, out: out.to_owned(), metrics: serde_json::from_value(metrics).unwrap() }
    }

    /// The row of `bert_100k` in Numenta's README.
    fn published() -> Vec<Scored> {
        vec![
            run(TextTask::Cola, "cola", json!({"matthews_correlation": 0.3956})),
            run(TextTask::Mnli, "mnli", json!({"accuracy": 0.7888, "accuracy_mm": 0.7908})),
            run(TextTask::Mrpc, "mrpc", json!({"accuracy": 0.7623, "f1": 0.8271})),
            run(TextTask::Qnli, "qnli", json!({"accuracy": 0.8777})),
            run(TextTask::Qqp, "qqp", json!({"accuracy": 0.8931, "f1": 0.8557})),
            run(TextTask::Rte, "rte", json!({"accuracy": 0.5812})),
            run(TextTask::Sst2, "sst2", json!({"accuracy": 0.8761})),
            run(TextTask::Stsb, "stsb", json!({"pearson": 0.8395, "spearmanr": 0.8384})),
            run(TextTask::Wnli, "wnli", json!({"accuracy": 0.4225})),
        ]
    }

    fn card(runs: &[Scored]) -> Scorecard {
        Scorecard::new("m", runs, &|_| "no run of it has finished".to_owned())
    }

    #[test]
    fn published_scores_give_the_published_averages() {
        let card = card(&published());
        assert_eq!(percent(card.average_bert.unwrap()), "75.36");
        assert_eq!(percent(card.average_glue.unwrap()), "71.68");
        assert_eq!(card.average_bert, card.average_bert_of_means);
        assert!(as_text(&[card]).contains("average_bert  75.36\naverage_glue  71.68\n"));
    }

    #[test]
    fn averages_are_over_the_best_runs_and_over_the_means() {
        let mut runs = published();
        // Worse than chance is below zero, and counts as that.
        runs.push(run(TextTask::Cola, "again", json!({"matthews_correlation": -0.1044})));
        let card = card(&runs);
        assert_eq!(percent(card.average_bert.unwrap()), "75.36");
        let lost = (0.3956 + 0.1044) / 2.0;
        let mean = card.average_glue.unwrap() - lost / 9.0;
        assert!((card.average_glue_of_means.unwrap() - mean).abs() < 1e-12);
        let mean = card.average_bert.unwrap() - lost / 8.0;
        assert!((card.average_bert_of_means.unwrap() - mean).abs() < 1e-12);
        let cola = &card.tasks["cola"];
        assert_eq!((cola.runs, cola.spread.best_out.as_str()), (2, "cola"));
        assert!((cola.spread.median - 0.1456).abs() < 1e-12);
        assert!(as_text(&[card]).contains("average_bert  75.36 (of the means 72.23)"));
    }

    #[test]
    fn an_average_that_lacks_something_is_none_and_says_what() {
        let without = |task: TextTask| {
            published().into_iter().filter(|run| run.task != task).collect::<Vec<_>>()
        };
        let no_wnli = card(&without(TextTask::Wnli));
        assert_eq!(percent(no_wnli.average_bert.unwrap()), "75.36");
        assert_eq!(no_wnli.average_glue, None);
        let text = as_text(&[no_wnli]);
        assert!(text.contains("average_glue  none, it lacks wnli\n  wnli: no run of it"), "{text}");
        // One of MNLI's two sets is not MNLI's score, nor is one of two metrics.
        let halves = [
            (TextTask::Mnli, json!({"accuracy": 0.9}), "accuracy_mm is missing"),
            (TextTask::Mrpc, json!({"accuracy": 0.9}), "f1 is missing"),
            (TextTask::Stsb, json!({"pearson": null, "spearmanr": 0.9}), "pearson is undefined"),
        ];
        for (task, metrics, reason) in halves {
            let mut runs = without(task);
            runs.push(run(task, "half", metrics));
            let card = card(&runs);
            assert_eq!((card.average_bert, card.average_glue), (None, None));
            assert!(card.missing[task.name()].starts_with(reason), "{:?}", card.missing);
            assert!(!card.tasks.contains_key(task.name()));
        }
    }

    #[test]
    fn runs_without_a_score_are_counted_and_do_not_count() {
        let mut runs = published();
        runs.push(run(TextTask::Stsb, "constant", json!({"pearson": null, "spearmanr": null})));
        let card = card(&runs);
        let stsb = &card.tasks["stsb"];
        assert_eq!((stsb.runs, stsb.without_score), (2, 1));
        assert!((stsb.spread.mean - 0.83895).abs() < 1e-12);
        assert!(as_text(&[card]).contains("2, 1 without a score"));
    }
}
