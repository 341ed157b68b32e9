//! `limbeck study plot`: a study as one page.

use std::collections::BTreeMap;

use anyhow::Result;
use limbeck_search::importance::importance;
use limbeck_search::metric::{self, Goal, Metric};
use limbeck_search::space::{Domain, Parameter, Params, Value};
use limbeck_search::study::{State, Study, Trial};
use serde_json::json;

use crate::cli::search::PlotArgs;
use crate::commands::search::{short, short_value};
use crate::console::Console;
use crate::exit::Ending;
use crate::report::{
    Bar, Bars, Column, Coordinate, Dot, Figure, Line, Parallel, Plot, Report, Scatter, Section,
    Series, Table,
};

/// The row of a trial is reached by `#trial-NUMBER`.
const ANCHOR: &str = "trial";

/// Parameters whose slices are drawn, the most important ones.
const MOST_SLICES: usize = 6;

/// Runs the command.
pub fn run(args: &PlotArgs, console: Console) -> Result<Ending> {
    let study = Study::open(&args.study)?;
    super::write(&study, &args.out, &report(&study).to_html())?;
    let value = json!({ "out": args.out, "trials": study.trials().len() });
    console.result(&value, || format!("the page is {}", args.out.display()))?;
    Ok(Ending::Done)
}

fn report(study: &Study) -> Report {
    let front = study.front();
    let optimized: Vec<&Metric> = metric::optimized(&study.description().metrics).collect();
    let count = |state| study.trials().iter().filter(|trial| trial.state == state).count();
    let figure = |value: String, label: &str| Figure { value, label: label.to_owned() };
    let figures = vec![
        figure(study.trials().len().to_string(), "trials"),
        figure(count(State::Complete).to_string(), "complete"),
        figure(front.len().to_string(), "on the front"),
        figure(short(study.hypervolume()), "hypervolume"),
    ];
    let names: Vec<String> = optimized
        .iter()
        .map(|metric| match metric.goal {
            Goal::Minimize => format!("small {}", metric.name),
            Goal::Maximize => format!("large {}", metric.name),
        })
        .collect();
    let mut sections = fronts(study, &optimized, &front);
    sections.push(volume(study));
    sections.extend(influence(study, &optimized));
    sections.extend(parallel(study, &optimized, &front));
    sections.extend(slices(study, &optimized, &front));
    sections.extend(failures(study));
    sections.push(trials(study, &front));
    let title = study.path().file_name().map(|name| name.to_string_lossy().into_owned());
    Report {
        title: title.unwrap_or_else(|| "study".to_owned()),
        summary: format!("A search for {}.", names.join(", ")),
        figures,
        sections,
    }
}

/// Complete trials with both values.
fn dots(study: &Study, front: &[usize], place: impl Fn(&Trial) -> Option<(f64, f64)>) -> Vec<Dot> {
    let complete = study.trials().iter().filter(|trial| trial.state == State::Complete);
    let each = complete.filter_map(|trial| {
        Some(Dot {
            at: place(trial)?,
            name: format!("trial {}", trial.number),
            link: link(trial),
            marked: front.contains(&trial.number),
        })
    });
    each.collect()
}

fn link(trial: &Trial) -> String {
    format!("#{ANCHOR}-{}", trial.number)
}

/// The front, for every pair of optimised metrics.
fn fronts(study: &Study, optimized: &[&Metric], front: &[usize]) -> Vec<Section> {
    let mut sections = Vec::new();
    for (i, y) in optimized.iter().enumerate() {
        for x in &optimized[i + 1..] {
            let place =
                |trial: &Trial| Some((*trial.metrics.get(&x.name)?, *trial.metrics.get(&y.name)?));
            sections.push(Section::Scatter(Scatter {
                heading: format!("{} and {}", y.name, x.name),
                x_label: x.name.clone(),
                y_label: y.name.clone(),
                dots: dots(study, front, place),
                limits: (x.threshold, y.threshold),
                marked: "on the front".to_owned(),
            }));
        }
    }
    sections
}

fn volume(study: &Study) -> Section {
    let by_trial = study.hypervolume_by_trial();
    let points = by_trial.iter().enumerate().map(|(i, (_, volume))| (i as f64 + 1.0, *volume));
    Section::Plot(Plot {
        heading: "Hypervolume".to_owned(),
        x_label: "complete trials".to_owned(),
        y_label: "hypervolume".to_owned(),
        series: vec![Series { name: "hypervolume".to_owned(), points: points.collect() }],
    })
}

