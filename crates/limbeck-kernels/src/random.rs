//! A counter-based generator: the value at a place depends on its key and its
//! index, never on what was drawn before. So dropout is the same whatever the number
//! of threads, and the same again after a resume.

/// Mixes one 64-bit word (the finaliser of SplitMix64; Steele, Lea and Flood, 2014).
pub fn mix(word: u64) -> u64 {
    let z = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Names one stream of random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// The root of all streams of a seed.
    pub fn new(seed: u64) -> Self {
        Key(mix(seed))
    }

    /// The stream called `name` below this one.
    #[must_use]
    pub fn child(self, name: u64) -> Self {
        Key(mix(self.0 ^ mix(name)))
    }

    /// 64 random bits at `index`.
    pub fn bits(self, index: u64) -> u64 {
        mix(self.0.wrapping_add(mix(index)))
    }

    /// A number in `[0, 1)` at `index`.
    pub fn uniform(self, index: u64) -> f64 {
        (self.bits(index) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number of the standard normal distribution at `index` (Box and Muller, 1958).
    pub fn normal(self, index: u64) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform(2 * index)).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform(2 * index + 1)).cos()
    }

    /// The two words that [`crate::dropout`] hashes with.
    pub(crate) fn halves(self) -> (u32, u32) {
        ((self.0 >> 32) as u32, self.0 as u32 | 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let key = Key::new(7).child(3);
        let n = 100_000;
        let values: Vec<f64> = (0..n).map(|i| key.normal(i)).collect();
        let mean = values.iter().sum::<f64>() / n as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
        assert!(mean.abs() < 0.01, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.02, "variance {variance}");
    }

    #[test]
    fn children_of_a_key_differ() {
        let key = Key::new(1);
        assert_ne!(key.child(0), key.child(1));
        assert_ne!(key.child(0).child(1), key.child(1).child(0));
        assert_ne!(Key::new(2).child(0), key.child(0));
    }
}
