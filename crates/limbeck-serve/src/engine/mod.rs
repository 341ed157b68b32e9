//! The thread that computes. Requests leave their windows in a queue; the thread takes as many
//! as fit one batch, whichever requests they belong to, and hands the logits back.
//!
//! # Layout
//! - [`job`]: a request's windows on their way through
//! - [`queue`]: which windows go into the next batch
//! - [`worker`]: the loop of the thread

pub mod job;
pub mod queue;
pub mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::metrics::Metrics;
use crate::student::Students;
use queue::Queue;

/// A running engine. Dropping it closes the queue and waits until what is in it is done.
pub struct Engine {
    /// Where requests leave their windows.
    pub queue: Arc<Queue>,
    alive: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(
        students: Arc<Students>,
        max_batch_tokens: usize,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let alive = Arc::new(AtomicBool::new(true));
        let (ours, life) = (queue.clone(), alive.clone());
        let thread = std::thread::Builder::new().name("engine".to_owned()).spawn(move || {
            let _end = End { queue: ours.clone(), alive: life };
            worker::run(&ours, &students, max_batch_tokens, &metrics);
        })?;
        Ok(Engine { queue, alive, thread: Some(thread) })
    }

    /// Whether the thread runs.
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }
}

/// However the thread ends, nobody may go on waiting for it.
struct End {
    queue: Arc<Queue>,
    alive: Arc<AtomicBool>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.alive.store(false, Ordering::Release);
        self.queue.abandon();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}
