//! Masks of one bit a weight: what is off is zero.

use crate::isa::for_each_isa;
use crate::profile;
use crate::threads::{self, Shared};

/// Weights of one word of a mask.
pub const WORD: usize = u64::BITS as usize;

/// Words of a mask that one task applies.
const TASK_WORDS: usize = 1 << 10;

for_each_isa! {
    fn keep<FMA>(bits: &[u64], values: &mut [f32]) {
        const GROUP: usize = 16;
        for (&word, values) in bits.iter().zip(values.chunks_mut(WORD)) {
            let (groups, rest) = values.as_chunks_mut::<GROUP>();
            let whole = groups.len() * GROUP;
            for (group, values) in groups.iter_mut().enumerate() {
                // Sixteen bits as sixteen numbers, so that the loop vectorises.
                let bits = (word >> (group * GROUP)) as u32;
                for (lane, value) in values.iter_mut().enumerate() {
                    let on = 0u32.wrapping_sub((bits >> lane) & 1);
                    *value = f32::from_bits(value.to_bits() & on);
                }
            }
            for (lane, value) in rest.iter_mut().enumerate() {
                if (word >> (whole + lane)) & 1 == 0 {
                    *value = 0.0;
                }
            }
        }
    }
}

/// Sets to zero every value whose bit is off, on all threads. Bit `i % 64` of word `i / 64`
/// is that of value `i`.
///
/// # Panics
/// When there are not as many words as the values take.
pub fn apply(bits: &[u64], values: &mut [f32]) {
    let _timer = profile::timer("masks", || 0.0);
    let len = values.len();
    assert_eq!(bits.len(), len.div_ceil(WORD), "words of a mask");
    let values = Shared::new(values);
    threads::run(bits.len().div_ceil(TASK_WORDS), |task| {
        let words = task * TASK_WORDS..((task + 1) * TASK_WORDS).min(bits.len());
        let range = words.start * WORD..(words.end * WORD).min(len);
        // SAFETY: the tasks' ranges do not overlap.
        keep(&bits[words], unsafe { values.range(range) });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;
    use crate::testing::numbers;

    #[test]
    fn what_is_off_is_zero_and_the_rest_is_left_alone() {
        for len in [0, 1, 63, 64, 65, 200, 3 * TASK_WORDS * WORD + 37] {
            let bits: Vec<u64> =
                (0..len.div_ceil(WORD)).map(|i| Key::new(1).bits(i as u64)).collect();
            let mut values = numbers(len, 2);
            if len > 9 {
                values[9] = f32::NAN;
            }
            let before = values.clone();
            apply(&bits, &mut values);
            for (i, (value, before)) in values.iter().zip(&before).enumerate() {
                let on = (bits[i / WORD] >> (i % WORD)) & 1 == 1;
                let want = if on { before.to_bits() } else { 0 };
                assert_eq!(value.to_bits(), want, "value {i} of {len}");
            }
        }
    }
}
