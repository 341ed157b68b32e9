//! Which features go into which batch of an epoch.

use crate::random::SplitMix64;

/// Batches that are sorted and dealt together. Larger groups make batches more even, smaller
/// ones leave more to chance; at 64 the difference between batches is a few rows.
const GROUP: usize = 64;

/// The batches of one epoch. Seed and epoch alone fix the order, and every full batch has
/// nearly the same number of rows, so that steps take the same time and memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchOrder {
    batches: Vec<Vec<usize>>,
}

impl BatchOrder {
    /// Deals features of these `lengths` (in rows) into batches of `batch_size`; the last
    /// batch has what is left over. A `batch_size` of 0 is read as 1.
    ///
    /// Features are shuffled. Then each group of 64 batches is sorted by length and dealt
    /// out to its batches to and fro, as cards are to players; at last batches are shuffled.
    pub fn new(lengths: &[usize], batch_size: usize, seed: u64, epoch: u64) -> BatchOrder {
        let batch_size = batch_size.max(1);
        let mut random = SplitMix64::new(seed, epoch);
        let mut features: Vec<usize> = (0..lengths.len()).collect();
        random.shuffle(&mut features);
        let left_over = features.split_off(lengths.len() - lengths.len() % batch_size);

        let mut batches = Vec::with_capacity(lengths.len().div_ceil(batch_size));
        for group in features.chunks_mut(batch_size.saturating_mul(GROUP)) {
            // Equal lengths stay in their shuffled order: the sort is stable.
            group.sort_by_key(|&feature| std::cmp::Reverse(lengths[feature]));
            deal(group, batch_size, &mut batches);
        }
        random.shuffle(&mut batches);
        if !left_over.is_empty() {
            batches.push(left_over);
        }
        BatchOrder { batches }
    }

    /// The batches, in the order in which they are to be used, as indices of features.
    pub fn batches(&self) -> &[Vec<usize>] {
        &self.batches
    }

    /// How many batches there are.
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}

/// Deals a sorted group out: a round from the first batch to the last, the next one back.
fn deal(group: &[usize], batch_size: usize, batches: &mut Vec<Vec<usize>>) {
    let first = batches.len();
    let count = group.len() / batch_size;
    batches.extend((0..count).map(|_| Vec::with_capacity(batch_size)));
    let dealt = &mut batches[first..];
    for (round, cards) in group.chunks(count.max(1)).enumerate() {
        for (place, &feature) in cards.iter().enumerate() {
            let batch = if round % 2 == 0 { place } else { count - 1 - place };
            dealt[batch].push(feature);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(count: usize) -> Vec<usize> {
        let mut random = SplitMix64::new(11, 0);
        // Many short ones and a few of full length, as contexts are.
        (0..count).map(|_| 40 + random.below(345).min(random.below(345))).collect()
    }

    #[test]
    fn every_feature_comes_exactly_once_an_epoch() {
        for count in [0, 1, 2, 15, 16, 17, 64, 1024, 1025, 3000] {
            for batch_size in [1, 2, 7, 16] {
                let order = BatchOrder::new(&lengths(count), batch_size, 3, 0);
                assert_eq!(order.len(), count.div_ceil(batch_size));
                assert!(order.batches().iter().rev().skip(1).all(|b| b.len() == batch_size));
                let mut all = order.batches().concat();
                all.sort_unstable();
                assert_eq!(all, (0..count).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn full_batches_have_nearly_the_same_number_of_rows() {
        let lengths = lengths(16 * 64 * 3);
        let rows = |batches: &[Vec<usize>]| -> Vec<usize> {
            batches.iter().map(|batch| batch.iter().map(|&i| lengths[i]).sum()).collect()
        };
        let spread = |rows: &[usize]| {
            let (least, most) = (rows.iter().min().unwrap(), rows.iter().max().unwrap());
            (most - least) as f64 / (rows.iter().sum::<usize>() / rows.len()) as f64
        };
        let dealt = spread(&rows(BatchOrder::new(&lengths, 16, 3, 0).batches()));
        let unsorted: Vec<usize> = (0..lengths.len()).collect();
        let undealt: Vec<Vec<usize>> = unsorted.chunks(16).map(<[usize]>::to_vec).collect();
        assert!(dealt < 0.08, "{dealt}");
        assert!(dealt * 5.0 < spread(&rows(&undealt)), "{dealt}");
    }

    #[test]
    fn seed_and_epoch_fix_the_order() {
        let lengths = lengths(200);
        let order = |seed, epoch| BatchOrder::new(&lengths, 16, seed, epoch);
        assert_eq!(order(1, 0), order(1, 0));
        assert_ne!(order(1, 0), order(1, 1));
        assert_ne!(order(1, 0), order(2, 0));
    }

    #[test]
    fn a_batch_size_of_nothing_or_of_everything_works() {
        assert_eq!(BatchOrder::new(&[5, 6], 0, 1, 1).len(), 2);
        assert_eq!(BatchOrder::new(&[5, 6], usize::MAX, 1, 1).batches()[0].len(), 2);
    }
}
