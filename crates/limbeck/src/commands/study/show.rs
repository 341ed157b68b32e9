//! `limbeck study show` and `list`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use limbeck_search::metric::{self, Metric};
use limbeck_search::study::{State, Study, Trial};
use serde_json::{Map, Value, json};

use crate::cli::search::{ListArgs, ShowArgs};
use crate::commands::search::{short, short_value};
use crate::console::{Console, columns};
use crate::exit::{Ending, one_line};

/// Runs `study show`.
pub fn show(args: &ShowArgs, console: Console) -> Result<Ending> {
    let study = Study::open(&args.study)?;
    console.result(&json(&study), || text(&study))?;
    Ok(Ending::Done)
}

/// A study as JSON: its trials, its front, its hypervolume and from where that is measured.
pub fn json(study: &Study) -> Value {
    let metrics = &study.description().metrics;
    let trials: Vec<Value> =
        study.trials().iter().map(|trial| trial_json(trial, metrics)).collect();
    // The reference in the metrics' own sense, as thresholds are written.
    let reference: Map<String, Value> = metric::optimized(metrics)
        .zip(study.reference())
        .map(|(metric, loss)| (metric.name.clone(), json!(metric.loss(loss))))
        .collect();
    json!({
        "study": study.path(),
        "trials": trials,
        "front": study.front(),
        "hypervolume": study.hypervolume(),
        "reference": reference,
    })
}

fn trial_json(trial: &Trial, metrics: &[Metric]) -> Value {
    let mut value = json!({
        "number": trial.number,
        "state": trial.state,
        "params": trial.params,
        "metrics": trial.metrics,
        "origin": trial.origin,
        "attempts": trial.attempts,
    });
    if let Some(object) = value.as_object_mut() {
        let complete = trial.state == State::Complete;
        if complete && metrics.iter().any(|m| m.role == metric::Role::Constrain) {
            let feasible = metric::is_feasible(metrics, &trial.metrics);
            object.insert("feasible".to_owned(), json!(feasible));
        }
        let optional = [
            ("cause", json!(trial.cause)),
            ("reason", json!(trial.reason)),
            ("seconds", json!(trial.seconds())),
        ];
        let given = optional.into_iter().filter(|(_, value)| !value.is_null());
        object.extend(given.map(|(name, value)| (name.to_owned(), value)));
    }
    value
}

/// A study for people: how it stands, and its front as a table.
pub fn text(study: &Study) -> String {
    let front = study.front();
    let mut rows = vec![
        ("trials", counts(study)),
        ("front", format!("{} trials", front.len())),
        ("hypervolume", short(study.hypervolume())),
    ];
    if let Some(alike) = study.alike_failures() {
        let (count, reason) = (alike.trials.len(), one_line(&alike.reason));
        rows.push(("failures", format!("the last {count} failed alike: {reason}")));
    }
    let mut text = columns(&rows);
    let metrics = &study.description().metrics;
    let Some(first) = metric::optimized(metrics).next() else { return text };
    let mut front: Vec<&Trial> = front.iter().map(|&number| &study.trials()[number]).collect();
    let loss = |trial: &Trial| first.loss(trial.metrics[&first.name]);
    front.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
    let mut table = vec![vec!["trial".to_owned()]];
    table[0].extend(metrics.iter().map(|metric| metric.name.clone()));
    table[0].extend(study.description().space.parameters().iter().map(|p| p.name.clone()));
    for trial in front {
        let mut row = vec![trial.number.to_string()];
        let metric = |m: &Metric| trial.metrics.get(&m.name).map_or("-".to_owned(), |v| short(*v));
        row.extend(metrics.iter().map(metric));
        let parameters = study.description().space.parameters().iter();
        row.extend(parameters.map(|p| match trial.params.get(&p.name) {
            Some(value) => one_line(&short_value(value)),
            None => "-".to_owned(),
        }));
        table.push(row);
    }
    if table.len() > 1 {
        text.push('\n');
        text += &aligned(&table);
    }
    text
}

/// `60: 52 complete, 8 failed`.
fn counts(study: &Study) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for trial in study.trials() {
        *counts.entry(trial.state.name()).or_default() += 1;
    }
    let each: Vec<String> =
        counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    format!("{}: {}", study.trials().len(), each.join(", ")).trim_end_matches(": ").to_owned()
}

fn aligned(table: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..table[0].len())
        .map(|i| table.iter().map(|row| row[i].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
        cells.collect::<Vec<_>>().join("  ") + "\n"
    };
    table.iter().map(line).collect()
}

/// Runs `study list`.
pub fn list(args: &ListArgs, console: Console) -> Result<Ending> {
    let folder = &args.folder;
    let read = || format!("cannot read {}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(read)? {
        paths.push(entry.with_context(read)?.path());
    }
    paths.sort();
    let studies: Vec<Study> = paths
        .iter()
        .filter(|path| is_study(path))
        .filter_map(|path| Study::open(path).ok())
        .collect();
    let value: Vec<Value> = studies
        .iter()
        .map(|study| {
            json!({
                "study": study.path(),
                "trials": study.trials().len(),
                "front": study.front().len(),
                "hypervolume": study.hypervolume(),
            })
        })
        .collect();
    console.result(&value, || {
        let row = |study: &Study| format!("{}  {}\n", study.path().display(), counts(study));
        studies.iter().map(row).collect::<String>()
    })?;
    Ok(Ending::Done)
}

/// Whether a file begins as a study does, so that others need not be read.
fn is_study(path: &Path) -> bool {
    use std::io::Read;
    const BEGINNING: &[u8] = b"{\"event\":\"create\"";
    let mut bytes = [0; BEGINNING.len()];
    path.is_file()
        && std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).is_ok()
        && bytes == *BEGINNING
}
