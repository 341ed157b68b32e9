//! Processes that train one model together: each takes a part of every batch, and the gradients
//! are added up over all of them while backward goes on.
//!
//! All processes hold the same parameters, receive the same sums to the bit and so take the same
//! step. What is written, the first one writes.
//!
//! # Layout
//! - here: what the loop sees of the others, and the thread that talks to them
//! - [`division`]: which part of a batch is whose
//! - [`ring`]: sums over TCP, in a ring; [`rendezvous`]: how its processes find each other
//! - `channel`: a connection that takes the secret to open, read or write; `callers`: who is let in;
//!   [`waiting`]: waits that can be ended
//! - `mpi`: sums by MPI, with the feature `mpi`

mod callers;
mod channel;
pub mod division;
#[cfg(feature = "mpi")]
pub mod mpi;
pub mod rendezvous;
pub mod ring;
#[cfg(test)]
mod tests;
pub mod waiting;

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use limbeck_kernels::attention::Queries;
use limbeck_model::encoder::Taps;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What can go wrong between processes.
#[derive(Debug, thiserror::Error)]
pub enum RanksError {
    /// The connection to another process failed.
    #[error("process {rank} of {count}: {reason}; what it has saved is kept, start again to go on")]
    Lost {
        /// Who says it.
        rank: usize,
        /// How many there are.
        count: usize,
        /// What happened.
        reason: String,
    },
    /// The processes could not find each other.
    #[error("process {rank} of {count} cannot join the others: {reason}")]
    Rendezvous {
        /// Who says it.
        rank: usize,
        /// How many there are.
        count: usize,
        /// What happened, and what to do.
        reason: String,
    },
    /// The user has asked for a stop while this process waited for the others.
    #[error("process {rank} of {count} was stopped while it waited for the others")]
    Interrupted {
        /// Who says it.
        rank: usize,
        /// How many there are.
        count: usize,
    },
    /// The system gives no thread to talk to the others.
    #[error("no thread to talk to the other processes: {0}")]
    Thread(std::io::Error),
}

impl RanksError {
    /// Whether the user has asked for it.
    pub fn is_interrupt(&self) -> bool {
        matches!(self, RanksError::Interrupted { .. })
    }
}

/// A way to add up numbers over processes.
pub trait Collective {
    /// The number of this process, from 0.
    fn rank(&self) -> usize;

    /// How many processes there are.
    fn count(&self) -> usize;

    /// Replaces `values` by their sums over all processes, which call this with as many values and
    /// in the same order. All receive the same bytes.
    ///
    /// # Errors
    /// When another process cannot be reached.
    fn sum(&mut self, values: &mut [f32]) -> Result<(), RanksError>;
}

/// Buffers on their way at the same time: enough for every layer of a deep model, so that
/// backward does not wait for the network.
const IN_FLIGHT: usize = 64;

/// Numbers to be added up, and where they belong.
type Bucket = (Range<usize>, Vec<f32>);

/// The other processes, as the loop sees them; alone unless told otherwise.
#[derive(Debug, Default)]
pub struct Ranks {
    rank: usize,
    /// `None` for a process that trains alone.
    link: Option<Link>,
}

