//! Scaled dot-product attention (Vaswani et al., 2017, §3.2.1), one sequence and head
//! at a time: each is a task of its own, single-threaded inside, so that no mask and
//! no `[rows, rows]` matrix of the batch ever exists.
//!
//! Probabilities are not kept for the backward pass, which computes them again from
//! queries and keys: memory does not grow with the square of the length, and a block
//! of them never leaves the cache.

use std::cell::RefCell;
use std::ops::Range;

use crate::dropout::{Dropout, Mask};
use crate::isa::for_each_isa;
use crate::math;
use crate::matmul::{Matrix, Packed, Write, matmul_here};
use crate::profile::{self, Timer};
use crate::threads::{self, Shared};

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

    fn blocks(self) -> impl Iterator<Item = Range<usize>> {
        (0..self.length)
            .step_by(BLOCK_QUERIES)
            .map(move |start| start..(start + BLOCK_QUERIES).min(self.length))
    }

    /// The dropout of this task: its own stream, so that it does not depend on which
    /// thread runs it.
    fn dropout(self, index: usize, dropout: Dropout) -> Option<Mask> {
        (!dropout.is_none()).then(|| dropout.child(index as u64).mask())
    }
}

for_each_isa! {
    /// Turns scores into probabilities: `softmax(scale · scores)`.
    fn softmax<FMA>(scores: &mut [f32], scale: f32) {
        let maximum = math::maximum(scores) * scale;
        for score in scores.iter_mut() {
            *score = math::exp::<FMA>(math::mul_add::<FMA>(*score, scale, -maximum));
        }
        let factor = 1.0 / math::sum_by(scores.len(), |i| scores[i]);
        for score in scores.iter_mut() {
            *score *= factor;
        }
    }
}

