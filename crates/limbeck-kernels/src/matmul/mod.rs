//! Matrix products `C = A · B` or `C += A · B`, after the scheme of Goto and van de
//! Geijn (2008): `B` is packed once into panels that a register-blocked micro-kernel
//! reads in order; rows of `C` are shared out among the threads.
//!
//! Compared with a general library this leaves out what the engine does not need and
//! gives it three things: a `B` that stays packed between calls ([`Packed`]), work on
//! rows of `C` while they are still in cache (`epilogue`), and no allocation once the
//! threads' packing buffers have grown.

pub mod int8;
mod kernel;
mod pack;
pub mod sparse;

use std::cell::RefCell;
use std::ops::Range;

use crate::threads::{self, Shared};
use kernel::{Element, Left};
pub use pack::Packed;
pub(crate) use pack::copy_short;
use pack::{Lines, Panels, pack_left};

/// Most values of `k` taken at once: a panel of `B` this deep stays in the first
/// cache, next to the rows of `A` that meet it.
const BLOCK_DEPTH: usize = 256;

/// Most rows of `C` that one task takes: with the rows' part of `A` they stay in the
/// second cache.
const TASK_ROWS: usize = 192;

/// Most panels of `B` for which packing `A`'s columns costs more than it saves.
const UNPACKED_PANELS: usize = 2;

/// A matrix in memory, by rows or by columns.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a, E = f32> {
    data: &'a [E],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, E> Matrix<'a, E> {
    /// `data` as `[rows, columns]`, one row after the other.
    pub fn new(data: &'a [E], rows: usize, columns: usize) -> Self {
        Self::with_stride(data, rows, columns, columns)
    }

    /// Rows that begin `stride` values apart.
    ///
    /// # Panics
    /// When `data` is too short for the shape.
    pub fn with_stride(data: &'a [E], rows: usize, columns: usize, stride: usize) -> Self {
        let last =
            rows.saturating_sub(1).checked_mul(stride).and_then(|at| at.checked_add(columns));
        let needed = if rows == 0 { 0 } else { last.unwrap_or(usize::MAX) };
        assert!(columns <= stride && data.len() >= needed, "matrix [{rows}, {columns}]/{stride}");
        Self { data, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The same memory with rows and columns exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }
}

/// Whether a product replaces what is in its target or adds to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// `C = A · B`
    Replace,
    /// `C += A · B`
    Add,
}

