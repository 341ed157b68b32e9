//! `report.html` of a search.

use std::path::Path;

use anyhow::Result;
use limbeck_data::files;

use super::Teacher;
use super::named::NAMES;
use super::results::{Results, as_text};
use super::search::Candidate;
use crate::cli::length_search::{LengthSearchArgs, Objective, PlanSampler};
use crate::report::{Column, Figure, Plot, Report, Section, Series, Table};

/// Writes the page.
pub fn write(out: &Path, args: &LengthSearchArgs, results: &Results) -> Result<()> {
    let name = args.model.file_name().unwrap_or(args.model.as_os_str()).to_string_lossy();
    let report = Report {
        title: format!("Length plans of {name}"),
        summary: summary(results),
        figures: figures(results),
        sections: vec![
            Section::Plot(trade_off(results)),
            Section::Plot(progress(results)),
            Section::Table(named(results)),
            Section::Table(front(results)),
            how(args, results),
        ],
    };
    files::replace(&out.join("report.html"), report.to_html().as_bytes())?;
    Ok(())
}

/// What a cost counts, and its size in that unit.
fn unit(results: &Results) -> (String, f64) {
    let (unit, scale) = match results.objective {
        Objective::Macs => ("million multiply-adds", 1e-6),
        Objective::Time => ("milliseconds", 1.0),
    };
    (format!("{unit} a {}", results.metric.piece()), scale)
}

fn summary(results: &Results) -> String {
    let found = &results.found;
    let tried = found.generations.last().map_or(0, |last| last.tried);
    let (things, count) = (results.metric.things(), found.count);
    let scored = if found.sampled < count {
        let sampled = found.sampled;
        format!(
            "{tried} plans were scored on {sampled} {things}, those of the front on all {count}."
        )
    } else {
        format!("{tried} plans were scored on {count} {things}.")
    };
    let reference = match &results.teacher {
        Teacher::None => "the model with all its tokens".to_owned(),
        _ => {
            let (name, score) = (results.metric.name(), results.reference());
            format!("the teacher's {name} of {}", results.metric.text(score))
        }
    };
    let verdict = match results.named(super::named::WITHIN_1_PERCENT) {
        Some(plan) => format!(
            "The cheapest plan within one per cent of {reference} takes {:.1} % of the cost of \
             all tokens.",
            100.0 * results.share(plan)
        ),
        None => format!("No plan is within one per cent of {reference}."),
    };
    format!("{scored} {verdict}")
}

fn figures(results: &Results) -> Vec<Figure> {
    let figure = |value: String, label: &str| Figure { value, label: label.to_owned() };
    let (name_of_score, text) = (results.metric.name(), |score| results.metric.text(score));
    let whole = results.found.whole.measured.score;
    let mut figures = vec![figure(text(whole), &format!("{name_of_score}, all tokens"))];
    if let Some(score) = results.teacher.score() {
        figures.push(figure(text(score), &format!("{name_of_score}, teacher")));
    }
    for name in NAMES {
        if let Some(plan) = results.named(name) {
            let speed_up = 1.0 / results.share(plan);
            let label = format!("{name}: {name_of_score} {}", text(plan.measured.score));
            figures.push(figure(format!("{speed_up:.2}×"), &label));
        }
    }
    figures
}

fn trade_off(results: &Results) -> Plot {
    let found = &results.found;
    let (x_label, scale) = unit(results);
    let point = |plan: &Candidate| (results.cost(plan) * scale, plan.measured.score);
    let mut series = vec![
        Series { name: "front".to_owned(), points: found.front.iter().map(point).collect() },
        Series {
            name: "its hull".to_owned(),
            points: found.hull.iter().map(|&place| point(&found.front[place])).collect(),
        },
        Series { name: "all tokens".to_owned(), points: vec![point(&found.whole)] },
    ];
    match &results.teacher {
        Teacher::None => {}
        Teacher::Score(score) => {
            let ends = [found.front.first(), Some(&found.whole)].into_iter().flatten();
            let points = ends.map(|plan| (point(plan).0, *score)).collect();
            series.push(Series { name: format!("teacher's {}", results.metric.name()), points });
        }
        Teacher::Model(_, measured) => {
            let points = vec![(results.objective.cost(measured) * scale, measured.score)];
            series.push(Series { name: "teacher".to_owned(), points });
        }
    }
    Plot {
        heading: "What a plan costs and what it is worth".to_owned(),
        x_label,
        y_label: results.metric.axis(),
        series,
    }
}

