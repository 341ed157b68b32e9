//! Products of bytes: those of `A` unsigned, those of `B` signed, four at a time, added up
//! exactly in `i32`. Every kernel gives the same sums.

use std::sync::OnceLock;

use super::{Element, Kernel, Shape, Stripe, Vector};
#[cfg(target_arch = "x86_64")]
use crate::isa::{Isa, isa};

/// Four bytes that follow one another in `k`: unsigned in `A`, signed in `B`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C, align(4))]
pub(in super::super) struct Word([u8; 4]);

impl Word {
    /// The bytes of some words, in order.
    pub fn bytes_mut(words: &mut [Word]) -> &mut [u8] {
        // SAFETY: a word is four bytes and nothing else.
        unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), 4 * words.len()) }
    }

    /// The same memory as sums, which [`f32::to_bits`] shows as well.
    pub fn sums_in(floats: &mut [f32]) -> &mut [i32] {
        // SAFETY: both are four bytes, aligned alike, and any bits are a value of both.
        unsafe { std::slice::from_raw_parts_mut(floats.as_mut_ptr().cast(), floats.len()) }
    }
}

impl Kernel {
    /// The tile of a kernel for words; none where this machine has it not.
    pub(in super::super) fn shape_for_words(self) -> Option<Shape> {
        if !Kernel::for_words().contains(&self) {
            return None;
        }
        let (rows, lanes, vectors) = match self {
            Kernel::Avx512Vnni => (8, 16, 3),
            Kernel::AvxVnni => (6, 8, 2),
            // Bytes are widened on the way, which takes registers.
            Kernel::Avx2 => (4, 8, 2),
            Kernel::Portable => (4, 4, 2),
            Kernel::Avx512 => return None,
        };
        Some(Shape { kernel: self, rows, lanes, vectors })
    }

    /// The kernels for words that this machine has, the best first.
    pub(in super::super) fn for_words() -> &'static [Kernel] {
        static KERNELS: OnceLock<Vec<Kernel>> = OnceLock::new();
        KERNELS.get_or_init(|| {
            let mut kernels = Vec::new();
            #[cfg(target_arch = "x86_64")]
            {
                if isa() >= Isa::Avx512 && is_x86_feature_detected!("avx512vnni") {
                    kernels.push(Kernel::Avx512Vnni);
                }
                if isa() >= Isa::Avx2 && is_x86_feature_detected!("avxvnni") {
                    kernels.push(Kernel::AvxVnni);
                }
                if isa() >= Isa::Avx2 {
                    kernels.push(Kernel::Avx2);
                }
            }
            kernels.push(Kernel::Portable);
            kernels
        })
    }
}

impl Element for Word {
    type Sum = i32;

    fn shape() -> Shape {
        let best = Kernel::for_words()[0];
        best.shape_for_words().expect("a kernel for words has a tile")
    }

