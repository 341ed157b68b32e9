//! Products of `f32`.

use super::{Element, Kernel, Shape, Stripe, Vector};
use crate::isa::{Isa, isa};

impl Element for f32 {
    type Sum = f32;

    fn shape() -> Shape {
        match isa() {
            // 24 accumulators of 32 registers.
            Isa::Avx512 => Shape { kernel: Kernel::Avx512, rows: 8, lanes: 16, vectors: 3 },
            // 12 of 16.
            Isa::Avx2 => Shape { kernel: Kernel::Avx2, rows: 6, lanes: 8, vectors: 2 },
            Isa::Portable => Shape { kernel: Kernel::Portable, rows: 4, lanes: 4, vectors: 2 },
        }
    }

    unsafe fn run(kernel: Kernel, task: Stripe<f32>, vectors: usize) {
        // SAFETY: by the caller's promise.
        unsafe {
            match kernel {
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx512 => avx512(task, vectors),
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx2 => avx2(task, vectors),
                _ => match vectors {
                    1 => task.run::<[f32; 4], 4, 1>(),
                    _ => task.run::<[f32; 4], 4, 2>(),
                },
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn avx512(task: Stripe<f32>, vectors: usize) {
    use std::arch::x86_64::__m512;
    // SAFETY: by the caller's promise.
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
unsafe fn avx2(task: Stripe<f32>, vectors: usize) {
    use std::arch::x86_64::__m256;
    // SAFETY: by the caller's promise.
    unsafe {
        match vectors {
            1 => task.run::<__m256, 6, 1>(),
            _ => task.run::<__m256, 6, 2>(),
        }
    }
}

impl Vector for [f32; 4] {
    type Element = f32;
    type Left = f32;
    type Right = [f32; 4];
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn zero() -> Self {
        [0.0; 4]
    }
    #[inline(always)]
    unsafe fn left(from: *const f32) -> f32 {
        // SAFETY: by the trait's contract.
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn right(from: *const f32) -> Self {
        // SAFETY: by the trait's contract; an array of f32 has the alignment of f32.
        unsafe { *from.cast() }
    }
    #[inline(always)]
    unsafe fn add_product(self, left: f32, right: Self) -> Self {
        std::array::from_fn(|i| left * right[i] + self[i])
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] + other[i])
    }
    #[inline(always)]
    unsafe fn read(from: *const f32) -> Self {
        // SAFETY: as for `right`.
        unsafe { *from.cast() }
    }
    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        // SAFETY: as for `right`.
        unsafe { *to.cast() = self };
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    macro_rules! vector {
        ($type:ty, $lanes:literal, $zero:ident, $load:ident, $store:ident, $splat:ident, $fma:ident, $add:ident) => {
            impl Vector for $type {
                type Element = f32;
                type Left = $type;
                type Right = $type;
                const LANES: usize = $lanes;
                #[inline(always)]
                unsafe fn zero() -> Self {
                    // SAFETY: by the trait's contract, here and below; loads and stores
                    // are unaligned.
                    unsafe { $zero() }
                }
                #[inline(always)]
                unsafe fn left(from: *const f32) -> Self {
                    // SAFETY: as above.
                    unsafe { $splat(*from) }
                }
                #[inline(always)]
                unsafe fn right(from: *const f32) -> Self {
                    // SAFETY: as above.
                    unsafe { $load(from) }
                }
                #[inline(always)]
                unsafe fn add_product(self, left: Self, right: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $fma(left, right, self) }
                }
                #[inline(always)]
                unsafe fn add(self, other: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $add(self, other) }
                }
                #[inline(always)]
                unsafe fn read(from: *const f32) -> Self {
                    // SAFETY: as above.
                    unsafe { $load(from) }
                }
                #[inline(always)]
                unsafe fn write(self, to: *mut f32) {
                    // SAFETY: as above.
                    unsafe { $store(to, self) }
                }
            }
        };
    }
    vector!(
        __m512,
        16,
        _mm512_setzero_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps
    );
    vector!(
        __m256,
        8,
        _mm256_setzero_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_set1_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps
    );
}
