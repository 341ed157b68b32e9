//! Sparse rows of a weight against many rows of activations at a time: each weight that is not
//! zero multiplies a vector of rows.

use super::Vector;
use crate::isa::Isa;

/// Rows of activations in a group.
pub(in super::super) const GROUP: usize = 16;

/// A weight that is not zero.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in super::super) struct Entry {
    pub value: f32,
    /// Its input, counted from the first of its block.
    pub input: u32,
}

/// All outputs over one block of inputs.
#[derive(Clone, Copy)]
pub(in super::super) struct Outputs<'a> {
    /// Where the entries of each output begin; one more for the end of the last.
    pub starts: &'a [u32],
    /// Of all outputs and blocks.
    pub entries: &'a [Entry],
    /// The activations, `[inputs of the block, groups * GROUP]`.
    pub x: *const f32,
    /// The sums, `[outputs, groups * GROUP]`.
    pub y: *mut f32,
    /// Whether to add to what is there.
    pub add: bool,
}

impl Outputs<'_> {
    /// Computes the sums for one or two groups of rows.
    ///
    /// # Safety
    /// The machine must have the instruction set; `x` must hold every input that an entry names,
    /// `y` every output, both for so many groups.
    pub unsafe fn run(self, isa: Isa, groups: usize) {
        // SAFETY: by the caller's promise.
        unsafe {
            match (isa, groups) {
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx512, 1) => avx512::<1>(self),
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx512, _) => avx512::<2>(self),
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx2, 1) => avx2::<2>(self),
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx2, _) => avx2::<4>(self),
                (_, 1) => self.sum::<[f32; 4], 4>(),
                (_, _) => self.sum::<[f32; 4], 8>(),
            }
        }
    }

    /// # Safety
    /// As [`Outputs::run`], for `VECTORS` vectors of rows that the machine has.
    #[inline(always)]
    unsafe fn sum<V: Vector<Element = f32>, const VECTORS: usize>(self) {
        let width = VECTORS * V::LANES;
        for (output, ends) in self.starts.windows(2).enumerate() {
            // SAFETY: by the caller's promise; `starts` rise and end with the entries.
            unsafe {
                let y = self.y.add(output * width);
                // Two sums, so that one product need not wait for the one before it.
                let (mut even, mut odd) = ([V::zero(); VECTORS], [V::zero(); VECTORS]);
                let (entries, mut at, end) =
                    (self.entries.as_ptr(), ends[0] as usize, ends[1] as usize);
                while at + 1 < end {
                    even = add_entry::<V, VECTORS>(self.x, entries.add(at), even);
                    odd = add_entry::<V, VECTORS>(self.x, entries.add(at + 1), odd);
                    at += 2;
                }
                if at < end {
                    even = add_entry::<V, VECTORS>(self.x, entries.add(at), even);
                }
                for j in 0..VECTORS {
                    let to = y.add(j * V::LANES);
                    let sum = even[j].add(odd[j]);
                    let sum = if self.add { V::read(to).add(sum) } else { sum };
                    sum.write(to);
                }
            }
        }
    }
}

/// Adds the products of one entry with all rows.
///
/// # Safety
/// The entry and its input must exist.
#[inline(always)]
unsafe fn add_entry<V: Vector<Element = f32>, const VECTORS: usize>(
    x: *const f32,
    entry: *const Entry,
    mut sums: [V; VECTORS],
) -> [V; VECTORS] {
    // SAFETY: by the caller's promise.
    unsafe {
        let x = x.add((*entry).input as usize * (VECTORS * V::LANES));
        let value = V::left(&raw const (*entry).value);
        for (j, sum) in sums.iter_mut().enumerate() {
            *sum = sum.add_product(value, V::right(x.add(j * V::LANES)));
        }
    }
    sums
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn avx512<const VECTORS: usize>(task: Outputs<'_>) {
    // SAFETY: by the caller's promise.
    unsafe { task.sum::<std::arch::x86_64::__m512, VECTORS>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<const VECTORS: usize>(task: Outputs<'_>) {
    // SAFETY: by the caller's promise.
    unsafe { task.sum::<std::arch::x86_64::__m256, VECTORS>() }
}
