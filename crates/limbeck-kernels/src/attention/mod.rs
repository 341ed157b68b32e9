//! Scaled dot-product attention (Vaswani et al., 2017, §3.2.1), one sequence and head
//! at a time: each is a task of its own, single-threaded inside, so that no mask and
//! no `[rows, rows]` matrix of the batch ever exists.
//!
//! Probabilities are not kept for the backward pass, which computes them again from
//! queries and keys: memory does not grow with the square of the length, and a block
//! of them never leaves the cache.

mod maps;
mod softmax;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::ops::Range;

use crate::dropout::{Dropout, Mask};
use crate::matmul::{Matrix, Packed, Write, copy_short, matmul_here};
use crate::profile::{self, Timer};
use crate::threads::{self, Shared};
use softmax::{Rows, add_column_sums, dot, exponentials, gradients, row_stride};

pub use maps::{MapLoss, Maps, Queries};

/// Queries taken at once: their scores stay in the second cache.
const BLOCK_QUERIES: usize = 64;

/// The heads of one layer.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// How many.
    pub count: usize,
    /// Values in each query, key and value.
    pub size: usize,
}

impl Heads {
    fn width(self) -> usize {
        self.count * self.size
    }

    fn scale(self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }
}

/// One head of one sequence: views into `[rows, 3 * width]`.
#[derive(Clone, Copy)]
struct Task {
    heads: Heads,
    head: usize,
    first_row: usize,
    length: usize,
}

impl Task {
    fn all(starts: &[usize], heads: Heads, index: usize) -> Self {
        let (sequence, head) = (index / heads.count, index % heads.count);
        let first_row = starts[sequence];
        Task { heads, head, first_row, length: starts[sequence + 1] - first_row }
    }

    /// Where this head's part of `row` begins in query (0), key (1) or value (2).
    fn offset(self, row: usize, part: usize) -> usize {
        let width = self.heads.width();
        (self.first_row + row) * 3 * width + part * width + self.head * self.heads.size
    }

    fn part(self, qkv: &[f32], part: usize, rows: Range<usize>) -> Matrix<'_> {
        let data = &qkv[self.offset(rows.start, part)..];
        Matrix::with_stride(data, rows.len(), self.heads.size, 3 * self.heads.width())
    }

    /// This head's part of the context rows `[rows, width]`.
    fn context(self, context: &[f32], rows: Range<usize>) -> Matrix<'_> {
        let width = self.heads.width();
        let data = &context[(self.first_row + rows.start) * width + self.head * self.heads.size..];
        Matrix::with_stride(data, rows.len(), self.heads.size, width)
    }

    /// This head's part of one row of the context.
    fn context_row(self, context: &[f32], row: usize) -> &[f32] {
        let start = (self.first_row + row) * self.heads.width() + self.head * self.heads.size;
        &context[start..start + self.heads.size]
    }

    /// This task's part of the sums, one for each of its queries.
    fn sums(self) -> Range<usize> {
        let start = self.first_row * self.heads.count + self.head * self.length;
        start..start + self.length
    }

    /// The rows of scores from query `first` on.
    fn rows(self, first: usize, mask: Option<Mask>) -> Rows {
        Rows { length: self.length, scale: self.heads.scale(), first, mask }
    }

    fn blocks(self) -> impl Iterator<Item = Range<usize>> {
        (0..self.length)
            .step_by(BLOCK_QUERIES)
            .map(move |start| start..(start + BLOCK_QUERIES).min(self.length))
    }
}

