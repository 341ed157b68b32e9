//! The number of threads, and slices that several of them write.

mod pool;

use std::cell::Cell;
use std::marker::PhantomData;
use std::num::NonZero;
use std::ops::Range;
use std::sync::OnceLock;

use pool::Pool;

/// Rows in a block of a sum over rows. Fixed, so that sums do not depend on the
/// number of threads.
pub(crate) const BLOCK_ROWS: usize = 64;

/// Stretches begin at multiples of this, to waste little of the tiles of products.
const STRETCH_UNIT: usize = 4;

static POOL: OnceLock<Pool> = OnceLock::new();

/// Sets the number of threads of the kernels; 0 takes all cores.
///
/// Must come before the first kernel. Returns whether there are so many threads now: not
/// when they had been started in another number, or the system refused some.
pub fn configure(threads: usize) -> bool {
    let threads = if threads == 0 { cores() } else { threads };
    POOL.get_or_init(|| Pool::new(threads)).threads() == threads
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn pool() -> &'static Pool {
    POOL.get_or_init(|| Pool::new(cores()))
}

/// How many threads the kernels use.
pub fn count() -> usize {
    pool().threads()
}

thread_local! {
    /// Whether this thread is at a task: then the others are busy too.
    static AT_WORK: Cell<bool> = const { Cell::new(false) };
}

/// How many threads a kernel can share its work with: none but itself inside of a task.
pub(crate) fn available() -> usize {
    if AT_WORK.get() { 1 } else { count() }
}

/// Runs `work(0)`, ..., `work(tasks - 1)` on all threads, in no fixed order.
pub(crate) fn run(tasks: usize, work: impl Fn(usize) + Sync) {
    /// Sets the flag back also when the task panics.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            AT_WORK.set(self.0);
        }
    }
    if AT_WORK.get() {
        return (0..tasks).for_each(work);
    }
    pool().run(tasks, &|task| {
        let _before = Before(AT_WORK.replace(true));
        work(task);
    });
}

/// Rows of a width, to be shared out by [`each_stretch`].
#[derive(Debug)]
pub struct RowsOf<'a> {
    /// `[rows, width]`
    pub values: &'a mut [f32],
    /// Values of a row.
    pub width: usize,
}

/// Cuts rows into stretches of at most `most` and calls `work(rows, those rows of each
/// buffer)` for each, on all threads. Kernels that `work` calls stay on its thread.
///
/// # Panics
/// When a buffer has not `rows` rows of its width, or `most` is 0.
pub fn each_stretch<const N: usize>(
    rows: usize,
    most: usize,
    buffers: [RowsOf<'_>; N],
    work: impl Fn(Range<usize>, [&mut [f32]; N]) + Sync,
) {
    let shared = buffers.map(|RowsOf { values, width }| {
        assert_eq!(Some(values.len()), rows.checked_mul(width), "size of a buffer of rows");
        (Shared::new(values), width)
    });
    assert!(most > 0, "stretches have rows");
    // A multiple of the threads, so that all finish together.
    let tasks = available() * rows.div_ceil(available() * most);
    run(tasks, |task| {
        let range = part_of(rows, tasks, task, STRETCH_UNIT);
        if !range.is_empty() {
            let parts = shared.each_ref().map(|(buffer, width)| {
                // SAFETY: the tasks' ranges of rows do not overlap.
                unsafe { buffer.range(range.start * width..range.end * width) }
            });
            work(range, parts);
        }
    });
}

/// Cuts `length` into `parts` ranges that differ by at most one `unit`; returns the
/// `part`-th.
pub(crate) fn part_of(
    length: usize,
    parts: usize,
    part: usize,
    unit: usize,
) -> std::ops::Range<usize> {
    let units = length.div_ceil(unit);
    let at = |i: usize| (units * i / parts * unit).min(length);
    at(part)..at(part + 1)
}

/// A mutable slice from which tasks take ranges that do not overlap.
pub(crate) struct Shared<'a, T = f32> {
    data: *mut T,
    len: usize,
    _borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: a `Shared` only hands out ranges, and `range` obliges its callers to keep
// those of different tasks apart.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    /// Borrows `data` for as long as tasks write to it.
    pub fn new(data: &'a mut [T]) -> Self {
        Self { data: data.as_mut_ptr(), len: data.len(), _borrow: PhantomData }
    }

    /// The range as a slice that may be written.
    ///
    /// # Safety
    /// No two live slices may overlap.
    #[allow(clippy::mut_from_ref)] // the point of the type; see `# Safety`
    pub unsafe fn range(&self, range: std::ops::Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: inside the borrowed slice, and not shared by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(range.start), range.len()) }
    }
}
