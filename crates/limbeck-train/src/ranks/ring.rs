//! Sums over TCP, in a ring: each process sends to the next and hears from the one before.
//!
//! The values are cut into as many chunks as there are processes. In a first round each chunk
//! travels once around and gathers what every process has of it; in a second its sum travels
//! around. Each process sends and receives `2 (n - 1) / n` of the values, whatever `n`
//! (Patarasuk and Yuan, 2009).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;

use super::{Collective, RanksError};

/// Bytes sent before as many are received: no more than the system keeps for a reader that is
/// itself still writing, or all would wait for each other.
const PIECE: usize = 32 << 10;

/// One process of a ring.
#[derive(Debug)]
pub struct Ring {
    rank: usize,
    count: usize,
    next: TcpStream,
    previous: TcpStream,
    received: Vec<u8>,
}

impl Ring {
    /// A process between two others.
    pub(super) fn new(rank: usize, count: usize, next: TcpStream, previous: TcpStream) -> Ring {
        Ring { rank, count, next, previous, received: vec![0; PIECE] }
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
        let lost = |what: &str, error: std::io::Error| RanksError::Lost {
            rank,
            count,
            reason: format!("the connection {what} is lost ({error})"),
        };
        for number in 0..pieces {
            let own = &values[piece(&out, number)];
            let sent = self.next.write_all(bytemuck::cast_slice(own));
            sent.map_err(|error| lost("to the next process", error))?;
            let place = piece(&into, number);
            let received = &mut self.received[..place.len() * size_of::<f32>()];
            let read = self.previous.read_exact(received);
            read.map_err(|error| lost("to the process before", error))?;
            take(&mut values[place], bytemuck::cast_slice(received));
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
