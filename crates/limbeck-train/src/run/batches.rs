//! What each step of a run reads, and in which parts.

use limbeck_data::{Batch, BatchOrder, Examples};

use crate::options::TrainOptions;
use crate::ranks::division::{self, Part};

/// The batches of all epochs, in the order that the seed fixes.
pub(super) struct Batches<'a> {
    features: &'a dyn Examples,
    lengths: Vec<usize>,
    batch_size: usize,
    max_tokens_per_pass: usize,
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
            max_tokens_per_pass: options.max_tokens_per_pass,
            seed: options.seed,
            epoch: 0,
            batch: Batch::default(),
            rows: Vec::new(),
        }
    }

    /// The passes in which each of so many processes goes through its part of batch `index` of the
    /// run.
    pub(super) fn passes(&mut self, index: usize, processes: usize) -> usize {
        self.turn_to(index);
        division::passes(self.rows.iter().sum(), processes, self.max_tokens_per_pass)
    }

    /// Part `number` of `count` of batch `index` of the run.
    pub(super) fn get(&mut self, index: usize, number: usize, count: usize) -> (&Batch, Part) {
        self.turn_to(index);
        let indices = &self.order.batches()[index % self.order.len()];
        let mut part = division::part(&self.rows, number, count);
        let own = &indices[part.sequences.clone()];
        let epoch = self.epoch as u64;
        if own.len() < indices.len() {
            // Which words of it are masked only the whole batch tells.
            self.features.batch_of_epoch(indices, epoch, &mut self.batch);
            let masked = &self.batch.masked_rows;
            if !masked.is_empty() {
                let before = |row: usize| masked.iter().filter(|&&m| (m as usize) < row).count();
                let (first, rows) = (part.place.first_row, &self.rows[part.sequences.clone()]);
                part.place.first_read = before(first);
                let own = before(first + rows.iter().sum::<usize>()) - before(first);
                part.shares.masked = own as f64 / masked.len() as f64;
            }
        }
        self.features.batch_of_epoch(own, epoch, &mut self.batch);
        (&self.batch, part)
    }

    /// Makes order and rows those of batch `index` of the run.
    fn turn_to(&mut self, index: usize) {
        let epoch = index / self.order.len();
        if epoch != self.epoch {
            self.epoch = epoch;
            self.order = BatchOrder::new(&self.lengths, self.batch_size, self.seed, epoch as u64);
        }
        let indices = &self.order.batches()[index % self.order.len()];
        self.rows.clear();
        self.rows.extend(indices.iter().map(|&index| self.lengths[index]));
    }
}
