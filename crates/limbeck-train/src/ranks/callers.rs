//! Who calls a listening process: all are heard side by side, each within a total time, and only
//! those that know the secret are handed on. No number of strangers keeps one of us out.

use std::collections::VecDeque;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::channel::{Channel, Key, Patience};
use super::waiting::{TICK, WaitError};

/// How long one caller may take to show that it knows the secret.
pub(super) const GREETING: Duration = Duration::from_secs(10);
/// How many callers are heard at a time. One more, and the one that has been silent for longest
/// has to go: one of us needs milliseconds, and calls again.
const AT_A_TIME: usize = 64;
/// How often a listener looks whether somebody calls.
const PAUSE: Duration = Duration::from_millis(5);

/// What a caller that knows the secret wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be told where the next process listens.
    Join,
    /// To be the one before in the ring.
    Neighbour,
}

/// The first message of a caller, under the key of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) purpose: Purpose,
    /// Who speaks.
    pub(super) rank: usize,
    /// Where it listens itself.
    pub(super) port: u16,
}

impl Hello {
    pub(super) const LEN: usize = 7;

    pub(super) fn to_bytes(self) -> [u8; Hello::LEN] {
        let mut bytes = [0; Hello::LEN];
        bytes[0] = u8::from(self.purpose == Purpose::Neighbour);
        let rank = u32::try_from(self.rank).unwrap_or(u32::MAX);
        bytes[1..5].copy_from_slice(&rank.to_le_bytes());
        bytes[5..].copy_from_slice(&self.port.to_le_bytes());
        bytes
    }

    fn from_bytes([purpose, a, b, c, d, e, f]: [u8; Hello::LEN]) -> Hello {
        Hello {
            purpose: if purpose == 1 { Purpose::Neighbour } else { Purpose::Join },
            rank: u32::from_le_bytes([a, b, c, d]) as usize,
            port: u16::from_le_bytes([e, f]),
        }
    }
}

/// One of us on the line.
pub(super) struct Caller {
    pub(super) channel: Channel,
    pub(super) hello: Hello,
    /// Where it listens: the address that it calls from, with the port that it names.
    pub(super) listens: SocketAddr,
}

/// A listener whose callers are answered from the beginning, also while this process itself calls.
pub(super) struct Callers {
    found: Receiver<Caller>,
    turned_away: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
}

impl Callers {
    /// Answers at `listener` until this is dropped.
    pub(super) fn new(listener: TcpListener, key: Key) -> std::io::Result<Callers> {
        listener.set_nonblocking(true)?;
        let (sender, found) = channel();
        let (turned_away, closed) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let mut answering =
            Answering { key, sender, heard: VecDeque::new(), turned_away: turned_away.clone() };
        let is_closed = closed.clone();
        std::thread::Builder::new().name("callers".into()).spawn(move || {
            while !is_closed.load(Ordering::Relaxed) {
                // What keeps a call from being taken (it was broken off, there are too many open
                // files) passes; whoever waits for callers has a deadline.
                match listener.accept() {
                    Ok((stream, from)) => answering.hear(stream, from),
                    Err(_) => {
                        answering.forget_heard();
                        std::thread::sleep(PAUSE);
                    }
                }
            }
        })?;
        Ok(Callers { found, turned_away, closed })
    }

    /// Whether somebody called that did not know the secret.
    pub(super) fn has_turned_away(&self) -> bool {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// The next caller that knows the secret.
    pub(super) fn next(&mut self, patience: &Patience<'_>) -> Result<Caller, WaitError> {
        let begun = Instant::now();
        loop {
            match self.found.recv_timeout(TICK) {
                Ok(caller) => return Ok(caller),
                Err(RecvTimeoutError::Timeout) => patience.look_up(begun.elapsed())?,
                Err(RecvTimeoutError::Disconnected) => {
                    let gone = std::io::Error::other("nobody answers the other processes any more");
                    return Err(WaitError::Io(gone));
                }
            }
        }
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// What the thread of a listener has at hand.
struct Answering {
    key: Key,
    sender: Sender<Caller>,
    /// Who is being heard, oldest first.
    heard: VecDeque<Heard>,
    turned_away: Arc<AtomicBool>,
}

/// A caller that a thread is hearing.
struct Heard {
    stream: TcpStream,
    done: Arc<AtomicBool>,
}

impl Heard {
    fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }
}

impl Answering {
    /// Lets go of the connections of those that are heard, which end when their owners say so.
    fn forget_heard(&mut self) {
        self.heard.retain(|heard| !heard.is_done());
    }

    /// Begins to hear a caller; without a thread to be had, it has to call again.
    fn hear(&mut self, stream: TcpStream, from: SocketAddr) {
        self.forget_heard();
        if self.heard.len() >= AT_A_TIME
            && let Some(oldest) = self.heard.pop_front()
        {
            let _ = oldest.stream.shutdown(Shutdown::Both);
        }
        let Ok(watched) = stream.try_clone() else { return };
        let done = Arc::<AtomicBool>::default();
        let is_done = done.clone();
        let (key, sender) = (self.key.clone(), self.sender.clone());
        let turned_away = self.turned_away.clone();
        let hearing = std::thread::Builder::new().name("caller".into()).spawn(move || {
            let caller = greet(stream, from, &key);
            // From here on nobody may hang it up for being slow.
            is_done.store(true, Ordering::Relaxed);
            match caller {
                // Nobody receives it any more once all have met.
                Ok(caller) => drop(sender.send(caller)),
                Err(WaitError::NotProven) => turned_away.store(true, Ordering::Relaxed),
                Err(_) => {}
            }
        });
        if hearing.is_ok() {
            self.heard.push_back(Heard { stream: watched, done });
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        for heard in self.heard.iter().filter(|heard| !heard.is_done()) {
            let _ = heard.stream.shutdown(Shutdown::Both);
        }
    }
}

fn greet(stream: TcpStream, from: SocketAddr, key: &Key) -> Result<Caller, WaitError> {
    let keep_waiting = || Ok(());
    let patience = Patience {
        deadline: Some(Instant::now() + GREETING),
        silence: GREETING,
        silence_after_interrupt: GREETING,
        keep_waiting: &keep_waiting,
    };
    let mut channel = Channel::answer(stream, key, &patience)?;
    let mut hello = [0; Hello::LEN];
    channel.receive(&mut hello, &patience)?;
    let hello = Hello::from_bytes(hello);
    Ok(Caller { channel, hello, listens: SocketAddr::new(from.ip(), hello.port) })
}