fn progress(results: &Results) -> Plot {
    let generations = results.found.generations.iter();
    let points = generations.map(|step| (step.tried as f64, step.area)).collect();
    Plot {
        heading: "How the search went, on the sample".to_owned(),
        x_label: "plans tried".to_owned(),
        y_label: format!("best {} within a cost, mean over costs", results.metric.name()),
        series: vec![Series { name: "front".to_owned(), points }],
    }
}

fn columns(results: &Results, first: &str) -> Vec<Column> {
    let numeric = [unit(results).0, "share of the cost".to_owned(), results.metric.name()];
    let numeric = numeric.map(|name| Column { name, numeric: true });
    let text = |name: &str| Column { name: name.to_owned(), numeric: false };
    [text(first)].into_iter().chain(numeric).chain([text("lengths")]).collect()
}

fn row(results: &Results, name: String, plan: &Candidate) -> Vec<String> {
    let (_, scale) = unit(results);
    vec![
        name,
        format!("{:.2}", results.cost(plan) * scale),
        format!("{:.1} %", 100.0 * results.share(plan)),
        results.metric.text(plan.measured.score),
        as_text(&plan.plan),
    ]
}

fn named(results: &Results) -> Table {
    let rows = NAMES
        .into_iter()
        .filter_map(|name| Some(row(results, name.to_owned(), results.named(name)?)));
    Table {
        heading: "Plans with a name".to_owned(),
        note: "Ask for one with --lengths NAME, or as \"lengths\" in a request to the server."
            .to_owned(),
        columns: columns(results, "name"),
        rows: rows.collect(),
    }
}

fn front(results: &Results) -> Table {
    let plans = results.found.front.iter().enumerate();
    Table {
        heading: "The front".to_owned(),
        note: format!(
            "No plan that was tried beats one of these in both {} and cost.",
            results.metric.name()
        ),
        columns: columns(results, "plan"),
        rows: plans.map(|(place, plan)| row(results, (place + 1).to_string(), plan)).collect(),
    }
}

fn how(args: &LengthSearchArgs, results: &Results) -> Section {
    let (strategy, evolution) = (&args.strategy, &args.evolution);
    let times = match results.objective {
        Objective::Macs => format!(
            "Multiply-adds are counted at the lengths of the data's own {}s; times in \
             lengths.csv are of one pass and show what the machine did then.",
            results.metric.piece()
        ),
        Objective::Time => format!(
            "Times are the sums of each batch's median of {} passes, {} {}s a batch, {} threads.",
            args.cost.rounds,
            args.cost.batch_size,
            results.metric.piece(),
            limbeck_kernels::threads::count()
        ),
    };
    let tried = results.found.generations.last().map_or(0, |last| last.tried);
    let (population, bound, seed) = (strategy.population, strategy.drop_bound, strategy.seed);
    let way = match strategy.sampler {
        PlanSampler::Evolution => format!(
            "{} generations of {} mutations (probability {}) and {} crossovers, {tried} plans in all",
            results.found.generations.len().saturating_sub(1),
            evolution.mutations,
            evolution.mutation_probability,
            evolution.crossovers,
        ),
        PlanSampler::Gp => format!("a Gaussian process suggested the rest of {tried}"),
    };
    let way = format!(
        "{population} plans to start from, beside the shortest and the whole one; {way}; the \
         shortest plan drops {bound} of what reaches each layer; seed {seed}."
    );
    Section::Text { heading: "How it was searched".to_owned(), paragraphs: vec![way, times] }
}
