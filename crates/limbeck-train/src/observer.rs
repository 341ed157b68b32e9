//! What a run tells while it runs: to a progress bar, a test, or nobody.

use std::ops::ControlFlow;

use limbeck_data::metrics::Metrics;

/// One optimiser step.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// Steps done, this one included.
    pub step: usize,
    /// Steps of the whole run.
    pub total_steps: usize,
    /// Passes over the training features so far.
    pub epoch: f64,
    /// The weighted sum of the losses.
    pub loss: f64,
    /// Norm of the gradients before clipping.
    pub gradient_norm: f64,
    /// The rate of this step.
    pub learning_rate: f64,
    /// Tokens of this step's batches; all are real, there is no padding.
    pub tokens: usize,
    /// Wall time of this step in seconds.
    pub seconds: f64,
}

/// Takes part in a run without changing its result. Every method may be left out.
pub trait Observer {
    /// A stretch of work begins: `building features`, `training`, `evaluating`, ...,
    /// with how many units it has.
    fn stage(&mut self, name: &str, total: Option<u64>) {
        let _ = (name, total);
    }

    /// So many more units of the stage are done.
    fn advance(&mut self, units: u64) {
        let _ = units;
    }

    /// A step is done.
    fn step(&mut self, report: &StepReport) {
        let _ = report;
    }

    /// The model was evaluated on the development data after `step` steps.
    fn evaluated(&mut self, step: usize, metrics: &Metrics) {
        let _ = (step, metrics);
    }

    /// Something a user should know.
    fn message(&mut self, text: &str) {
        let _ = text;
    }

    /// Asked after every step and every batch: whether to save and stop.
    fn should_stop(&self) -> bool {
        false
    }
}

/// Tells an observer of so many units that are done, and asks it whether to stop.
pub fn advance(observer: &mut dyn Observer) -> impl FnMut(usize) -> ControlFlow<()> {
    move |units| {
        observer.advance(units as u64);
        if observer.should_stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Watches nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
