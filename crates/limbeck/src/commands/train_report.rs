//! `report.html` of a finished run: its curves, its scores, its configuration.

mod sparsity;

use std::path::Path;

use anyhow::Result;
use limbeck_data::files;
use limbeck_data::metrics::Metrics;
use serde_json::Value;

use super::range_test;
use crate::config::{RunConfig, Task};
use crate::report::{Figure, Plot, Report, Section, Series};

/// A plot of a run, made from `train.jsonl`.
struct Curves {
    heading: &'static str,
    y_label: &'static str,
    /// Keys of `train.jsonl`, and what the legend calls them.
    keys: &'static [(&'static str, &'static str)],
}

const LOSS: Curves = Curves {
    heading: "Loss",
    y_label: "loss",
    keys: &[("loss", "sum"), ("loss_hard", "hard"), ("loss_soft", "soft")],
};

const ANSWERS: Curves = Curves {
    heading: "Scores",
    y_label: "percent",
    keys: &[("eval_exact", "exact"), ("eval_f1", "f1")],
};

const LABELS: Curves = Curves {
    heading: "Scores",
    y_label: "score",
    keys: &[
        ("eval_accuracy", "accuracy"),
        ("eval_accuracy_mm", "accuracy, mismatched"),
        ("eval_f1", "f1"),
        ("eval_matthews_correlation", "Matthews correlation"),
        ("eval_pearson", "Pearson"),
        ("eval_spearmanr", "Spearman"),
    ],
};

const WORDS: Curves = Curves {
    heading: "Perplexity",
    y_label: "perplexity",
    keys: &[("eval_perplexity", "perplexity")],
};

const RATE: Curves = Curves {
    heading: "Learning rate",
    y_label: "rate",
    keys: &[("learning_rate", "learning rate")],
};

/// Writes `report.html` into the folder of a finished run.
pub fn write(out: &Path, config: &RunConfig, metrics: Option<&Metrics>) -> Result<()> {
    let lines = std::fs::read_to_string(out.join("train.jsonl")).unwrap_or_default();
    let lines: Vec<Value> =
        lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let labels = !config.task.has_windows();
    let scores = match config.task {
        Task::Pretrain => WORDS,
        _ if labels => LABELS,
        _ => ANSWERS,
    };
    let plots = [LOSS, scores, RATE, sparsity::SPARSITY, sparsity::CHANGES];
    let mut sections: Vec<Section> = plots.iter().filter_map(|plot| curve(plot, &lines)).collect();
    let account = sparsity::account(out);
    sections.extend(account.as_ref().map(sparsity::density));
    if range_test::is_one(config) {
        sections.insert(0, range_test::plot(&lines, config.schedule.range_loss));
    }
    sections.push(Section::Configuration {
        heading: "Resolved configuration".to_owned(),
        text: toml::to_string(config)?,
    });
    let name = out.file_name().map_or_else(|| out.to_string_lossy(), |name| name.to_string_lossy());
    let mut figures: Vec<Figure> = match (metrics, labels) {
        (None, _) => Vec::new(),
        (Some(metrics), true) => metrics.iter().map(of_labels).collect(),
        (Some(metrics), false) => {
            ["exact", "f1", "total"].iter().filter_map(|key| figure(key, metrics)).collect()
        }
    };
    figures.extend(account.iter().flat_map(sparsity::figures));
    let report = Report { title: name.into_owned(), summary: summary(config), figures, sections };
    files::replace(&out.join("report.html"), report.to_html().as_bytes())?;
    Ok(())
}

fn summary(config: &RunConfig) -> String {
    let model = config.model.path.as_deref().unwrap_or("a new model");
    if config.task == Task::Pretrain {
        return match config.teacher.as_slice() {
            [] => format!("{model}, pretrained on plain text."),
            teachers => format!("{model}, pretrained with {}.", teachers.join(", ")),
        };
    }
    match config.teacher.as_slice() {
        [] => format!("{model}, fine-tuned."),
        teachers => format!("{model}, distilled from {}.", teachers.join(", ")),
    }
}

fn figure(key: &str, metrics: &Metrics) -> Option<Figure> {
    let value = metrics.get(key)?;
    let (value, label) = match key {
        "total" => (format!("{value:.0}"), "questions".to_owned()),
        _ => (format!("{value:.2} %"), key.to_owned()),
    };
    Some(Figure { value, label })
}

fn of_labels((key, value): (&str, f64)) -> Figure {
    Figure { value: format!("{value:.4}"), label: key.to_owned() }
}

/// A plot of the keys that the run reported; none of them: no plot. The sum of losses is
/// left out where it has one part only.
fn curve(plot: &Curves, lines: &[Value]) -> Option<Section> {
    let mut series: Vec<Series> = plot
        .keys
        .iter()
        .map(|(key, name)| Series { name: (*name).to_owned(), points: points(key, lines) })
        .filter(|series| !series.points.is_empty())
        .collect();
    if let [sum, part] = series.as_slice()
        && sum.name == "sum"
        && sum.points == part.points
    {
        series.truncate(1);
        "loss".clone_into(&mut series[0].name);
    }
    (!series.is_empty()).then(|| {
        Section::Plot(Plot {
            heading: plot.heading.to_owned(),
            x_label: "step".to_owned(),
            y_label: plot.y_label.to_owned(),
            series,
        })
    })
}

fn points(key: &str, lines: &[Value]) -> Vec<(f64, f64)> {
    lines.iter().filter_map(|line| Some((line["step"].as_f64()?, line[key].as_f64()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_scores_has_no_plot_of_them() {
        let lines = [serde_json::json!({"step": 1, "loss": 2.0, "loss_hard": 2.0})];
        let plots = [LOSS, ANSWERS, RATE];
        let plots: Vec<_> = plots.iter().filter_map(|plot| curve(plot, &lines)).collect();
        let [Section::Plot(plot)] = plots.as_slice() else { panic!("one plot") };
        assert_eq!(plot.series.len(), 1);
        assert_eq!(plot.series[0].points, [(1.0, 2.0)]);
    }
}
