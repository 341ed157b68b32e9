//! Sums over TCP, in a ring: each process sends to the next and hears from the one before.
//!
//! The values are cut into as many chunks as there are processes. In a first round each chunk
//! travels once around and gathers what every process has of it; in a second its sum travels
//! around. Each process sends and receives `2 (n - 1) / n` of the values, whatever `n`
//! (Patarasuk and Yuan, 2009).

use std::ops::Range;
use std::time::Duration;

use super::channel::{Channel, LONGEST, Patience};
use super::waiting::{KeepWaiting, StopWaiting, WaitError};
use super::{Collective, RanksError};

/// Bytes sent before as many are received: no more than the system keeps for a reader that is
/// itself still writing, or all would wait for each other.
const PIECE: usize = LONGEST;
/// How long a process waits for a sign of the others: an evaluation or a checkpoint of the first
/// may lie between.
const SILENCE: Duration = Duration::from_secs(1800);
/// How long it waits for that once the user has asked for a stop, which the others may not know yet.
const SILENCE_AFTER_INTERRUPT: Duration = Duration::from_secs(60);

/// One process of a ring.
pub struct Ring {
    rank: usize,
    count: usize,
    next: Channel,
    previous: Channel,
    received: Vec<u8>,
    keep_waiting: Box<KeepWaiting<'static>>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ring {{ rank: {}, count: {} }}", self.rank, self.count)
    }
}

impl Ring {
    /// A process between two others.
    pub(super) fn new(
        rank: usize,
        count: usize,
        next: Channel,
        previous: Channel,
        keep_waiting: Box<KeepWaiting<'static>>,
    ) -> Ring {
        Ring { rank, count, next, previous, received: vec![0; PIECE], keep_waiting }
    }

    /// Sends one chunk while receiving another, of which each piece is given to `take` with its
    /// place.
    fn exchange(
        &mut self,
        values: &mut [f32],
        (out, into): (Range<usize>, Range<usize>),
        take: impl Fn(&mut [f32], &[f32]),
    ) -> Result<(), RanksError> {
        const VALUES: usize = PIECE / size_of::<f32>();
        let pieces = out.len().max(into.len()).div_ceil(VALUES);
        let piece = |range: &Range<usize>, number: usize| {
            let start = (range.start + number * VALUES).min(range.end);
            start..(start + VALUES).min(range.end)
        };
        let (rank, count) = (self.rank, self.count);
        let lost = |what: &str, error: WaitError| match error {
            WaitError::Stopped(StopWaiting::Interrupted) => RanksError::Interrupted { rank, count },
            error => RanksError::Lost {
                rank,
                count,
                reason: format!("the connection {what} is lost ({error})"),
            },
        };
        // A process that has ended is noticed by its connection, once all that it said is read.
        let only_interrupts = || match (self.keep_waiting)() {
            Err(StopWaiting::ProcessEnded) => Ok(()),
            other => other,
        };
        let patience = Patience {
            deadline: None,
            silence: SILENCE,
            silence_after_interrupt: SILENCE_AFTER_INTERRUPT,
            keep_waiting: &only_interrupts,
        };
        for number in 0..pieces {
            // Both sides know how long a piece is, so that an empty one needs no message.
            let own = &values[piece(&out, number)];
            if !own.is_empty() {
                let sent = self.next.send(bytemuck::cast_slice(own), &patience);
                sent.map_err(|error| lost("to the next process", error))?;
            }
            let place = piece(&into, number);
            if !place.is_empty() {
                let received = &mut self.received[..place.len() * size_of::<f32>()];
                let read = self.previous.receive(received, &patience);
                read.map_err(|error| lost("to the process before", error))?;
                take(&mut values[place], bytemuck::cast_slice(received));
            }
        }
        Ok(())
    }
}

impl Collective for Ring {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.count
    }

    fn sum(&mut self, values: &mut [f32]) -> Result<(), RanksError> {
        let (rank, count, len) = (self.rank, self.count, values.len());
        let chunk = |number: usize| {
            let number = number % count;
            len * number / count..len * (number + 1) / count
        };
        for step in 0..count - 1 {
            let own = chunk(rank + count - step);
            let others = chunk(rank + count - step - 1);
            self.exchange(values, (own, others), |values, received| {
                values.iter_mut().zip(received).for_each(|(value, other)| *value += other);
            })?;
        }
        for step in 0..count - 1 {
            let summed = chunk(rank + 1 + count - step);
            let others = chunk(rank + count - step);
            self.exchange(values, (summed, others), |values, received| {
                values.copy_from_slice(received);
            })?;
        }
        Ok(())
    }
}