for_each_isa! {
    /// From probabilities and the gradient of what they became after dropout to the
    /// gradient of the scores, in place of the latter.
    fn softmax_backward<FMA>(probabilities: &[f32], gradient: &mut [f32], scale: f32) {
        let count = gradient.len();
        let probabilities = &probabilities[..count];
        let mean = math::sum_by(count, |i| probabilities[i] * gradient[i]);
        for (gradient, &probability) in gradient.iter_mut().zip(probabilities) {
            *gradient = scale * probability * (*gradient - mean);
        }
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
    dropped: Vec<f32>,
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
/// `[rows, width]`; `starts` has one entry a sequence and the total.
pub fn forward(qkv: &[f32], starts: &[usize], heads: Heads, dropout: Dropout, context: &mut [f32]) {
    let _timer = timed("attention forward", 2, starts, heads);
    let width = heads.width();
    let context = Shared::new(context);
    run_tasks(starts, heads, |index, task, scratch| {
        let mask = task.dropout(index, dropout);
        scratch.keys.refill(task.part(qkv, 1, 0..task.length).transposed());
        scratch.values.refill(task.part(qkv, 2, 0..task.length));
        for block in task.blocks() {
            let rows = block.len();
            let scores = grown(&mut scratch.probabilities, rows * task.length);
            let queries = task.part(qkv, 0, block.clone());
            matmul_here(queries, &scratch.keys, scores, task.length, Write::Replace);
            for (query, row) in block.clone().zip(scores.chunks_exact_mut(task.length)) {
                softmax(row, heads.scale());
                if let Some(mask) = mask {
                    mask.apply_here(row, (query * task.length) as u32);
                }
            }
            let out = grown(&mut scratch.out, rows * heads.size);
            let probabilities = Matrix::new(scores, rows, task.length);
            matmul_here(probabilities, &scratch.values, out, heads.size, Write::Replace);
            for (query, row) in block.zip(out.chunks_exact(heads.size)) {
                let start = (task.first_row + query) * width + task.head * heads.size;
                // SAFETY: this head's part of this row is this task's alone.
                unsafe { context.range(start..start + heads.size) }.copy_from_slice(row);
            }
        }
    });
}

/// The backward of [`forward`]: from the gradient of the context (`[rows, width]`) to
/// that of queries, keys and values (`[rows, 3 * width]`, overwritten).
pub fn backward(
    qkv: &[f32],
    starts: &[usize],
    heads: Heads,
    dropout: Dropout,
    d_context: &[f32],
    d_qkv: &mut [f32],
) {
    let _timer = timed("attention backward", 5, starts, heads);
    let d_qkv = Shared::new(d_qkv);
    run_tasks(starts, heads, |index, task, scratch| {
        let mask = task.dropout(index, dropout);
        let (length, size) = (task.length, heads.size);
        scratch.keys.refill(task.part(qkv, 1, 0..length).transposed());
        scratch.keys_by_row.refill(task.part(qkv, 1, 0..length));
        scratch.values.refill(task.part(qkv, 2, 0..length).transposed());
        let write_back = |part: usize, rows: Range<usize>, values: &[f32]| {
            for (row, values) in rows.zip(values.chunks_exact(size)) {
                let start = task.offset(row, part);
                // SAFETY: this head's part of this row is this task's alone.
                unsafe { d_qkv.range(start..start + size) }.copy_from_slice(values);
            }
        };
        for block in task.blocks() {
            let rows = block.len();
            let write = if block.start == 0 { Write::Replace } else { Write::Add };
            let probabilities = grown(&mut scratch.probabilities, rows * length);
            let gradient = grown(&mut scratch.gradient, rows * length);
            let queries = task.part(qkv, 0, block.clone());
            let d_out = task.context(d_context, block.clone());
            matmul_here(queries, &scratch.keys, probabilities, length, Write::Replace);
            matmul_here(d_out, &scratch.values, gradient, length, Write::Replace);
            for row in probabilities.chunks_exact_mut(length) {
                softmax(row, heads.scale());
            }
            // The values met the probabilities after dropout, the softmax made those
            // before it.
            let dropped: &[f32] = match mask {
                None => probabilities,
                Some(mask) => {
                    let dropped = grown(&mut scratch.dropped, rows * length);
                    dropped.copy_from_slice(probabilities);
                    for (i, query) in block.clone().enumerate() {
                        let range = i * length..(i + 1) * length;
                        let index = (query * length) as u32;
                        mask.apply_here(&mut dropped[range.clone()], index);
                        mask.apply_here(&mut gradient[range], index);
                    }
                    dropped
                }
            };
            scratch.block.refill(d_out);
            let d_values = grown(&mut scratch.d_values, length * size);
            let dropped = Matrix::new(dropped, rows, length).transposed();
            matmul_here(dropped, &scratch.block, d_values, size, write);

            for (probabilities, gradient) in
                probabilities.chunks_exact(length).zip(gradient.chunks_exact_mut(length))
            {
                softmax_backward(probabilities, gradient, heads.scale());
            }
            let gradient = Matrix::new(gradient, rows, length);
            let d_queries = grown(&mut scratch.out, rows * size);
            matmul_here(gradient, &scratch.keys_by_row, d_queries, size, Write::Replace);
            write_back(0, block, d_queries);

            scratch.block.refill(queries);
            let d_keys = grown(&mut scratch.d_keys, length * size);
            matmul_here(gradient.transposed(), &scratch.block, d_keys, size, write);
        }
        write_back(1, 0..length, &scratch.d_keys[..length * size]);
        write_back(2, 0..length, &scratch.d_values[..length * size]);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;
    use crate::testing::{assert_close, assert_gradient, numbers, weighted};

    const HEADS: Heads = Heads { count: 2, size: 5 };
    const STARTS: [usize; 5] = [0, 3, 3, 4, 74];

    fn naive(qkv: &[f32], context: &mut [f32]) {
        let width = HEADS.width();
        for pair in STARTS.windows(2) {
            for head in 0..HEADS.count {
                let at = |row: usize, part: usize, i: usize| {
                    qkv[row * 3 * width + part * width + head * HEADS.size + i]
                };
                for query in pair[0]..pair[1] {
                    let weights: Vec<f32> = (pair[0]..pair[1])
                        .map(|key| {
                            let dot: f32 =
                                (0..HEADS.size).map(|i| at(query, 0, i) * at(key, 1, i)).sum();
                            (dot / (HEADS.size as f32).sqrt()).exp()
                        })
                        .collect();
                    let total: f32 = weights.iter().sum();
                    for i in 0..HEADS.size {
                        context[query * width + head * HEADS.size + i] = (pair[0]..pair[1])
                            .zip(&weights)
                            .map(|(key, weight)| weight / total * at(key, 2, i))
                            .sum();
                    }
                }
            }
        }
    }

    #[test]
    fn sequences_attend_to_themselves_only() {
        let rows = STARTS[4];
        let qkv = numbers(rows * 3 * HEADS.width(), 1);
        let (mut got, mut want) =
            (vec![f32::NAN; rows * HEADS.width()], vec![0.0; rows * HEADS.width()]);
        forward(&qkv, &STARTS, HEADS, Dropout::none(), &mut got);
        naive(&qkv, &mut want);
        assert_close(&got, &want, 1e-5, "context");
    }

    #[test]
    fn backward_is_the_derivative_of_forward() {
        let rows = STARTS[4];
        let qkv = numbers(rows * 3 * HEADS.width(), 1);
        let d_context = numbers(rows * HEADS.width(), 2);
        for rate in [0.0, 0.25] {
            let dropout = Dropout::new(rate, Key::new(3));
            let mut d_qkv = vec![f32::NAN; qkv.len()];
            backward(&qkv, &STARTS, HEADS, dropout, &d_context, &mut d_qkv);
            assert_gradient(&qkv, &d_qkv, "qkv", |qkv| {
                let mut context = vec![0.0; d_context.len()];
                forward(qkv, &STARTS, HEADS, dropout, &mut context);
                weighted(&context, &d_context)
            });
        }
    }
}
