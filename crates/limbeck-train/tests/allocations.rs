//! A warm training step allocates nothing.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use limbeck_data::{Batch, Purpose};
use limbeck_kernels::random::Key;
use limbeck_train::learner::Learner;
use limbeck_train::losses::{HardLoss, Weighted};
use limbeck_train::options::OptimizerOptions;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as asked by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as asked by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_warm_step_allocates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = support::tokenizer(folder.path());
    let features = support::features(&support::questions(64), &tokenizer, Purpose::Train);
    let mut learner = Learner::new(support::model(1), &OptimizerOptions::default());
    let mut losses = vec![Weighted::new(1.0, HardLoss)];
    let mut batch = Batch::default();
    let mut parts = [0.0];
    let batches: Vec<Vec<usize>> = (0..4).map(|i| (i * 16..(i + 1) * 16).collect()).collect();
    let mut step = |key: u64| {
        for indices in &batches {
            features.batch(indices, &mut batch);
            learner.accumulate(&batch, &mut losses, Some(Key::new(key)), 1.0, &mut parts).unwrap();
            assert!(learner.update(1e-4).is_finite());
        }
    };
    // Threads take tasks as they come: several rounds, so that each has seen its largest.
    (0..20).for_each(&mut step);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (20..40).for_each(&mut step);
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!(allocations, 0, "allocations in 80 warm steps");
}
