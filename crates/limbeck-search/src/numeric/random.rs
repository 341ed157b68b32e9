//! A seeded generator: xoshiro256++ (Blackman and Vigna, 2019), its state filled by SplitMix64.

use super::normal;

/// A stream of random numbers that depends on its keys alone.
#[derive(Debug, Clone)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream of these keys, such as a seed and the number of a trial.
    pub fn new(keys: &[u64]) -> Self {
        let mut mix = 0x243f_6a88_85a3_08d3;
        for &key in keys {
            mix = split_mix(&mut { mix ^ key });
        }
        Self { state: std::array::from_fn(|_| split_mix(&mut mix)) }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// Uniform in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (0.5_f64).powi(53)
    }

    /// Uniform among `0..count`; 0 when there is nothing to choose.
    pub fn below(&mut self, count: usize) -> usize {
        ((self.uniform() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        normal::quantile(self.uniform().max(f64::MIN_POSITIVE))
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_keys_give_the_same_stream_and_others_another() {
        let first = |keys: &[u64]| Random::new(keys).bits();
        assert_eq!(first(&[1, 2]), first(&[1, 2]));
        assert_ne!(first(&[1, 2]), first(&[2, 1]));
        assert_ne!(first(&[0]), first(&[0, 0]));
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut random = Random::new(&[7]);
        let draws = 200_000;
        let uniform = (0..draws).map(|_| random.uniform()).sum::<f64>() / f64::from(draws);
        assert!((uniform - 0.5).abs() < 3e-3, "{uniform}");
        let normals: Vec<f64> = (0..draws).map(|_| random.normal()).collect();
        let mean = normals.iter().sum::<f64>() / f64::from(draws);
        let square = normals.iter().map(|x| x * x).sum::<f64>() / f64::from(draws);
        assert!(mean.abs() < 1e-2 && (square - 1.0).abs() < 2e-2, "{mean} {square}");
    }

    #[test]
    fn every_member_of_a_range_comes_up() {
        let mut random = Random::new(&[3]);
        let mut seen = [0; 5];
        (0..5000).for_each(|_| seen[random.below(5)] += 1);
        assert!(seen.iter().all(|&count| count > 850), "{seen:?}");
        assert_eq!(random.below(0), 0);
    }
}
