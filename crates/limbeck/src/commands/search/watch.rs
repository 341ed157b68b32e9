//! What is shown of a search while it goes on.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use limbeck_search::execute::Event;
use limbeck_search::metric::{self, Metric};
use limbeck_search::study::{State, Study, Trial};

use super::short;
use crate::console::Console;
use crate::exit::one_line;
use crate::progress::duration;

/// A line for every trial that ends, and on a terminal a bar below them.
pub struct Watch {
    console: Console,
    bar: Option<ProgressBar>,
    begun: Instant,
    /// Trials that were over when this search began.
    before: usize,
    trials: usize,
    parallel: usize,
    front: BTreeSet<usize>,
    volume: f64,
}

impl Watch {
    /// Of a study that is to have so many trials.
    pub fn new(console: Console, study: &Study, trials: usize, parallel: usize) -> Self {
        let is_terminal = io::stderr().is_terminal() && !console.quiet;
        let bar = is_terminal.then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(trials as u64), ProgressDrawTarget::stderr());
            // A constant with placeholders that indicatif knows.
            if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        let front = study.front().into_iter().collect();
        let (begun, before, volume) = (Instant::now(), over(study), study.hypervolume());
        Self { console, bar, begun, before, trials, parallel, front, volume }
    }

    /// Shows what happened.
    pub fn see(&mut self, study: &Study, event: Event) {
        match event {
            Event::Ended(number) => {
                let Some(trial) = study.trials().get(number) else { return };
                let mut line = line(trial, &study.description().metrics);
                if trial.state == State::Complete {
                    let front: BTreeSet<usize> = study.front().into_iter().collect();
                    if front.contains(&number) {
                        line += ", on the front";
                    }
                    self.front = front;
                    self.volume = study.hypervolume();
                }
                if self.bar.is_none() {
                    line += &format!("; {}", self.status(study));
                }
                self.say(&line);
            }
            Event::Vanished(number) => {
                let reason = study.trials().get(number).and_then(|trial| trial.reason.as_deref());
                self.say(&format!("trial {number}: {}", reason.unwrap_or("its worker vanished")));
            }
            Event::Tick => {
                if let Some(bar) = &self.bar {
                    bar.set_position(over(study) as u64);
                    bar.set_message(self.status(study));
                }
            }
        }
    }

    /// `12 of 60, 2 running, front 5, hypervolume 1.234, 12 min left`.
    fn status(&self, study: &Study) -> String {
        let done = over(study);
        let running = study.trials().iter().filter(|trial| trial.state == State::Running).count();
        let mut status = format!(
            "{done} of {}, {running} running, front {}, hypervolume {}",
            self.trials,
            self.front.len(),
            short(self.volume)
        );
        let new = done.saturating_sub(self.before);
        if new >= self.parallel {
            let each = self.begun.elapsed().as_secs_f64() / new as f64;
            let left = each * self.trials.saturating_sub(done) as f64;
            status += &format!(", {} left", duration(left));
        }
        status
    }

    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => self.console.message(text),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn over(study: &Study) -> usize {
    study.trials().iter().filter(|trial| trial.state.is_final()).count()
}

/// `trial 12: complete, exact 61.2, parameters 52188674`.
fn line(trial: &Trial, metrics: &[Metric]) -> String {
    let mut line = format!("trial {}: {}", trial.number, trial.state.name());
    for metric in metric::optimized(metrics) {
        if let Some(value) = trial.metrics.get(&metric.name) {
            line += &format!(", {} {}", metric.name, short(*value));
        }
    }
    if let Some(reason) = &trial.reason {
        line += &format!(", {}", one_line(reason));
    }
    line
}
