//! Products with weights of which most are zero.
//!
//! The weight is kept as compressed rows: for each output the inputs that it reads, each with
//! its value. Activations are transposed, 32 rows at a time, so that one weight multiplies
//! vectors of rows: no lane is wasted, whatever the pattern of zeros. Inputs are taken in blocks
//! whose activations stay in the first cache.
//!
//! ```text
//! y[r, o] = Σ over the entries (k, w) of o:  w · x[r, k]
//! ```

use std::cell::RefCell;

use super::kernel::{Entry, GROUP, Outputs};
use super::pack::transpose;
use crate::isa::{Isa, isa};
use crate::threads::{self, RowsOf};

/// Most groups of rows at a time.
const MOST_GROUPS: usize = 2;

/// Inputs of a block: with two groups of rows they take 24 KiB.
const BLOCK_INPUTS: usize = 192;

/// Most rows that one task takes.
const TASK_ROWS: usize = 192;

/// A weight `[outputs, inputs]` as compressed rows.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseWeight {
    /// For each block of inputs, where each output's entries begin; one more for the end.
    starts: Vec<u32>,
    entries: Vec<Entry>,
    inputs: usize,
    outputs: usize,
}

impl SparseWeight {
    /// Compresses a weight `[outputs, inputs]`.
    ///
    /// # Panics
    /// When the weight has another size, no inputs, or 2³² values that are not zero.
    pub fn new(weight: &[f32], outputs: usize, inputs: usize) -> SparseWeight {
        assert_eq!(Some(weight.len()), outputs.checked_mul(inputs), "size of a weight");
        assert!(inputs > 0, "a weight without inputs");
        let (mut starts, mut entries) = (Vec::new(), Vec::new());
        let end = |entries: &Vec<Entry>| u32::try_from(entries.len()).expect("below 2^32 entries");
        for block in (0..inputs).step_by(BLOCK_INPUTS) {
            let block = block..(block + BLOCK_INPUTS).min(inputs);
            starts.push(end(&entries));
            for row in weight.chunks_exact(inputs) {
                for (input, &value) in (0..).zip(&row[block.clone()]) {
                    // Not a number is not zero: a fault must not vanish here.
                    if value != 0.0 {
                        entries.push(Entry { value, input });
                    }
                }
                starts.push(end(&entries));
            }
        }
        SparseWeight { starts, entries, inputs, outputs }
    }

    /// How many values each output is a sum over, zeros included.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many outputs there are.
    pub fn outputs(&self) -> usize {
        self.outputs
    }
}

/// The memory of one task.
#[derive(Default)]
struct Scratch {
    /// `[inputs, rows]`
    x: Vec<f32>,
    /// `[outputs, rows]`
    y: Vec<f32>,
}

/// `y = x · Wᵀ` on all threads; `x` is `[rows, inputs]`, `y` is `[rows, outputs]`. Then
/// calls `epilogue(first_row, rows)` once for every stretch of finished rows of `y`.
///
/// # Panics
/// When a size does not fit the weight's.
pub fn multiply_then(
    x: &[f32],
    weight: &SparseWeight,
    y: &mut [f32],
    epilogue: impl Fn(usize, &mut [f32]) + Sync,
) {
    thread_local! {
        static SCRATCH: RefCell<Scratch> = RefCell::default();
    }
    let &SparseWeight { inputs, outputs, .. } = weight;
    if y.is_empty() {
        return;
    }
    let rows = y.len() / outputs;
    assert_eq!((x.len(), y.len()), (rows * inputs, rows * outputs), "size of a product");
    let y = RowsOf { values: y, width: outputs };
    threads::each_stretch(rows, TASK_ROWS, [y], |range, [y]| {
        SCRATCH.with_borrow_mut(|scratch| {
            let x =
                x[range.start * inputs..range.end * inputs].chunks(MOST_GROUPS * GROUP * inputs);
            for (x, y) in x.zip(y.chunks_mut(MOST_GROUPS * GROUP * outputs)) {
                multiply_groups(isa(), x, weight, y, scratch);
            }
        });
        epilogue(range.start, y);
    });
}