/// The thread that talks to the other processes.
#[derive(Debug)]
struct Link {
    count: usize,
    work: Option<SyncSender<Bucket>>,
    done: Receiver<Result<Bucket, RanksError>>,
    /// Buckets that are under way.
    pending: usize,
    /// Buckets that have come back before anybody waited for them.
    arrived: Vec<Bucket>,
    /// Buffers to use again.
    spare: Vec<Vec<f32>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Link {
    fn drop(&mut self) {
        // Ends the thread's loop.
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Ranks {
    /// A process that trains alone.
    pub fn alone() -> Ranks {
        Ranks::default()
    }

    /// One of several processes. `join` runs on the thread that will do all the talking.
    ///
    /// # Errors
    /// What `join` returns.
    pub fn start<C: Collective>(
        join: impl FnOnce() -> Result<C, RanksError> + Send + 'static,
    ) -> Result<Ranks, RanksError> {
        let (work, to_do) = sync_channel::<Bucket>(IN_FLIGHT);
        let (finished, done) = sync_channel(IN_FLIGHT + 1);
        let (joined, answer) = sync_channel(1);
        let builder = std::thread::Builder::new().name("ranks".into());
        let thread = builder.spawn(move || {
            let mut collective = match join() {
                Ok(collective) => {
                    let _ = joined.send(Ok((collective.rank(), collective.count())));
                    collective
                }
                Err(error) => {
                    let _ = joined.send(Err(error));
                    return;
                }
            };
            for (range, mut values) in to_do {
                let sum = collective.sum(&mut values).map(|()| (range, values));
                let failed = sum.is_err();
                if finished.send(sum).is_err() || failed {
                    return;
                }
            }
        });
        let thread = thread.map_err(RanksError::Thread)?;
        let (rank, count) = answer.recv().unwrap_or_else(|_| Err(gone(0, 0)))?;
        if count < 2 {
            return Ok(Ranks::alone());
        }
        let link = Link {
            count,
            work: Some(work),
            done,
            pending: 0,
            arrived: Vec::new(),
            spare: Vec::new(),
            thread: Some(thread),
        };
        Ok(Ranks { rank, link: Some(link) })
    }

    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many processes there are.
    pub fn count(&self) -> usize {
        self.link.as_ref().map_or(1, |link| link.count)
    }

    /// Whether this process writes what the run leaves.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// Begins to add up `values[range]` over all processes.
    ///
    /// # Errors
    /// When another process cannot be reached.
    pub fn begin(&mut self, range: Range<usize>, values: &[f32]) -> Result<(), RanksError> {
        let Some(link) = &mut self.link else { return Ok(()) };
        if link.pending == IN_FLIGHT {
            let bucket = link.receive(self.rank)?;
            link.arrived.push(bucket);
        }
        let mut buffer = link.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(&values[range.clone()]);
        link.pending += 1;
        let sent = link.work.as_ref().map(|work| work.send((range, buffer)));
        if matches!(sent, Some(Ok(()))) { Ok(()) } else { Err(link.failure(self.rank)) }
    }

    /// Waits for all that was begun and puts the sums in their places.
    ///
    /// # Errors
    /// When another process cannot be reached.
    pub fn finish(&mut self, values: &mut [f32]) -> Result<(), RanksError> {
        let Some(link) = &mut self.link else { return Ok(()) };
        while link.pending > 0 {
            let bucket = link.receive(self.rank)?;
            link.arrived.push(bucket);
        }
        for (range, sums) in link.arrived.drain(..) {
            values[range].copy_from_slice(&sums);
            link.spare.push(sums);
        }
        Ok(())
    }

    /// Replaces `values` by their sums over all processes.
    ///
    /// # Errors
    /// When another process cannot be reached.
    pub fn sum(&mut self, values: &mut [f32]) -> Result<(), RanksError> {
        self.begin(0..values.len(), values)?;
        self.finish(values)
    }

    /// Whether any process says so.
    ///
    /// # Errors
    /// When another process cannot be reached.
    pub fn any(&mut self, says: bool) -> Result<bool, RanksError> {
        let mut votes = [f32::from(u8::from(says))];
        self.sum(&mut votes)?;
        Ok(votes[0] > 0.0)
    }

    /// Gives all processes the first one's values: exactly, since to each value of the first are
    /// added zeros.
    ///
    /// # Errors
    /// When another process cannot be reached.
    pub fn copy_from_first(&mut self, values: &mut [f32]) -> Result<(), RanksError> {
        /// Few enough not to double the memory of a large model.
        const AT_A_TIME: usize = 1 << 20;
        if self.count() == 1 {
            return Ok(());
        }
        for piece in values.chunks_mut(AT_A_TIME) {
            if self.rank > 0 {
                // Not 0: -0 + 0 is 0, but -0 + -0 is -0.
                piece.fill(-0.0);
            }
            self.sum(piece)?;
        }
        Ok(())
    }

    /// What the first process says, in place of one's own.
    ///
    /// # Errors
    /// When another process cannot be reached, or says what cannot be read.
    pub fn say_after_first<T: Serialize + DeserializeOwned>(
        &mut self,
        own: &T,
    ) -> Result<T, RanksError> {
        let (rank, count) = (self.rank, self.count());
        let failed =
            |error: serde_json::Error| RanksError::Lost { rank, count, reason: error.to_string() };
        let text = serde_json::to_vec(own).map_err(failed)?;
        // Bytes as floats, which hold them exactly; all have to send as many.
        let mut longest = [if self.rank == 0 { text.len() as f32 } else { 0.0 }];
        self.sum(&mut longest)?;
        let mut bytes: Vec<f32> = text.into_iter().map(f32::from).collect();
        bytes.resize(longest[0] as usize, 0.0);
        self.copy_from_first(&mut bytes)?;
        let text: Vec<u8> = bytes.into_iter().map(|byte| byte as u8).collect();
        serde_json::from_slice(&text).map_err(failed)
    }

    /// The share of this process of so many things: those of all processes follow each other.
    pub fn share_of(&self, things: usize) -> Range<usize> {
        let cut = |rank: usize| things * rank / self.count();
        cut(self.rank)..cut(self.rank + 1)
    }
}

impl Link {
    /// The next bucket that comes back.
    fn receive(&mut self, rank: usize) -> Result<Bucket, RanksError> {
        let bucket = self.done.recv().unwrap_or_else(|_| Err(gone(rank, self.count)))?;
        self.pending -= 1;
        Ok(bucket)
    }

    /// Why the thread took no more work.
    fn failure(&mut self, rank: usize) -> RanksError {
        let first = self.done.iter().find_map(Result::err);
        first.unwrap_or_else(|| gone(rank, self.count))
    }
}

fn gone(rank: usize, count: usize) -> RanksError {
    RanksError::Lost { rank, count, reason: "its thread for the others has ended".into() }
}

/// The gradients of a step, on their way to the other processes: a layer's as soon as backward has
/// left it, the last layer first.
#[derive(Debug)]
pub struct Exchange {
    /// The processes.
    pub ranks: Ranks,
    /// Where the gradients of each layer lie.
    layers: Vec<Range<usize>>,
    /// How many layers' are on their way.
    begun: usize,
    /// What went wrong on the way.
    error: Option<RanksError>,
}

impl Exchange {
    /// For a model whose layers lie so.
    pub fn new(ranks: Ranks, layers: Vec<Range<usize>>) -> Exchange {
        Exchange { ranks, layers, begun: 0, error: None }
    }

    /// Sends the next layer's.
    fn begin_layer(&mut self, gradients: &[f32]) -> Result<(), RanksError> {
        self.begun += 1;
        let layer = self.layers.len() - self.begun;
        self.ranks.begin(self.layers[layer].clone(), gradients)
    }

    /// Adds up what is not on its way yet, and waits for all.
    ///
    /// # Errors
    /// When another process cannot be reached.
    pub fn finish(&mut self, gradients: &mut [f32]) -> Result<(), RanksError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        while self.begun < self.layers.len() {
            self.begin_layer(gradients)?;
        }
        self.begun = 0;
        let (first, last) = match (self.layers.first(), self.layers.last()) {
            (Some(first), Some(last)) => (first.start, last.end),
            _ => (0, 0),
        };
        self.ranks.begin(last..gradients.len(), gradients)?;
        self.ranks.begin(0..first, gradients)?;
        self.ranks.finish(gradients)
    }

    /// What backward shows in the last pass of a step, to `taps` and to the other processes.
    pub(crate) fn listening<'a>(&'a mut self, taps: &'a mut dyn Taps) -> Departing<'a> {
        Departing { exchange: self, taps }
    }
}

/// Sends each layer's gradients when backward has left it.
pub(crate) struct Departing<'a> {
    exchange: &'a mut Exchange,
    taps: &'a mut dyn Taps,
}

impl Taps for Departing<'_> {
    fn hidden_state(&mut self, layers: usize, hidden: &[f32], gradient: &mut [f32]) {
        self.taps.hidden_state(layers, hidden, gradient);
    }

    fn attention(&mut self, layer: usize, queries: Queries<'_>, gradient: &mut [f32]) {
        self.taps.attention(layer, queries, gradient);
    }

    fn layer_is_done(&mut self, _: usize, gradients: &[f32]) {
        if self.exchange.error.is_none() {
            self.exchange.error = self.exchange.begin_layer(gradients).err();
        }
    }
}
