//! Which sequences go into the next batch.
//!
//! Jobs are served in the order of their coming. One that has more sequences than fit a batch
//! goes to the end with the rest, so that a long document lets short questions pass.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::job::Job;

/// Jobs that wait.
#[derive(Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    /// Tokens that wait.
    rows: usize,
    closed: bool,
}

impl Inner {
    fn push(&mut self, job: Job) {
        self.rows += job.rows_left();
        self.jobs.push_back(job);
    }

    /// Takes out what nobody waits for.
    fn forget_abandoned(&mut self) {
        self.jobs.retain(|job| !job.is_abandoned());
        self.rows = self.jobs.iter().map(Job::rows_left).sum();
    }
}

/// Sequences of one job in a batch.
pub struct Part {
    /// The job.
    pub job: Job,
    /// Its sequences that are in the batch.
    pub sequences: Range<usize>,
}

impl Queue {
    /// Puts a job at the end.
    ///
    /// # Errors
    /// Gives it back when the queue is closed.
    pub fn push(&self, job: Job) -> Result<(), Box<Job>> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(Box::new(job));
        }
        inner.push(job);
        self.changed.notify_one();
        Ok(())
    }

    /// Puts a job with sequences left back, at the end. Works on a closed queue too: what has
    /// begun is finished.
    pub fn put_back(&self, job: Job) {
        self.lock().push(job);
    }

    /// Fills `parts` with sequences of at most `max_rows` tokens, all for the same model and plan of
    /// lengths; one
    /// that is larger comes alone. Waits for work; `false` when the queue is closed and empty.
    pub fn next_batch(&self, max_rows: usize, parts: &mut Vec<Part>) -> bool {
        parts.clear();
        let mut inner = self.lock();
        loop {
            inner.forget_abandoned();
            if !inner.jobs.is_empty() {
                break;
            }
            if inner.closed {
                return false;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        let (model, plan) = (inner.jobs[0].model, inner.jobs[0].plan.clone());
        let (mut rows, mut place) = (0, 0);
        while let Some(job) = inner.jobs.get_mut(place) {
            if job.model != model || job.plan != plan {
                place += 1;
                continue;
            }
            let (sequences, taken) = job.take(max_rows - rows, parts.is_empty());
            rows = (rows + taken).min(max_rows);
            if !sequences.is_empty() || job.is_finished() {
                parts.extend(inner.jobs.remove(place).map(|job| Part { job, sequences }));
            } else {
                break;
            }
            if rows == max_rows {
                break;
            }
        }
        inner.rows = inner.jobs.iter().map(Job::rows_left).sum();
        true
    }

    /// Jobs that wait.
    pub fn len(&self) -> usize {
        self.lock().jobs.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens that wait.
    pub fn rows(&self) -> usize {
        self.lock().rows
    }

    /// Takes no more jobs.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Closes the queue and forgets what is in it: whoever waits learns that there will be no
    /// answer.
    pub fn abandon(&self) {
        self.close();
        let mut inner = self.lock();
        inner.jobs.clear();
        inner.rows = 0;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing between lock and unlock leaves the list half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use limbeck_model::LengthPlan;
    use limbeck_runtime::Asked;

    use super::*;
    use crate::testing::{options, tokenizer};
    use limbeck_runtime::Prepared;
    use tokio::sync::oneshot::Receiver;

    use super::super::job::{Done, Work};
    use crate::state::Places;

    /// A job of `windows` windows of 16 tokens, but for the last.
    fn job(model: usize, windows: usize) -> (Job, Receiver<Done>) {
        let context = "cat ".repeat(2 + 10 * (windows - 1) + 5);
        let asked = [Asked { question: "who", context: &context }];
        let prepared = Prepared::new(&asked, &tokenizer(), &options()).unwrap();
        assert_eq!(prepared.features().len(), windows);
        Job::new(model, None, Work::windows(prepared), Places::for_tests())
    }

    fn batch(queue: &Queue, rows: usize) -> Vec<(usize, Range<usize>)> {
        let mut parts = Vec::new();
        assert!(queue.next_batch(rows, &mut parts));
        let seen = parts.iter().map(|part| (part.job.model, part.sequences.clone())).collect();
        for part in parts {
            if !part.job.is_finished() {
                queue.put_back(part.job);
            }
        }
        seen
    }

    #[test]
    fn a_long_document_lets_short_questions_pass() {
        let queue = Queue::default();
        let ((long, _a), (short, _b)) = (job(0, 5), job(0, 1));
        assert!(queue.push(long).is_ok() && queue.push(short).is_ok());
        assert_eq!(batch(&queue, 32), [(0, 0..2)]);
        assert_eq!(batch(&queue, 32), [(0, 0..1), (0, 2..3)]);
        assert_eq!(batch(&queue, 32), [(0, 3..5)]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_batch_is_for_one_model_and_the_oldest_job_chooses() {
        let queue = Queue::default();
        let jobs = [job(1, 1), job(0, 1), job(1, 1)];
        let _receivers = jobs.map(|(job, receiver)| {
            assert!(queue.push(job).is_ok());
            receiver
        });
        assert_eq!(batch(&queue, 100), [(1, 0..1), (1, 0..1)]);
        assert_eq!(batch(&queue, 100), [(0, 0..1)]);
    }

    #[test]
    fn a_batch_is_for_one_plan_of_lengths() {
        let queue = Queue::default();
        let jobs = [None, Some(LengthPlan::Fractions(vec![0.5])), None].map(|plan| {
            let (mut job, receiver) = job(0, 1);
            job.plan = plan;
            assert!(queue.push(job).is_ok());
            receiver
        });
        assert_eq!(batch(&queue, 100).len(), 2);
        assert_eq!(batch(&queue, 100).len(), 1);
        drop(jobs);
    }

    #[test]
    fn a_window_larger_than_a_batch_comes_alone() {
        let queue = Queue::default();
        let ((one, _a), (two, _b)) = (job(0, 1), job(0, 1));
        assert!(queue.push(one).is_ok() && queue.push(two).is_ok());
        assert_eq!(batch(&queue, 3), [(0, 0..1)]);
        assert_eq!(batch(&queue, 3), [(0, 0..1)]);
    }

    #[test]
    fn a_job_that_nobody_waits_for_is_dropped() {
        let queue = Queue::default();
        let (gone, receiver) = job(0, 1);
        let (kept, _receiver) = job(1, 1);
        assert!(queue.push(gone).is_ok() && queue.push(kept).is_ok());
        drop(receiver);
        assert_eq!(batch(&queue, 100), [(1, 0..1)]);
    }

    #[test]
    fn a_closed_queue_takes_nothing_and_is_worked_off() {
        let queue = Queue::default();
        let ((before, _a), (after, _b)) = (job(0, 1), job(0, 1));
        assert!(queue.push(before).is_ok());
        queue.close();
        assert!(queue.push(after).is_err());
        assert_eq!(batch(&queue, 100).len(), 1);
        assert!(!queue.next_batch(100, &mut Vec::new()));
    }
}
