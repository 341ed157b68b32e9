//! From an answer's characters to the tokens that a model should point at.

use std::ops::Range;

use crate::Answer;
use crate::text::byte_of_code_point;

/// Where an answer lies in its context, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) bytes: Range<usize>,
    /// Whether it is elsewhere than the data says.
    pub(crate) moved: bool,
}

/// Finds an answer: where the data says, or else, with every run of white space read as one
/// space, the occurrence nearest to there.
pub(crate) fn locate(context: &str, answer: &Answer) -> Option<Location> {
    if answer.text.trim().is_empty() {
        return None;
    }
    let stated = byte_of_code_point(context, answer.start);
    if let Some(start) = stated
        && context[start..].starts_with(&answer.text)
    {
        return Some(Location { bytes: start..start + answer.text.len(), moved: false });
    }
    let stated = stated.unwrap_or(context.len());
    let (normalised, places) = squeeze(context);
    let wanted: Vec<&str> = answer.text.split_whitespace().collect();
    let wanted = wanted.join(" ");
    let start =
        occurrences(&normalised, &wanted).min_by_key(|&start| places[start].abs_diff(stated))?;
    // The answer ends with a character of the text, so its end is that character's end.
    let last = start + wanted.chars().next_back().map_or(0, |last| wanted.len() - last.len_utf8());
    let last_len = wanted.len() - (last - start);
    Some(Location { bytes: places[start]..places[last] + last_len, moved: true })
}

/// Every place where `wanted` occurs, overlapping ones included.
fn occurrences<'a>(text: &'a str, wanted: &'a str) -> impl Iterator<Item = usize> + 'a {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text.get(from..)?.find(wanted)?;
        from = start + text[start..].chars().next().map_or(1, char::len_utf8);
        Some(start)
    })
}

/// The text with every run of white space as one space, and for each of its bytes the byte
/// of the original text that it stands for.
fn squeeze(text: &str) -> (String, Vec<usize>) {
    let mut squeezed = String::with_capacity(text.len());
    let mut places = Vec::with_capacity(text.len());
    let mut in_space = false;
    for (byte, character) in text.char_indices() {
        let space = character.is_whitespace();
        if !(space && in_space) {
            let character = if space { ' ' } else { character };
            squeezed.push(character);
            places.extend(byte..byte + character.len_utf8());
        }
        in_space = space;
    }
    (squeezed, places)
}

/// The tokens that share a byte with `bytes`.
pub(crate) fn tokens_of(offsets: &[(u32, u32)], bytes: &Range<usize>) -> Range<usize> {
    let start = offsets.partition_point(|&(_, end)| end as usize <= bytes.start);
    let end = offsets.partition_point(|&(start, _)| (start as usize) < bytes.end);
    start..end.max(start)
}

/// `bytes` made wider, to whole words between white space.
pub(crate) fn whole_words(context: &str, bytes: &Range<usize>) -> Range<usize> {
    let before = context[..bytes.start].trim_end_matches(|c: char| !c.is_whitespace());
    let after = context[bytes.end..].find(char::is_whitespace);
    before.len()..after.map_or(context.len(), |len| bytes.end + len)
}

/// The first part of `tokens` that equals the tokenised answer; all of them when none does
/// (Devlin et al., `_improve_answer_span`).
pub(crate) fn refine(ids: &[u32], tokens: Range<usize>, answer_ids: &[u32]) -> Range<usize> {
    if answer_ids.is_empty() {
        return tokens;
    }
    let found = ids[tokens.clone()].windows(answer_ids.len()).position(|part| part == answer_ids);
    match found {
        Some(skipped) => {
            let start = tokens.start + skipped;
            start..start + answer_ids.len()
        }
        None => tokens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str, start: usize) -> Answer {
        Answer { text: text.into(), start }
    }

    fn found<'a>(context: &'a str, text: &str, start: usize) -> Option<(&'a str, bool)> {
        locate(context, &answer(text, start))
            .map(|location| (&context[location.bytes.clone()], location.moved))
    }

    #[test]
    fn an_answer_is_taken_where_the_data_says_in_code_points() {
        let context = "日本の首都は🗼東京🗼です。東京";
        assert_eq!(found(context, "東京", 7), Some(("東京", false)));
        assert_eq!(locate(context, &answer("東京", 7)).unwrap().bytes, 22..28);
    }

    #[test]
    fn an_answer_that_is_not_there_is_found_at_the_nearest_place() {
        let context = "a cat, a dog, a cat";
        assert_eq!(locate(context, &answer("cat", 14)).unwrap().bytes, 16..19);
        assert_eq!(locate(context, &answer("cat", 4)).unwrap().bytes, 2..5);
        assert_eq!(found(context, "cat", 10_000), Some(("cat", true)));
        assert_eq!(found(context, "bird", 2), None);
    }

    #[test]
    fn white_space_may_differ_from_the_context() {
        assert_eq!(found("the  big\n\tcat é.", "big cat", 4), Some(("big\n\tcat", true)));
        assert_eq!(found("the  big\n\tcat é.", " cat  é ", 4), Some(("cat é", true)));
    }

    #[test]
    fn an_empty_answer_is_nowhere() {
        assert_eq!(found("a cat", "", 0), None);
        assert_eq!(found("a cat", " ", 1), None);
    }

    #[test]
    fn tokens_are_those_that_share_a_byte_with_the_answer() {
        let offsets = [(0, 3), (4, 6), (6, 8), (9, 12)];
        assert_eq!(tokens_of(&offsets, &(4..8)), 1..3);
        assert_eq!(tokens_of(&offsets, &(5..7)), 1..3);
        assert_eq!(tokens_of(&offsets, &(3..8)), 1..3, "the white space before it is no token");
        assert_eq!(tokens_of(&offsets, &(9..12)), 3..4);
        assert!(tokens_of(&offsets, &(8..9)).is_empty());
        assert!(tokens_of(&[], &(0..1)).is_empty());
    }

    #[test]
    fn whole_words_reach_to_the_white_space_on_both_sides() {
        let context = "in (1895-1943). é";
        assert_eq!(&context[whole_words(context, &(4..8))], "(1895-1943).");
        assert_eq!(&context[whole_words(context, &(0..1))], "in");
        assert_eq!(&context[whole_words(context, &(16..18))], "é");
    }

    #[test]
    fn a_label_shrinks_to_the_tokens_of_the_answer() {
        let ids = [10, 11, 12, 13, 12];
        assert_eq!(refine(&ids, 1..5, &[12]), 2..3);
        assert_eq!(refine(&ids, 1..5, &[12, 13]), 2..4);
        assert_eq!(refine(&ids, 1..3, &[13]), 1..3);
        assert_eq!(refine(&ids, 1..3, &[]), 1..3);
        assert_eq!(refine(&ids, 1..2, &[11, 12]), 1..2);
    }
}
