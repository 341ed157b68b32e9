//! Which tokens of a window are to be guessed (Devlin et al., 2019, §3.1).

use serde::{Deserialize, Serialize};

use crate::random::SplitMix64;
use crate::{DataError, Tokenizer};

/// Of the tokens to be guessed so many in a hundred become `[MASK]`, and so many more any other
/// token; the rest stays as it is.
const MASK_PERCENT: usize = 80;
const RANDOM_PERCENT: usize = 10;

/// What is masked together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskingKind {
    /// All wordpieces of a word.
    #[default]
    WholeWord,
    /// Each wordpiece by itself.
    Token,
}

/// How windows are masked: the share of tokens to be guessed, whole words or not, and what the
/// vocabulary needs to say of its tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Masking {
    kind: MaskingKind,
    probability: f64,
    mask: u32,
    vocab_size: usize,
    /// Never to be guessed: `[CLS]` and `[SEP]`.
    special: [u32; 2],
    /// By id, whether a token continues a word.
    continues: Vec<bool>,
}

/// The memory of [`Masking::draw`].
#[derive(Clone, Debug, Default)]
pub(super) struct Drawn {
    /// Where each word begins, and the end.
    words: Vec<(u32, u32)>,
    /// The chosen tokens, in rising order.
    pub chosen: Vec<u32>,
}

impl Masking {
    /// Masks this share of the tokens of a window.
    ///
    /// # Errors
    /// When the share is not above 0 and below 1, or the vocabulary has no mask token.
    pub fn new(
        kind: MaskingKind,
        probability: f64,
        tokenizer: &Tokenizer,
    ) -> Result<Masking, DataError> {
        if !(probability > 0.0 && probability < 1.0) {
            let message = format!("{probability} is not a share above 0 and below 1");
            return Err(DataError::Option { option: "text.mask_probability", message });
        }
        Ok(Masking {
            kind,
            probability,
            mask: tokenizer.mask()?,
            vocab_size: tokenizer.vocab_size(),
            special: [tokenizer.cls(), tokenizer.sep()],
            continues: tokenizer.continuations(),
        })
    }

    /// Chooses tokens of a window: words in random order, as long as they fit into the share,
    /// and one at least.
    pub(super) fn draw(&self, ids: &[u32], random: &mut SplitMix64, drawn: &mut Drawn) {
        let Drawn { words, chosen } = drawn;
        words.clear();
        chosen.clear();
        let mut tokens = 0;
        for (place, &id) in (0..).zip(ids) {
            if self.special.contains(&id) {
                continue;
            }
            tokens += 1;
            let continues = self.kind == MaskingKind::WholeWord
                && self.continues.get(id as usize).copied().unwrap_or(false);
            match words.last_mut().filter(|word| continues && word.1 == place) {
                Some(word) => word.1 += 1,
                None => words.push((place, place + 1)),
            }
        }
        let wanted = ((f64::from(tokens) * self.probability).round() as usize).max(1);
        random.shuffle(words);
        for &(start, end) in words.iter() {
            let length = (end - start) as usize;
            if chosen.len() + length <= wanted || chosen.is_empty() {
                chosen.extend(start..end);
            }
            if chosen.len() >= wanted {
                break;
            }
        }
        chosen.sort_unstable();
    }

