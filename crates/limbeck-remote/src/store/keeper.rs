//! A local folder that is kept in an object store while somebody writes to it.
//!
//! A thread looks at the folder now and then and uploads what is new. The writer knows nothing of
//! it: a store that is slow or down costs a run nothing but, at its end, some waiting.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::mirror::Mirror;
use super::objects::Objects;
use super::{StoreError, folder_for, open};

pub use super::mirror::Moved;

/// The kind of folder that is kept: what a run leaves.
pub const RESULTS: &str = "results";
/// Time between two looks at the folder.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The longest pause after the store failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// How long the end waits for a store that fails.
const PATIENCE: Duration = Duration::from_secs(300);
/// The same when the folder is to be gone on with.
const PATIENCE_UNFINISHED: Duration = Duration::from_secs(60);

/// How the writing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All is there; files get their own names in the store.
    Finished,
    /// It will be gone on with.
    Unfinished,
}

/// What to do at the end.
#[derive(Debug, Clone, Copy)]
struct Wish {
    end: End,
    remove_local: bool,
}

/// What becomes known while a folder is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The store fails, for this reason; it will be tried again.
    Fails(String),
    /// Another process writes there: nothing of this folder will come there any more.
    Taken,
    /// It does not any more.
    Back,
}

/// A folder that a thread keeps in a store.
pub struct Keeper {
    url: String,
    folder: PathBuf,
    brought: Moved,
    wish: Sender<Wish>,
    done: Receiver<Result<Moved, StoreError>>,
}

impl Keeper {
    /// A folder of this machine for what belongs at `url`, brought to what the store has; `tell`
    /// hears of the store.
    ///
    /// # Errors
    /// When the address cannot be used, the store does not answer or refuses, what it has is
    /// damaged, or the folder cannot be written or is kept by another process.
    pub fn start(url: &str, tell: impl Fn(News) + Send + 'static) -> Result<Self, StoreError> {
        Self::over(url, &folder_for(url, RESULTS)?, open(url)?, LOOK_EVERY, tell)
    }

    fn over(
        url: &str,
        folder: &Path,
        objects: Box<dyn Objects>,
        look_every: Duration,
        tell: impl Fn(News) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (mirror, brought) = Mirror::open(url, folder, objects)?;
        let (wish, wished) = channel();
        let (finished, done) = channel();
        let work = Work { mirror, look_every, tell: Box::new(tell), state: None, failing: false };
        // A system without room for a thread fails at the end, when nobody answers.
        let _ = thread::Builder::new()
            .name("keeping".to_owned())
            .spawn(move || drop(finished.send(work.keep(&wished))));
        Ok(Self { url: url.to_owned(), folder: folder.to_owned(), brought, wish, done })
    }

    /// The folder to write to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was brought from the store at the start.
    pub fn brought(&self) -> Moved {
        self.brought
    }

    /// Uploads the rest; with `remove_local` the folder goes once everything in the store was read
    /// and found to be what it should be. What went over the network since the start.
    ///
    /// # Errors
    /// When the store has failed for too long, or another process has written there. The folder
    /// stays, and so does what the store had.
    pub fn finish(self, end: End, remove_local: bool) -> Result<Moved, StoreError> {
        let _ = self.wish.send(Wish { end, remove_local });
        self.done.recv().unwrap_or_else(|_| {
            let reason = "there is no thread to upload with".to_owned();
            Err(StoreError::Store { url: self.url, reason })
        })
    }
}

struct Work {
    mirror: Mirror,
    look_every: Duration,
    tell: Box<dyn Fn(News) + Send>,
    /// Of the folder when it was last uploaded.
    state: Option<Vec<(String, u64)>>,
    failing: bool,
}

impl Work {
    fn keep(mut self, wished: &Receiver<Wish>) -> Result<Moved, StoreError> {
        let mut moved = Moved::default();
        let mut pause = self.look_every;
        loop {
            let wish = match wished.recv_timeout(pause) {
                Ok(wish) => wish,
                Err(RecvTimeoutError::Timeout) => {
                    pause = match self.look() {
                        Ok(more) => {
                            moved = moved.plus(more);
                            self.look_every
                        }
                        Err(_) => (2 * pause).min(LONGEST_PAUSE),
                    };
                    continue;
                }
                // The process ends without a word.
                Err(RecvTimeoutError::Disconnected) => return Ok(moved),
            };
            let more = self.last(wish)?;
            if wish.remove_local {
                self.mirror.verify()?;
                self.mirror.remove_local()?;
            }
            return Ok(moved.plus(more));
        }
    }

    /// Uploads what is new.
    fn look(&mut self) -> Result<Moved, StoreError> {
        let state = self.mirror.state()?;
        if self.state.as_ref() == Some(&state) {
            return Ok(Moved::default());
        }
        let pushed = self.mirror.push();
        self.hear(&pushed);
        let moved = pushed?;
        self.state = Some(state);
        Ok(moved)
    }

    /// The last upload, tried for a while.
    fn last(&mut self, wish: Wish) -> Result<Moved, StoreError> {
        let patience = match wish.end {
            End::Finished => PATIENCE,
            End::Unfinished => PATIENCE_UNFINISHED,
        };
        let since = Instant::now();
        let mut pause = Duration::from_secs(1);
        loop {
            let outcome = match wish.end {
                End::Finished => self.mirror.publish(),
                End::Unfinished => self.mirror.push(),
            };
            self.hear(&outcome);
            match outcome {
                Err(StoreError::Store { .. }) if since.elapsed() + pause < patience => {
                    thread::sleep(pause);
                    pause = (2 * pause).min(LONGEST_PAUSE);
                }
                other => return other,
            }
        }
    }

    fn hear(&mut self, outcome: &Result<Moved, StoreError>) {
        match outcome {
            Err(StoreError::Taken { .. }) if !self.failing => (self.tell)(News::Taken),
            Err(error) if !self.failing => (self.tell)(News::Fails(error.to_string())),
            Ok(_) if self.failing => (self.tell)(News::Back),
            _ => {}
        }
        self.failing = outcome.is_err();
    }
}

#[cfg(test)]
mod tests;
