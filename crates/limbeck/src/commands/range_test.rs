//! A learning-rate range test (Smith, 2017): the rate rises at every step, and where the loss
//! turns up it is too high.

use std::path::Path;

use anyhow::Result;
use limbeck_train::folder::write_json;
use limbeck_train::options::ScheduleKind;
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
}

/// Whether a run is a range test.
pub fn is_one(config: &RunConfig) -> bool {
    let kind = config.schedule.kind;
    matches!(kind, ScheduleKind::RangeExponential | ScheduleKind::RangeLinear)
}

/// Writes `range.json` beside `train.jsonl` and tells the suggestion.
pub fn tell(out: &Path, console: Console) -> Result<()> {
    let lines = std::fs::read_to_string(out.join("train.jsonl")).unwrap_or_default();
    let lines: Vec<Value> =
        lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let Some(finding) = find(&losses(&lines)) else { return Ok(()) };
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
pub fn plot(lines: &[Value]) -> Section {
    let losses = losses(lines);
    let logarithmic = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
        points.iter().map(|&(rate, loss)| (rate.log10(), loss)).collect()
    };
    let mut series = vec![
        Series { name: "loss".to_owned(), points: logarithmic(&losses) },
        Series { name: "smoothed".to_owned(), points: logarithmic(&smoothed(&losses)) },
    ];
    if let Some(found) = find(&losses) {
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

/// Rate and loss of every step.
fn losses(lines: &[Value]) -> Vec<(f64, f64)> {
    let point = |line: &Value| Some((line["learning_rate"].as_f64()?, line["loss"].as_f64()?));
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

/// What the losses say; nothing of none.
pub fn find(losses: &[(f64, f64)]) -> Option<Finding> {
    let smooth = smoothed(losses);
    let (place, &(turning_point, lowest_loss)) =
        smooth.iter().enumerate().min_by(|a, b| a.1.1.total_cmp(&b.1.1))?;
    Some(Finding {
        suggested_learning_rate: SHARE * turning_point,
        turning_point,
        lowest_loss,
        still_falling: place + 1 == smooth.len(),
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
        let found = find(&losses).unwrap();
        assert!(!found.still_falling);
        assert!(found.turning_point > 5e-3 && found.turning_point < 8e-2, "{found:?}");
        assert!((found.suggested_learning_rate * 1.5 - found.turning_point).abs() < 1e-12);
        assert!(find(&losses[..20]).unwrap().still_falling);
        assert_eq!(find(&[]), None);
    }
}
