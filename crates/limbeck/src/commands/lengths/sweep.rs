//! `limbeck lengths --sweep`: a model at uniform ratios, one after another, as Dynamic-TinyBERT's
//! `measure_rate` has it.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use limbeck_data::files;
use limbeck_model::LengthPlan;
use limbeck_train::folder::write_json;
use limbeck_train::observer::Observer;
use serde_json::{Value, json};

use super::ledger::{Ledger, Measured};
use super::reader::{Data, Metric, Reader};
use super::results::as_text;
use super::trial::{Tester, Timing};
use crate::cli::length_search::Unit;
use crate::console::columns;
use crate::evolution::Gene;
use crate::progress::Progress;
use crate::report::{Column, Figure, Plot, Report, Section, Series, Table};

/// What came of a sweep.
pub struct Sweep {
    metric: Metric,
    /// Questions or texts.
    count: usize,
    /// The model with all its tokens.
    whole: Measured,
    points: Vec<Point>,
}

/// A ratio and what came of it.
struct Point {
    ratio: f64,
    plan: LengthPlan,
    measured: Measured,
}

/// The plan in which every layer keeps the share `ratio` of what reaches it: as shares of a
/// sequence's own length, or as tokens counted from the longest input, each length rounded up.
fn uniform(ratio: f64, layers: usize, unit: Unit, longest: usize) -> LengthPlan {
    match unit {
        Unit::Shares => LengthPlan::Fractions(
            (1..=layers).map(|layer| rounded(ratio.powi(layer as i32))).collect(),
        ),
        Unit::Tokens => {
            let shorter = |length: &usize| Some(((*length as f64 * ratio).ceil() as usize).max(2));
            let lengths = std::iter::successors(Some(longest), shorter).skip(1);
            LengthPlan::Tokens(lengths.take(layers).collect())
        }
    }
}

