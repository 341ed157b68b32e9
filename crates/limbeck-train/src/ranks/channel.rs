//! A connection that only processes with the same secret can open, read or write.
//!
//! It is Noise's pattern `NNpsk0` (The Noise Protocol Framework, revision 34, sections 7.4 and 9),
//! by the crate `snow`: both sides make a key for this connection alone and mix in the secret that
//! they share. Nothing that one side says is believed before the first message under that key has
//! come, so that recorded bytes are worth nothing, on either side. From then on every message is
//! encrypted, authenticated and counted: bytes that are changed, left out, repeated or come from
//! another connection are refused.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use snow::{Builder, HandshakeState, TransportState};

use super::waiting::{self, KeepWaiting, WaitError};

/// The pattern, and what it is made of.
const NOISE: &str = "Noise_NNpsk0_25519_AESGCM_SHA256";
/// What a message is longer than its plain text.
const TAG: usize = 16;
/// The longest plain text of one message: a piece of a sum.
pub(super) const LONGEST: usize = 32 << 10;
/// The longest message of a handshake: a public key and a tag.
const HANDSHAKE: usize = 32 + TAG;
/// Sent in place of an answer to who does not know the secret. It proves nothing, and whoever
/// hears it only tells the user earlier what is probably the matter.
const REFUSED: u8 = 0;
const WELCOME: u8 = 1;

/// What both sides of a connection have to know: the secret, and how many processes there are.
#[derive(Clone)]
pub(super) struct Key {
    psk: [u8; 32],
    prologue: [u8; 16],
}

impl Key {
    /// The key of a run with this secret and so many processes.
    pub(super) fn new(secret: &str, count: usize) -> Key {
        let psk = blake3::derive_key("limbeck 2026-12 ranks: pre-shared key", secret.as_bytes());
        let mut prologue = *b"limbeck2\0\0\0\0\0\0\0\0";
        prologue[8..].copy_from_slice(&(count as u64).to_le_bytes());
        Key { psk, prologue }
    }

    fn builder(&self) -> Result<Builder<'_>, WaitError> {
        let pattern = NOISE.parse().map_err(not_proven)?;
        let builder = Builder::new(pattern).psk(0, &self.psk).map_err(not_proven)?;
        builder.prologue(&self.prologue).map_err(not_proven)
    }
}

/// `snow` fails for bytes that are not authentic; that it was called wrongly would be seen by every
/// test.
fn not_proven(_: snow::Error) -> WaitError {
    WaitError::NotProven
}

/// An open connection to another process.
pub(super) struct Channel {
    stream: TcpStream,
    noise: TransportState,
    message: Box<[u8]>,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Channel {
    /// The side that calls. What it then sends first is its proof; what it then receives first is
    /// that of the other side.
    pub(super) fn call(
        mut stream: TcpStream,
        key: &Key,
        patience: &Patience<'_>,
    ) -> Result<Channel, WaitError> {
        waiting::in_ticks(&stream)?;
        let mut noise = key.builder()?.build_initiator().map_err(not_proven)?;
        let mut message = [0; HANDSHAKE];
        let len = noise.write_message(&[], &mut message).map_err(not_proven)?;
        patience.write(&mut stream, &message[..len])?;
        let mut answer = [REFUSED];
        patience.read(&mut stream, &mut answer)?;
        if answer != [WELCOME] {
            return Err(WaitError::NotProven);
        }
        patience.read(&mut stream, &mut message)?;
        noise.read_message(&message, &mut []).map_err(not_proven)?;
        Channel::open(stream, noise)
    }

    /// The side that is called.
    pub(super) fn answer(
        mut stream: TcpStream,
        key: &Key,
        patience: &Patience<'_>,
    ) -> Result<Channel, WaitError> {
        waiting::in_ticks(&stream)?;
        let mut noise = key.builder()?.build_responder().map_err(not_proven)?;
        let mut message = [0; HANDSHAKE];
        patience.read(&mut stream, &mut message)?;
        if noise.read_message(&message, &mut []).is_err() {
            patience.write(&mut stream, &[REFUSED])?;
            return Err(WaitError::NotProven);
        }
        let len = noise.write_message(&[], &mut message).map_err(not_proven)?;
        patience.write(&mut stream, &[WELCOME])?;
        patience.write(&mut stream, &message[..len])?;
        Channel::open(stream, noise)
    }

    fn open(stream: TcpStream, noise: HandshakeState) -> Result<Channel, WaitError> {
        let noise = noise.into_transport_mode().map_err(not_proven)?;
        Ok(Channel { stream, noise, message: vec![0; LONGEST + TAG].into() })
    }

    /// Sends `plain`, of [`LONGEST`] bytes at most.
    pub(super) fn send(&mut self, plain: &[u8], patience: &Patience<'_>) -> Result<(), WaitError> {
        let len = self.noise.write_message(plain, &mut self.message).map_err(not_proven)?;
        patience.write(&mut self.stream, &self.message[..len])
    }

    /// Receives a message that has the length of `plain`.
    pub(super) fn receive(
        &mut self,
        plain: &mut [u8],
        patience: &Patience<'_>,
    ) -> Result<(), WaitError> {
        let message = &mut self.message[..plain.len() + TAG];
        patience.read(&mut self.stream, message)?;
        self.noise.read_message(message, plain).map_err(not_proven)?;
        Ok(())
    }
}

/// How long one side waits for the other.
pub(super) struct Patience<'a> {
    /// When it ends, whatever comes.
    pub(super) deadline: Option<Instant>,
    /// How long nothing may come.
    pub(super) silence: Duration,
    /// How long nothing may come once the user has asked for a stop.
    pub(super) silence_after_interrupt: Duration,
    /// Whether to wait on.
    pub(super) keep_waiting: &'a KeepWaiting<'a>,
}

impl Patience<'_> {
    /// Looks up from a wait in which nothing has come for as long as `silent`.
    pub(super) fn look_up(&self, silent: Duration) -> Result<(), WaitError> {
        if let Err(stop) = (self.keep_waiting)()
            && silent > self.silence_after_interrupt
        {
            return Err(WaitError::Stopped(stop));
        }
        let late = self.deadline.is_some_and(|deadline| Instant::now() > deadline);
        if late || silent > self.silence { Err(WaitError::TimedOut) } else { Ok(()) }
    }

    fn read(&self, stream: &mut TcpStream, bytes: &mut [u8]) -> Result<(), WaitError> {
        // A peer that drips a byte now and then is never silent: the deadline is looked at here.
        self.in_time()?;
        waiting::read_all(stream, bytes, &|silent| self.look_up(silent))
    }

    fn write(&self, stream: &mut TcpStream, bytes: &[u8]) -> Result<(), WaitError> {
        self.in_time()?;
        waiting::write_all(stream, bytes, &|silent| self.look_up(silent))
    }

    fn in_time(&self) -> Result<(), WaitError> {
        match self.deadline {
            Some(deadline) if Instant::now() > deadline => Err(WaitError::TimedOut),
            _ => Ok(()),
        }
    }
}
