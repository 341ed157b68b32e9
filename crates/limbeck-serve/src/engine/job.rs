//! A request's windows on their way through the engine.

use std::time::{Duration, Instant};

use limbeck_data::decode::SpanLogits;
use limbeck_runtime::Prepared;
use tokio::sync::oneshot;

/// Windows that wait for their logits.
pub struct Job {
    /// The number of the model that is asked.
    pub model: usize,
    /// The windows.
    pub prepared: Prepared,
    /// What is known of their logits.
    pub logits: SpanLogits,
    /// The first window that has not been through the model.
    next: usize,
    /// Since when it waits.
    queued: Instant,
    /// When its first window was taken.
    started: Option<Instant>,
    /// Time in batches that held some of its windows.
    compute: Duration,
    reply: oneshot::Sender<Done>,
}

/// A job that is done.
pub struct Done {
    /// The windows.
    pub prepared: Prepared,
    /// Their logits.
    pub logits: SpanLogits,
    /// From the queue's end to the first batch.
    pub queue: Duration,
    /// Time in batches that held some of its windows.
    pub compute: Duration,
}

impl Job {
    /// A job, and where its end will be told. Nobody listening there any more takes the job
    /// out of the queue.
    pub fn new(model: usize, prepared: Prepared) -> (Job, oneshot::Receiver<Done>) {
        let (reply, done) = oneshot::channel();
        let job = Job {
            model,
            logits: SpanLogits::new(prepared.features()),
            prepared,
            next: 0,
            queued: Instant::now(),
            started: None,
            compute: Duration::ZERO,
            reply,
        };
        (job, done)
    }

    /// Whether nobody waits for it any more.
    pub fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// Tokens of the windows that still wait.
    pub fn rows_left(&self) -> usize {
        let features = self.prepared.features();
        (self.next..features.len()).map(|window| features.rows_of(window)).sum()
    }

    /// Takes windows of at most `room` tokens together; at least one if `at_least_one`.
    pub fn take(&mut self, room: usize, at_least_one: bool) -> (std::ops::Range<usize>, usize) {
        let features = self.prepared.features();
        let first = self.next;
        let mut rows = 0;
        while self.next < features.len() {
            let more = features.rows_of(self.next);
            let needed = at_least_one && self.next == first;
            if rows + more > room && !needed {
                break;
            }
            rows += more;
            self.next += 1;
        }
        if self.next > first {
            self.started.get_or_insert_with(Instant::now);
        }
        (first..self.next, rows)
    }

    /// Whether every window has been taken.
    pub fn is_finished(&self) -> bool {
        self.next == self.prepared.features().len()
    }

    /// Counts the time of a batch.
    pub fn add_compute(&mut self, time: Duration) {
        self.compute += time;
    }

    /// Tells who waits.
    pub fn finish(self) {
        let waited = self.started.map_or(Duration::ZERO, |started| started - self.queued);
        let Job { prepared, logits, compute, reply, .. } = self;
        // Nobody listening is no error: the client has gone.
        let _ = reply.send(Done { prepared, logits, queue: waited, compute });
    }
}
