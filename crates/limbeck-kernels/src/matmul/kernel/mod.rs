//! The micro-kernel: a tile of `C` a few rows high and a few vectors wide, held in
//! registers while `k` runs. The same for every type of number ([`Element`]) and every
//! instruction set ([`Kernel`]).
//!
//! # Layout
//! - `tile`: the tile itself, over any [`Vector`]
//! - `float`: vectors of `f32`
//! - `int8`: vectors of sums of products of bytes
//! - `sparse`: no tile, but sums over the weights that are not zero

mod float;
mod int8;
mod sparse;
mod tile;

pub(super) use int8::Word;
pub(super) use sparse::{Entry, GROUP, Outputs};
pub(super) use tile::Stripe;

use super::pack::Panel;

/// The instructions that a product is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// Some kernels exist on other processors only.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(super) enum Kernel {
    /// What every machine of the target has.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX2 with sums of four products of bytes (AVX-VNNI).
    AvxVnni,
    /// AVX-512.
    Avx512,
    /// AVX-512 with sums of four products of bytes (AVX512-VNNI).
    Avx512Vnni,
}

/// The tile of a kernel that this machine has: packed matrices carry it, and the products
/// with them rely on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// The instructions that make it.
    pub kernel: Kernel,
    /// Rows of the tile.
    pub rows: usize,
    /// Sums in a vector.
    pub lanes: usize,
    /// Most vectors in a row of the tile.
    pub vectors: usize,
}

/// What matrices are made of.
pub(super) trait Element: Copy + Default + Send + Sync + 'static {
    /// What products add up to.
    type Sum: Copy + Default;

    /// The tile of the best kernel that this machine has.
    fn shape() -> Shape;

    /// Computes a stripe with the instructions of `kernel`.
    ///
    /// # Safety
    /// The machine must have them, and the stripe's contract must hold; see [`stripe`].
    unsafe fn run(kernel: Kernel, task: Stripe<Self>, vectors: usize);
}

/// A vector register of sums.
trait Vector: Copy {
    type Element: Element;
    /// One element of `A`, against all lanes.
    type Left: Copy;
    /// A vector of elements of `B`.
    type Right: Copy;
    const LANES: usize;

    /// # Safety
    /// The machine must have the instruction set.
    unsafe fn zero() -> Self;
    /// # Safety
    /// Reads one element.
    unsafe fn left(from: *const Self::Element) -> Self::Left;
    /// # Safety
    /// Reads `LANES` elements.
    unsafe fn right(from: *const Self::Element) -> Self::Right;
    /// `self + left * right`
    ///
    /// # Safety
    /// The machine must have the instruction set.
    unsafe fn add_product(self, left: Self::Left, right: Self::Right) -> Self;
    /// # Safety
    /// The machine must have the instruction set.
    unsafe fn add(self, other: Self) -> Self;
    /// # Safety
    /// Reads `LANES` sums.
    unsafe fn read(from: *const Sum<Self>) -> Self;
    /// # Safety
    /// Writes `LANES` sums.
    unsafe fn write(self, to: *mut Sum<Self>);
}

type Sum<V> = <<V as Vector>::Element as Element>::Sum;

/// Rows of `A`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Left<E> {
    /// As they lie in memory: columns adjacent, rows `stride` apart.
    Strided { data: *const E, stride: usize },
    /// As they lie in memory: rows adjacent, columns `stride` apart.
    Columns { data: *const E, stride: usize },
    /// Packed by [`super::pack::pack_left`]: groups of so many rows, in each of which rows are
    /// adjacent and columns as far apart as the group has rows.
    Groups { data: *const E, rows: usize },
}

/// One column stripe of `C`: all rows against one panel of `B`.
///
/// # Safety
/// `left` must hold `rows` rows of `depth` columns, `panel.data` `depth` rows, and
/// `c` `rows` rows at `c_stride` that reach to the panel's last column.
pub(super) unsafe fn stripe<E: Element>(
    left: Left<E>,
    rows: usize,
    depth: usize,
    panel: Panel<'_, E>,
    c: *mut E::Sum,
    c_stride: usize,
    add: bool,
) {
    debug_assert!(panel.data.len() >= depth * panel.vectors * panel.shape.lanes);
    // SAFETY: the panel's columns lie inside the row, and a panel is packed for kernels
    // of this machine only; the rest by the caller's promise.
    unsafe {
        let task = Stripe {
            left,
            rows,
            depth,
            b: panel.data.as_ptr(),
            columns: panel.columns,
            c: c.add(panel.first_column),
            c_stride,
            add,
        };
        E::run(panel.shape.kernel, task, panel.vectors);
    }
}
