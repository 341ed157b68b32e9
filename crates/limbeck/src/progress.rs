//! What is shown of a run while it goes on: a bar on a terminal, else a line of text
//! every few seconds.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use limbeck_data::metrics::Metrics;
use limbeck_train::observer::{Observer, StepReport};
use serde_json::json;

use crate::console::{self, Console, scores};
use crate::interrupt;

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How much of the smoothed speed a new step replaces.
const SMOOTHING: f64 = 0.1;

/// Shows progress on standard error, and asks a run to stop after Ctrl-C.
#[derive(Debug)]
pub struct Progress {
    console: Console,
    bar: Option<ProgressBar>,
    stage: String,
    total: Option<u64>,
    done: u64,
    /// Optimiser steps of the run.
    steps: usize,
    /// Parameters of the model that is trained.
    parameters: Option<usize>,
    last_line: Instant,
    /// Smoothed seconds and tokens of a step.
    speed: Option<(f64, f64)>,
}

impl Progress {
    /// Shows nothing with `--quiet`.
    pub fn new(console: Console) -> Self {
        let is_terminal = io::stderr().is_terminal() && !console.quiet;
        Self {
            console,
            bar: is_terminal
                .then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())),
            stage: String::new(),
            total: None,
            done: 0,
            steps: 0,
            parameters: None,
            last_line: Instant::now(),
            speed: None,
        }
    }

    /// Tells how many parameters the model that is trained has.
    pub fn trains(&mut self, parameters: usize) {
        self.parameters = Some(parameters);
    }

    /// An evaluation as a trial of a search tells it; `step` is the share of the run, since
    /// trials differ in how many steps they take.
    fn report(&self, step: usize, metrics: &Metrics) {
        let step = step as f64 / self.steps.max(1) as f64;
        let mut line =
            json!({ "step": step, "exact": metrics.get("exact"), "f1": metrics.get("f1") });
        if let (Some(parameters), Some(object)) = (self.parameters, line.as_object_mut()) {
            object.insert("parameters".to_owned(), json!(parameters));
        }
        // A reader that is gone misses a report, which decides nothing.
        let _ = console::print(&line.to_string());
    }

    /// A line that stays.
    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => self.console.message(text),
        }
    }

    /// Whether the next line is due, where lines are written at all.
    fn line_is_due(&mut self) -> bool {
        let due = self.bar.is_none() && self.last_line.elapsed() >= LINE_EVERY;
        if due {
            self.last_line = Instant::now();
        }
        due
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Progress {
    fn stage(&mut self, name: &str, total: Option<u64>) {
        name.clone_into(&mut self.stage);
        (self.total, self.done) = (total, 0);
        let Some(bar) = &self.bar else { return };
        let template = match total {
            Some(_) => "{prefix} {wide_bar} {pos}/{len} {msg}",
            None => "{prefix} {spinner} {msg}",
        };
        // The templates are constants with placeholders that indicatif knows.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.reset();
        bar.set_length(total.unwrap_or(0));
        bar.set_prefix(name.to_owned());
        bar.set_message("");
    }

    fn advance(&mut self, units: u64) {
        self.done += units;
        if let Some(bar) = &self.bar {
            bar.inc(units);
        } else if self.stage != "training" && self.line_is_due() {
            match self.total {
                Some(total) => self.say(&format!("{}: {} of {total}", self.stage, self.done)),
                None => self.say(&format!("{}: {}", self.stage, self.done)),
            }
        }
    }

    fn step(&mut self, report: &StepReport) {
        self.steps = report.total_steps;
        let (seconds, tokens) = (report.seconds, report.tokens as f64);
        let blend = |old: f64, new: f64| old + SMOOTHING * (new - old);
        let (seconds, tokens) = match self.speed {
            Some(speed) => (blend(speed.0, seconds), blend(speed.1, tokens)),
            None => (seconds, tokens),
        };
        self.speed = Some((seconds, tokens));
        let rate = tokens / seconds.max(1e-9);
        let left = seconds * report.total_steps.saturating_sub(report.step) as f64;
        let text = format!("loss {:.4}, {rate:.0} tokens/s, {} left", report.loss, duration(left));
        if let Some(bar) = &self.bar {
            bar.set_message(text);
        } else if self.line_is_due() {
            self.say(&format!("step {} of {}: {text}", report.step, report.total_steps));
        }
    }

    fn evaluated(&mut self, step: usize, metrics: &Metrics) {
        if self.console.reports {
            self.report(step, metrics);
        }
        self.say(&format!("step {step}: {}", scores(metrics)));
    }

    fn message(&mut self, text: &str) {
        self.say(text);
    }

    fn should_stop(&self) -> bool {
        interrupt::requested()
    }
}

/// Seconds in the two largest units that matter.
pub fn duration(seconds: f64) -> String {
    // Negative numbers and NaN become 0.
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_have_two_units_at_most() {
        assert_eq!(duration(0.4), "0 s");
        assert_eq!(duration(61.0), "1 min 01 s");
        assert_eq!(duration(7265.0), "2 h 01 min");
        assert_eq!(duration(f64::NAN), "0 s");
    }
}
