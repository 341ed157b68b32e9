//! A text, or two of them, as the one sequence that a classifier reads.

use crate::{Batch, DataError, Tokenizer};

/// `[CLS] text [SEP]`, or `[CLS] text [SEP] pair [SEP]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// Token ids, `[rows]`.
    pub input_ids: Vec<u32>,
    /// 1 for the tokens of the pair and the `[SEP]` behind them, 0 before, `[rows]`.
    pub token_type_ids: Vec<u8>,
    /// Whether tokens at the end of a text had to go.
    pub truncated: bool,
}

impl Sequence {
    /// Tokenises a text, and the second one of a pair if there is one. Where they exceed
    /// `max_length` tokens, special ones included, the longer one is cut at its end until
    /// both are of one length and then both are, as Transformers does with
    /// `truncation="longest_first"`. An empty second text is still one, as in batches of
    /// Transformers' tokenizers.
    ///
    /// # Errors
    /// When `max_length` leaves no room between the special tokens, or a text cannot be
    /// tokenised.
    pub fn new(
        tokenizer: &Tokenizer,
        text: &str,
        pair: Option<&str>,
        max_length: usize,
    ) -> Result<Sequence, DataError> {
        let special = if pair.is_some() { 3 } else { 2 };
        let room = max_length.checked_sub(special).filter(|&room| room > 0);
        let room = room.ok_or_else(|| DataError::Option {
            option: "max_length",
            message: format!(
                "{max_length} leaves no room for text, {special} tokens are special; set at \
                 least {}",
                special + 1
            ),
        })?;
        let text = tokenizer.encode(text)?.ids;
        let pair = pair.map(|pair| tokenizer.encode(pair)).transpose()?.map(|pair| pair.ids);
        let lengths = [text.len(), pair.as_ref().map_or(0, Vec::len)];
        let kept = if pair.is_some() { kept_of_pair(lengths, room) } else { [room, 0] };

        let mut sequence = Sequence::default();
        sequence.push(&[tokenizer.cls()], 0);
        sequence.push(&text[..text.len().min(kept[0])], 0);
        sequence.push(&[tokenizer.sep()], 0);
        if let Some(pair) = &pair {
            sequence.push(&pair[..pair.len().min(kept[1])], 1);
            sequence.push(&[tokenizer.sep()], 1);
        }
        sequence.truncated = sequence.rows() < lengths[0] + lengths[1] + special;
        Ok(sequence)
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.input_ids.len()
    }

    /// Lays the sequence behind what is in `batch` already.
    pub fn append(&self, batch: &mut Batch) {
        batch.input_ids.extend_from_slice(&self.input_ids);
        batch.token_type_ids.extend_from_slice(&self.token_type_ids);
        batch.starts.push(batch.input_ids.len());
    }

    fn push(&mut self, ids: &[u32], segment: u8) {
        self.input_ids.extend_from_slice(ids);
        self.token_type_ids.resize(self.input_ids.len(), segment);
    }
}

/// How many tokens stay of two texts of these lengths, `room` at most. The shorter one
/// keeps all that fits into half of the room; where both are cut, the odd token belongs to
/// the longer one, or to the second of two that are equally long.
fn kept_of_pair([first, second]: [usize; 2], room: usize) -> [usize; 2] {
    let shorter = first.min(second).min(room / 2);
    let longer = first.max(second).min(room - shorter);
    if first > second { [longer, shorter] } else { [shorter, longer] }
}

#[cfg(test)]
mod tests {
    use tokenizers::Encoding;
    use tokenizers::utils::truncation::{
        TruncationDirection, TruncationParams, TruncationStrategy, truncate_encodings,
    };

    use super::*;
    use crate::testing::tokenizer;

    fn words(count: usize) -> String {
        vec!["cat"; count].join(" ")
    }

    #[test]
    fn a_text_alone_stands_between_the_special_tokens() {
        let tokenizer = tokenizer();
        let ids = tokenizer.encode("the cat sat").unwrap().ids;
        let sequence = Sequence::new(&tokenizer, "the cat sat", None, 8).unwrap();
        let [cls, sep] = [tokenizer.cls(), tokenizer.sep()];
        assert_eq!(sequence.input_ids, [&[cls], &ids[..], &[sep]].concat());
        assert_eq!(sequence.token_type_ids, [0; 5]);
        assert!(!sequence.truncated);
        let cut = Sequence::new(&tokenizer, "the cat sat", None, 4).unwrap();
        assert_eq!(cut.input_ids, [&[cls], &ids[..2], &[sep]].concat());
        assert!(cut.truncated);
        assert!(!Sequence::new(&tokenizer, "the cat sat", None, 5).unwrap().truncated);
    }

    #[test]
    fn the_second_text_of_a_pair_is_segment_1() {
        let tokenizer = tokenizer();
        let sequence = Sequence::new(&tokenizer, "the cat", Some("sat"), 8).unwrap();
        assert_eq!(sequence.token_type_ids, [0, 0, 0, 0, 1, 1]);
        let sep = tokenizer.sep();
        assert_eq!([sequence.input_ids[3], sequence.input_ids[5]], [sep, sep]);
    }

    #[test]
    fn empty_texts_leave_the_special_tokens() {
        let tokenizer = tokenizer();
        let [cls, sep] = [tokenizer.cls(), tokenizer.sep()];
        let alone = Sequence::new(&tokenizer, "", None, 8).unwrap();
        assert_eq!(alone.input_ids, [cls, sep]);
        let pair = Sequence::new(&tokenizer, " ", Some(""), 8).unwrap();
        assert_eq!((pair.input_ids, pair.token_type_ids), (vec![cls, sep, sep], vec![0, 0, 1]));
    }

    #[test]
    fn a_length_without_room_for_text_is_an_error() {
        let tokenizer = tokenizer();
        for (pair, max_length) in [(None, 0), (None, 2), (Some("a"), 3)] {
            let message = Sequence::new(&tokenizer, "a", pair, max_length).unwrap_err().to_string();
            assert!(message.contains("max_length") && message.contains("room"), "{message}");
        }
    }

    #[test]
    fn pairs_are_cut_where_the_fields_tokenizers_cut_them() {
        let tokenizer = tokenizer();
        let encoding = |count: usize| {
            let tokens = (0..count).map(|_| tokenizers::Token::new(0, "cat".into(), (0, 3)));
            Encoding::from_tokens(tokens.collect(), 0)
        };
        for (first, second) in [(0, 9), (9, 0), (3, 9), (9, 3), (9, 9), (8, 9), (9, 8), (4, 5)] {
            for room in 1..20 {
                let params = TruncationParams {
                    direction: TruncationDirection::Right,
                    max_length: room,
                    strategy: TruncationStrategy::LongestFirst,
                    stride: 0,
                };
                let pair = Some(encoding(second));
                let (a, b) = truncate_encodings(encoding(first), pair, &params).unwrap();
                let want = [a.get_ids().len(), b.unwrap().get_ids().len()];

                let (text, pair) = (words(first), words(second));
                let sequence = Sequence::new(&tokenizer, &text, Some(&pair), room + 3).unwrap();
                let ones = sequence.token_type_ids.iter().filter(|&&segment| segment == 1).count();
                assert_eq!([sequence.rows() - ones - 2, ones - 1], want, "{first} {second} {room}");
                assert_eq!(sequence.truncated, want != [first, second]);
            }
        }
    }
}
