//! Windows of a corpus as examples, with words to guess.

use std::cell::RefCell;
use std::sync::Arc;

use super::masking::{Drawn, Masking};
use super::tokens::Corpus;
use crate::error::to_u32;
use crate::random::SplitMix64;
use crate::{Batch, DataError, Examples};

/// `[CLS]`, and `[SEP]` at the end.
const SPECIAL_TOKENS: usize = 2;

/// The shortest window that is worth its two special tokens.
const SHORTEST: usize = 8;

/// Streams of random numbers below a seed.
mod stream {
    pub const SPLIT: u64 = 1;
    /// And all that follow: one for each epoch.
    pub const MASKS: u64 = 2;
}

/// Some windows of a corpus: `[CLS] tokens [SEP]`, each of the same length but the corpus's last.
/// Nothing is left out and nothing is padded; windows go over the ends of documents.
#[derive(Debug)]
pub struct Windows {
    corpus: Arc<Corpus>,
    /// Which windows, by their place in the corpus.
    pub(super) places: Vec<u32>,
    /// Tokens of a window between its special ones.
    length: usize,
    masking: Masking,
    /// Decides the masks.
    seed: u64,
    /// Whether each epoch has masks of its own.
    anew: bool,
    drawn: RefCell<Drawn>,
}

impl Windows {
    /// All windows of up to `max_length` tokens of a corpus, shared out by chance:
    /// `validation_share` of them to be evaluated on, always with the same masks, the others to
    /// learn from, with new masks in every epoch. The seeds are those of the training masks, and
    /// of the sharing and the masks of validation.
    ///
    /// # Errors
    /// When windows are too short or too many, the share is not at least 0 and below 1, or there
    /// is no window to learn from.
    pub fn split(
        corpus: Corpus,
        masking: &Masking,
        max_length: usize,
        validation_share: f64,
        (seed, validation_seed): (u64, u64),
    ) -> Result<(Windows, Windows), DataError> {
        if !(0.0..1.0).contains(&validation_share) {
            return Err(DataError::Option {
                option: "text.validation_share",
                message: format!("{validation_share} is not a share of at least 0 and below 1"),
            });
        }
        let all = Windows::all(corpus, masking, max_length, seed)?;
        let mut places = all.places.clone();
        SplitMix64::new(validation_seed, stream::SPLIT).shuffle(&mut places);
        let share = (places.len() as f64 * validation_share).round() as usize;
        let wanted = if validation_share > 0.0 { share.max(1) } else { 0 };
        let training = places.split_off(wanted.min(places.len()));
        if training.is_empty() {
            return Err(DataError::Option {
                option: "text.validation_share",
                message: format!("{wanted} windows of validation leave none to learn from"),
            });
        }
        let of = |mut places: Vec<u32>, seed: u64, anew: bool| {
            places.sort_unstable();
            let (corpus, masking) = (all.corpus.clone(), masking.clone());
            let drawn = RefCell::default();
            Windows { corpus, places, length: all.length, masking, seed, anew, drawn }
        };
        Ok((of(training, seed, true), of(places, validation_seed, false)))
    }

    /// All windows of a corpus, always with the same masks.
    ///
    /// # Errors
    /// When windows are too short or too many.
    pub fn all(
        corpus: Corpus,
        masking: &Masking,
        max_length: usize,
        seed: u64,
    ) -> Result<Windows, DataError> {
        if max_length < SHORTEST {
            return Err(DataError::Option {
                option: "max_length",
                message: format!("{max_length} tokens are no context; set at least {SHORTEST}"),
            });
        }
        let length = max_length - SPECIAL_TOKENS;
        let count = to_u32("the number of windows", corpus.tokens().len().div_ceil(length))?;
        let (corpus, masking) = (Arc::new(corpus), masking.clone());
        let (places, drawn) = ((0..count).collect(), RefCell::default());
        Ok(Windows { corpus, places, length, masking, seed, anew: false, drawn })
    }

    /// The corpus.
    pub fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// Tokens of all windows together, special ones included.
    pub fn rows(&self) -> usize {
        (0..self.len()).map(|index| self.rows_of(index)).sum()
    }

    fn tokens(&self, index: usize) -> &[u32] {
        let tokens = self.corpus.tokens();
        let start = self.places[index] as usize * self.length;
        &tokens[start..(start + self.length).min(tokens.len())]
    }

    fn append_of(&self, index: usize, epoch: u64, batch: &mut Batch) {
        let start = batch.input_ids.len();
        batch.input_ids.push(self.corpus.cls);
        batch.input_ids.extend_from_slice(self.tokens(index));
        batch.input_ids.push(self.corpus.sep);
        batch.token_type_ids.resize(batch.input_ids.len(), 0);
        batch.starts.push(batch.input_ids.len());
        batch.features.push(index);

        let epoch = if self.anew { epoch } else { 0 };
        let key = SplitMix64::new(self.seed, stream::MASKS.wrapping_add(epoch)).next_u64();
        let mut random = SplitMix64::new(key, self.places[index].into());
        let mut drawn = self.drawn.borrow_mut();
        let ids = &mut batch.input_ids[start..];
        self.masking.draw(ids, &mut random, &mut drawn);
        for &place in &drawn.chosen {
            let id = &mut ids[place as usize];
            batch.masked_rows.push(start as u32 + place);
            batch.masked_ids.push(*id);
            *id = self.masking.replace(*id, &mut random);
        }
    }
}

impl Examples for Windows {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn rows_of(&self, index: usize) -> usize {
        self.tokens(index).len() + SPECIAL_TOKENS
    }

    fn append(&self, index: usize, batch: &mut Batch) {
        self.append_of(index, 0, batch);
    }

    fn batch_of_epoch(&self, indices: &[usize], epoch: u64, batch: &mut Batch) {
        batch.clear();
        for &index in indices {
            self.append_of(index, epoch, batch);
        }
    }
}
