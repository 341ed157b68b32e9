//! The loop of the engine's thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use limbeck_data::Batch;
use limbeck_model::heads::span::SpanLogits;
use limbeck_model::inference::InferenceMemory;
use limbeck_runtime::logits::tokens;

use super::queue::{Part, Queue};
use crate::metrics::Metrics;
use crate::student::Students;

/// Computes until the queue is closed and empty.
pub fn run(queue: &Queue, students: &Students, max_rows: usize, metrics: &Metrics) {
    let mut memory: Vec<InferenceMemory> = Vec::new();
    memory.resize_with(students.iter().count(), InferenceMemory::default);
    let mut batch = Batch::default();
    let mut parts: Vec<Part> = Vec::new();
    while queue.next_batch(max_rows, &mut parts) {
        let Some(first) = parts.first() else { continue };
        let model = first.job.model;
        batch.clear();
        for Part { job, windows } in &parts {
            windows.clone().for_each(|window| job.prepared.features().append(window, &mut batch));
        }
        let begun = Instant::now();
        // A panic here would be a fault of the engine. It may cost the requests of this
        // batch, whose senders are dropped, but not the server.
        let computed = catch_unwind(AssertUnwindSafe(|| {
            let student = &students.get(model).model;
            match student.span_logits(tokens(&batch), &mut memory[model]) {
                Ok(logits) => scatter(logits, &batch, &mut parts),
                Err(error) => {
                    tracing::error!(%error, "a batch was refused");
                    parts.clear();
                }
            }
        }));
        if computed.is_err() {
            tracing::error!(windows = batch.sequences(), "a batch failed");
            memory[model] = InferenceMemory::default();
            parts.clear();
            continue;
        }
        let time = begun.elapsed();
        metrics.batch(batch.sequences(), batch.rows(), time);
        for Part { mut job, .. } in parts.drain(..) {
            job.add_compute(time);
            if job.is_finished() { job.finish() } else { queue.put_back(job) }
        }
    }
}

/// Gives each job the logits of its windows.
fn scatter(logits: &SpanLogits, batch: &Batch, parts: &mut [Part]) {
    let mut rows = batch.starts.windows(2);
    for Part { job, windows } in parts {
        for (window, rows) in windows.clone().zip(&mut rows) {
            let range = rows[0]..rows[1];
            job.logits.set(window, &logits.start[range.clone()], &logits.end[range]);
        }
    }
}