    /// What is shown in the place of a chosen token.
    pub(super) fn replace(&self, id: u32, random: &mut SplitMix64) -> u32 {
        match random.below(100) {
            draw if draw < MASK_PERCENT => self.mask,
            draw if draw < MASK_PERCENT + RANDOM_PERCENT => random.below(self.vocab_size) as u32,
            _ => id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tokenizer;

    fn masking(kind: MaskingKind, probability: f64) -> Masking {
        Masking::new(kind, probability, &tokenizer()).unwrap()
    }

    /// A window of many words, some of several pieces.
    fn window() -> Vec<u32> {
        let tokenizer = tokenizer();
        let text = "the cats sat cat the cat sat cats ".repeat(12);
        [&[tokenizer.cls()][..], &tokenizer.encode(&text).unwrap().ids, &[tokenizer.sep()]].concat()
    }

    fn drawn(masking: &Masking, ids: &[u32], seed: u64) -> Vec<u32> {
        let mut drawn = Drawn::default();
        masking.draw(ids, &mut SplitMix64::new(seed, 0), &mut drawn);
        drawn.chosen
    }

    #[test]
    fn tokens_are_chosen_evenly_and_never_special_ones() {
        let (ids, masking) = (window(), masking(MaskingKind::Token, 0.15));
        let wanted = ((ids.len() - 2) as f64 * 0.15).round() as usize;
        let mut counts = vec![0; ids.len()];
        for seed in 0..2000 {
            let chosen = drawn(&masking, &ids, seed);
            assert_eq!(chosen.len(), wanted);
            assert!(chosen.is_sorted_by(|a, b| a < b));
            chosen.iter().for_each(|&place| counts[place as usize] += 1);
        }
        assert_eq!((counts[0], counts[ids.len() - 1]), (0, 0));
        let expected = 2000 * wanted / (ids.len() - 2);
        let near = |&count: &usize| count.abs_diff(expected) < expected / 4;
        assert!(counts[1..ids.len() - 1].iter().all(near), "{counts:?}");
    }

    #[test]
    fn words_are_masked_whole_and_not_beyond_the_share() {
        let (ids, masking) = (window(), masking(MaskingKind::WholeWord, 0.15));
        let wanted = ((ids.len() - 2) as f64 * 0.15).round() as usize;
        let continues = tokenizer().continuations();
        let is_rest = |place: usize| continues[ids[place] as usize];
        assert!((0..ids.len()).any(is_rest));
        for seed in 0..500 {
            let chosen = drawn(&masking, &ids, seed);
            assert!(chosen.len() <= wanted && chosen.len() + 2 >= wanted, "{}", chosen.len());
            let has = |place: usize| chosen.contains(&(place as u32));
            for place in 1..ids.len() {
                assert!(!is_rest(place) || has(place) == has(place - 1), "{place}");
            }
        }
    }

    #[test]
    fn one_word_is_chosen_of_the_shortest_window() {
        let tokenizer = tokenizer();
        let masking = masking(MaskingKind::WholeWord, 0.15);
        let cat = tokenizer.token_id("cat").unwrap();
        assert_eq!(drawn(&masking, &[tokenizer.cls(), cat, tokenizer.sep()], 1), [1]);
        assert_eq!(drawn(&masking, &[tokenizer.cls(), tokenizer.sep()], 1), [0; 0]);
        // A word that exceeds the share is taken all the same when it is the first.
        let rest = tokenizer.token_id("##s").unwrap();
        assert_eq!(drawn(&masking, &[cat, rest, rest], 1), [0, 1, 2]);
    }

    #[test]
    fn of_a_hundred_eighty_are_masked_ten_are_random_and_ten_stay() {
        let masking = masking(MaskingKind::Token, 0.15);
        let tokenizer = tokenizer();
        let (cat, mask) = (tokenizer.token_id("cat").unwrap(), tokenizer.mask().unwrap());
        let mut random = SplitMix64::new(5, 0);
        let shown: Vec<u32> = (0..20_000).map(|_| masking.replace(cat, &mut random)).collect();
        let share = |id| shown.iter().filter(|&&shown| shown == id).count() as f64 / 20_000.0;
        let chance = 0.1 / tokenizer.vocab_size() as f64;
        assert!((share(mask) - 0.8 - chance).abs() < 0.01, "{}", share(mask));
        assert!((share(cat) - 0.1 - chance).abs() < 0.01, "{}", share(cat));
        assert!((0..tokenizer.vocab_size() as u32).all(|id| shown.contains(&id)));
    }

    #[test]
    fn shares_that_mask_nothing_or_all_are_refused() {
        for probability in [0.0, 1.0, -0.1, f64::NAN] {
            let error = Masking::new(MaskingKind::Token, probability, &tokenizer()).unwrap_err();
            assert!(error.to_string().contains("text.mask_probability"), "{error}");
        }
    }
}
