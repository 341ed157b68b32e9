//! The micro-kernel: a tile of `C` a few rows high and a few vectors wide, held in
//! registers while `k` runs.

use super::pack::Panel;
use crate::isa::{Isa, isa};

/// The tile of the instruction set in use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Rows of the tile.
    pub rows: usize,
    /// Values in a vector.
    pub lanes: usize,
    /// Most vectors in a row of the tile.
    pub vectors: usize,
}

impl Shape {
    pub fn of_isa() -> Self {
        match isa() {
            // 24 accumulators of 32 registers.
            Isa::Avx512 => Shape { rows: 8, lanes: 16, vectors: 3 },
            // 12 of 16.
            Isa::Avx2 => Shape { rows: 6, lanes: 8, vectors: 2 },
            Isa::Portable => Shape { rows: 4, lanes: 4, vectors: 2 },
        }
    }
}

/// Rows of `A`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Left {
    /// As they lie in memory: columns adjacent, rows `stride` apart.
    Strided { data: *const f32, stride: usize },
    /// Packed by [`super::pack::pack_left`].
    Panels(*const f32),
}

impl Left {
    /// The part that begins at `row`, a multiple of `unit`: a pointer, and the
    /// strides between its rows and its columns.
    ///
    /// # Safety
    /// The row must exist.
    unsafe fn at(self, row: usize, unit: usize, depth: usize) -> (*const f32, usize, usize) {
        match self {
            // SAFETY: by the caller's promise.
            Left::Strided { data, stride } => (unsafe { data.add(row * stride) }, stride, 1),
            // SAFETY: panels of `unit` rows and `depth` columns follow each other.
            Left::Panels(data) => (unsafe { data.add(row * depth) }, 1, unit),
        }
    }
}

/// A vector register.
trait Vector: Copy {
    const LANES: usize;
    /// # Safety
    /// Reads `LANES` values.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// Writes `LANES` values.
    unsafe fn store(self, to: *mut f32);
    /// # Safety
    /// The machine must have the instruction set.
    unsafe fn splat(value: f32) -> Self;
    /// `a * b + self`
    ///
    /// # Safety
    /// The machine must have the instruction set.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    /// # Safety
    /// The machine must have the instruction set.
    unsafe fn add(self, other: Self) -> Self;
}

impl Vector for [f32; 4] {
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: by the caller's promise; an array of f32 has the alignment of f32.
        unsafe { *from.cast::<[f32; 4]>() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { *to.cast::<[f32; 4]>() = self };
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        [value; 4]
    }
    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        std::array::from_fn(|i| a[i] * b[i] + self[i])
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] + other[i])
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    macro_rules! vector {
        ($type:ty, $lanes:literal, $load:ident, $store:ident, $splat:ident, $fma:ident, $add:ident) => {
            impl Vector for $type {
                const LANES: usize = $lanes;
                #[inline(always)]
                unsafe fn load(from: *const f32) -> Self {
                    // SAFETY: by the trait's contract; unaligned loads.
                    unsafe { $load(from) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut f32) {
                    // SAFETY: by the trait's contract; unaligned stores.
                    unsafe { $store(to, self) }
                }
                #[inline(always)]
                unsafe fn splat(value: f32) -> Self {
                    // SAFETY: by the trait's contract.
                    unsafe { $splat(value) }
                }
                #[inline(always)]
                unsafe fn add_product(self, a: Self, b: Self) -> Self {
                    // SAFETY: by the trait's contract.
                    unsafe { $fma(a, b, self) }
                }
                #[inline(always)]
                unsafe fn add(self, other: Self) -> Self {
                    // SAFETY: by the trait's contract.
                    unsafe { $add(self, other) }
                }
            }
        };
    }
    vector!(
        __m512,
        16,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps
    );
    vector!(
        __m256,
        8,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_set1_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps
    );
}