/// A share in six digits, which is finer than a token of the longest input and can be read.
fn rounded(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

/// A plan as the ledger knows it.
fn gene(plan: &LengthPlan) -> Gene {
    match plan {
        LengthPlan::Tokens(tokens) => tokens.iter().map(|&n| n as u32).collect(),
        LengthPlan::Fractions(shares) => shares.iter().map(|s| (s * 1e9).round() as u32).collect(),
    }
}

impl Sweep {
    /// Scores the model at every ratio on all data. `None` when a stop was asked for.
    ///
    /// # Errors
    /// When the data does not fit the model, or the ledger cannot be written.
    pub fn run(
        (data, reader): (Data, &Reader),
        (ratios, unit, timing): (&[f64], Unit, Timing),
        ledger: &mut Ledger,
        progress: &mut Progress,
    ) -> Result<Option<Sweep>> {
        let count = data.len();
        let trial = reader.trial(data)?;
        let config = reader.model().config();
        let (layers, longest) = (config.num_hidden_layers, reader.max_length());
        let name = match unit {
            Unit::Shares => "sweep of shares",
            Unit::Tokens => "sweep of tokens",
        };
        let mut tester = Tester::new(reader.model(), timing, ledger);
        progress.stage("scoring", Some(ratios.len() as u64 + 1));
        let Some(whole) = tester.test((name, &trial), &[], None, None)? else { return Ok(None) };
        progress.advance(1);
        let mut points = Vec::new();
        for &ratio in ratios {
            let plan = uniform(ratio, layers, unit, longest);
            plan.check(config)?;
            let measured = tester.test((name, &trial), &gene(&plan), Some(&plan), None)?;
            let Some(measured) = measured else { return Ok(None) };
            progress.advance(1);
            points.push(Point { ratio, plan, measured });
        }
        Ok(Some(Sweep { metric: reader.metric(), count, whole, points }))
    }

    /// Writes `sweep.json`, `sweep.csv` and `report.html`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, model: &Path, out: &Path) -> Result<()> {
        write_json(&out.join("sweep.json"), &self.as_json())?;
        files::replace(&out.join("sweep.csv"), self.as_csv().as_bytes())?;
        files::replace(&out.join("report.html"), self.page(model).to_html().as_bytes())?;
        Ok(())
    }

    fn share(&self, measured: &Measured) -> f64 {
        measured.macs / self.whole.macs
    }

    fn measured_as_json(&self, measured: &Measured) -> Value {
        json!({
            self.metric.key(): measured.score,
            "macs": measured.macs,
            "share_of_macs": self.share(measured),
            "seconds": measured.seconds,
            "milliseconds": measured.milliseconds(),
        })
    }

    /// What the command says with `--json`, and what `sweep.json` holds.
    pub fn as_json(&self) -> Value {
        let point = |point: &Point| {
            let mut value = self.measured_as_json(&point.measured);
            value["ratio"] = json!(point.ratio);
            value["lengths"] = json!(point.plan);
            value
        };
        json!({
            self.metric.things(): self.count,
            "whole": self.measured_as_json(&self.whole),
            "sweep": self.points.iter().map(point).collect::<Vec<_>>(),
        })
    }

    fn as_csv(&self) -> String {
        let mut csv = format!("ratio,{},share_of_macs,macs,evalTime\n", self.metric.key());
        for Point { ratio, measured, .. } in &self.points {
            let Measured { score, macs, seconds, .. } = measured;
            let share = self.share(measured);
            // Writing to a string cannot fail.
            let _ = writeln!(csv, "{ratio},{score},{share},{macs},{seconds}");
        }
        csv
    }

    /// A line for each ratio.
    pub fn as_text(&self, out: &Path) -> String {
        let scored = |score| format!("{} {}", self.metric.name(), self.metric.text(score));
        let row = |point: &Point| {
            let (score, share) = (scored(point.measured.score), self.share(&point.measured));
            let lengths = as_text(&point.plan);
            (
                point.ratio.to_string(),
                format!("{score} at {:.1} % of the cost: {lengths}", 100.0 * share),
            )
        };
        let mut rows = vec![("all tokens".to_owned(), scored(self.whole.score))];
        rows.extend(self.points.iter().map(row));
        let rows: Vec<(&str, String)> =
            rows.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
        columns(&rows) + &out.join("report.html").display().to_string()
    }

    fn page(&self, model: &Path) -> Report {
        let name = model.file_name().unwrap_or(model.as_os_str()).to_string_lossy();
        let point = |measured: &Measured| (100.0 * self.share(measured), measured.score);
        let column = |name: &str, numeric| Column { name: name.to_owned(), numeric };
        let row = |point: &Point| {
            vec![
                point.ratio.to_string(),
                self.metric.text(point.measured.score),
                format!("{:.1} %", 100.0 * self.share(&point.measured)),
                format!("{:.2}", point.measured.milliseconds()),
                as_text(&point.plan),
            ]
        };
        Report {
            title: format!("{name} at uniform lengths"),
            summary: format!(
                "Every layer keeps the same share of the tokens that reach it; {} {}.",
                self.count,
                self.metric.things()
            ),
            figures: vec![Figure {
                value: self.metric.text(self.whole.score),
                label: format!("{}, all tokens", self.metric.name()),
            }],
            sections: vec![
                Section::Plot(Plot {
                    heading: "What a ratio costs and what it is worth".to_owned(),
                    x_label: "per cent of the multiply-adds".to_owned(),
                    y_label: self.metric.axis(),
                    series: vec![
                        Series {
                            name: "ratios".to_owned(),
                            points: self.points.iter().map(|p| point(&p.measured)).collect(),
                        },
                        Series { name: "all tokens".to_owned(), points: vec![point(&self.whole)] },
                    ],
                }),
                Section::Table(Table {
                    heading: "The ratios".to_owned(),
                    note: "Times are of one pass and show what the machine did then.".to_owned(),
                    columns: vec![
                        column("ratio", true),
                        column(&self.metric.name(), true),
                        column("share of the cost", true),
                        column(&format!("milliseconds a {}", self.metric.piece()), true),
                        column("lengths", false),
                    ],
                    rows: self.points.iter().map(row).collect(),
                }),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uniform_plan_keeps_the_same_share_in_every_layer() {
        let shares = uniform(0.5, 3, Unit::Shares, 100);
        assert_eq!(shares, LengthPlan::Fractions(vec![0.5, 0.25, 0.125]));
        // Dynamic-TinyBERT's shortest one.
        let tokens = uniform(0.8, 6, Unit::Tokens, 384);
        assert_eq!(tokens, LengthPlan::Tokens(vec![308, 247, 198, 159, 128, 103]));
        assert_eq!(uniform(1.0, 2, Unit::Tokens, 9), LengthPlan::Tokens(vec![9, 9]));
        assert_eq!(uniform(0.01, 2, Unit::Tokens, 9), LengthPlan::Tokens(vec![2, 2]));
    }
}
