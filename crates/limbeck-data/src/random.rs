//! A small generator whose numbers depend on its seed alone, on every machine.

/// SplitMix64 (Steele, Lea and Flood, 2014): one 64-bit counter and a mixing function.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// A generator for one purpose: streams of different `stream` are independent.
    pub fn new(seed: u64, stream: u64) -> SplitMix64 {
        let mut mixed = SplitMix64 { state: seed };
        let state = mixed.next_u64() ^ SplitMix64 { state: !stream }.next_u64();
        SplitMix64 { state }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, by the multiply-shift method; 0 when `bound` is 0.
    ///
    /// Its bias is below `bound / 2^64`, far under anything a shuffle could show.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// Puts `items` into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// The stream of random numbers that draws samples.
const SAMPLES: u64 = 0x5a3c_9d17;

/// Draws `count` of `total` things: which of them are drawn.
pub fn drawn(count: usize, total: usize, seed: u64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..total).collect();
    SplitMix64::new(seed, SAMPLES).shuffle(&mut order);
    let mut is_drawn = vec![false; total];
    order.iter().take(count).for_each(|&thing| is_drawn[thing] = true);
    is_drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_are_those_of_the_published_generator() {
        let mut random = SplitMix64 { state: 1234567 };
        assert_eq!(random.next_u64(), 6457827717110365317);
        assert_eq!(random.next_u64(), 3203168211198807973);
        assert_eq!(random.next_u64(), 9817491932198370423);
    }

    #[test]
    fn a_shuffle_keeps_every_item_and_each_stream_has_its_own_order() {
        let shuffled = |stream| {
            let mut items: Vec<u32> = (0..100).collect();
            SplitMix64::new(7, stream).shuffle(&mut items);
            items
        };
        assert_ne!(shuffled(0), shuffled(1));
        assert_eq!(shuffled(3), shuffled(3));
        let mut sorted = shuffled(0);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn every_place_is_reached_about_equally_often() {
        let mut counts = [0_u32; 5];
        let mut random = SplitMix64::new(1, 1);
        for _ in 0..50_000 {
            counts[random.below(5)] += 1;
        }
        assert!(counts.iter().all(|&count| (9_500..10_500).contains(&count)), "{counts:?}");
    }
}
