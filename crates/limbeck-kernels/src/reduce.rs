//! Sums over rows and over whole buffers, in a fixed order.

use crate::isa::for_each_isa;
use crate::profile;
use crate::threads::{self, BLOCK_ROWS, Shared};

/// Values in a block of a sum over a flat buffer.
const BLOCK_VALUES: usize = 1 << 16;

for_each_isa! {
    fn block_square_sum<FMA>(values: &[f32]) -> f64 {
        // Short runs in f32 vectors, their sums in f64: exact enough for any length.
        values
            .chunks(1024)
            .map(|run| f64::from(crate::math::sum_by(run.len(), |i| run[i] * run[i])))
            .sum()
    }
}

/// The sum of squares of a buffer.
pub fn square_sum(values: &[f32]) -> f64 {
    let _timer = profile::timer("gradient norm", || 0.0);
    let blocks = values.len().div_ceil(BLOCK_VALUES);
    let mut sums = [0.0f64; 64];
    let mut total = 0.0;
    // Blocks go in groups of at most 64, so that their sums need no allocation.
    for group in (0..blocks).step_by(sums.len()) {
        let in_group = (blocks - group).min(sums.len());
        sum_blocks(values, group, &mut sums[..in_group]);
        total += sums[..in_group].iter().sum::<f64>();
    }
    total
}

fn sum_blocks(values: &[f32], first: usize, sums: &mut [f64]) {
    let count = sums.len();
    let sums = Shared::new(sums);
    threads::run(count, |i| {
        let start = (first + i) * BLOCK_VALUES;
        let end = (start + BLOCK_VALUES).min(values.len());
        // SAFETY: each task has a sum of its own.
        let sum = unsafe { sums.range(i..i + 1) };
        sum[0] = block_square_sum(&values[start..end]);
    });
}

for_each_isa! {
    fn add_into<FMA>(values: &[f32], sums: &mut [f32]) {
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }
}

/// Adds the sum over all rows of `values` (`[rows, columns]`) to `sums` (`[columns]`).
pub fn add_column_sums(values: &[f32], columns: usize, sums: &mut [f32], scratch: &mut Partials) {
    let _timer = profile::timer("bias gradient", || 0.0);
    let rows = values.len() / columns;
    scratch.fill(rows, columns, |range, partial| {
        for row in values[range.start * columns..range.end * columns].chunks_exact(columns) {
            add_into(row, partial);
        }
    });
    scratch.add_to(&mut [sums]);
}

/// Partial sums, one row for each block of 64 rows: so sums over rows run
/// on all threads and still add up in one order.
#[derive(Debug, Default)]
pub struct Partials {
    data: Vec<f32>,
    width: usize,
}

impl Partials {
    /// Calls `work(rows, partial)` for every block of rows, with a partial of `width`
    /// zeros to add to.
    pub(crate) fn fill(
        &mut self,
        rows: usize,
        width: usize,
        work: impl Fn(std::ops::Range<usize>, &mut [f32]) + Sync,
    ) {
        let blocks = rows.div_ceil(BLOCK_ROWS);
        self.width = width;
        self.data.clear();
        self.data.resize(blocks * width, 0.0);
        let shared = Shared::new(&mut self.data);
        threads::run(blocks, |block| {
            // SAFETY: one partial a block.
            let partial = unsafe { shared.range(block * width..(block + 1) * width) };
            work(block * BLOCK_ROWS..((block + 1) * BLOCK_ROWS).min(rows), partial);
        });
    }

    /// Adds all partials, in order, to `targets`, which share the width between them.
    pub(crate) fn add_to(&self, targets: &mut [&mut [f32]]) {
        for partial in self.data.chunks_exact(self.width.max(1)) {
            let mut rest = partial;
            for target in targets.iter_mut() {
                let (part, tail) = rest.split_at(target.len());
                add_into(part, target);
                rest = tail;
            }
        }
    }
}

for_each_isa! {
    fn scale_part<FMA>(values: &mut [f32], factor: f32) {
        for value in values {
            *value *= factor;
        }
    }
}

/// Multiplies every value by `factor`.
pub fn scale(values: &mut [f32], factor: f32) {
    scale_part(values, factor);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, numbers};

    #[test]
    fn column_sums_add_to_what_is_there() {
        let (rows, columns) = (333, 21);
        let values = numbers(rows * columns, 1);
        let mut sums = vec![1.0; columns];
        add_column_sums(&values, columns, &mut sums, &mut Partials::default());
        let want: Vec<f32> = (0..columns)
            .map(|c| 1.0 + (0..rows).map(|r| values[r * columns + c]).sum::<f32>())
            .collect();
        assert_close(&sums, &want, 1e-4, "sums");
    }

    #[test]
    fn the_square_sum_of_a_long_buffer_is_exact_enough() {
        let values = numbers(5_000_001, 2);
        let want: f64 = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
        assert!((square_sum(&values) / want - 1.0).abs() < 1e-6);
        assert_eq!(square_sum(&[]), 0.0);
    }
}
