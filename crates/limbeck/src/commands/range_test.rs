//! A learning-rate range test (Smith, 2017): the rate rises at every step, and where the loss
//! turns up it is too high.

use std::path::Path;

use anyhow::Result;
use limbeck_train::folder::write_json;
use limbeck_train::options::{RangeLoss, ScheduleKind};
use serde::Serialize;
use serde_json::Value;

use crate::config::RunConfig;
use crate::console::Console;
use crate::report::{Plot, Section, Series};

/// What a new loss weighs in the smoothed one.
const SMOOTHING: f64 = 0.1;

/// The suggested maximum as a share of the rate at which the loss is lowest: at that rate
/// itself runs are on the edge.
const SHARE: f64 = 2.0 / 3.0;

/// `range.json`: what a range test says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// A maximum for a schedule.
    pub suggested_learning_rate: f64,
    /// The rate at which the smoothed loss is lowest.
    pub turning_point: f64,
    /// That loss.
    pub lowest_loss: f64,
    /// Whether the loss still fell at the last rate: then the maximum may lie beyond.
    pub still_falling: bool,
    /// Whose loss it is.
    pub loss: RangeLoss,
}

/// Whether a run is a range test.
pub fn is_one(config: &RunConfig) -> bool {
    let kind = config.schedule.kind;
    matches!(kind, ScheduleKind::RangeExponential | ScheduleKind::RangeLinear)
}

/// Writes `range.json` beside `train.jsonl` and tells the suggestion.
pub fn tell(out: &Path, by: RangeLoss, console: Console) -> Result<()> {
    let lines = std::fs::read_to_string(out.join("train.jsonl")).unwrap_or_default();
    let lines: Vec<Value> =
        lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let Some(finding) = find(&losses(&lines, by), by) else {
        console
            .message("the range test came to no loss: set train.logging_steps or train.eval_steps");
        return Ok(());
    };
    write_json(&out.join("range.json"), &finding)?;
    let Finding { suggested_learning_rate, turning_point, still_falling, .. } = finding;
    console.message(&if still_falling {
        format!("the loss still falls at {turning_point:.1e}: test higher rates")
    } else {
        format!(
            "the loss turns up at {turning_point:.1e}; suggested maximum {suggested_learning_rate:.1e}"
        )
    });
    Ok(())
}

/// The plot of a range test: loss over the logarithm of the rate.
pub fn plot(lines: &[Value], by: RangeLoss) -> Section {
    let losses = losses(lines, by);
    let logarithmic = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
        points.iter().map(|&(rate, loss)| (rate.log10(), loss)).collect()
    };
    let mut series = match by {
        RangeLoss::Training => vec![
            Series { name: "loss".to_owned(), points: logarithmic(&losses) },
            Series { name: "smoothed".to_owned(), points: logarithmic(&smoothed(&losses)) },
        ],
        RangeLoss::Evaluation => {
            vec![Series { name: "evaluation loss".to_owned(), points: logarithmic(&losses) }]
        }
    };
    if let Some(found) = find(&losses, by) {
        let (low, high) = losses
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), &(_, loss)| (low.min(loss), high.max(loss)));
        let rate = found.suggested_learning_rate.log10();
        let name = format!("suggested maximum {:.1e}", found.suggested_learning_rate);
        series.push(Series { name, points: vec![(rate, low), (rate, high)] });
    }
    Section::Plot(Plot {
        heading: "Range test".to_owned(),
        x_label: "learning rate, as a power of ten".to_owned(),
        y_label: "loss".to_owned(),
        series,
    })
}

/// Rate and loss of every step, or of every evaluation the rate of the step before it.
fn losses(lines: &[Value], by: RangeLoss) -> Vec<(f64, f64)> {
    let mut rate = None;
    let point = |line: &Value| {
        rate = line["learning_rate"].as_f64().or(rate);
        let key = match by {
            RangeLoss::Training => "loss",
            RangeLoss::Evaluation => "eval_loss",
        };
        Some((rate?, line[key].as_f64()?))
    };
    lines.iter().filter_map(point).collect()
}

/// The losses with the noise of single batches taken off.
fn smoothed(losses: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let (mut mean, mut weight) = (0.0, 0.0);
    let smooth = |&(rate, loss): &(f64, f64)| {
        mean += SMOOTHING * (loss - mean);
        weight += SMOOTHING * (1.0 - weight);
        (rate, mean / weight)
    };
    losses.iter().map(smooth).collect()
}

/// What the losses say; nothing of none. Those of an evaluation are all on the same data and need no
/// smoothing.
pub fn find(losses: &[(f64, f64)], by: RangeLoss) -> Option<Finding> {
    let smooth = match by {
        RangeLoss::Training => smoothed(losses),
        RangeLoss::Evaluation => losses.to_vec(),
    };
    let (place, &(turning_point, lowest_loss)) =
        smooth.iter().enumerate().min_by(|a, b| a.1.1.total_cmp(&b.1.1))?;
    Some(Finding {
        suggested_learning_rate: SHARE * turning_point,
        turning_point,
        lowest_loss,
        still_falling: place + 1 == smooth.len(),
        loss: by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suggestion_lies_below_the_rate_where_the_loss_turns_up() {
        // Falls until 1e-2, then rises; one batch in between is lucky.
        let mut losses: Vec<(f64, f64)> = (0..=60)
            .map(|i| (10_f64.powf(-5.0 + f64::from(i) / 12.0), (f64::from(i) - 36.0).powi(2)))
            .collect();
        losses[10].1 = -5.0;
        let found = find(&losses, RangeLoss::Training).unwrap();
        assert!(!found.still_falling);
        assert!(found.turning_point > 5e-3 && found.turning_point < 8e-2, "{found:?}");
        assert!((found.suggested_learning_rate * 1.5 - found.turning_point).abs() < 1e-12);
        assert!(find(&losses[..20], RangeLoss::Training).unwrap().still_falling);
        assert_eq!(find(&[], RangeLoss::Training), None);
    }

    #[test]
    fn the_loss_of_an_evaluation_belongs_to_the_rate_of_the_step_before_it() {
        let text = r#"[{"step": 1, "learning_rate": 1e-3, "loss": 3.0}, {"step": 1, "eval_loss": 2.5},
            {"step": 2, "learning_rate": 1e-2, "loss": 1.0}, {"step": 2, "eval_loss": 2.0},
            {"step": 3, "learning_rate": 1e-1, "loss": 0.5}, {"step": 3, "eval_loss": 2.25},
            {"step": 4, "learning_rate": 1e0, "loss": 0.25}, {"step": 4, "eval_loss": null}]"#;
        let lines: Vec<Value> = serde_json::from_str(text).unwrap();
        let by = RangeLoss::Evaluation;
        assert_eq!(losses(&lines, by), [(1e-3, 2.5), (1e-2, 2.0), (1e-1, 2.25)]);
        let found = find(&losses(&lines, by), by).unwrap();
        assert_eq!(
            (found.turning_point, found.lowest_loss, found.still_falling),
            (1e-2, 2.0, false)
        );
        let by = RangeLoss::Training;
        assert_eq!(losses(&lines, by).len(), 4);
        assert!(find(&losses(&lines, by), by).unwrap().still_falling);
    }
}