/// One column stripe of `C`: all rows against one panel of `B`.
///
/// # Safety
/// `left` must hold `rows` rows of `depth` columns, `panel.data` `depth` rows, and
/// `c` `rows` rows at `c_stride` that reach to the panel's last column.
pub(super) unsafe fn stripe(
    left: Left,
    rows: usize,
    depth: usize,
    panel: Panel<'_>,
    c: *mut f32,
    c_stride: usize,
    add: bool,
) {
    debug_assert!(panel.data.len() >= depth * panel.vectors * Shape::of_isa().lanes);
    let task = Stripe {
        left,
        rows,
        depth,
        b: panel.data.as_ptr(),
        columns: panel.columns,
        // SAFETY: the panel's columns lie inside the row.
        c: unsafe { c.add(panel.first_column) },
        c_stride,
        add,
    };
    match isa() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the machine has AVX-512; the rest by the caller's promise.
        Isa::Avx512 => unsafe { stripe_avx512(task, panel.vectors) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the machine has AVX2 and FMA; the rest by the caller's promise.
        Isa::Avx2 => unsafe { stripe_avx2(task, panel.vectors) },
        _ => {
            // SAFETY: by the caller's promise.
            unsafe {
                match panel.vectors {
                    1 => task.run::<[f32; 4], 4, 1>(),
                    _ => task.run::<[f32; 4], 4, 2>(),
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn stripe_avx512(task: Stripe, vectors: usize) {
    use std::arch::x86_64::__m512;
    // SAFETY: by the contract of `stripe`.
    unsafe {
        match vectors {
            1 => task.run::<__m512, 8, 1>(),
            2 => task.run::<__m512, 8, 2>(),
            _ => task.run::<__m512, 8, 3>(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn stripe_avx2(task: Stripe, vectors: usize) {
    use std::arch::x86_64::__m256;
    // SAFETY: by the contract of `stripe`.
    unsafe {
        match vectors {
            1 => task.run::<__m256, 6, 1>(),
            _ => task.run::<__m256, 6, 2>(),
        }
    }
}

#[derive(Clone, Copy)]
struct Stripe {
    left: Left,
    rows: usize,
    depth: usize,
    b: *const f32,
    columns: usize,
    c: *mut f32,
    c_stride: usize,
    add: bool,
}

impl Stripe {
    /// # Safety
    /// The contract of [`stripe`], for vectors of type `V`.
    #[inline(always)]
    unsafe fn run<V: Vector, const ROWS: usize, const VECTORS: usize>(self) {
        let mut row = 0;
        // SAFETY: rows stay below `self.rows`.
        unsafe {
            while row + ROWS <= self.rows {
                match ROWS {
                    8 => tile_8::<V, VECTORS>(self, row, row, ROWS),
                    6 => tile_6::<V, VECTORS>(self, row, row, ROWS),
                    _ => tile_4::<V, VECTORS>(self, row, row, ROWS),
                }
                row += ROWS;
            }
            // The last rows, in tiles of four, two and one.
            let panel = row;
            if ROWS > 4 && row + 4 <= self.rows {
                tile_4::<V, VECTORS>(self, row, panel, ROWS);
                row += 4;
            }
            if row + 2 <= self.rows {
                tile_2::<V, VECTORS>(self, row, panel, ROWS);
                row += 2;
            }
            if row < self.rows {
                tile_1::<V, VECTORS>(self, row, panel, ROWS);
            }
        }
    }
}

/// Defines the tile of the given rows. Its rows are written out one by one: the
/// compiler keeps an array of accumulators in registers only when no loop indexes it.
macro_rules! tile {
    ($name:ident: $($row:literal)*) => {
        /// The tile at `row`, which lies in the panel of `A` that begins at row `panel`.
        ///
        /// # Safety
        /// As [`Stripe::run`].
        #[inline(always)]
        unsafe fn $name<V: Vector, const VECTORS: usize>(
            task: Stripe,
            row: usize,
            panel: usize,
            unit: usize,
        ) {
            // SAFETY: all addresses lie inside what the contract of `stripe` names.
            unsafe {
                let (a, row_stride, column_stride) = task.left.at(panel, unit, task.depth);
                let mut a = a.add((row - panel) * row_stride);
                let mut b = task.b;
                let mut sums = [$({ let _ = $row; [V::splat(0.0); VECTORS] }),*];
                for _ in 0..task.depth {
                    let mut right = [V::splat(0.0); VECTORS];
                    for (j, vector) in right.iter_mut().enumerate() {
                        *vector = V::load(b.add(j * V::LANES));
                    }
                    $({
                        let left = V::splat(*a.add($row * row_stride));
                        for j in 0..VECTORS {
                            sums[$row][j] = sums[$row][j].add_product(left, right[j]);
                        }
                    })*
                    // Past the last column this may leave the matrix; it is not read there.
                    a = a.wrapping_add(column_stride);
                    b = b.add(VECTORS * V::LANES);
                }
                let c = task.c.add(row * task.c_stride);
                $(task.write_row(c.add($row * task.c_stride), sums[$row]);)*
            }
        }
    };
}

tile!(tile_8: 0 1 2 3 4 5 6 7);
tile!(tile_6: 0 1 2 3 4 5);
tile!(tile_4: 0 1 2 3);
tile!(tile_2: 0 1);
tile!(tile_1: 0);

impl Stripe {
    /// Writes one row of a tile to `C`, without the columns that only fill a vector.
    ///
    /// # Safety
    /// `to` must have room for the panel's columns.
    #[inline(always)]
    unsafe fn write_row<V: Vector, const VECTORS: usize>(&self, to: *mut f32, sums: [V; VECTORS]) {
        // SAFETY: whole vectors and the loop's end stay inside the panel's columns.
        unsafe {
            for (j, sum) in sums.into_iter().enumerate() {
                let to = to.add(j * V::LANES);
                let columns = self.columns - j * V::LANES;
                if columns >= V::LANES {
                    let sum = if self.add { V::load(to).add(sum) } else { sum };
                    sum.store(to);
                } else {
                    let mut line = [0.0f32; 16];
                    sum.store(line.as_mut_ptr());
                    for (j, &value) in line[..columns].iter().enumerate() {
                        let to = to.add(j);
                        *to = if self.add { *to + value } else { value };
                    }
                }
            }
        }
    }
}
