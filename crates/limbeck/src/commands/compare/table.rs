//! What differs between runs and what came of them, one cell a run.

use limbeck_data::metrics::Metrics;
use serde_json::Value;

use super::run::PastRun;

/// What stands where a run has nothing to say.
const NOTHING: &str = "–";

/// A setting in which runs differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Its dotted key.
    pub key: String,
    /// Its value in each run; null where it is not given.
    pub values: Vec<Value>,
}

impl Difference {
    /// Its cells.
    pub fn texts(&self) -> Vec<String> {
        let text = |value: &Value| match value {
            Value::Null => NOTHING.to_owned(),
            Value::String(text) => text.clone(),
            Value::Array(values) if values.is_empty() => NOTHING.to_owned(),
            Value::Array(values) => {
                let one = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
                values.iter().map(one).collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        };
        self.values.iter().map(text).collect()
    }
}

/// The settings in which runs differ, in the order of the first run's.
pub fn differences(runs: &[PastRun]) -> Vec<Difference> {
    let mut keys: Vec<&String> = Vec::new();
    for key in runs.iter().flat_map(|run| run.settings.keys()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let differ = |key: &String| {
        let of = |run: &PastRun| run.settings.get(key).cloned().unwrap_or(Value::Null);
        let values: Vec<Value> = runs.iter().map(of).collect();
        let differ = values.iter().any(|value| *value != values[0]);
        differ.then(|| Difference { key: key.clone(), values })
    };
    keys.into_iter().filter_map(differ).collect()
}

/// The metrics worth a row, of all runs: of questions the two that people compare.
pub fn metrics_of(runs: &[PastRun]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for metrics in runs.iter().filter_map(|run| run.metrics.as_ref().or(run.last_metrics.as_ref()))
    {
        let of_questions = metrics.get("exact").is_some();
        let worth = |name: &str| !of_questions || ["exact", "f1"].contains(&name);
        for (name, _) in metrics.iter().filter(|(name, _)| worth(name)) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

/// What came of the runs: a name and one cell a run.
pub fn outcomes(runs: &[PastRun]) -> Vec<(String, Vec<String>)> {
    let row = |name: &str, cell: &dyn Fn(&PastRun) -> Option<String>| {
        let cells = runs.iter().map(|run| cell(run).unwrap_or_else(|| NOTHING.to_owned()));
        (name.to_owned(), cells.collect::<Vec<_>>())
    };
    let state =
        |run: &PastRun| Some(if run.finished { "finished" } else { "unfinished" }.to_owned());
    let mut rows = vec![
        row("state", &state),
        row("steps", &|run| Some(run.steps.to_string())),
        row("last loss", &|run| run.loss.map(|loss| format!("{loss:.4}"))),
    ];
    for name in metrics_of(runs) {
        let of = |metrics: &Option<Metrics>| {
            let value = metrics.as_ref()?.get(&name)?;
            Some(score(&name, value, metrics.as_ref()?.get("exact").is_some()))
        };
        rows.push(row(&name, &|run| of(&run.metrics)));
        if runs.iter().any(|run| of(&run.last_metrics) != of(&run.metrics)) {
            rows.push(row(&format!("{name}, last"), &|run| of(&run.last_metrics)));
        }
    }
    rows.extend([
        row("step of the kept model", &|run| run.best_step.map(|step| step.to_string())),
        row("tokens a second", &|run| run.tokens_per_second.map(|speed| format!("{speed:.0}"))),
        row("time", &|run| run.seconds.filter(|&seconds| seconds > 0.0).map(duration)),
    ]);
    rows.retain(|(_, cells)| cells.iter().any(|cell| cell != NOTHING));
    rows
}

/// Per cent with two decimals, shares with four.
fn score(name: &str, value: f64, of_questions: bool) -> String {
    match () {
        () if value.is_nan() => "undefined".to_owned(),
        () if name.ends_with("total") => format!("{value:.0}"),
        () if of_questions => format!("{value:.2}"),
        () => format!("{value:.4}"),
    }
}

/// `42 s`, `12 min 5 s`, `3 h 20 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Both tables for the terminal: what differs, what came of it.
pub fn as_text(runs: &[PastRun], differences: &[Difference]) -> String {
    let names = (String::new(), runs.iter().map(|run| run.name.clone()).collect());
    let settings = differences.iter().map(|row| (row.key.clone(), row.texts()));
    let gap = (!differences.is_empty()).then(|| (String::new(), Vec::new()));
    let rows = std::iter::once(names).chain(settings).chain(gap).chain(outcomes(runs));
    let rows: Vec<Vec<String>> =
        rows.map(|(name, cells)| std::iter::once(name).chain(cells).collect()).collect();
    aligned(&rows)
}

/// Rows of cells, the columns one under the other.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_units_that_people_read() {
        let texts = [0.4, 59.6, 725.0, 12_000.0].map(duration);
        assert_eq!(texts, ["0 s", "1 min 0 s", "12 min 5 s", "3 h 20 min"]);
    }

    #[test]
    fn columns_stand_one_under_the_other() {
        let rows = [vec!["", "a–b"], vec!["seed", "1", "2"], vec![]];
        let rows = rows.map(|row| row.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(aligned(&rows), "      a–b\nseed  1    2\n\n");
    }

    #[test]
    fn scores_of_questions_are_per_cent() {
        assert_eq!(score("f1", 80.053, true), "80.05");
        assert_eq!(score("f1", 0.80053, false), "0.8005");
        assert_eq!(score("total", 300.0, true), "300");
        assert_eq!(score("pearson", f64::NAN, false), "undefined");
    }
}
