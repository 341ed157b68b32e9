//! How the processes of a ring find each other: all call the first one, which tells each where
//! the next one listens. Who calls, and who is called, has to know the secret (`channel`).

use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::RanksError;
use super::callers::{Caller, Callers, GREETING, Hello, Purpose};
use super::channel::{Channel, Key, Patience};
use super::ring::Ring;
use super::waiting::{KeepWaiting, StopWaiting, TICK, WaitError};

/// How long a process waits for the others to start.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often a process that knows another secret is called, before the user is told.
const REFUSALS: usize = 3;
/// The length of an address in a message: any of IPv6 with its port is shorter.
const ADDRESS: usize = 64;

/// What the processes of a ring know before they meet.
#[derive(Clone)]
pub struct Meeting {
    /// The number of this process, from 0.
    pub rank: usize,
    /// How many there are.
    pub count: usize,
    /// Where the first one listens, `host:port`.
    pub address: String,
    /// What only they know: who does not know it is turned away. It should be long and random: who
    /// records a connection can try secrets at leisure.
    pub secret: String,
}

impl std::fmt::Debug for Meeting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Meeting { rank, count, address, .. } = self;
        write!(f, "Meeting {{ rank: {rank}, count: {count}, address: {address:?} }}")
    }
}

/// Takes the place of the first process, before the others are started. The address may have
/// port 0; what was found is returned.
///
/// # Errors
/// When the address cannot be listened at.
pub fn listen(address: &str) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Joins the ring. `listener` is that of the first process ([`listen`]); `keep_waiting` is asked
/// while this process waits, for the others and later for their sums.
///
/// # Errors
/// When the others do not come within five minutes, cannot be reached or know another secret, and
/// when `keep_waiting` says so.
pub fn join(
    meeting: &Meeting,
    listener: Option<TcpListener>,
    keep_waiting: impl Fn() -> Result<(), StopWaiting> + Send + Sync + 'static,
) -> Result<Ring, RanksError> {
    let Meeting { rank, count, .. } = *meeting;
    let mut turned_away = false;
    meet(meeting, listener, Box::new(keep_waiting), &mut turned_away).map_err(|error| {
        let reason = match error {
            WaitError::Stopped(StopWaiting::Interrupted) => {
                return RanksError::Interrupted { rank, count };
            }
            WaitError::Stopped(StopWaiting::ProcessEnded) => "one of them has ended".into(),
            WaitError::NotProven => format!(
                "the process at {} has another secret, another number of processes or another \
                 version of limbeck",
                meeting.address
            ),
            WaitError::TimedOut if turned_away => format!(
                "not all were there within {} s, and who called did not know the secret: is it the \
                 same for all, and the number of processes, too?",
                PATIENCE.as_secs()
            ),
            WaitError::TimedOut => format!("not all were there within {} s", PATIENCE.as_secs()),
            WaitError::Io(error) => error.to_string(),
        };
        RanksError::Rendezvous { rank, count, reason }
    })
}

fn meet(
    meeting: &Meeting,
    listener: Option<TcpListener>,
    keep_waiting: Box<KeepWaiting<'static>>,
    turned_away: &mut bool,
) -> Result<Ring, WaitError> {
    let key = Key::new(&meeting.secret, meeting.count);
    let listener = match listener {
        Some(listener) => listener,
        None => TcpListener::bind(own_address(meeting))?,
    };
    let port = listener.local_addr()?.port();
    let mut callers = Callers::new(listener, key.clone())?;
    let patience = Patience {
        deadline: Some(Instant::now() + PATIENCE),
        silence: PATIENCE,
        silence_after_interrupt: Duration::ZERO,
        keep_waiting: &*keep_waiting,
    };
    let next = if meeting.rank == 0 {
        gather(meeting, &mut callers, &patience)
    } else {
        ask_first(meeting, &key, port, &patience)
    };
    let met = next.and_then(|address| {
        let hello = Hello { purpose: Purpose::Neighbour, rank: meeting.rank, port };
        let next = call(&address, &key, hello, &patience)?;
        let before = (meeting.rank + meeting.count - 1) % meeting.count;
        let is_previous =
            |hello: Hello| hello.purpose == Purpose::Neighbour && hello.rank == before;
        let previous = loop {
            let caller = callers.next(&patience)?;
            if is_previous(caller.hello) {
                break caller.channel;
            }
        };
        Ok((next, previous))
    });
    *turned_away = callers.has_turned_away();
    let (next, previous) = met?;
    Ok(Ring::new(meeting.rank, meeting.count, next, previous, keep_waiting))
}

