//! What a model can be shown in batches, whichever head it has.

use crate::{Batch, Features};

/// Examples in a fixed order, each of which can be laid into a [`Batch`] with its labels.
pub trait Examples {
    /// How many there are.
    fn len(&self) -> usize;

    /// Tokens of example `index`, special tokens included.
    ///
    /// # Panics
    /// When there is no such example; so does [`Examples::append`].
    fn rows_of(&self, index: usize) -> usize;

    /// Lays example `index` behind what is in `batch` already.
    fn append(&self, index: usize, batch: &mut Batch);

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lays the examples `indices` end to end in `batch`, whose buffers are used again.
    fn batch(&self, indices: &[usize], batch: &mut Batch) {
        batch.clear();
        for &index in indices {
            self.append(index, batch);
        }
    }

    /// The same for training: examples of which every epoch sees something else, as windows
    /// with masked words are, look at its number.
    fn batch_of_epoch(&self, indices: &[usize], epoch: u64, batch: &mut Batch) {
        let _ = epoch;
        self.batch(indices, batch);
    }
}

impl Examples for Features {
    fn len(&self) -> usize {
        Features::len(self)
    }

    fn rows_of(&self, index: usize) -> usize {
        Features::rows_of(self, index)
    }

    fn append(&self, index: usize, batch: &mut Batch) {
        Features::append(self, index, batch);
    }
}
