//! How the processes of a ring find each other: all call the first one, which tells each where
//! the next one listens.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::RanksError;
use super::ring::Ring;

/// How long a process waits for the others to start.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long it then waits for a sign of them: an evaluation or a checkpoint of the first may lie
/// between.
const SILENCE: Duration = Duration::from_secs(1800);
/// How long one greeting may take.
const GREETING: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);
const MAGIC: [u8; 8] = *b"limbeck1";

/// What the processes of a ring know before they meet.
#[derive(Clone)]
pub struct Meeting {
    /// The number of this process, from 0.
    pub rank: usize,
    /// How many there are.
    pub count: usize,
    /// Where the first one listens, `host:port`.
    pub address: String,
    /// What only they know: who does not say it is turned away.
    pub secret: String,
}

impl std::fmt::Debug for Meeting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Meeting { rank, count, address, .. } = self;
        write!(f, "Meeting {{ rank: {rank}, count: {count}, address: {address:?} }}")
    }
}

/// What a process says when it calls another.
#[derive(bytemuck::Pod, bytemuck::Zeroable, Clone, Copy)]
#[repr(C)]
struct Greeting {
    magic: [u8; 8],
    /// A hash of the secret and of what is said.
    proof: [u8; 32],
    rank: [u8; 4],
    count: [u8; 4],
    /// Where it listens itself.
    port: [u8; 2],
}

impl Greeting {
    fn new(meeting: &Meeting, port: u16) -> Greeting {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
        let (rank, count, port) = (number(meeting.rank), number(meeting.count), port.to_le_bytes());
        let mut hash = blake3::Hasher::new();
        hash.update(meeting.secret.as_bytes());
        hash.update(&rank).update(&count).update(&port);
        Greeting { magic: MAGIC, proof: hash.finalize().into(), rank, count, port }
    }

    /// Who speaks and where it listens, if it is one of us.
    fn check(&self, meeting: &Meeting) -> Option<(usize, u16)> {
        let (rank, port) = (u32::from_le_bytes(self.rank) as usize, u16::from_le_bytes(self.port));
        let expected = Greeting::new(&Meeting { rank, ..meeting.clone() }, port);
        // Compared as hashes are: in constant time.
        let proven = blake3::Hash::from(self.proof) == blake3::Hash::from(expected.proof);
        let ours = proven && self.magic == MAGIC && self.count == expected.count;
        (ours && rank < meeting.count).then_some((rank, port))
    }

    fn read(stream: &mut TcpStream, meeting: &Meeting) -> std::io::Result<Option<(usize, u16)>> {
        let mut greeting: Greeting = bytemuck::Zeroable::zeroed();
        stream.set_read_timeout(Some(GREETING))?;
        stream.read_exact(bytemuck::bytes_of_mut(&mut greeting))?;
        stream.set_read_timeout(None)?;
        Ok(greeting.check(meeting))
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

/// Joins the ring. `listener` is that of the first process ([`listen`]); `live` says whether the
/// others can still come.
///
/// # Errors
/// When the others do not come within five minutes or cannot be reached.
pub fn join(
    meeting: &Meeting,
    listener: Option<TcpListener>,
    live: impl Fn() -> bool,
) -> Result<Ring, RanksError> {
    let fail = |reason: String| RanksError::Rendezvous {
        rank: meeting.rank,
        count: meeting.count,
        reason,
    };
    meet(meeting, listener, &live).map_err(|error| {
        fail(match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                format!("not all were there within {} s", PATIENCE.as_secs())
            }
            _ => error.to_string(),
        })
    })
}

fn meet(
    meeting: &Meeting,
    listener: Option<TcpListener>,
    live: &dyn Fn() -> bool,
) -> std::io::Result<Ring> {
    let Meeting { rank, count, .. } = *meeting;
    let deadline = Instant::now() + PATIENCE;
    let accept = |listener: &TcpListener| accept(listener, meeting, deadline, live);
    let (next, previous) = if rank == 0 {
        let listener = match listener {
            Some(listener) => listener,
            None => TcpListener::bind(&meeting.address)?,
        };
        let mut calls: Vec<Option<(TcpStream, SocketAddr)>> = (0..count).map(|_| None).collect();
        while calls.iter().skip(1).any(Option::is_none) {
            let (stream, rank, listens) = accept(&listener)?;
            calls[rank] = Some((stream, listens));
        }
        // Each hears where the next one listens; the last one's next is the first.
        let address = |rank: usize| calls.get(rank).and_then(Option::as_ref).map(|call| call.1);
        let addresses: Vec<Option<SocketAddr>> = (0..count).map(|rank| address(rank + 1)).collect();
        for (call, next) in calls.iter_mut().zip(&addresses) {
            if let Some((stream, _)) = call {
                let text = next.map(|address| address.to_string()).unwrap_or_default();
                stream.write_all(&[text.len() as u8])?;
                stream.write_all(text.as_bytes())?;
            }
        }
        let next = addresses.first().copied().flatten();
        let next = call(&next.map(|a| a.to_string()).unwrap_or_default(), meeting, 0, deadline)?;
        let (previous, ..) = loop {
            let call = accept(&listener)?;
            if call.1 == count - 1 {
                break call;
            }
        };
        (next, previous)
    } else {
        let any = if meeting.address.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
        let local =
            meeting.address.starts_with("127.") || meeting.address.starts_with("localhost:");
        let own = TcpListener::bind(if local { "127.0.0.1:0" } else { any })?;
        let mut first = call(&meeting.address, meeting, own.local_addr()?.port(), deadline)?;
        first.set_read_timeout(Some(PATIENCE))?;
        let mut len = [0];
        first.read_exact(&mut len)?;
        let mut text = vec![0; usize::from(len[0])];
        first.read_exact(&mut text)?;
        let next = String::from_utf8_lossy(&text).into_owned();
        let next = if next.is_empty() { meeting.address.clone() } else { next };
        let next = call(&next, meeting, 0, deadline)?;
        let (previous, ..) = loop {
            let call = accept(&own)?;
            if call.1 == rank - 1 {
                break call;
            }
        };
        (next, previous)
    };
    for stream in [&next, &previous] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
    }
    Ok(Ring::new(rank, count, next, previous))
}

/// Calls a process that may not listen yet.
fn call(
    address: &str,
    meeting: &Meeting,
    port: u16,
    deadline: Instant,
) -> std::io::Result<TcpStream> {
    loop {
        let resolved = address.to_socket_addrs()?.next();
        let resolved = resolved.ok_or_else(|| std::io::Error::other("the address has no host"))?;
        match TcpStream::connect_timeout(&resolved, GREETING) {
            Ok(mut stream) => {
                stream.write_all(bytemuck::bytes_of(&Greeting::new(meeting, port)))?;
                return Ok(stream);
            }
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// The next call of one of us; others are turned away.
fn accept(
    listener: &TcpListener,
    meeting: &Meeting,
    deadline: Instant,
    live: &dyn Fn() -> bool,
) -> std::io::Result<(TcpStream, usize, SocketAddr)> {
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((mut stream, from)) => {
                stream.set_nonblocking(false)?;
                if let Ok(Some((rank, port))) = Greeting::read(&mut stream, meeting) {
                    let ip: IpAddr = from.ip();
                    return Ok((stream, rank, SocketAddr::new(ip, port)));
                }
            }
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if Instant::now() > deadline => return Err(ErrorKind::TimedOut.into()),
            Err(_) if !live() => return Err(std::io::Error::other("one of them has ended")),
            Err(_) => std::thread::sleep(PAUSE / 10),
        }
    }
}
