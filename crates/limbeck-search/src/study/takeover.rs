//! Beginning with what an earlier study found.

use super::event::Event;
use super::worker::{Worker, now};
use super::{State, Study, Trial};
use crate::error::Result;

/// What became of an earlier study's complete trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Takeover {
    /// Added now.
    pub taken: usize,
    /// Added before.
    pub known: usize,
    /// Not of this space, or without a metric that counts here.
    pub foreign: usize,
}

impl Study {
    /// Adds the complete trials of an earlier study that lie in this space and have every metric
    /// that counts. Those that bear this `origin` already are not added again, so that it may be
    /// called anew after a kill, or when the earlier study has grown.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn take_over(&mut self, earlier: &Self, origin: &str) -> Result<Takeover> {
        let complete = earlier.trials().iter().filter(|trial| trial.state == State::Complete);
        let (fitting, foreign): (Vec<&Trial>, Vec<&Trial>) = complete.partition(|trial| {
            self.description.space.check(&trial.params).is_ok()
                && self.missing_metric(&trial.metrics).is_none()
        });
        self.transact(true, |trials| {
            let own = trials.iter().filter(|t| t.state == State::Complete && t.origin == origin);
            let mut own: Vec<&Trial> = own.collect();
            let mut done = Takeover { foreign: foreign.len(), ..Takeover::default() };
            let mut events = Vec::new();
            let time = now();
            for Trial { params, metrics, .. } in fitting {
                let same = |own: &&Trial| own.params == *params && own.metrics == *metrics;
                if let Some(known) = own.iter().position(same) {
                    // Once for each: an earlier study may have measured the same twice.
                    own.swap_remove(known);
                    done.known += 1;
                    continue;
                }
                let (trial, origin) = (trials.len() + done.taken, origin.to_owned());
                let (params, metrics) = (params.clone(), metrics.clone());
                events.push(Event::Suggest { trial, params, origin });
                events.push(Event::Run {
                    trial,
                    attempt: 1,
                    worker: Worker::elsewhere(None),
                    time,
                });
                events.push(Event::Complete { trial, attempt: 1, metrics, time });
                done.taken += 1;
            }
            Ok((events, done))
        })
    }
}