/// The right side of a product: as it lies in memory, or packed before.
#[derive(Debug, Clone, Copy)]
pub enum Right<'a> {
    /// To be packed for this product only.
    Plain(Matrix<'a>),
    /// Packed once for many products.
    Packed(&'a Packed),
}

/// `C = A · B` or `C += A · B` on all threads; `c` is `[a.rows, b.columns]`.
pub fn matmul(a: Matrix<'_>, b: Matrix<'_>, c: &mut [f32], write: Write) {
    matmul_then(a, Right::Plain(b), c, write, |_, _| {});
}

/// As [`matmul`]; then calls `epilogue(first_row, rows)` once for every stretch of
/// finished rows of `C`, on the thread that finished them.
pub fn matmul_then(
    a: Matrix<'_>,
    b: Right<'_>,
    c: &mut [f32],
    write: Write,
    epilogue: impl Fn(usize, &mut [f32]) + Sync,
) {
    match b {
        Right::Packed(packed) => multiply(a, packed.panels(), c, write, epilogue),
        Right::Plain(b) => {
            thread_local! {
                static BUFFER: RefCell<Lines<f32>> = const { RefCell::new(Lines::new()) };
            }
            // Taken out, not borrowed: an epilogue may multiply too.
            let mut buffer = BUFFER.replace(Lines::new());
            multiply(a, pack::pack_parallel(b, f32::shape(), &mut buffer), c, write, epilogue);
            BUFFER.set(buffer);
        }
    }
}

fn multiply(
    a: Matrix<'_>,
    b: Panels<'_, f32>,
    c: &mut [f32],
    write: Write,
    epilogue: impl Fn(usize, &mut [f32]) + Sync,
) {
    assert_eq!(a.columns, b.depth, "inner sizes of a product");
    each_stretch(a.rows, b, c, |range, c| {
        multiply_rows(a, range.clone(), b, c, b.columns, write);
        epilogue(range.start, c);
    });
}

/// Cuts the rows of `C` (`[rows, columns of b]`) into stretches and calls `work(rows, part of
/// C)` for each, on all threads.
fn each_stretch<E: Element>(
    rows: usize,
    b: Panels<'_, E>,
    c: &mut [f32],
    work: impl Fn(Range<usize>, &mut [f32]) + Sync,
) {
    let columns = b.columns;
    assert_eq!(Some(c.len()), rows.checked_mul(columns), "size of a product");
    if c.is_empty() {
        return;
    }
    let unit = b.shape.rows;
    // A multiple of the threads, so that all finish together.
    let threads = threads::available();
    let tasks = threads * rows.div_ceil(threads * TASK_ROWS);
    let tasks = tasks.min(rows.div_ceil(unit));
    let c = Shared::new(c);
    threads::run(tasks, |task| {
        let range = threads::part_of(rows, tasks, task, unit);
        if !range.is_empty() {
            // SAFETY: the tasks' ranges of rows do not overlap.
            let part = unsafe { c.range(range.start * columns..range.end * columns) };
            work(range, part);
        }
    });
}

/// The product of one stretch of `A`'s rows, on this thread. Rows of `c` begin
/// `c_stride` values apart.
fn multiply_rows(
    a: Matrix<'_>,
    rows: Range<usize>,
    b: Panels<'_, f32>,
    c: &mut [f32],
    c_stride: usize,
    write: Write,
) {
    assert!(a.columns == b.depth && rows.end <= a.rows, "rows of a product");
    if b.depth == 0 {
        if write == Write::Replace {
            (0..rows.len()).for_each(|r| c[r * c_stride..][..b.columns].fill(0.0));
        }
    } else if a.row_stride == 1 && b.panels().len() <= UNPACKED_PANELS {
        let mut c = Target::new(c, rows.len(), c_stride, b, write);
        for (k, depth) in b.blocks() {
            // SAFETY: row `rows.start`, column `k` lies inside `a`.
            let data = unsafe { a.data.as_ptr().add(rows.start + k * a.column_stride) };
            let left = Left::Columns { data, stride: a.column_stride };
            for panel in b.panels() {
                // SAFETY: `left` covers the rows and `depth` columns.
                unsafe { c.stripe(left, k, depth, panel) };
            }
        }
    } else if a.column_stride == 1 {
        multiply_strided(a, rows, b, c, c_stride, write);
    } else {
        thread_local! {
            static BUFFER: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
        }
        let mut c = Target::new(c, rows.len(), c_stride, b, write);
        BUFFER.with_borrow_mut(|buffer| {
            for (k, depth) in b.blocks() {
                let left = pack_left(a, rows.clone(), k, depth, b.shape.rows, buffer);
                for panel in b.panels() {
                    // SAFETY: `left` covers the rows and `depth` columns.
                    unsafe { c.stripe(left, k, depth, panel) };
                }
            }
        });
    }
}

/// The product of one stretch of `A`'s rows, whose columns are adjacent, on this thread.
fn multiply_strided<E: Element>(
    a: Matrix<'_, E>,
    rows: Range<usize>,
    b: Panels<'_, E>,
    c: &mut [E::Sum],
    c_stride: usize,
    write: Write,
) {
    assert!(a.column_stride == 1 && a.columns == b.depth && rows.end <= a.rows);
    let mut c = Target::new(c, rows.len(), c_stride, b, write);
    // All of the depth before the next panel: so the stripe of `C` stays in cache.
    for panel in b.panels() {
        for (k, depth) in b.blocks() {
            // SAFETY: row `rows.start`, column `k` lies inside `a`.
            let data = unsafe { a.data.as_ptr().add(rows.start * a.row_stride + k) };
            let left = Left::Strided { data, stride: a.row_stride };
            // SAFETY: `left` covers the rows and `depth` columns.
            unsafe { c.stripe(left, k, depth, panel) };
        }
    }
}

/// Rows of `C`, and the `B` that makes them.
struct Target<'a, E: Element> {
    c: &'a mut [E::Sum],
    rows: usize,
    stride: usize,
    b: Panels<'a, E>,
    write: Write,
}

impl<'a, E: Element> Target<'a, E> {
    fn new(
        c: &'a mut [E::Sum],
        rows: usize,
        stride: usize,
        b: Panels<'a, E>,
        write: Write,
    ) -> Self {
        let last = rows.checked_sub(1).and_then(|last| last.checked_mul(stride));
        let needed = last.and_then(|last| last.checked_add(b.columns));
        let fits = needed.is_some_and(|needed| needed <= c.len());
        assert!(fits && stride >= b.columns, "{rows} rows of a product at stride {stride}");
        Target { c, rows, stride, b, write }
    }

    /// One panel of the block that begins at `k`.
    ///
    /// # Safety
    /// `left` must cover all rows and `depth` columns.
    unsafe fn stripe(&mut self, left: Left<E>, k: usize, depth: usize, panel: usize) {
        let panel = self.b.panel(k, depth, panel);
        let add = self.write == Write::Add || k > 0;
        // SAFETY: by the caller's promise; the panel has `depth` rows, and `c` was checked
        // to hold the rows at its stride.
        unsafe {
            kernel::stripe(left, self.rows, depth, panel, self.c.as_mut_ptr(), self.stride, add);
        }
    }
}

/// A product on this thread alone, for tasks that are parallel outside. Rows of `c`
/// begin `c_stride` values apart.
pub(crate) fn matmul_here(a: Matrix<'_>, b: &Packed, c: &mut [f32], c_stride: usize, write: Write) {
    assert_eq!(a.columns, b.panels().depth, "inner sizes of a product");
    if a.rows > 0 && b.panels().columns > 0 {
        multiply_rows(a, 0..a.rows, b.panels(), c, c_stride, write);
    }
}

