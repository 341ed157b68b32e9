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
    /// As they lie in memory: rows adjacent, columns `stride` apart.
    Columns { data: *const f32, stride: usize },
    /// Packed by [`super::pack::pack_left`].
    Panels(*const f32),
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
                    8 => tile_8::<V, ROWS, VECTORS>(self, row, row),
                    6 => tile_6::<V, ROWS, VECTORS>(self, row, row),
                    _ => tile_4::<V, ROWS, VECTORS>(self, row, row),
                }
                row += ROWS;
            }
            // The last rows, in tiles of four, two and one.
            let panel = row;
            if ROWS > 4 && row + 4 <= self.rows {
                tile_4::<V, ROWS, VECTORS>(self, row, panel);
                row += 4;
            }
            if row + 2 <= self.rows {
                tile_2::<V, ROWS, VECTORS>(self, row, panel);
                row += 2;
            }
            if row < self.rows {
                tile_1::<V, ROWS, VECTORS>(self, row, panel);
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
fn opaque(address: *const f32) -> *const f32 {
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
        /// The tile at `row`, which lies in the panel of `A`, `UNIT` rows high, that
        /// begins at row `panel`.
        ///
        /// # Safety
        /// As [`Stripe::run`].
        #[inline(always)]
        unsafe fn $name<V: Vector, const UNIT: usize, const VECTORS: usize>(
            task: Stripe,
            row: usize,
            panel: usize,
        ) {
            // SAFETY: all addresses lie inside what the contract of `stripe` names.
            unsafe {
                let c = task.c.add(row * task.c_stride);
                if task.add {
                    $(prefetch_row::<V, VECTORS>(c.add($row * task.c_stride));)*
                }
                let mut sums = [$({ let _ = $row; [V::splat(0.0); VECTORS] }),*];
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
                    Left::Columns { data, stride } => {
                        let a = data.add(row);
                        for k in (0..whole).step_by(UNROLL) {
                            sums = $packed::<V, VECTORS, UNROLL>(a, stride, k, task.b, sums);
                        }
                        for k in whole..task.depth {
                            sums = $packed::<V, VECTORS, 1>(a, stride, k, task.b, sums);
                        }
                    }
                    Left::Panels(data) => {
                        let a = data.add(panel * task.depth + (row - panel));
                        for k in (0..whole).step_by(UNROLL) {
                            sums = $packed::<V, VECTORS, UNROLL>(a, UNIT, k, task.b, sums);
                        }
                        for k in whole..task.depth {
                            sums = $packed::<V, VECTORS, 1>(a, UNIT, k, task.b, sums);
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
            a: [*const f32; [$($row),*].len()],
            k: usize,
            b: *const f32,
            mut sums: [[V; VECTORS]; [$($row),*].len()],
        ) -> [[V; VECTORS]; [$($row),*].len()] {
            for step in k..k + STEPS {
                // SAFETY: by the contract.
                unsafe {
                    let right = load_row::<V, VECTORS>(b, step);
                    $({
                        let left = V::splat(*a[$row].add(step));
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
            a: *const f32,
            stride: usize,
            k: usize,
            b: *const f32,
            mut sums: [[V; VECTORS]; [$($row),*].len()],
        ) -> [[V; VECTORS]; [$($row),*].len()] {
            for step in k..k + STEPS {
                // SAFETY: by the contract.
                unsafe {
                    let right = load_row::<V, VECTORS>(b, step);
                    $({
                        let left = V::splat(*a.add(step * stride + $row));
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
fn prefetch_row<V: Vector, const VECTORS: usize>(c: *const f32) {
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
unsafe fn load_row<V: Vector, const VECTORS: usize>(b: *const f32, k: usize) -> [V; VECTORS] {
    // SAFETY: by the caller's promise.
    unsafe {
        let b = b.add(k * VECTORS * V::LANES);
        let mut row = [V::splat(0.0); VECTORS];
        for (j, vector) in row.iter_mut().enumerate() {
            *vector = V::load(b.add(j * V::LANES));
        }
        row
    }
}

tile!(tile_8, strided_8, packed_8: 0 1 2 3 4 5 6 7);
tile!(tile_6, strided_6, packed_6: 0 1 2 3 4 5);
tile!(tile_4, strided_4, packed_4: 0 1 2 3);
tile!(tile_2, strided_2, packed_2: 0 1);
tile!(tile_1, strided_1, packed_1: 0);

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
