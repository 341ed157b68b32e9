//! What a request wants computed, on its way through the engine.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use limbeck_data::decode::SpanLogits;
use limbeck_data::{Batch, Sequence};
use limbeck_model::LengthPlan;
use limbeck_runtime::Prepared;
use tokio::sync::oneshot;

use crate::state::Places;

/// Sequences of tokens with what is known of their logits.
pub enum Work {
    /// Windows of questions.
    Windows {
        /// The windows.
        prepared: Box<Prepared>,
        /// Two logits a token.
        logits: SpanLogits,
    },
    /// Texts to classify.
    Texts {
        /// The texts.
        sequences: Vec<Sequence>,
        /// For each text one a label.
        logits: Vec<Vec<f32>>,
    },
}

impl Work {
    /// Windows that wait for their logits.
    pub fn windows(prepared: Prepared) -> Work {
        let logits = SpanLogits::new(prepared.features());
        Work::Windows { prepared: Box::new(prepared), logits }
    }

    /// Texts that wait for their logits.
    pub fn texts(sequences: Vec<Sequence>) -> Work {
        Work::Texts { logits: vec![Vec::new(); sequences.len()], sequences }
    }

    /// How many sequences there are.
    pub fn sequences(&self) -> usize {
        match self {
            Work::Windows { prepared, .. } => prepared.features().len(),
            Work::Texts { sequences, .. } => sequences.len(),
        }
    }

    /// Tokens of a sequence.
    pub fn rows_of(&self, sequence: usize) -> usize {
        match self {
            Work::Windows { prepared, .. } => prepared.features().rows_of(sequence),
            Work::Texts { sequences, .. } => sequences[sequence].rows(),
        }
    }

    /// Tokens of all sequences.
    pub fn rows(&self) -> usize {
        (0..self.sequences()).map(|sequence| self.rows_of(sequence)).sum()
    }

    /// Lays a sequence behind what is in the batch.
    pub fn append(&self, sequence: usize, batch: &mut Batch) {
        match self {
            Work::Windows { prepared, .. } => prepared.features().append(sequence, batch),
            Work::Texts { sequences, .. } => sequences[sequence].append(batch),
        }
    }
}

/// Work that waits for the engine.
pub struct Job {
    /// The number of the model that is asked.
    pub model: usize,
    /// How many tokens go on from layer to layer, where it is not the model's own plan.
    pub plan: Option<LengthPlan>,
    /// What it is asked.
    pub work: Work,
    /// The first sequence that has not been through the model.
    next: usize,
    /// Since when it waits.
    queued: Instant,
    /// When its first sequence was taken.
    started: Option<Instant>,
    /// Time in batches that held some of its sequences.
    compute: Duration,
    /// Tokens of the sequences that still wait.
    left: usize,
    places: Arc<Places>,
    reply: oneshot::Sender<Done>,
}

/// A job that is done.
pub struct Done {
    /// The work with all its logits.
    pub work: Work,
    /// From the queue's end to the first batch.
    pub queue: Duration,
    /// Time in batches that held some of its sequences.
    pub compute: Duration,
    /// Its right to be under way.
    pub places: Arc<Places>,
}

impl Job {
    /// A job, and where its end will be told. Nobody listening there any more takes the job
    /// out of the queue.
    pub fn new(
        model: usize,
        plan: Option<LengthPlan>,
        work: Work,
        places: Arc<Places>,
    ) -> (Job, oneshot::Receiver<Done>) {
        let (reply, done) = oneshot::channel();
        let job = Job {
            model,
            plan,
            left: work.rows(),
            work,
            next: 0,
            queued: Instant::now(),
            started: None,
            compute: Duration::ZERO,
            places,
            reply,
        };
        (job, done)
    }

    /// Whether nobody waits for it any more.
    pub fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// Tokens of the sequences that still wait.
    pub fn rows_left(&self) -> usize {
        self.left
    }

    /// Takes sequences of at most `room` tokens together; at least one if `at_least_one`.
    /// Returns them and their tokens.
    pub fn take(&mut self, room: usize, at_least_one: bool) -> (Range<usize>, usize) {
        let first = self.next;
        let mut rows = 0;
        while !self.is_finished() {
            let more = self.work.rows_of(self.next);
            let needed = at_least_one && self.next == first;
            if rows + more > room && !needed {
                break;
            }
            rows += more;
            self.next += 1;
        }
        self.left -= rows;
        if self.next > first {
            self.started.get_or_insert_with(Instant::now);
        }
        (first..self.next, rows)
    }

    /// Whether every sequence has been taken.
    pub fn is_finished(&self) -> bool {
        self.next == self.work.sequences()
    }

    /// Counts the time of a batch.
    pub fn add_compute(&mut self, time: Duration) {
        self.compute += time;
    }

    /// Tells who waits.
    pub fn finish(self) {
        let queue = self.started.map_or(Duration::ZERO, |started| started - self.queued);
        let Job { work, compute, places, reply, .. } = self;
        // Nobody listening is no error: the client has gone.
        let _ = reply.send(Done { work, queue, compute, places });
    }
}
