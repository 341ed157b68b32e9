//! Threads that wait for the next piece of work and share it out by a counter.
//!
//! A step calls hundreds of kernels that take some hundred microseconds each, so what
//! matters is how fast the others join in. They spin for a moment before they sleep; the
//! calling thread works too and waits for nobody who has not joined; nothing is
//! allocated.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Looks before a waiting thread gives way: some tens of microseconds.
const SPINS: usize = 4000;

/// In [`Shared::members`]: nobody may join any more.
const CLOSED: usize = 1 << (usize::BITS - 1);

type Work<'a> = dyn Fn(usize) + Sync + 'a;

struct Shared {
    /// Counts pieces of work; a change tells sleepers to look.
    generation: AtomicUsize,
    /// How many helpers work on the present piece, and [`CLOSED`].
    members: AtomicUsize,
    /// The next task of the present piece.
    next: AtomicUsize,
    /// Its tasks. Written only while closed without members.
    tasks: UnsafeCell<usize>,
    /// What to do. Written only while closed without members.
    work: UnsafeCell<Option<*const Work<'static>>>,
    /// Whether a helper panicked in the present piece.
    panicked: AtomicBool,
    /// How many helpers sleep.
    sleepers: Mutex<usize>,
    wake: Condvar,
}

// SAFETY: `tasks` and `work` are written by the one thread that holds `Pool::busy`, while
// `members` is closed and empty, and read by members only; opening and joining order the
// two (release and acquire on `members`).
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

/// The calling thread and its helpers.
pub(super) struct Pool {
    shared: Arc<Shared>,
    busy: AtomicBool,
    threads: usize,
}

impl Pool {
    /// Starts `threads - 1` helpers. If the system refuses some, fewer.
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            generation: AtomicUsize::new(0),
            members: AtomicUsize::new(CLOSED),
            next: AtomicUsize::new(0),
            tasks: UnsafeCell::new(0),
            work: UnsafeCell::new(None),
            panicked: AtomicBool::new(false),
            sleepers: Mutex::new(0),
            wake: Condvar::new(),
        });
        let started = (1..threads)
            .map_while(|index| {
                let shared = shared.clone();
                let builder = thread::Builder::new().name(format!("limbeck-{index}"));
                builder.spawn(move || shared.help()).ok()
            })
            .count();
        Pool { shared, busy: AtomicBool::new(false), threads: started + 1 }
    }

    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `work(0)`, ..., `work(tasks - 1)`, each once. When the helpers are at work for
    /// another thread, or for a caller further up, this thread does it alone.
    pub fn run(&self, tasks: usize, work: &Work<'_>) {
        if tasks <= 1 || self.threads == 1 || self.busy.swap(true, Ordering::Acquire) {
            (0..tasks).for_each(work);
            return;
        }
        let shared = &*self.shared;
        // SAFETY: `busy` is ours and the last piece was closed and left by all, so nobody
        // reads. The pointer outlives its use: this function returns only after all
        // members have left.
        unsafe {
            *shared.tasks.get() = tasks;
            *shared.work.get() =
                Some(std::mem::transmute::<*const Work<'_>, *const Work<'static>>(work));
        }
        shared.next.store(0, Ordering::Relaxed);
        shared.members.store(0, Ordering::Release);
        shared.generation.fetch_add(1, Ordering::SeqCst);
        if *shared.sleepers() > 0 {
            shared.wake.notify_all();
        }
        let result = catch_unwind(AssertUnwindSafe(|| shared.take_tasks(tasks, work)));
        shared.members.fetch_or(CLOSED, Ordering::AcqRel);
        wait_until(|| shared.members.load(Ordering::Acquire) == CLOSED);
        let panicked = shared.panicked.swap(false, Ordering::Relaxed);
        self.busy.store(false, Ordering::Release);
        match result {
            Err(panic) => resume_unwind(panic),
            Ok(()) => assert!(!panicked, "a kernel panicked on another thread"),
        }
    }
}

impl Shared {
    fn take_tasks(&self, tasks: usize, work: &Work<'_>) {
        loop {
            let task = self.next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return;
            }
            work(task);
        }
    }

    fn sleepers(&self) -> MutexGuard<'_, usize> {
        // The count is right whatever a holder did: nothing between lock and unlock panics.
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of a helper.
    fn help(&self) {
        let mut seen = 0;
        loop {
            self.wait_for_work(seen);
            seen = self.generation.load(Ordering::SeqCst);
            if !self.join() {
                continue;
            }
            // SAFETY: while this thread is a member both are readable and the work lives.
            let (tasks, work) = unsafe { (*self.tasks.get(), (*self.work.get()).map(|w| &*w)) };
            if let Some(work) = work
                && catch_unwind(AssertUnwindSafe(|| self.take_tasks(tasks, work))).is_err()
            {
                self.panicked.store(true, Ordering::Relaxed);
            }
            self.members.fetch_sub(1, Ordering::Release);
        }
    }

    fn wait_for_work(&self, seen: usize) {
        for _ in 0..SPINS {
            if self.generation.load(Ordering::SeqCst) != seen {
                return;
            }
            std::hint::spin_loop();
        }
        let mut sleepers = self.sleepers();
        while self.generation.load(Ordering::SeqCst) == seen {
            *sleepers += 1;
            sleepers = self.wake.wait(sleepers).unwrap_or_else(PoisonError::into_inner);
            *sleepers -= 1;
        }
    }

    /// Becomes a member, unless the piece is closed.
    fn join(&self) -> bool {
        self.members
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |members| {
                (members & CLOSED == 0).then_some(members + 1)
            })
            .is_ok()
    }
}

/// Spins, then gives way to other threads: with more threads than cores, the one waited
/// for may need this very core.
fn wait_until(done: impl Fn() -> bool) {
    for _ in 0..SPINS {
        if done() {
            return;
        }
        std::hint::spin_loop();
    }
    while !done() {
        thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_however_many_callers_there_are() {
        let pool = Pool::new(4);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for tasks in (0..300).chain([1, 2, 1000]) {
                        let counts: Vec<AtomicUsize> =
                            (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                        pool.run(tasks, &|task| {
                            counts[task].fetch_add(1, Ordering::Relaxed);
                            // A caller further down does its part alone.
                            pool.run(2, &|_| {});
                        });
                        assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
                    }
                });
            }
        });
    }

    #[test]
    fn helpers_that_slept_join_again() {
        let pool = Pool::new(3);
        for _ in 0..3 {
            thread::sleep(std::time::Duration::from_millis(20));
            let sum = AtomicUsize::new(0);
            pool.run(64, &|task| {
                thread::sleep(std::time::Duration::from_micros(200));
                sum.fetch_add(task, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), 64 * 63 / 2);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        let pool = Pool::new(3);
        for bad in [0, 63] {
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.run(64, &|task| assert!(task != bad, "told to"));
            }));
            assert!(result.is_err());
        }
        let count = AtomicUsize::new(0);
        pool.run(64, &|_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 64);
    }
}
