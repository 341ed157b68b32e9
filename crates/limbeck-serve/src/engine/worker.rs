//! The loop of the engine's thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use limbeck_data::Batch;
use limbeck_model::inference::InferenceMemory;
use limbeck_model::{LengthPlan, ModelError};
use limbeck_runtime::logits::tokens;

use super::job::Work;
use super::queue::{Part, Queue};
use crate::metrics::Metrics;
use crate::student::{Skill, Student, Students};

/// Computes until the queue is closed and empty.
pub fn run(queue: &Queue, students: &Students, max_rows: usize, metrics: &Metrics) {
    let mut memory: Vec<InferenceMemory> = Vec::new();
    memory.resize_with(students.iter().count(), InferenceMemory::default);
    let mut batch = Batch::default();
    let mut parts: Vec<Part> = Vec::new();
    while queue.next_batch(max_rows, &mut parts) {
        let Some(first) = parts.first() else { continue };
        let (model, plan) = (first.job.model, first.job.plan.clone());
        batch.clear();
        for Part { job, sequences } in &parts {
            sequences.clone().for_each(|sequence| job.work.append(sequence, &mut batch));
        }
        let begun = Instant::now();
        // A panic here would be a fault of the engine. It may cost the requests of this
        // batch, whose senders are dropped, but not the server.
        let computed = catch_unwind(AssertUnwindSafe(|| {
            compute(students.get(model), plan.as_ref(), &batch, &mut memory[model], &mut parts)
        }));
        match computed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "a batch was refused");
                parts.clear();
            }
            Err(_) => {
                tracing::error!(sequences = batch.sequences(), "a batch failed");
                memory[model] = InferenceMemory::default();
                parts.clear();
            }
        }
        let time = begun.elapsed();
        metrics.batch(batch.sequences(), batch.rows(), time);
        for Part { mut job, .. } in parts.drain(..) {
            job.add_compute(time);
            if job.is_finished() { job.finish() } else { queue.put_back(job) }
        }
    }
}

/// Runs the batch through its model and gives each job the logits of its sequences.
fn compute(
    student: &Student,
    plan: Option<&LengthPlan>,
    batch: &Batch,
    memory: &mut InferenceMemory,
    parts: &mut [Part],
) -> Result<(), ModelError> {
    let mut rows = batch.starts.windows(2).map(|pair| pair[0]..pair[1]);
    let (model, plan) = (&student.model, plan.or(student.model.lengths()));
    match &student.skill {
        Skill::Answer { .. } => {
            let computed = model.span_logits_within(tokens(batch), plan, memory)?;
            for Part { job, sequences } in parts {
                let Work::Windows { logits, .. } = &mut job.work else { continue };
                for (window, rows) in sequences.clone().zip(&mut rows) {
                    logits.set(window, &computed.start[rows.clone()], &computed.end[rows]);
                }
            }
        }
        Skill::Classify { classes, .. } => {
            let computed = model.class_logits_within(tokens(batch), plan, memory)?;
            let mut of_texts = computed.chunks_exact(classes.labels.len().max(1));
            for Part { job, sequences } in parts {
                let Work::Texts { logits, .. } = &mut job.work else { continue };
                for (logits, computed) in logits[sequences.clone()].iter_mut().zip(&mut of_texts) {
                    logits.extend_from_slice(computed);
                }
            }
        }
    }
    Ok(())
}
