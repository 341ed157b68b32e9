//! The tile, and the stripe of `C` that it walks down.

use super::{Element, Left, Sum, Vector};

/// One column stripe of `C`; see [`super::stripe`].
#[derive(Clone, Copy)]
pub(in super::super) struct Stripe<E: Element> {
    pub left: Left<E>,
    pub rows: usize,
    pub depth: usize,
    /// A packed panel, `[depth, vectors * lanes]`.
    pub b: *const E,
    /// Columns of the panel; the rest fills its last vector.
    pub columns: usize,
    pub c: *mut E::Sum,
    pub c_stride: usize,
    pub add: bool,
}

impl<E: Element> Stripe<E> {
    /// # Safety
    /// The contract of [`super::stripe`], for vectors of type `V`.
    #[inline(always)]
    pub(super) unsafe fn run<V: Vector<Element = E>, const ROWS: usize, const VECTORS: usize>(
        self,
    ) {
        let mut row = 0;
        // SAFETY: rows stay below `self.rows`.
        unsafe {
            while row + ROWS <= self.rows {
                match ROWS {
                    8 => tile_8::<V, VECTORS>(self, row),
                    6 => tile_6::<V, VECTORS>(self, row),
                    _ => tile_4::<V, VECTORS>(self, row),
                }
                row += ROWS;
            }
            // The last rows, in tiles of four, two and one.
            if ROWS > 4 && row + 4 <= self.rows {
                tile_4::<V, VECTORS>(self, row);
                row += 4;
            }
            if row + 2 <= self.rows {
                tile_2::<V, VECTORS>(self, row);
                row += 2;
            }
            if row < self.rows {
                tile_1::<V, VECTORS>(self, row);
            }
        }
    }
}

