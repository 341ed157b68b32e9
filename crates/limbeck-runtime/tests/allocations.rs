//! A warm model allocates nothing for a batch, with floats or with bytes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use limbeck_data::Batch;
use limbeck_model::inference::{InferenceMemory, InferenceModel};
use limbeck_model::{LengthPlan, Model, ModelConfig};
use limbeck_runtime::logits::tokens;

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

/// Sequences of different lengths, some longer than a block of attention.
fn batches() -> Vec<Batch> {
    let batch = |lengths: &[usize]| {
        let mut batch = Batch::default();
        batch.clear();
        for (number, &length) in lengths.iter().enumerate() {
            batch.input_ids.extend((0..length).map(|i| ((i * 7 + number) % 40) as u32));
            batch.token_type_ids.extend((0..length).map(|i| u8::from(i > length / 3)));
            batch.starts.push(batch.input_ids.len());
        }
        batch
    };
    vec![batch(&[160]), batch(&[17]), batch(&[120, 33, 90, 1, 160]), batch(&[96, 96])]
}

#[test]
fn a_warm_model_allocates_nothing_for_a_question() {
    let json = serde_json::json!({
        "model_type": "bert", "vocab_size": 40, "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 128, "max_position_embeddings": 160,
    });
    let floats = Model::initialise(ModelConfig::from_json(&json).unwrap(), 1);
    let folder = tempfile::tempdir().unwrap();
    floats.save_quantized(folder.path()).unwrap();
    let (bytes, _) = InferenceModel::open(folder.path()).unwrap();
    let batches = batches();
    let plan = Some(LengthPlan::Fractions(vec![0.8, 0.5]));
    let leaving = InferenceModel::new(floats.clone()).with_lengths(plan).unwrap();
    for model in [InferenceModel::new(floats), bytes, leaving] {
        let mut memory = InferenceMemory::default();
        let mut answer = || {
            for batch in &batches {
                assert!(model.span_logits(tokens(batch), &mut memory).is_ok());
            }
        };
        // Threads take tasks as they come: several rounds, so that each has seen its largest.
        (0..100).for_each(|_| answer());
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        (0..25).for_each(|_| answer());
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        assert_eq!(allocations, 0, "allocations for 100 warm batches");
    }
}
