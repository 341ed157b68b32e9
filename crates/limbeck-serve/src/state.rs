//! What every request sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::Engine;
use crate::error::Refusal;
use crate::metrics::Metrics;
use crate::options::ServeOptions;
use crate::student::Students;

/// What every request sees.
pub struct State {
    /// What the server was told.
    pub options: ServeOptions,
    /// The models.
    pub students: Arc<Students>,
    /// The thread that computes.
    pub engine: Engine,
    /// What `/metrics` tells.
    pub metrics: Arc<Metrics>,
    /// Threads that make answers of logits, apart from those that tokenise: what is computed
    /// does not wait behind what is not.
    pub readers: rayon::ThreadPool,
    places: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    stopping: AtomicBool,
}

/// Kilobytes of bodies that may be read at a time.
const BODY_KILOBYTES: usize = 256 << 10;

/// The right of some questions to be under way. Given back when dropped: by whoever lets go of
/// it last, be it a task that nobody waits for any more.
pub struct Places {
    metrics: Arc<Metrics>,
    questions: u32,
    _permit: OwnedSemaphorePermit,
}

impl State {
    /// Starts the engine.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn new(options: ServeOptions, students: Students) -> std::io::Result<Arc<State>> {
        let students = Arc::new(students);
        let metrics = Arc::new(Metrics::default());
        let engine = Engine::start(students.clone(), options.max_batch_tokens, metrics.clone())?;
        let readers = rayon::ThreadPoolBuilder::new()
            .num_threads(rayon::current_num_threads())
            .thread_name(|number| format!("reader-{number}"))
            .build()
            .map_err(std::io::Error::other)?;
        let places = Arc::new(Semaphore::new(options.max_queue));
        let bodies = Arc::new(Semaphore::new(BODY_KILOBYTES));
        let stopping = AtomicBool::new(false);
        let state = State { options, students, engine, metrics, readers, places, bodies, stopping };
        Ok(Arc::new(state))
    }

    /// Lets some questions in.
    ///
    /// # Errors
    /// When too many are under way.
    pub fn admit(&self, questions: usize) -> Result<Arc<Places>, Refusal> {
        let questions = u32::try_from(questions).unwrap_or(u32::MAX);
        match self.places.clone().try_acquire_many_owned(questions) {
            Ok(permit) => {
                self.metrics.questions_in_flight.inc_by(i64::from(questions));
                Ok(Arc::new(Places { metrics: self.metrics.clone(), questions, _permit: permit }))
            }
            Err(_) => Err(self.busy()),
        }
    }

    /// Lets the bytes of a body in.
    ///
    /// # Errors
    /// When too many are being read.
    pub fn admit_body(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        // A body larger than all the room there is may come alone.
        let kilobytes = bytes.div_ceil(1 << 10).min(BODY_KILOBYTES) as u32;
        self.bodies.clone().try_acquire_many_owned(kilobytes).map_err(|_| self.busy())
    }

    /// Tells to come back when what waits now should be done.
    pub fn busy(&self) -> Refusal {
        let wait = self.metrics.time_for(self.engine.queue.rows());
        Refusal::busy(wait.unwrap_or(Duration::from_secs(1)))
    }

    /// From now on the server says that it cannot answer.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether the server is asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

#[cfg(test)]
impl Places {
    /// The right of one question, whoever gave it.
    pub fn for_tests() -> Arc<Places> {
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("it is free");
        Arc::new(Places { metrics: Arc::default(), questions: 1, _permit: permit })
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.metrics.questions_in_flight.dec_by(i64::from(self.questions));
    }
}