/// The product of as many rows as are taken at a time, or fewer.
fn multiply_groups(
    isa: Isa,
    x: &[f32],
    weight: &SparseWeight,
    y: &mut [f32],
    scratch: &mut Scratch,
) {
    let isa = isa.min(Isa::detect());
    let &SparseWeight { inputs, outputs, .. } = weight;
    let rows = y.len() / outputs;
    let groups = rows.div_ceil(GROUP);
    let width = groups * GROUP;
    let grow = |buffer: &mut Vec<f32>, len: usize| {
        if buffer.len() < len {
            buffer.resize(len, 0.0);
        }
    };
    grow(&mut scratch.x, inputs * width);
    grow(&mut scratch.y, outputs * width);
    let (x_columns, y_columns) =
        (&mut scratch.x[..inputs * width], &mut scratch.y[..outputs * width]);
    transpose(x, inputs, x_columns, width);
    if rows < width {
        // What was there before might not be a number.
        x_columns.chunks_exact_mut(width).for_each(|column| column[rows..].fill(0.0));
    }
    let blocks = weight.starts.chunks_exact(outputs + 1).enumerate();
    for (block, starts) in blocks {
        let task = Outputs {
            starts,
            entries: &weight.entries,
            x: x_columns[block * BLOCK_INPUTS * width..].as_ptr(),
            y: y_columns.as_mut_ptr(),
            add: block > 0,
        };
        // SAFETY: the machine has the instruction set; entries name inputs of their block, of
        // which all are in `x_columns`; there are as many starts as outputs and one, and
        // `y_columns` holds all outputs.
        unsafe { task.run(isa, groups) };
    }
    transpose(y_columns, width, y, outputs);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;
    use crate::testing::{assert_close, numbers};

    /// A weight of which so large a share is not zero, with an empty and a full row.
    fn sparse(outputs: usize, inputs: usize, density: f64, seed: u64) -> Vec<f32> {
        let mut weight = numbers(outputs * inputs, seed);
        for (i, value) in weight.iter_mut().enumerate() {
            let row = i / inputs;
            let on = Key::new(seed + 1).uniform(i as u64) < density;
            if row == 1 || (row != outputs / 2 && !on) {
                *value = 0.0;
            }
        }
        weight
    }

    fn naive(x: &[f32], weight: &[f32], inputs: usize) -> Vec<f32> {
        let dot = |row: &[f32], w: &[f32]| {
            row.iter().zip(w).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>() as f32
        };
        x.chunks_exact(inputs)
            .flat_map(|row| weight.chunks_exact(inputs).map(move |w| dot(row, w)))
            .collect()
    }

    #[test]
    fn a_sparse_product_equals_the_dense_one() {
        for (rows, inputs, outputs, density) in [
            (1, 1, 1, 1.0),
            (3, 7, 5, 0.5),
            (16, 192, 31, 0.1),
            (17, 193, 4, 0.3),
            (33, 385, 18, 0.2),
            (451, 50, 9, 0.1),
            (40, 400, 6, 0.0),
            (20, 30, 8, 1.0),
        ] {
            let x = numbers(rows * inputs, 1);
            let weight = sparse(outputs, inputs, density, 2);
            let packed = SparseWeight::new(&weight, outputs, inputs);
            let mut got = vec![f32::NAN; rows * outputs];
            multiply_then(&x, &packed, &mut got, |_, _| {});
            let what = format!("{rows}x{inputs}x{outputs}");
            assert_close(&got, &naive(&x, &weight, inputs), 1e-4, &what);
        }
    }

    #[test]
    fn every_instruction_set_gives_the_product() {
        let (rows, inputs, outputs) = (MOST_GROUPS * GROUP, 250, 37);
        let x = numbers(rows * inputs, 1);
        let weight = sparse(outputs, inputs, 0.2, 2);
        let packed = SparseWeight::new(&weight, outputs, inputs);
        for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
            for rows in [5, GROUP, rows] {
                let x = &x[..rows * inputs];
                let mut got = vec![f32::NAN; rows * outputs];
                multiply_groups(isa, x, &packed, &mut got, &mut Scratch::default());
                let want = naive(x, &weight, inputs);
                assert_close(&got, &want, 1e-4, &format!("{isa:?}, {rows} rows"));
            }
        }
    }

    #[test]
    fn each_row_stands_for_itself_and_is_finished_once() {
        let (rows, inputs, outputs) = (300, 200, 50);
        let x = numbers(rows * inputs, 1);
        let weight = SparseWeight::new(&sparse(outputs, inputs, 0.2, 2), outputs, inputs);
        let mut whole = vec![0.0; rows * outputs];
        multiply_then(&x, &weight, &mut whole, |_, rows| {
            rows.iter_mut().for_each(|value| *value += 1.0);
        });
        let mut alone = vec![0.0; outputs];
        multiply_then(&x[123 * inputs..124 * inputs], &weight, &mut alone, |first, rows| {
            assert_eq!((first, rows.len()), (0, outputs));
        });
        alone.iter_mut().for_each(|value| *value += 1.0);
        assert_eq!(alone, whole[123 * outputs..124 * outputs]);
    }

    #[test]
    fn a_value_that_is_not_finite_does_not_vanish_and_does_not_spread() {
        let weight = SparseWeight::new(&sparse(5, 20, 1.0, 2), 5, 20);
        let mut x = numbers(3 * 20, 1);
        x[27] = f32::NAN;
        let mut y = vec![0.0; 3 * 5];
        multiply_then(&x, &weight, &mut y, |_, _| {});
        let is_finite = |row: &[f32]| row.iter().all(|value| value.is_finite());
        assert_eq!(y.chunks(5).map(is_finite).collect::<Vec<_>>(), [true, false, true]);
        x[27] = 0.0;
        multiply_then(&x[..20], &weight, &mut y[..5], |_, _| {});
        assert!(is_finite(&y[..5]), "of an earlier product");
    }
}
