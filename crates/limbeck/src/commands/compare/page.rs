//! The page of a comparison.

use std::path::Path;

use anyhow::{Context, Result};
use limbeck_data::files;
use limbeck_train::trackers::EVALUATION_PREFIX;

use super::run::PastRun;
use super::table::{Difference, metrics_of, outcomes};
use crate::report::{Column, Plot, Report, Section, Series, Table};

/// Writes the page.
pub fn write(out: &Path, runs: &[PastRun], differences: &[Difference]) -> Result<()> {
    let settings = differences.iter().map(|row| (row.key.clone(), row.texts())).collect();
    let mut sections = vec![Section::Table(table(
        "What came of them",
        "Scores are those of the model that each run kept. The time runs from the first report to \
         the last, evaluations and stops included.",
        runs,
        outcomes(runs),
        true,
    ))];
    if !differences.is_empty() {
        let note = "All other settings are the same.";
        let settings = table("Settings in which they differ", note, runs, settings, false);
        sections.push(Section::Table(settings));
    }
    sections.extend(plots(runs).into_iter().map(Section::Plot));
    for run in runs {
        if let Some(recipe) = &run.recipe {
            let heading = format!("Configuration of {}", run.name);
            sections.push(Section::Configuration { heading, text: recipe.clone() });
        }
    }
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let report = Report {
        title: match names.as_slice() {
            [one] => (*one).to_owned(),
            [first, second] => format!("{first} and {second}"),
            names => format!("{} runs", names.len()),
        },
        summary: summary(runs, differences),
        figures: Vec::new(),
        sections,
    };
    replace(out, &report)
}

/// Writes a page, and the folder that it lies in if need be.
pub fn replace(out: &Path, report: &Report) -> Result<()> {
    if let Some(folder) = out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    files::replace(out, report.to_html().as_bytes())?;
    Ok(())
}

fn summary(runs: &[PastRun], differences: &[Difference]) -> String {
    let settings = match differences {
        [] if runs.len() == 1 => "One training run".to_owned(),
        [] => format!("{} training runs of the same settings", runs.len()),
        [one] => format!("{} training runs that differ in {}", runs.len(), one.key),
        many => format!("{} training runs that differ in {} settings", runs.len(), many.len()),
    };
    match runs.iter().filter(|run| !run.finished).count() {
        0 => format!("{settings}."),
        1 if runs.len() == 1 => format!("{settings}, not finished."),
        1 => format!("{settings}. One of them is not finished."),
        some => format!("{settings}. {some} of them are not finished."),
    }
}

fn table(
    heading: &str,
    note: &str,
    runs: &[PastRun],
    rows: Vec<(String, Vec<String>)>,
    numeric: bool,
) -> Table {
    let column = |name: &str, numeric: bool| Column { name: name.to_owned(), numeric };
    let of_runs = runs.iter().map(|run| column(&run.name, numeric));
    Table {
        heading: heading.to_owned(),
        note: note.to_owned(),
        columns: std::iter::once(column("", false)).chain(of_runs).collect(),
        rows: rows
            .into_iter()
            .map(|(name, cells)| std::iter::once(name).chain(cells).collect())
            .collect(),
    }
}

/// The curves of what at least one run has reported.
fn plots(runs: &[PastRun]) -> Vec<Plot> {
    let scores = metrics_of(runs).into_iter().map(|name| {
        let key = format!("{EVALUATION_PREFIX}{name}");
        (heading(&name), key, name)
    });
    let of_training = |heading: &str, key: &str, label: &str| {
        (heading.to_owned(), key.to_owned(), label.to_owned())
    };
    let first = [of_training("Loss", "loss", "loss")];
    let last = [
        of_training("Learning rate", "learning_rate", "rate"),
        of_training("Speed", "tokens_per_second", "tokens a second"),
    ];
    let all = first.into_iter().chain(scores).chain(last);
    all.filter_map(|(heading, key, y_label)| {
        let of_run = |run: &PastRun| Series { name: run.name.clone(), points: run.curve(&key) };
        let mut series: Vec<Series> = runs.iter().map(of_run).collect();
        // An empty line keeps its place in the legend, so that a run has one colour everywhere.
        let some = series.iter().any(|series| !series.points.is_empty());
        if runs.len() == 1 {
            series[0].name.clone_from(&y_label);
        }
        some.then(|| Plot { heading, x_label: "step".to_owned(), y_label, series })
    })
    .collect()
}

/// `matthews_correlation` as a heading.
fn heading(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
