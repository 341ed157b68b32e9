//! Reading and writing that look up from their waiting: at a deadline, and at whether it still
//! makes sense to wait.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How often a wait looks up.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Why a process waits no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopWaiting {
    /// The user has asked for a stop.
    Interrupted,
    /// A process that was to come has ended.
    ProcessEnded,
}

/// Says, when it is asked, whether to wait on.
pub type KeepWaiting<'a> = dyn Fn() -> Result<(), StopWaiting> + Send + Sync + 'a;

/// Why nothing was received or sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum WaitError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("nothing was heard in time")]
    TimedOut,
    #[error("the wait was ended")]
    Stopped(StopWaiting),
    /// Whoever speaks does not know the secret, or its bytes were changed on the way.
    #[error("what came was not sent by a process that knows the secret")]
    NotProven,
}

/// Makes reads and writes of `stream` return after [`TICK`] with nothing done.
pub(super) fn in_ticks(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TICK))?;
    stream.set_write_timeout(Some(TICK))
}

/// Fills `bytes`; `patience` gets the time since something last came.
pub(super) fn read_all(
    stream: &mut TcpStream,
    bytes: &mut [u8],
    patience: &dyn Fn(Duration) -> Result<(), WaitError>,
) -> Result<(), WaitError> {
    let mut filled = 0;
    progress(bytes.len(), patience, &mut || {
        let read = stream.read(&mut bytes[filled..])?;
        filled += read;
        Ok(read)
    })
}

/// Sends all of `bytes`; `patience` gets the time since something was last taken.
pub(super) fn write_all(
    stream: &mut TcpStream,
    bytes: &[u8],
    patience: &dyn Fn(Duration) -> Result<(), WaitError>,
) -> Result<(), WaitError> {
    let mut sent = 0;
    progress(bytes.len(), patience, &mut || {
        let written = stream.write(&bytes[sent..])?;
        sent += written;
        Ok(written)
    })
}

/// Repeats `step` until it has done `len` bytes.
fn progress(
    len: usize,
    patience: &dyn Fn(Duration) -> Result<(), WaitError>,
    step: &mut dyn FnMut() -> std::io::Result<usize>,
) -> Result<(), WaitError> {
    let mut done = 0;
    // Reading the clock is left to the rare case that nothing comes at once.
    let mut silent_since = None;
    while done < len {
        match step() {
            Ok(0) => return Err(WaitError::Io(ErrorKind::UnexpectedEof.into())),
            Ok(bytes) => {
                done += bytes;
                silent_since = None;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let since = *silent_since.get_or_insert_with(Instant::now);
                patience(since.elapsed() + TICK)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
