//! A study as a table.

use crate::space::Value;
use crate::study::{Study, Trial};

/// One line for each trial, after a line of headings: number, state, whether it is on the front,
/// parameters, metrics, how long it took, who suggested it, why it ended without metrics.
/// Fields are quoted where they must be (RFC 4180).
pub fn csv(study: &Study) -> String {
    let names: Vec<&str> =
        study.description().space.parameters().iter().map(|p| p.name.as_str()).collect();
    // Trials may have said more than the study asked for.
    let mut metrics: Vec<&str> =
        study.trials().iter().flat_map(|t| t.metrics.keys().map(String::as_str)).collect();
    metrics.sort_unstable();
    metrics.dedup();
    let front = study.front();
    let headings = ["number", "state", "front"].into_iter().chain(names.iter().copied());
    let last = ["seconds", "origin", "reason"];
    let fixed = ["number", "state", "front"].into_iter().chain(last);
    let others: Vec<&str> = fixed.chain(names.iter().copied()).collect();
    // No two columns have one name.
    let named = metrics.iter().map(|name| match others.contains(name) {
        true => format!("metrics.{name}"),
        false => (*name).to_owned(),
    });
    let headings = headings.map(str::to_owned).chain(named).chain(last.map(str::to_owned));
    let mut text = line(headings);
    for trial in study.trials() {
        text += &line(fields(trial, &names, &metrics, front.contains(&trial.number)));
    }
    text
}

fn fields<'a>(
    trial: &'a Trial,
    names: &'a [&str],
    metrics: &'a [&str],
    on_front: bool,
) -> impl Iterator<Item = String> + 'a {
    let optional = |value: Option<String>| value.unwrap_or_default();
    let number = |x: f64| Value::Real(x).to_string();
    let first = [trial.number.to_string(), trial.state.name().to_owned(), on_front.to_string()];
    let params =
        names.iter().map(move |name| optional(trial.params.get(*name).map(Value::to_string)));
    let metrics =
        metrics.iter().map(move |name| optional(trial.metrics.get(*name).map(|x| number(*x))));
    let seconds = trial.seconds().map(|seconds| format!("{seconds:.3}"));
    let last = [optional(seconds), trial.origin.clone(), optional(trial.reason.clone())];
    first.into_iter().chain(params).chain(metrics).chain(last)
}

fn line(fields: impl Iterator<Item = String>) -> String {
    let quoted = |field: String| match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    };
    fields.map(quoted).collect::<Vec<_>>().join(",") + "\r\n"
}