/// Floating-point operations a second that all threads together reach in the
/// micro-kernel when all data lie in the first cache: what no product can pass at this
/// moment. Takes some milliseconds.
pub fn tile_rate() -> f64 {
    const DEPTH: usize = 192;
    const CALLS: usize = 2_000;
    let shape = f32::shape();
    let (rows, columns) = (shape.rows, shape.lanes * shape.vectors);
    let (left, right) = (vec![0.5; rows * DEPTH], vec![0.5; DEPTH * columns]);
    let packed = Packed::new(Matrix::new(&right, DEPTH, columns));
    let threads = threads::available();
    let begun = std::time::Instant::now();
    threads::run(threads, |_| {
        let mut product = vec![0.0; rows * columns];
        for _ in 0..CALLS {
            let left = Matrix::new(&left, rows, DEPTH);
            matmul_here(left, &packed, &mut product, columns, Write::Replace);
            std::hint::black_box(&mut product);
        }
    });
    (threads * CALLS * 2 * rows * DEPTH * columns) as f64 / begun.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, numbers};

    fn naive(a: &[f32], b: &[f32], m: usize, n: usize, k: usize) -> Vec<f32> {
        let mut c = vec![0.0; m * n];
        for i in 0..m {
            for j in 0..n {
                let sum: f64 =
                    (0..k).map(|l| f64::from(a[i * k + l]) * f64::from(b[l * n + j])).sum();
                c[i * n + j] = sum as f32;
            }
        }
        c
    }

    fn transpose(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
        (0..columns * rows).map(|i| x[i % rows * columns + i / rows]).collect()
    }

    #[test]
    fn products_of_all_shapes_and_layouts_are_right() {
        for (m, n, k) in [
            (1, 1, 1),
            (1, 2, 384),
            (3, 5, 7),
            (8, 48, 256),
            (9, 49, 257),
            (15, 33, 31),
            (64, 32, 32),
            (161, 161, 32),
            (401, 70, 520),
            (0, 4, 4),
            (4, 4, 0),
        ] {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let want = naive(&a, &b, m, n, k);
            let (at, bt) = (transpose(&a, m, k), transpose(&b, k, n));
            for (left, right) in [
                (Matrix::new(&a, m, k), Matrix::new(&b, k, n)),
                (Matrix::new(&at, k, m).transposed(), Matrix::new(&b, k, n)),
                (Matrix::new(&a, m, k), Matrix::new(&bt, n, k).transposed()),
                (Matrix::new(&at, k, m).transposed(), Matrix::new(&bt, n, k).transposed()),
            ] {
                let mut c = vec![f32::NAN; m * n];
                matmul(left, right, &mut c, Write::Replace);
                assert_close(&c, &want, 1e-4, &format!("{m}x{n}x{k}"));
                matmul(left, right, &mut c, Write::Add);
                let twice: Vec<f32> = want.iter().map(|v| 2.0 * v).collect();
                assert_close(&c, &twice, 2e-4, &format!("{m}x{n}x{k} twice"));
                let packed = Packed::new(right);
                let mut c = vec![f32::NAN; m * n];
                matmul_then(left, Right::Packed(&packed), &mut c, Write::Replace, |_, _| {});
                assert_close(&c, &want, 1e-4, &format!("{m}x{n}x{k} packed"));
            }
        }
    }

    #[test]
    fn the_epilogue_sees_each_row_once_when_it_is_finished() {
        let (m, n, k) = (700, 48, 300);
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let mut c = vec![0.0; m * n];
        matmul_then(
            Matrix::new(&a, m, k),
            Right::Plain(Matrix::new(&b, k, n)),
            &mut c,
            Write::Replace,
            |first, rows| {
                for (i, row) in rows.chunks_exact_mut(n).enumerate() {
                    row.iter_mut().for_each(|v| *v = *v * 2.0 + (first + i) as f32);
                }
            },
        );
        let mut want = naive(&a, &b, m, n, k);
        for (i, row) in want.chunks_exact_mut(n).enumerate() {
            row.iter_mut().for_each(|v| *v = *v * 2.0 + i as f32);
        }
        assert_close(&c, &want, 1e-4, "epilogue");
    }

    #[test]
    fn a_product_does_not_depend_on_how_its_rows_are_shared_out() {
        let (m, n, k) = (530, 100, 900);
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let mut whole = vec![0.0; m * n];
        matmul(Matrix::new(&a, m, k), Matrix::new(&b, k, n), &mut whole, Write::Replace);
        let packed = Packed::new(Matrix::new(&b, k, n));
        for first in [0, 7, 333] {
            let mut part = vec![0.0; 60 * n];
            let rows = Matrix::new(&a[first * k..], 60, k);
            matmul_here(rows, &packed, &mut part, n, Write::Replace);
            assert_eq!(part, whole[first * n..(first + 60) * n]);
        }
    }
}
