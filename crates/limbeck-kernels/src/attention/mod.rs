//! Scaled dot-product attention (Vaswani et al., 2017, §3.2.1), one sequence and head
//! at a time: each is a task of its own, single-threaded inside, so that no mask and
//! no `[rows, rows]` matrix of the batch ever exists.
//!
//! Probabilities are not kept for the backward pass, which computes them again from
//! queries and keys: memory does not grow with the square of the length, and a block
//! of them never leaves the cache.

mod maps;
mod softmax;
mod task;
#[cfg(test)]
mod tests;

use std::cell::RefCell;

use crate::dropout::Dropout;
use crate::matmul::{Matrix, Packed, Write, copy_short, matmul_here};
use crate::profile::{self, Timer};
use crate::threads::{self, Shared};
use softmax::{add_column_sums, dot, exponentials, gradients, row_stride};
use task::Task;

pub use maps::{MapLoss, Maps, Queries};
pub use task::{Heads, Sequences};

/// Queries taken at once: their scores stay in the second cache.
const BLOCK_QUERIES: usize = 64;

/// What a thread needs for one task, kept between tasks.
#[derive(Default)]
struct Scratch {
    keys: Packed,
    values: Packed,
    keys_by_row: Packed,
    block: Packed,
    queries: Vec<f32>,
    probabilities: Vec<f32>,
    gradient: Vec<f32>,
    out: Vec<f32>,
    d_keys: Vec<f32>,
    d_values: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

fn grown(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

fn run_tasks(
    sequences: Sequences<'_>,
    heads: Heads,
    work: impl Fn(usize, Task<'_>, &mut Scratch) + Sync,
) {
    // Overlapping sequences would be written by two threads at once, and so would rows that
    // ask twice.
    assert!(sequences.starts.is_sorted(), "sequences of a batch follow each other");
    if let Some(asking) = sequences.asking {
        let rise = asking.windows(2).all(|pair| pair[0] < pair[1]);
        let inside = asking.last().is_none_or(|last| Some(last) < sequences.starts.last());
        assert!(rise && inside, "rows that ask rise, and lie in the batch");
    }
    threads::run(sequences.count() * heads.count, |index| {
        let task = Task::of(sequences, heads, index);
        if task.length > 0 {
            SCRATCH.with_borrow_mut(|scratch| work(index, task, scratch));
        }
    });
}

/// Times so many products of queries and keys.
fn timed(kernel: &'static str, products: usize, sequences: Sequences<'_>, heads: Heads) -> Timer {
    profile::timer(kernel, || {
        let scores = |sequence: usize| {
            let keys = sequences.starts[sequence + 1] - sequences.starts[sequence];
            sequences.queries_of(sequence).len() as f64 * keys as f64
        };
        let scores: f64 = (0..sequences.count()).map(scores).sum();
        2.0 * products as f64 * scores * heads.width() as f64
    })
}

/// `context = dropout(softmax(Q · Kᵀ / √size)) · V` for every sequence and head.
///
/// `qkv` is `[rows, 3 * width]`: queries, keys and values side by side; `context` is
/// `[queries, width]`, of the rows that ask. `log_sums`, one value for each query and head, is
/// for [`backward`] alone.
pub fn forward(
    qkv: &[f32],
    sequences: Sequences<'_>,
    heads: Heads,
    dropout: Dropout,
    context: &mut [f32],
    log_sums: &mut [f32],
) {
    forward_with(qkv, sequences, heads, dropout, context, log_sums, None);
}

/// Like [`forward`], and also tells how much each row was looked at: the sum of the
/// probabilities, after dropout, that all queries of its sequence give to it, for each head
/// apart.
/// `attention`, one value for each row and head, holds them in the order of sequences, then of
/// heads, then of rows.
pub fn forward_measuring(
    qkv: &[f32],
    sequences: Sequences<'_>,
    heads: Heads,
    dropout: Dropout,
    context: &mut [f32],
    log_sums: &mut [f32],
    attention: &mut [f32],
) {
    forward_with(qkv, sequences, heads, dropout, context, log_sums, Some(attention));
}

fn forward_with(
    qkv: &[f32],
    sequences: Sequences<'_>,
    heads: Heads,
    dropout: Dropout,
    context: &mut [f32],
    log_sums: &mut [f32],
    attention: Option<&mut [f32]>,
) {
    let _timer = timed("attention forward", 2, sequences, heads);
    let (context, log_sums) = (Shared::new(context), Shared::new(log_sums));
    let attention = attention.map(Shared::new);
    run_tasks(sequences, heads, |index, task, scratch| {
        let mask = dropout.mask_of_head(index, heads.count);
        let stride = row_stride(task.length);
        // SAFETY: these sums are this task's alone.
        let mut attention = attention.as_ref().map(|all| unsafe { all.range(task.looks()) });
        if let Some(sums) = &mut attention {
            sums.fill(0.0);
        }
        if task.queries == 0 {
            return;
        }
        scratch.keys.refill_whole(task.part(qkv, 1, 0..task.length).transposed());
        scratch.values.refill(task.part(qkv, 2, 0..task.length));
        // SAFETY: so are these.
        let log_sums = unsafe { log_sums.range(task.sums()) };
        for block in task.blocks() {
            let scores = grown(&mut scratch.probabilities, block.len() * stride);
            let queries = task.block(qkv, block.clone(), &mut scratch.queries);
            matmul_here(queries, &scratch.keys, scores, stride, Write::Replace);
            let mut reciprocals = [0.0; BLOCK_QUERIES];
            let rows = task.rows(block.start, mask);
            exponentials(scores, rows, &mut reciprocals, &mut log_sums[block.clone()]);
            if let Some(sums) = &mut attention {
                add_column_sums(scores, rows, &reciprocals, sums);
            }
            let out = grown(&mut scratch.out, block.len() * heads.size);
            let probabilities = Matrix::with_stride(scores, block.len(), task.length, stride);
            matmul_here(probabilities, &scratch.values, out, heads.size, Write::Replace);
            for ((query, row), factor) in block.zip(out.chunks_exact(heads.size)).zip(reciprocals) {
                // SAFETY: this head's part of this row is this task's alone.
                let context = unsafe { context.range(task.context_of(query)) };
                for (context, value) in context.iter_mut().zip(row) {
                    *context = factor * value;
                }
            }
        }
    });
}

/// What [`forward`] was given and what it made.
#[derive(Debug, Clone, Copy)]
pub struct Forward<'a> {
    /// `[rows, 3 * width]`
    pub qkv: &'a [f32],
    /// `[queries, width]`
    pub context: &'a [f32],
    /// One value for each query and head.
    pub log_sums: &'a [f32],
}

/// The backward of [`forward`]: from the gradient of the context (`[queries, width]`) to
/// that of queries, keys and values (`[rows, 3 * width]`, overwritten).
pub fn backward(
    Forward { qkv, context, log_sums }: Forward<'_>,
    sequences: Sequences<'_>,
    heads: Heads,
    dropout: Dropout,
    d_context: &[f32],
    d_qkv: &mut [f32],
) {
    let _timer = timed("attention backward", 5, sequences, heads);
    let d_qkv = Shared::new(d_qkv);
    run_tasks(sequences, heads, |index, task, scratch| {
        let mask = dropout.mask_of_head(index, heads.count);
        let (length, size) = (task.length, heads.size);
        let stride = row_stride(length);
        let log_sums = &log_sums[task.sums()];
        let clear = |part: usize| {
            for row in 0..length {
                let start = task.offset(row, part);
                // SAFETY: this head's part of this row is this task's alone.
                unsafe { d_qkv.range(start..start + size) }.fill(0.0);
            }
        };
        if task.queries == 0 {
            return (0..3).for_each(clear);
        }
        if task.asking.is_some() {
            clear(0);
        }
        scratch.keys.refill_whole(task.part(qkv, 1, 0..length).transposed());
        scratch.keys_by_row.refill(task.part(qkv, 1, 0..length));
        scratch.values.refill_whole(task.part(qkv, 2, 0..length).transposed());
        let write_back = |part: usize, row: usize, values: &[f32]| {
            let start = task.offset(row, part);
            // SAFETY: as above.
            copy_short(values, unsafe { d_qkv.range(start..start + size) });
        };
        for block in task.blocks() {
            let write = if block.start == 0 { Write::Replace } else { Write::Add };
            let dropped = grown(&mut scratch.probabilities, block.len() * stride);
            let gradient = grown(&mut scratch.gradient, block.len() * stride);
            let queries = task.block(qkv, block.clone(), &mut scratch.queries);
            let d_out = task.context(d_context, block.clone());
            matmul_here(queries, &scratch.keys, dropped, stride, Write::Replace);
            matmul_here(d_out, &scratch.values, gradient, stride, Write::Replace);

            let mut means = [0.0; BLOCK_QUERIES];
            for (query, mean) in block.clone().zip(&mut means) {
                let place = task.context_of(query);
                *mean = dot(&d_context[place.clone()], &context[place]);
            }
            let rows = task.rows(block.start, mask);
            gradients(dropped, gradient, rows, &log_sums[block.clone()], &means);
            let dropped = Matrix::with_stride(dropped, block.len(), length, stride);
            let gradient = Matrix::with_stride(gradient, block.len(), length, stride);

            scratch.block.refill(d_out);
            let d_values = grown(&mut scratch.d_values, length * size);
            matmul_here(dropped.transposed(), &scratch.block, d_values, size, write);

            scratch.block.refill(queries);
            let d_keys = grown(&mut scratch.d_keys, length * size);
            matmul_here(gradient.transposed(), &scratch.block, d_keys, size, write);

            let d_queries = grown(&mut scratch.out, block.len() * size);
            matmul_here(gradient, &scratch.keys_by_row, d_queries, size, Write::Replace);
            for (query, values) in block.zip(d_queries.chunks_exact(size)) {
                write_back(0, task.row_of(query), values);
            }
        }
        for (part, values) in [(1, &scratch.d_keys), (2, &scratch.d_values)] {
            for (row, values) in (0..length).zip(values.chunks_exact(size)) {
                write_back(part, row, values);
            }
        }
    });
}