/// What a thread needs for one task, kept between tasks.
#[derive(Default)]
struct Scratch {
    keys: Packed,
    values: Packed,
    keys_by_row: Packed,
    block: Packed,
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

fn run_tasks(starts: &[usize], heads: Heads, work: impl Fn(usize, Task, &mut Scratch) + Sync) {
    // Overlapping sequences would be written by two threads at once.
    assert!(starts.is_sorted(), "sequences of a batch follow each other");
    let sequences = starts.len().saturating_sub(1);
    threads::run(sequences * heads.count, |index| {
        let task = Task::all(starts, heads, index);
        if task.length > 0 {
            SCRATCH.with_borrow_mut(|scratch| work(index, task, scratch));
        }
    });
}

/// Times so many products of queries and keys.
fn timed(kernel: &'static str, products: usize, starts: &[usize], heads: Heads) -> Timer {
    profile::timer(kernel, || {
        let squares: f64 = starts.windows(2).map(|pair| (pair[1] - pair[0]).pow(2) as f64).sum();
        2.0 * products as f64 * squares * heads.width() as f64
    })
}

/// `context = dropout(softmax(Q · Kᵀ / √size)) · V` for every sequence and head.
///
/// `qkv` is `[rows, 3 * width]`: queries, keys and values side by side; `context` is
/// `[rows, width]`; `starts` has one entry a sequence and the total. `log_sums`, one value
/// for each row and head, is for [`backward`] alone.
pub fn forward(
    qkv: &[f32],
    starts: &[usize],
    heads: Heads,
    dropout: Dropout,
    context: &mut [f32],
    log_sums: &mut [f32],
) {
    forward_with(qkv, starts, heads, dropout, context, log_sums, None);
}

/// Like [`forward`], and also tells how much each row was looked at: the sum of the
/// probabilities, after dropout, that all queries of its sequence give to it, for each head
/// apart.
/// `attention`, one value for each row and head, holds them in the order of sequences, then of
/// heads, then of rows.
pub fn forward_measuring(
    qkv: &[f32],
    starts: &[usize],
    heads: Heads,
    dropout: Dropout,
    context: &mut [f32],
    log_sums: &mut [f32],
    attention: &mut [f32],
) {
    forward_with(qkv, starts, heads, dropout, context, log_sums, Some(attention));
}

fn forward_with(
    qkv: &[f32],
    starts: &[usize],
    heads: Heads,
    dropout: Dropout,
    context: &mut [f32],
    log_sums: &mut [f32],
    attention: Option<&mut [f32]>,
) {
    let _timer = timed("attention forward", 2, starts, heads);
    let width = heads.width();
    let (context, log_sums) = (Shared::new(context), Shared::new(log_sums));
    let attention = attention.map(Shared::new);
    run_tasks(starts, heads, |index, task, scratch| {
        let mask = dropout.mask_of_head(index, heads.count);
        let stride = row_stride(task.length);
        scratch.keys.refill_whole(task.part(qkv, 1, 0..task.length).transposed());
        scratch.values.refill(task.part(qkv, 2, 0..task.length));
        // SAFETY: these sums are this task's alone.
        let log_sums = unsafe { log_sums.range(task.sums()) };
        // SAFETY: so are these.
        let mut attention = attention.as_ref().map(|all| unsafe { all.range(task.sums()) });
        if let Some(sums) = &mut attention {
            sums.fill(0.0);
        }
        for block in task.blocks() {
            let scores = grown(&mut scratch.probabilities, block.len() * stride);
            let queries = task.part(qkv, 0, block.clone());
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
                let start = (task.first_row + query) * width + task.head * heads.size;
                // SAFETY: this head's part of this row is this task's alone.
                let context = unsafe { context.range(start..start + heads.size) };
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
    /// `[rows, width]`
    pub context: &'a [f32],
    /// One value for each row and head.
    pub log_sums: &'a [f32],
}

/// The backward of [`forward`]: from the gradient of the context (`[rows, width]`) to
/// that of queries, keys and values (`[rows, 3 * width]`, overwritten).
pub fn backward(
    Forward { qkv, context, log_sums }: Forward<'_>,
    starts: &[usize],
    heads: Heads,
    dropout: Dropout,
    d_context: &[f32],
    d_qkv: &mut [f32],
) {
    let _timer = timed("attention backward", 5, starts, heads);
    let d_qkv = Shared::new(d_qkv);
    run_tasks(starts, heads, |index, task, scratch| {
        let mask = dropout.mask_of_head(index, heads.count);
        let (length, size) = (task.length, heads.size);
        let stride = row_stride(length);
        let log_sums = &log_sums[task.sums()];
        scratch.keys.refill_whole(task.part(qkv, 1, 0..length).transposed());
        scratch.keys_by_row.refill(task.part(qkv, 1, 0..length));
        scratch.values.refill_whole(task.part(qkv, 2, 0..length).transposed());
        let write_back = |part: usize, rows: Range<usize>, values: &[f32]| {
            for (row, values) in rows.zip(values.chunks_exact(size)) {
                let start = task.offset(row, part);
                // SAFETY: this head's part of this row is this task's alone.
                copy_short(values, unsafe { d_qkv.range(start..start + size) });
            }
        };
        for block in task.blocks() {
            let write = if block.start == 0 { Write::Replace } else { Write::Add };
            let dropped = grown(&mut scratch.probabilities, block.len() * stride);
            let gradient = grown(&mut scratch.gradient, block.len() * stride);
            let queries = task.part(qkv, 0, block.clone());
            let d_out = task.context(d_context, block.clone());
            matmul_here(queries, &scratch.keys, dropped, stride, Write::Replace);
            matmul_here(d_out, &scratch.values, gradient, stride, Write::Replace);

            let mut means = [0.0; BLOCK_QUERIES];
            for (query, mean) in block.clone().zip(&mut means) {
                *mean = dot(task.context_row(d_context, query), task.context_row(context, query));
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
            write_back(0, block, d_queries);
        }
        write_back(1, 0..length, &scratch.d_keys[..length * size]);
        write_back(2, 0..length, &scratch.d_values[..length * size]);
    });
}