/// The address, with its origin hidden from the compiler. It would otherwise see that
/// rows lie at equal distances and walk them by a chain of additions in the innermost
/// loop, which made the kernel a fifth slower.
// What the address points to is not looked at.
#[allow(clippy::pointers_in_nomem_asm_block)]
#[inline(always)]
fn opaque<E>(address: *const E) -> *const E {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    {
        let mut address = address;
        // SAFETY: a comment; it does nothing.
        unsafe {
            std::arch::asm!(
                "/* {0} */",
                inout(reg) address,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        address
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    address
}

/// Steps of `k` written out one after the other, so that counting costs little.
const UNROLL: usize = 4;

/// Defines the tile of the given rows. Its rows are written out one by one: the
/// compiler keeps an array of accumulators in registers only when no loop indexes it.
macro_rules! tile {
    ($name:ident, $strided:ident, $packed:ident: $($row:literal)*) => {
        /// The tile at `row`.
        ///
        /// # Safety
        /// As [`Stripe::run`].
        #[inline(always)]
        unsafe fn $name<V: Vector, const VECTORS: usize>(task: Stripe<V::Element>, row: usize) {
            // SAFETY: all addresses lie inside what the contract of `stripe` names.
            unsafe {
                let c = task.c.add(row * task.c_stride);
                if task.add {
                    $(prefetch_row::<V, VECTORS>(c.add($row * task.c_stride));)*
                }
                let mut sums = [$({ let _ = $row; [V::zero(); VECTORS] }),*];
                let whole = task.depth - task.depth % UNROLL;
                match task.left {
                    Left::Strided { data, stride } => {
                        let a = [$(opaque(data.add((row + $row) * stride))),*];
                        for k in (0..whole).step_by(UNROLL) {
                            sums = $strided::<V, VECTORS, UNROLL>(a, k, task.b, sums);
                        }
                        for k in whole..task.depth {
                            sums = $strided::<V, VECTORS, 1>(a, k, task.b, sums);
                        }
                    }
                    Left::Columns { data, stride } | Left::Groups { data, rows: stride } => {
                        // Rows of the groups before that of this row.
                        let before = match task.left {
                            Left::Groups { rows, .. } => row / rows * rows,
                            _ => 0,
                        };
                        let a = data.add(before * task.depth + row - before);
                        for k in (0..whole).step_by(UNROLL) {
                            sums = $packed::<V, VECTORS, UNROLL>(a, stride, k, task.b, sums);
                        }
                        for k in whole..task.depth {
                            sums = $packed::<V, VECTORS, 1>(a, stride, k, task.b, sums);
                        }
                    }
                }
                $(task.write_row(c.add($row * task.c_stride), sums[$row]);)*
            }
        }

        /// Adds the products of `STEPS` columns of `A`, from `k` on; each row of `A` at
        /// its own address.
        ///
        /// # Safety
        /// As [`Stripe::run`].
        #[inline(always)]
        unsafe fn $strided<V: Vector, const VECTORS: usize, const STEPS: usize>(
            a: [*const V::Element; [$($row),*].len()],
            k: usize,
            b: *const V::Element,
            mut sums: [[V; VECTORS]; [$($row),*].len()],
        ) -> [[V; VECTORS]; [$($row),*].len()] {
            for step in k..k + STEPS {
                // SAFETY: by the contract.
                unsafe {
                    let right = load_row::<V, VECTORS>(b, step);
                    $({
                        let left = V::left(a[$row].add(step));
                        for j in 0..VECTORS {
                            sums[$row][j] = sums[$row][j].add_product(left, right[j]);
                        }
                    })*
                }
            }
            sums
        }

        /// The same, where rows are adjacent and columns `stride` apart.
        ///
        /// # Safety
        /// As [`Stripe::run`].
        #[inline(always)]
        unsafe fn $packed<V: Vector, const VECTORS: usize, const STEPS: usize>(
            a: *const V::Element,
            stride: usize,
            k: usize,
            b: *const V::Element,
            mut sums: [[V; VECTORS]; [$($row),*].len()],
        ) -> [[V; VECTORS]; [$($row),*].len()] {
            for step in k..k + STEPS {
                // SAFETY: by the contract.
                unsafe {
                    let right = load_row::<V, VECTORS>(b, step);
                    $({
                        let left = V::left(a.add(step * stride + $row));
                        for j in 0..VECTORS {
                            sums[$row][j] = sums[$row][j].add_product(left, right[j]);
                        }
                    })*
                }
            }
            sums
        }
    };
}

/// Calls a row of `C` into the cache, to be there when its sums are.
#[inline(always)]
fn prefetch_row<V: Vector, const VECTORS: usize>(c: *const Sum<V>) {
    #[cfg(target_arch = "x86_64")]
    for j in 0..VECTORS {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint; it reads nothing, wherever it points.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(c.wrapping_add(j * V::LANES).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = c;
}

/// Row `k` of a panel of `B`.
///
/// # Safety
/// The row must exist.
#[inline(always)]
unsafe fn load_row<V: Vector, const VECTORS: usize>(
    b: *const V::Element,
    k: usize,
) -> [V::Right; VECTORS] {
    // SAFETY: by the caller's promise.
    unsafe {
        let b = b.add(k * VECTORS * V::LANES);
        let mut row = [V::right(b); VECTORS];
        for (j, vector) in row.iter_mut().enumerate().skip(1) {
            *vector = V::right(b.add(j * V::LANES));
        }
        row
    }
}

tile!(tile_8, strided_8, packed_8: 0 1 2 3 4 5 6 7);
tile!(tile_6, strided_6, packed_6: 0 1 2 3 4 5);
tile!(tile_4, strided_4, packed_4: 0 1 2 3);
tile!(tile_2, strided_2, packed_2: 0 1);
tile!(tile_1, strided_1, packed_1: 0);

impl<E: Element> Stripe<E> {
    /// Writes one row of a tile to `C`, without the columns that only fill a vector.
    ///
    /// # Safety
    /// `to` must have room for the panel's columns.
    #[inline(always)]
    unsafe fn write_row<V: Vector<Element = E>, const VECTORS: usize>(
        &self,
        to: *mut E::Sum,
        sums: [V; VECTORS],
    ) {
        // SAFETY: whole vectors and copied columns stay inside the panel's columns.
        unsafe {
            for (j, sum) in sums.into_iter().enumerate() {
                let to = to.add(j * V::LANES);
                let columns = self.columns - j * V::LANES;
                if columns >= V::LANES {
                    let sum = if self.add { V::read(to).add(sum) } else { sum };
                    sum.write(to);
                } else {
                    let mut line = [E::Sum::default(); 16];
                    line.as_mut_ptr().copy_from_nonoverlapping(to, columns);
                    let sum = if self.add { V::read(line.as_ptr()).add(sum) } else { sum };
                    sum.write(line.as_mut_ptr());
                    to.copy_from_nonoverlapping(line.as_ptr(), columns);
                }
            }
        }
    }
}
