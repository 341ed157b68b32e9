//! The page of what models reach on GLUE.

use std::path::Path;

use anyhow::Result;
use limbeck_data::glue::TextTask;

use super::{COLUMNS, Scorecard, Scored, percent};
use crate::commands::compare::page::replace;
use crate::report::{Column, Figure, Report, Section, Table};

/// Writes the page of several models: all in one table, then one table each.
pub fn of_models(out: &Path, cards: &[Scorecard]) -> Result<()> {
    let tables = std::iter::once(overview(cards)).chain(cards.iter().map(of_card));
    let report = Report {
        title: "GLUE".to_owned(),
        summary: "Scores on the development sets, from finished runs.".to_owned(),
        figures: Vec::new(),
        sections: tables.map(Section::Table).collect(),
    };
    replace(out, &report)
}

/// Writes the page of one campaign: its averages, its tasks, all of its runs.
pub fn of_campaign(out: &Path, title: &str, card: &Scorecard, runs: &[Scored]) -> Result<()> {
    let figures = [("average_bert", card.average_bert), ("average_glue", card.average_glue)];
    let figure = |(label, value): (&str, Option<f64>)| {
        Some(Figure { value: percent(value?), label: label.to_owned() })
    };
    let all = Table {
        heading: "All runs".to_owned(),
        note: String::new(),
        columns: vec![column("run", false), column("task", false), column("metrics", false)],
        rows: runs.iter().map(of_run).collect(),
    };
    let mut sections = vec![Section::Table(overview(std::slice::from_ref(card)))];
    if !card.missing.is_empty() {
        let line = |(task, reason): (&&str, &String)| format!("{task}: {reason}.");
        let heading = "Without a score".to_owned();
        sections
            .push(Section::Text { heading, paragraphs: card.missing.iter().map(line).collect() });
    }
    sections.extend([Section::Table(of_card(card)), Section::Table(all)]);
    let report = Report {
        title: title.to_owned(),
        summary: format!(
            "GLUE's tasks, from {}: scores on the development sets, from finished runs.",
            card.model
        ),
        figures: figures.into_iter().filter_map(figure).collect(),
        sections,
    };
    replace(out, &report)
}

fn of_run(run: &Scored) -> Vec<String> {
    let metrics = run.metrics.iter().map(|(key, value)| match value.is_nan() {
        true => format!("{key} undefined"),
        false => format!("{key} {}", percent(value)),
    });
    vec![run.out.clone(), run.task.name().to_owned(), metrics.collect::<Vec<_>>().join(", ")]
}

/// The best scores of all models.
fn overview(cards: &[Scorecard]) -> Table {
    let names = TextTask::GLUE.map(TextTask::name);
    let numbers = names.into_iter().chain(["average_bert", "average_glue"]);
    let of_models = cards.iter().map(|card| {
        let score = |name: &str| card.tasks.get(name).map(|task| task.spread.best);
        let averages = [card.average_bert, card.average_glue];
        let scores = names.into_iter().map(score).chain(averages);
        let cells = scores.map(|score| score.map_or_else(|| "–".to_owned(), percent));
        std::iter::once(card.model.clone()).chain(cells).collect()
    });
    Table {
        heading: "Best scores".to_owned(),
        note: "In per cent; the score of a task is the mean of its metrics. average_bert is the \
               mean of all but WNLI, average_glue that of all nine."
            .to_owned(),
        columns: std::iter::once(column("model", false))
            .chain(numbers.map(|name| column(name, true)))
            .collect(),
        rows: of_models.collect(),
    }
}

/// What the runs of each task have reached.
fn of_card(card: &Scorecard) -> Table {
    Table {
        heading: card.model.clone(),
        note: String::new(),
        columns: COLUMNS
            .iter()
            .map(|name| column(name, !["task", "metrics of the best"].contains(name)))
            .collect(),
        rows: card.rows(),
    }
}

fn column(name: &str, numeric: bool) -> Column {
    Column { name: name.to_owned(), numeric }
}
