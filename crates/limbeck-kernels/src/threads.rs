//! The number of threads, and slices that several of them write.

use std::marker::PhantomData;

use rayon::prelude::*;

/// Rows in a block of a sum over rows. Fixed, so that sums do not depend on the
/// number of threads.
pub(crate) const BLOCK_ROWS: usize = 64;

/// Sets the number of threads of this process; 0 takes all cores.
///
/// Must come before the first kernel. Returns `false` when the threads had been
/// started already and their number could not be changed.
pub fn configure(threads: usize) -> bool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().is_ok()
}

/// How many threads the kernels use.
pub fn count() -> usize {
    rayon::current_num_threads()
}

/// Runs `work(0)`, ..., `work(tasks - 1)` on all threads, in no fixed order.
pub(crate) fn run(tasks: usize, work: impl Fn(usize) + Sync + Send) {
    if tasks == 1 || count() == 1 {
        (0..tasks).for_each(work);
    } else {
        (0..tasks).into_par_iter().with_max_len(1).for_each(work);
    }
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
pub(crate) struct Shared<'a> {
    data: *mut f32,
    len: usize,
    _borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: a `Shared` only hands out ranges, and `range` obliges its callers to keep
// those of different tasks apart.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    /// Borrows `data` for as long as tasks write to it.
    pub fn new(data: &'a mut [f32]) -> Self {
        Self { data: data.as_mut_ptr(), len: data.len(), _borrow: PhantomData }
    }

    /// The range as a slice that may be written.
    ///
    /// # Safety
    /// No two live slices may overlap.
    #[allow(clippy::mut_from_ref)] // the point of the type; see `# Safety`
    pub unsafe fn range(&self, range: std::ops::Range<usize>) -> &mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: inside the borrowed slice, and not shared by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(range.start), range.len()) }
    }
}
