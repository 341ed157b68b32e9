//! Dropout (Srivastava et al., 2014) whose mask is computed where it is needed and
//! never stored: forward and backward ask the same key and get the same answer.

use crate::isa::for_each_isa;
use crate::random::Key;
use crate::threads::{self, Shared};

/// What to drop, and where the random bits come from.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    key: Key,
    threshold: u32,
    scale: f32,
    place: Place,
}

/// Where the rows of a part of a batch lie in the whole: there they drop what they would drop in
/// the whole, so that a batch may be divided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// The rows before it.
    pub first_row: usize,
    /// The sequences before it.
    pub first_sequence: usize,
    /// Of the rows before it those that the head reads, where it does not read all.
    pub first_read: usize,
}

impl Dropout {
    /// Drops each value with probability `rate` and scales the others by
    /// `1 / (1 - rate)`. A rate of 0 or below keeps all; of 1 or above, none.
    pub fn new(rate: f32, key: Key) -> Self {
        let rate = rate.clamp(0.0, 1.0);
        // A threshold of 0 drops nothing; 1.0 saturates to u32::MAX, and the scale of
        // zero takes the one value in 2^32 that would slip through.
        let threshold = (f64::from(rate) * 4_294_967_296.0) as u32;
        let scale = if rate < 1.0 { 1.0 / (1.0 - rate) } else { 0.0 };
        Self { key, threshold, scale, place: Place::default() }
    }

    /// The same for a part of a batch.
    #[must_use]
    pub fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// No dropout.
    pub fn none() -> Self {
        Self::new(0.0, Key::new(0))
    }

    /// Whether every value is kept.
    pub fn is_none(self) -> bool {
        self.threshold == 0
    }

    /// The mask over rows of `columns` values, ready for a loop.
    pub(crate) fn mask_of_rows(self, columns: usize) -> Option<Mask> {
        let first = (self.place.first_row * columns) as u32;
        (!self.is_none()).then(|| Mask { first, ..Mask::new(self, self.key) })
    }

    /// The mask of one head of one sequence: its own stream, so that it does not depend on which
    /// thread asks. `index` is `sequence * heads + head`.
    pub(crate) fn mask_of_head(self, index: usize, heads: usize) -> Option<Mask> {
        let index = self.place.first_sequence * heads + index;
        (!self.is_none()).then(|| Mask::new(self, self.key.child(index as u64)))
    }
}

for_each_isa! {
    fn apply_part<FMA>(values: &mut [f32], mask: Mask, index: u32) {
        for (i, value) in values.iter_mut().enumerate() {
            *value *= mask.factor(index.wrapping_add(i as u32));
        }
    }
}

impl Mask {
    fn new(dropout: Dropout, key: Key) -> Self {
        let (low, high) = key.halves();
        Mask { low, high, threshold: dropout.threshold, scale: dropout.scale, first: 0 }
    }

    /// Multiplies `values` by the factors of `index..`, on this thread.
    pub fn apply_here(self, values: &mut [f32], index: u32) {
        apply_part(values, self, index);
    }
}

impl Dropout {
    /// Multiplies rows of `columns` values by the factors that belong to their places. Forward
    /// and backward are the same.
    pub fn apply(self, values: &mut [f32], columns: usize) {
        const TASK_VALUES: usize = 1 << 15;
        let Some(mask) = self.mask_of_rows(columns) else { return };
        let len = values.len();
        let values = Shared::new(values);
        threads::run(len.div_ceil(TASK_VALUES), |task| {
            let range = task * TASK_VALUES..((task + 1) * TASK_VALUES).min(len);
            // SAFETY: the tasks' ranges do not overlap.
            mask.apply_here(unsafe { values.range(range.clone()) }, range.start as u32);
        });
    }
}

/// The factors by which values are multiplied: 0, or `1 / (1 - rate)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask {
    low: u32,
    high: u32,
    threshold: u32,
    scale: f32,
    /// Added to every index.
    first: u32,
}

impl Mask {
    /// The factor of the value at `index`.
    ///
    /// The index is hashed by two rounds of multiply-xorshift (constants of Wellons'
    /// `lowbias32`), one word of the key before each, which vectorises.
    #[inline(always)]
    pub fn factor(self, index: u32) -> f32 {
        let h = index.wrapping_add(self.first) ^ self.low;
        let h = (h ^ (h >> 16)).wrapping_mul(0x7feb_352d) ^ self.high;
        let h = (h ^ (h >> 15)).wrapping_mul(0x846c_a68b);
        let h = h ^ (h >> 16);
        if h >= self.threshold { self.scale } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(rate: f32, key: Key, n: u32) -> Vec<bool> {
        let mask = Dropout::new(rate, key).mask_of_rows(1);
        (0..n).map(|i| mask.is_none_or(|mask| mask.factor(i) > 0.0)).collect()
    }

    #[test]
    fn the_share_of_dropped_values_is_the_rate() {
        for rate in [0.1f32, 0.5, 0.9] {
            let kept = kept(rate, Key::new(5), 200_000);
            let dropped = kept.iter().filter(|&&k| !k).count() as f32 / kept.len() as f32;
            assert!((dropped - rate).abs() < 0.005, "{dropped} dropped at {rate}");
        }
    }

    #[test]
    fn neighbours_rows_and_keys_are_independent() {
        let n = 200_000;
        let a = kept(0.5, Key::new(5).child(1), n);
        let b = kept(0.5, Key::new(5).child(2), n);
        let agree = |x: &[bool], y: &[bool]| {
            x.iter().zip(y).filter(|(x, y)| x == y).count() as f64 / x.len().min(y.len()) as f64
        };
        assert!((agree(&a, &b) - 0.5).abs() < 0.01);
        for shift in [1, 2, 16, 384, 1536] {
            assert!((agree(&a, &a[shift..]) - 0.5).abs() < 0.01, "shift {shift}");
        }
    }

    #[test]
    fn a_part_of_a_batch_drops_what_the_whole_drops_there() {
        let (columns, first_row) = (7, 5);
        let dropout = Dropout::new(0.5, Key::new(5));
        let mut whole = vec![1.0; 20 * columns];
        dropout.apply(&mut whole, columns);
        let mut part = vec![1.0; 10 * columns];
        dropout.at(Place { first_row, ..Place::default() }).apply(&mut part, columns);
        assert_eq!(part, whole[first_row * columns..][..10 * columns]);
    }

    #[test]
    fn the_ends_of_the_range_keep_all_or_none() {
        assert!(Dropout::none().is_none());
        assert!(kept(0.0, Key::new(1), 1000).iter().all(|&k| k));
        assert!(kept(1.0, Key::new(1), 100_000).iter().all(|&k| !k));
    }
}