    unsafe fn run(kernel: Kernel, task: Stripe<Word>, vectors: usize) {
        // SAFETY: by the caller's promise.
        unsafe {
            match kernel {
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx512Vnni => avx512_vnni(task, vectors),
                #[cfg(target_arch = "x86_64")]
                Kernel::AvxVnni => avx_vnni(task, vectors),
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx2 => avx2(task, vectors),
                _ => match vectors {
                    1 => task.run::<[i32; 4], 4, 1>(),
                    _ => task.run::<[i32; 4], 4, 2>(),
                },
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn avx512_vnni(task: Stripe<Word>, vectors: usize) {
    // SAFETY: by the caller's promise.
    unsafe {
        match vectors {
            1 => task.run::<x86::Sums512, 8, 1>(),
            2 => task.run::<x86::Sums512, 8, 2>(),
            _ => task.run::<x86::Sums512, 8, 3>(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avxvnni,avx2,fma")]
unsafe fn avx_vnni(task: Stripe<Word>, vectors: usize) {
    // SAFETY: by the caller's promise.
    unsafe {
        match vectors {
            1 => task.run::<x86::SumsVnni, 6, 1>(),
            _ => task.run::<x86::SumsVnni, 6, 2>(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(task: Stripe<Word>, vectors: usize) {
    // SAFETY: by the caller's promise.
    unsafe {
        match vectors {
            1 => task.run::<x86::SumsWidened, 4, 1>(),
            _ => task.run::<x86::SumsWidened, 4, 2>(),
        }
    }
}

impl Vector for [i32; 4] {
    type Element = Word;
    type Left = [i32; 4];
    type Right = [[i32; 4]; 4];
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn zero() -> Self {
        [0; 4]
    }
    #[inline(always)]
    unsafe fn left(from: *const Word) -> [i32; 4] {
        // SAFETY: by the trait's contract.
        unsafe { *from }.0.map(i32::from)
    }
    #[inline(always)]
    unsafe fn right(from: *const Word) -> [[i32; 4]; 4] {
        // SAFETY: by the trait's contract; an array of words has the alignment of one.
        let words = unsafe { *from.cast::<[Word; 4]>() };
        words.map(|word| word.0.map(|byte| i32::from(byte.cast_signed())))
    }
    #[inline(always)]
    unsafe fn add_product(self, left: [i32; 4], right: [[i32; 4]; 4]) -> Self {
        std::array::from_fn(|lane| (0..4).fold(self[lane], |sum, i| sum + left[i] * right[lane][i]))
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] + other[i])
    }
    #[inline(always)]
    unsafe fn read(from: *const i32) -> Self {
        // SAFETY: by the trait's contract.
        unsafe { *from.cast() }
    }
    #[inline(always)]
    unsafe fn write(self, to: *mut i32) {
        // SAFETY: by the trait's contract.
        unsafe { *to.cast() = self };
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Vector, Word};
    use std::arch::x86_64::*;

    /// Sixteen sums.
    #[derive(Clone, Copy)]
    pub struct Sums512(__m512i);

    /// Eight sums, added up by AVX-VNNI.
    #[derive(Clone, Copy)]
    pub struct SumsVnni(__m256i);

    /// Eight sums. The instruction of AVX2 that multiplies bytes saturates, so bytes are
    /// widened to 16 bits, those at even places and those at odd places apart.
    #[derive(Clone, Copy)]
    pub struct SumsWidened(__m256i);

    /// What the three have in common.
    macro_rules! vector {
        ($type:ident, $lanes:literal, $left:ty, $right:ty, $zero:ident, $load:ident, $store:ident, $add:ident) => {
            type Element = Word;
            type Left = $left;
            type Right = $right;
            const LANES: usize = $lanes;
            #[inline(always)]
            unsafe fn zero() -> Self {
                // SAFETY: by the trait's contract, here and below; loads and stores are
                // unaligned.
                $type(unsafe { $zero() })
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: as above.
                $type(unsafe { $add(self.0, other.0) })
            }
            #[inline(always)]
            unsafe fn read(from: *const i32) -> Self {
                // SAFETY: as above.
                $type(unsafe { $load(from.cast()) })
            }
            #[inline(always)]
            unsafe fn write(self, to: *mut i32) {
                // SAFETY: as above.
                unsafe { $store(to.cast(), self.0) }
            }
        };
    }

    impl Vector for Sums512 {
        vector!(
            Sums512,
            16,
            __m512i,
            __m512i,
            _mm512_setzero_si512,
            _mm512_loadu_si512,
            _mm512_storeu_si512,
            _mm512_add_epi32
        );
        #[inline(always)]
        unsafe fn left(from: *const Word) -> __m512i {
            // SAFETY: by the trait's contract.
            unsafe { _mm512_set1_epi32(*from.cast()) }
        }
        #[inline(always)]
        unsafe fn right(from: *const Word) -> __m512i {
            // SAFETY: by the trait's contract.
            unsafe { _mm512_loadu_si512(from.cast()) }
        }
        #[inline(always)]
        unsafe fn add_product(self, left: __m512i, right: __m512i) -> Self {
            // SAFETY: by the trait's contract.
            Sums512(unsafe { _mm512_dpbusd_epi32(self.0, left, right) })
        }
    }

    impl Vector for SumsVnni {
        vector!(
            SumsVnni,
            8,
            __m256i,
            __m256i,
            _mm256_setzero_si256,
            _mm256_loadu_si256,
            _mm256_storeu_si256,
            _mm256_add_epi32
        );
        #[inline(always)]
        unsafe fn left(from: *const Word) -> __m256i {
            // SAFETY: by the trait's contract.
            unsafe { _mm256_set1_epi32(*from.cast()) }
        }
        #[inline(always)]
        unsafe fn right(from: *const Word) -> __m256i {
            // SAFETY: by the trait's contract.
            unsafe { _mm256_loadu_si256(from.cast()) }
        }
        #[inline(always)]
        unsafe fn add_product(self, left: __m256i, right: __m256i) -> Self {
            // SAFETY: by the trait's contract.
            SumsVnni(unsafe { _mm256_dpbusd_avx_epi32(self.0, left, right) })
        }
    }

    impl Vector for SumsWidened {
        vector!(
            SumsWidened,
            8,
            [__m256i; 2],
            [__m256i; 2],
            _mm256_setzero_si256,
            _mm256_loadu_si256,
            _mm256_storeu_si256,
            _mm256_add_epi32
        );
        #[inline(always)]
        unsafe fn left(from: *const Word) -> [__m256i; 2] {
            // SAFETY: by the trait's contract.
            unsafe {
                let bytes = _mm256_set1_epi32(*from.cast());
                [_mm256_and_si256(bytes, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(bytes, 8)]
            }
        }
        #[inline(always)]
        unsafe fn right(from: *const Word) -> [__m256i; 2] {
            // SAFETY: by the trait's contract.
            unsafe {
                let bytes = _mm256_loadu_si256(from.cast());
                [_mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8), _mm256_srai_epi16(bytes, 8)]
            }
        }
        #[inline(always)]
        unsafe fn add_product(self, left: [__m256i; 2], right: [__m256i; 2]) -> Self {
            // SAFETY: by the trait's contract.
            unsafe {
                let even = _mm256_madd_epi16(left[0], right[0]);
                let odd = _mm256_madd_epi16(left[1], right[1]);
                SumsWidened(_mm256_add_epi32(self.0, _mm256_add_epi32(even, odd)))
            }
        }
    }
}
