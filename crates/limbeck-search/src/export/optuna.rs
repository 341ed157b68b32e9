//! A study as a journal that Optuna's `JournalStorage` reads, and with it Optuna's dashboard.
//!
//! Only optimised metrics are values there; all metrics, the state and the reason are user
//! attributes. An ordered tuple becomes a parameter for each member.

use serde_json::{Map, Value as Json, json};

use crate::metric::{self, Goal};
use crate::space::{Domain, Parameter, Range, Scale, Value};
use crate::study::{State, Study, Trial};

/// Numbers of Optuna's operations, directions and states.
const CREATE_STUDY: u32 = 0;
const SET_STUDY_SYSTEM_ATTRIBUTE: u32 = 3;
const CREATE_TRIAL: u32 = 4;
const MINIMIZE: u32 = 1;
const MAXIMIZE: u32 = 2;
const RUNNING: u32 = 0;
const COMPLETE: u32 = 1;
const PRUNED: u32 = 2;
const FAILED: u32 = 3;

/// Optuna's journal of the study, which it shows under `name`.
pub fn optuna(study: &Study, name: &str) -> String {
    let optimized: Vec<_> = metric::optimized(&study.description().metrics).collect();
    let directions: Vec<u32> = optimized
        .iter()
        .map(|metric| if metric.goal == Goal::Minimize { MINIMIZE } else { MAXIMIZE })
        .collect();
    let names: Vec<&str> = optimized.iter().map(|metric| metric.name.as_str()).collect();
    let mut lines = vec![
        json!({"op_code": CREATE_STUDY, "study_name": name, "directions": directions}),
        json!({
            "op_code": SET_STUDY_SYSTEM_ATTRIBUTE,
            "study_id": 0,
            "system_attr": {"study:metric_names": names},
        }),
    ];
    let parameters = study.description().space.parameters();
    // A trial that waits has nothing to show yet.
    let begun = study.trials().iter().filter(|trial| trial.state != State::Suggested);
    lines.extend(begun.map(|trial| trial_line(trial, parameters, &names)));
    let mut text = String::new();
    for mut line in lines {
        line["worker_id"] = json!("limbeck");
        text += &line.to_string();
        text.push('\n');
    }
    text
}

fn trial_line(trial: &Trial, parameters: &[Parameter], names: &[&str]) -> Json {
    let (mut params, mut distributions) = (Map::new(), Map::new());
    for parameter in parameters {
        let Some(value) = trial.params.get(&parameter.name) else { continue };
        for (name, distribution, value) in distributed(parameter, value) {
            params.insert(name.clone(), value);
            // Optuna keeps a distribution as JSON inside of JSON.
            distributions.insert(name, json!(distribution.to_string()));
        }
    }
    let state = match trial.state {
        State::Suggested | State::Running => RUNNING,
        State::Complete => COMPLETE,
        State::Stopped => PRUNED,
        State::Failed | State::Lost => FAILED,
    };
    let values: Option<Vec<f64>> = (state == COMPLETE)
        .then(|| names.iter().map(|name| trial.metrics.get(*name).copied()).collect())
        .flatten();
    let mut attributes: Map<String, Json> =
        trial.reason.iter().map(|reason| ("reason".to_owned(), json!(reason))).collect();
    attributes.insert("limbeck trial".to_owned(), json!(trial.number));
    attributes.extend(trial.metrics.iter().map(|(name, value)| (name.clone(), json!(value))));
    let mut line = json!({
        "op_code": CREATE_TRIAL,
        "study_id": 0,
        "datetime_start": trial.started.map(date),
        "state": state,
        "value": null,
        "values": values,
        "distributions": distributions,
        "params": params,
        "user_attrs": attributes,
        "system_attrs": {},
        "intermediate_values": {},
    });
    // Of a trial that runs, Optuna reads no null.
    line.as_object_mut()
        .zip(trial.ended)
        .map(|(line, ended)| line.insert("datetime_complete".to_owned(), json!(date(ended))));
    line
}

/// Optuna's parameters for one of ours: name, distribution, and value in Optuna's internal form,
/// in which a choice is its index.
fn distributed(parameter: &Parameter, value: &Value) -> Vec<(String, Json, Json)> {
    let name = parameter.name.clone();
    let range = |range: &Range, whole: bool| {
        let log = range.scale == Scale::Log;
        match whole {
            true => json!({
                "name": "IntDistribution",
                "attributes": {
                    "log": log, "step": 1, "low": range.low as i64, "high": range.high as i64
                },
            }),
            false => json!({
                "name": "FloatDistribution",
                "attributes": {"step": null, "low": range.low, "high": range.high, "log": log},
            }),
        }
    };
    match &parameter.domain {
        Domain::Real(own) => vec![(name, range(own, false), json!(value.as_number()))],
        Domain::Integer(own) => vec![(name, range(own, true), json!(value.as_number()))],
        Domain::Ordinal(choices) | Domain::Categorical(choices) => {
            let shown = |choice: &Value| match choice {
                Value::List(_) => json!(choice.to_string()),
                other => json!(other),
            };
            let index = choices.iter().position(|choice| choice.is(value));
            let choices: Vec<Json> = choices.iter().map(shown).collect();
            let attributes = json!({"choices": choices});
            let distribution = json!({"name": "CategoricalDistribution", "attributes": attributes});
            vec![(name, distribution, json!(index.unwrap_or(0)))]
        }
        Domain::Falling { whole, range: own, .. } => {
            let Value::List(members) = value else { return Vec::new() };
            let each = members.iter().enumerate();
            each.map(|(i, member)| {
                (format!("{name}[{i}]"), range(own, *whole), json!(member.as_number()))
            })
            .collect()
        }
    }
}

/// Seconds since 1970 as ISO 8601 in UTC; the calendar after Hinnant's `civil_from_days`.
fn date(seconds: f64) -> String {
    let micros = (seconds.max(0.0) * 1e6) as u64;
    let (second, micro) = (micros / 1_000_000, micros % 1_000_000);
    let (day, of_day) = (second / 86_400 + 719_468, second % 86_400);
    let era = day / 146_097;
    let of_era = day % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months are counted from March, so that the leap day is the last of a year.
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}+00:00")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0.0), "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(date(951_782_400.5), "2000-02-29T00:00:00.500000+00:00");
        assert_eq!(date(1_795_648_869.25), "2026-11-25T23:21:09.250000+00:00");
    }
}