/// What share of each metric's variance each parameter explains alone.
fn influence(study: &Study, optimized: &[&Metric]) -> Vec<Section> {
    let each = optimized.iter().filter_map(|metric| {
        let ranked = ranked(study, metric)?;
        let bars = ranked
            .into_iter()
            .map(|(share, parameter)| Bar { name: parameter.name.clone(), share });
        Some(Section::Bars(Bars {
            heading: format!("What decides {}", metric.name),
            note: "Share of the variance that a parameter explains alone (fANOVA).".to_owned(),
            bars: bars.collect(),
        }))
    });
    each.collect()
}

/// Parameters with their importance, the largest first.
fn ranked<'a>(study: &'a Study, metric: &Metric) -> Option<Vec<(f64, &'a Parameter)>> {
    let shares = importance(study, &metric.name)?;
    let mut ranked: Vec<_> =
        shares.into_iter().zip(study.description().space.parameters()).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    Some(ranked)
}

/// A metric over each of the parameters that matter most to it.
fn slices(study: &Study, optimized: &[&Metric], front: &[usize]) -> Vec<Section> {
    let mut sections = Vec::new();
    for metric in optimized {
        let Some(ranked) = ranked(study, metric) else { continue };
        for (_, parameter) in ranked.into_iter().take(MOST_SLICES) {
            let is_log = is_log(&parameter.domain);
            let place = |trial: &Trial| {
                let x =
                    trial.params.get(&parameter.name).and_then(|v| number(&parameter.domain, v))?;
                Some((if is_log { x.log10() } else { x }, *trial.metrics.get(&metric.name)?))
            };
            let dots = dots(study, front, place);
            if dots.is_empty() {
                continue;
            }
            let x_label = match (is_log, &parameter.domain) {
                (true, _) => format!("log10 of {}", parameter.name),
                (false, Domain::Categorical(choices)) => {
                    let each =
                        choices.iter().enumerate().map(|(i, choice)| format!("{i} {choice}"));
                    format!("{}: {}", parameter.name, each.collect::<Vec<_>>().join(", "))
                }
                (false, Domain::Falling { .. }) => format!("mean of {}", parameter.name),
                _ => parameter.name.clone(),
            };
            sections.push(Section::Scatter(Scatter {
                heading: format!("{} over {}", metric.name, parameter.name),
                x_label,
                y_label: metric.name.clone(),
                dots,
                limits: (None, metric.threshold),
                marked: "on the front".to_owned(),
            }));
        }
    }
    sections
}

fn is_log(domain: &Domain) -> bool {
    use limbeck_search::space::Scale;
    matches!(domain, Domain::Real(range) | Domain::Integer(range) if range.scale == Scale::Log)
}

/// A value as a number: of a choice its index, of a tuple its mean.
fn number(domain: &Domain, value: &Value) -> Option<f64> {
    match (domain, value) {
        (Domain::Categorical(choices), _) => {
            choices.iter().position(|choice| choice == value).map(|index| index as f64)
        }
        (_, Value::List(members)) => {
            let numbers: Vec<f64> = members.iter().filter_map(Value::as_number).collect();
            Some(numbers.iter().sum::<f64>() / numbers.len().max(1) as f64)
        }
        _ => value.as_number(),
    }
}

/// Every complete trial; none when there is none, since the metrics have no ends then.
fn parallel(study: &Study, optimized: &[&Metric], front: &[usize]) -> Option<Section> {
    let complete: Vec<&Trial> =
        study.trials().iter().filter(|trial| trial.state == State::Complete).collect();
    if complete.is_empty() {
        return None;
    }
    let space = &study.description().space;
    let mut coordinates: Vec<Coordinate> = space.parameters().iter().map(coordinate).collect();
    let ranges: Vec<(f64, f64)> = optimized
        .iter()
        .map(|metric| {
            let values = complete.iter().filter_map(|trial| trial.metrics.get(&metric.name));
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
                (low.min(value), high.max(value))
            })
        })
        .collect();
    coordinates.extend(optimized.iter().zip(&ranges).map(|(metric, (low, high))| Coordinate {
        name: metric.name.clone(),
        low: short(*low),
        high: short(*high),
    }));
    let lines = complete
        .iter()
        .map(|trial| {
            let mut places = places(space.parameters(), study, &trial.params);
            places.extend(optimized.iter().zip(&ranges).map(|(metric, (low, high))| {
                let value = trial.metrics.get(&metric.name)?;
                Some(if high > low { (value - low) / (high - low) } else { 0.5 })
            }));
            Line {
                name: format!("trial {}", trial.number),
                link: link(trial),
                places,
                marked: front.contains(&trial.number),
            }
        })
        .collect();
    Some(Section::Parallel(Parallel {
        heading: "All parameters".to_owned(),
        note: "A line is a trial; those of the front stand out. Click one for its row.".to_owned(),
        coordinates,
        lines,
    }))
}

