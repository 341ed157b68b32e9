//! What each step of a run reads, and which part of it a process takes.

use limbeck_data::{Batch, BatchOrder, Examples};

use crate::options::TrainOptions;
use crate::ranks::division::{self, Part};

/// The batches of all epochs, in the order that the seed fixes.
pub(super) struct Batches<'a> {
    features: &'a dyn Examples,
    lengths: Vec<usize>,
    batch_size: usize,
    seed: u64,
    epoch: usize,
    order: BatchOrder,
    batch: Batch,
    /// Rows of the sequences of a batch.
    rows: Vec<usize>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(features: &'a dyn Examples, options: &TrainOptions) -> Self {
        let lengths: Vec<usize> = (0..features.len()).map(|i| features.rows_of(i)).collect();
        Batches {
            order: BatchOrder::new(&lengths, options.batch_size, options.seed, 0),
            features,
            lengths,
            batch_size: options.batch_size,
            seed: options.seed,
            epoch: 0,
            batch: Batch::default(),
            rows: Vec::new(),
        }
    }

    /// Epochs done after so many batches.
    pub(super) fn epochs_after(&self, batches: usize) -> f64 {
        batches as f64 / self.order.len() as f64
    }

    /// Of batch `index` of the run the part that process `rank` of `count` takes.
    pub(super) fn get(&mut self, index: usize, rank: usize, count: usize) -> (&Batch, Part) {
        let epoch = index / self.order.len();
        if epoch != self.epoch {
            self.epoch = epoch;
            self.order = BatchOrder::new(&self.lengths, self.batch_size, self.seed, epoch as u64);
        }
        let indices = &self.order.batches()[index % self.order.len()];
        self.rows.clear();
        self.rows.extend(indices.iter().map(|&index| self.lengths[index]));
        let mut part = division::part(&self.rows, rank, count);
        let own = &indices[part.sequences.clone()];
        let mut masked = |indices: &[usize]| {
            self.features.batch_of_epoch(indices, epoch as u64, &mut self.batch);
            self.batch.masked_ids.len()
        };
        let of_all = if own.len() < indices.len() { masked(indices) } else { 0 };
        let of_part = masked(own);
        if of_all > 0 {
            part.shares.masked = of_part as f64 / of_all as f64;
        }
        (&self.batch, part)
    }
}
