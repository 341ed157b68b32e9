//! The smallest of very many numbers, without sorting and without memory for them: their digits
//! are counted from the highest to the lowest, one pass over the numbers each.

/// The digits of a key: by how many bits each lies above the lowest, and how many it has.
const DIGITS: [(u32, u32); 3] = [(21, 11), (10, 11), (0, 10)];

const BINS: usize = 1 << 11;

/// Counts how often each digit comes.
#[derive(Debug)]
pub(super) struct Selector {
    bins: Box<[u32; BINS]>,
    shift: u32,
    bits: u32,
    /// What the digits above must be.
    above: u64,
}

/// Which keys were chosen: all that are smaller than one, and the first few that equal it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chosen {
    key: u32,
    equal: usize,
}

impl Default for Selector {
    fn default() -> Self {
        Selector { bins: Box::new([0; BINS]), shift: 0, bits: 0, above: 0 }
    }
}

impl Selector {
    /// Chooses the `count` smallest keys. `visit` must [add](Selector::add) the same keys
    /// whenever it is called. Of equal keys the first are taken.
    pub(super) fn smallest(&mut self, count: usize, visit: impl Fn(&mut Selector)) -> Chosen {
        let mut chosen = Chosen { key: 0, equal: count };
        if count == 0 {
            return chosen;
        }
        for (shift, bits) in DIGITS {
            self.bins.fill(0);
            (self.shift, self.bits) = (shift, bits);
            self.above = u64::from(chosen.key) >> (shift + bits);
            visit(self);
            for (digit, &keys) in (0..).zip(self.bins.iter()) {
                chosen.key = (chosen.key & !(((1 << bits) - 1) << shift)) | (digit << shift);
                if chosen.equal <= keys as usize || digit + 1 == 1 << bits {
                    break;
                }
                chosen.equal -= keys as usize;
            }
        }
        chosen
    }

    /// Counts a key.
    #[inline(always)]
    pub(super) fn add(&mut self, key: u32) {
        if u64::from(key) >> (self.shift + self.bits) == self.above {
            self.bins[(key >> self.shift) as usize & ((1 << self.bits) - 1)] += 1;
        }
    }
}

impl Chosen {
    /// Whether a key was chosen; to be asked once for each, in their order.
    #[inline(always)]
    pub(super) fn takes(&mut self, key: u32) -> bool {
        if key == self.key && self.equal > 0 {
            self.equal -= 1;
            return true;
        }
        key < self.key
    }
}

#[cfg(test)]
mod tests {
    use limbeck_kernels::random::Key;

    use super::*;

    #[test]
    fn the_smallest_are_those_that_sorting_finds() {
        let mut selector = Selector::default();
        for (length, mask) in [(1, u32::MAX), (7, 3), (500, 0xf00f), (3000, u32::MAX)] {
            let keys: Vec<u32> = (0..length).map(|i| Key::new(2).bits(i) as u32 & mask).collect();
            for count in [0, 1, keys.len() / 3, keys.len() - 1, keys.len()] {
                let mut chosen = selector.smallest(count, |s| keys.iter().for_each(|&k| s.add(k)));
                let got: Vec<usize> = (0..keys.len()).filter(|&i| chosen.takes(keys[i])).collect();
                let mut want: Vec<usize> = (0..keys.len()).collect();
                want.sort_by_key(|&i| (keys[i], i));
                want.truncate(count);
                want.sort_unstable();
                assert_eq!(got, want, "{count} of {length}");
            }
        }
    }
}