fn coordinate(parameter: &Parameter) -> Coordinate {
    let (low, high) = match &parameter.domain {
        Domain::Real(range) | Domain::Integer(range) | Domain::Falling { range, .. } => {
            (short(range.low), short(range.high))
        }
        Domain::Ordinal(values) | Domain::Categorical(values) => {
            let shown = |value: Option<&Value>| value.map(short_value).unwrap_or_default();
            (shown(values.first()), shown(values.last()))
        }
    };
    Coordinate { name: parameter.name.clone(), low, high }
}

/// Where each parameter lies on its own scale; of a tuple the middle of its members.
fn places(parameters: &[Parameter], study: &Study, params: &Params) -> Vec<Option<f64>> {
    let Some(point) = study.description().space.encode(params) else {
        return vec![None; parameters.len()];
    };
    let mut rest = point.as_slice();
    let each = parameters.iter().map(|parameter| {
        let (own, others) = rest.split_at(parameter.domain.width());
        rest = others;
        let mean = own.iter().sum::<f64>() / own.len() as f64;
        params.contains_key(&parameter.name).then_some(mean)
    });
    each.collect()
}

fn failures(study: &Study) -> Option<Section> {
    let mut causes: BTreeMap<&str, Vec<&Trial>> = BTreeMap::new();
    for trial in study.trials() {
        if let Some(cause) = trial.cause.filter(|_| trial.state.is_final()) {
            causes.entry(cause.name()).or_default().push(trial);
        }
    }
    let rows: Vec<Vec<String>> = causes
        .into_iter()
        .map(|(cause, trials)| {
            let last = trials.last().and_then(|trial| trial.reason.clone()).unwrap_or_default();
            vec![cause.to_owned(), trials.len().to_string(), last]
        })
        .collect();
    let column = |name: &str, numeric| Column { name: name.to_owned(), numeric };
    (!rows.is_empty()).then(|| {
        Section::Table(Table {
            heading: "Failures".to_owned(),
            note: String::new(),
            columns: vec![
                column("cause", false),
                column("trials", true),
                column("the last", false),
            ],
            rows,
        })
    })
}

fn trials(study: &Study, front: &[usize]) -> Section {
    let metrics = &study.description().metrics;
    let parameters = study.description().space.parameters();
    let column = |name: &str, numeric| Column { name: name.to_owned(), numeric };
    let mut columns = vec![column("trial", true), column("state", false)];
    columns.extend(metrics.iter().map(|metric| column(&metric.name, true)));
    columns.extend(parameters.iter().map(|parameter| column(&parameter.name, true)));
    columns.push(column("reason", false));
    let row = |trial: &Trial| {
        let state = match front.contains(&trial.number) {
            true => "on the front",
            false => trial.state.name(),
        };
        let mut row = vec![trial.number.to_string(), state.to_owned()];
        let of = |metric: &Metric| trial.metrics.get(&metric.name).map(|value| short(*value));
        row.extend(metrics.iter().map(|metric| of(metric).unwrap_or_default()));
        row.extend(parameters.iter().map(|parameter| match trial.params.get(&parameter.name) {
            Some(value) => short_value(value),
            None => String::new(),
        }));
        row.push(trial.reason.clone().unwrap_or_default());
        row
    };
    let rows = study.trials().iter().map(row).collect();
    let note = "Output and results of a trial lie in the folder of its number beside the study.";
    let table = Table { heading: "Trials".to_owned(), note: note.to_owned(), columns, rows };
    Section::Anchored(ANCHOR, table)
}
