//! A warm training step allocates nothing.

// Each test program takes its part of it.
#[allow(dead_code)]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use limbeck_data::glue::TextTask;
use limbeck_data::{Batch, Examples, Purpose};
use limbeck_kernels::random::Key;
use limbeck_model::Model;
use limbeck_train::learner::{Learner, Portion};
use limbeck_train::losses::{HardLoss, Intermediate, Weighted, WordLosses};
use limbeck_train::objective::Objective;
use limbeck_train::options::{
    DistillOptions, LengthOptions, OptimizerOptions, Projection, Scope, SparseMethod,
    SparsityOptions,
};
use limbeck_train::sandwich::Sandwich;
use limbeck_train::sparsity::Sparsity;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// Held by the test that counts: the others' allocations are not its own.
static COUNTED: Mutex<()> = Mutex::new(());

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

/// All that a run can minimise.
fn everything(student: &Model, teacher: Model) -> Objective {
    let distill = DistillOptions {
        alpha_hidden: 1.0,
        alpha_attention: 1.0,
        projection: Projection::Always,
        ..DistillOptions::default()
    };
    Objective {
        losses: vec![Weighted::new(1.0, HardLoss)],
        intermediate: Some(Intermediate::new(&student.config, teacher, &distill, 1).unwrap()),
        sandwich: Some(Sandwich::new(&LengthOptions::default(), student.config.num_hidden_layers)),
        ..Objective::default()
    }
}

#[test]
fn a_warm_step_allocates_nothing() {
    let _alone = COUNTED.lock();
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = support::tokenizer(folder.path());
    let questions = support::features(&support::questions(64), &tokenizer, Purpose::Train);
    let of_task = |task| {
        (
            support::text_features(&support::texts(task, 64), &tokenizer),
            support::classifier(task, 1),
        )
    };
    let (labelled, classifier) = of_task(TextTask::Classify);
    let (valued, regressor) = of_task(TextTask::Regress);
    let runs: [(&dyn Examples, Model, &str); 3] = [
        (&questions, support::model(1), "questions"),
        (&labelled, classifier, "labels"),
        (&valued, regressor, "values"),
    ];
    for (features, model, name) in runs {
        let plain = vec![Weighted::new(1.0, HardLoss)].into();
        let everything = everything(&model, support::teacher(5));
        for (objective, parts) in [(plain, 1), (everything, 4)] {
            let mut learner = Learner::new(model.clone(), &OptimizerOptions::default(), objective);
            let allocations = allocations_of_warm_steps(&mut learner, features, parts);
            assert_eq!(allocations, 0, "in 80 warm steps of {name} with {parts} parts");
        }
    }
    let (windows, _) = support::windows(folder.path(), &tokenizer);
    for teachers in [vec![], vec![support::guesser(2)]] {
        let model = support::guesser(1);
        let words = WordLosses::new(&model.config, teachers, &DistillOptions::default(), 40);
        let objective = Objective { words: Some(words.unwrap()), ..Objective::default() };
        let parts = objective.names().len();
        let mut learner = Learner::new(model, &OptimizerOptions::default(), objective);
        let allocations = allocations_of_warm_steps(&mut learner, &windows, parts);
        assert_eq!(allocations, 0, "in 80 warm steps of masked words with {parts} parts");
    }
}

#[test]
fn a_warm_step_that_changes_masks_allocates_nothing() {
    let _alone = COUNTED.lock();
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = support::tokenizer(folder.path());
    let questions = support::features(&support::questions(64), &tokenizer, Purpose::Train);
    for scope in [Scope::Global, Scope::Row] {
        let method = SparseMethod::Rigl;
        let options = SparsityOptions {
            level: 0.8,
            method,
            scope,
            period: 2,
            warmup: 0.0,
            ..SparsityOptions::default()
        };
        let model = support::model(1);
        let sparsity = Sparsity::new(&options, &model, 1000, 1).unwrap();
        let objective = vec![Weighted::new(1.0, HardLoss)];
        let mut learner = Learner::new(model, &OptimizerOptions::default(), objective);
        learner.sparsify(sparsity);
        let allocations = allocations_of_warm_steps(&mut learner, &questions, 1);
        assert_eq!(allocations, 0, "in 80 warm steps, {scope:?}");
        assert!(learner.sparsity().is_some_and(|sparsity| sparsity.changed() > 0));
    }
}

fn allocations_of_warm_steps(
    learner: &mut Learner,
    features: &dyn Examples,
    parts: usize,
) -> usize {
    let mut batch = Batch::default();
    let mut parts = vec![0.0; parts];
    let batches: Vec<Vec<usize>> = (0..4).map(|i| (i * 16..(i + 1) * 16).collect()).collect();
    let mut taken = 0;
    let mut step = |key: u64| {
        for indices in &batches {
            features.batch(indices, &mut batch);
            learner.begin_step(taken);
            taken += 1;
            learner.accumulate(&batch, Portion::whole(Key::new(key), 1.0), &mut parts).unwrap();
            assert!(learner.update(1e-4).is_finite());
        }
    };
    // Threads take tasks as they come: several rounds, so that each has seen its largest.
    (0..20).for_each(&mut step);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (20..40).for_each(&mut step);
    ALLOCATIONS.load(Ordering::Relaxed) - before
}