/// Where a process listens: the first at the address that all know, another one at a port of its
/// own.
fn own_address(meeting: &Meeting) -> &str {
    let address = meeting.address.as_str();
    match meeting.rank {
        0 => address,
        _ if address.starts_with("127.") || address.starts_with("localhost:") => "127.0.0.1:0",
        _ if address.starts_with("[::1]:") => "[::1]:0",
        _ if address.starts_with('[') => "[::]:0",
        _ => "0.0.0.0:0",
    }
}

/// The first process: waits for all others, tells each where its next one listens (the last one's
/// next is the first, which all know), and returns where its own does.
fn gather(
    meeting: &Meeting,
    callers: &mut Callers,
    patience: &Patience<'_>,
) -> Result<String, WaitError> {
    let mut joined: Vec<Option<Caller>> = (1..meeting.count).map(|_| None).collect();
    while joined.iter().any(Option::is_none) {
        let caller = callers.next(patience)?;
        let Hello { purpose, rank, .. } = caller.hello;
        if let (Purpose::Join, Some(place)) = (purpose, joined.get_mut(rank.wrapping_sub(1))) {
            // One that was started again takes its own place.
            *place = Some(caller);
        }
    }
    let addresses: Vec<String> =
        joined.iter().flatten().map(|caller| caller.listens.to_string()).collect();
    let nexts = addresses.iter().skip(1).map(String::as_str).chain(std::iter::once(""));
    for (caller, next) in joined.iter_mut().flatten().zip(nexts) {
        let mut message = [0; ADDRESS];
        message[..next.len()].copy_from_slice(next.as_bytes());
        caller.channel.send(&message, patience)?;
    }
    Ok(addresses.into_iter().next().unwrap_or_default())
}

/// Any other process: asks the first where the next one listens.
fn ask_first(
    meeting: &Meeting,
    key: &Key,
    port: u16,
    patience: &Patience<'_>,
) -> Result<String, WaitError> {
    let hello = Hello { purpose: Purpose::Join, rank: meeting.rank, port };
    let mut first = call(&meeting.address, key, hello, patience)?;
    let mut message = [0; ADDRESS];
    first.receive(&mut message, patience)?;
    let next = String::from_utf8_lossy(&message);
    let next = next.trim_end_matches('\0');
    Ok(if next.is_empty() { &meeting.address } else { next }.to_owned())
}

/// Calls a process that may not listen yet, or may be busy with strangers.
fn call(
    address: &str,
    key: &Key,
    hello: Hello,
    patience: &Patience<'_>,
) -> Result<Channel, WaitError> {
    let begun = Instant::now();
    let mut refusals = 0;
    loop {
        let failed = match try_to_call(address, key, hello, patience) {
            Ok(channel) => return Ok(channel),
            Err(WaitError::NotProven) => {
                refusals += 1;
                WaitError::NotProven
            }
            Err(stopped @ WaitError::Stopped(_)) => return Err(stopped),
            Err(other) => other,
        };
        if refusals == REFUSALS {
            return Err(failed);
        }
        match patience.look_up(begun.elapsed()) {
            Ok(()) => std::thread::sleep(TICK),
            // The reason of the last try says more than that there is no time left.
            Err(WaitError::TimedOut) => return Err(failed),
            Err(stopped) => return Err(stopped),
        }
    }
}

fn try_to_call(
    address: &str,
    key: &Key,
    hello: Hello,
    patience: &Patience<'_>,
) -> Result<Channel, WaitError> {
    let resolved = address.to_socket_addrs()?.next();
    let resolved = resolved.ok_or_else(|| std::io::Error::other("the address has no host"))?;
    let stream = TcpStream::connect_timeout(&resolved, GREETING)?;
    let deadline = Instant::now() + GREETING;
    let patience = Patience { deadline: Some(deadline), silence: GREETING, ..*patience };
    let mut channel = Channel::call(stream, key, &patience)?;
    channel.send(&hello.to_bytes(), &patience)?;
    Ok(channel)
}
