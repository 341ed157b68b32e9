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
    places: Arc<Semaphore>,
    stopping: AtomicBool,
}

/// The right of some questions to be under way. Given back when dropped.
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
        let places = Arc::new(Semaphore::new(options.max_queue));
        let stopping = AtomicBool::new(false);
        Ok(Arc::new(State { options, students, engine, metrics, places, stopping }))
    }

    /// Lets some questions in.
    ///
    /// # Errors
    /// When too many are under way.
    pub fn admit(&self, questions: usize) -> Result<Places, Refusal> {
        let questions = u32::try_from(questions).unwrap_or(u32::MAX);
        match self.places.clone().try_acquire_many_owned(questions) {
            Ok(permit) => {
                self.metrics.questions_in_flight.inc_by(i64::from(questions));
                Ok(Places { metrics: self.metrics.clone(), questions, _permit: permit })
            }
            Err(_) => {
                let wait = self.metrics.time_for(self.engine.queue.rows());
                Err(Refusal::busy(wait.unwrap_or(Duration::from_secs(1))))
            }
        }
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

impl Drop for Places {
    fn drop(&mut self) {
        self.metrics.questions_in_flight.dec_by(i64::from(self.questions));
    }
}
