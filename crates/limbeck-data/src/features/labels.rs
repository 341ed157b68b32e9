//! From an answer's characters to the tokens that a model should point at.

use std::ops::Range;

use tokenizers::NormalizedString;
use tokenizers::normalizer::Range as Offsets;

use crate::Answer;
use crate::text::{byte_of_code_point, code_point_of_byte, is_mark};

/// Where an answer lies in its context, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) bytes: Range<usize>,
    /// Whether it is elsewhere than the data says.
    pub(crate) moved: bool,
}

/// Why an answer cannot be learnt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The context does not hold it.
    Nowhere,
    /// The context holds it several times, and nothing says which is meant.
    Undecided,
    /// It has no token.
    NoToken,
}

impl Lost {
    /// The reason as the end of a sentence whose subject is the question.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Lost::Nowhere => "has an answer that is not in its context",
            Lost::Undecided => {
                "has an answer that its context holds several times, and no start that says which \
                 is meant"
            }
            Lost::NoToken => "has an answer without a token",
        }
    }
}

/// Finds an answer: where the data says, or else the occurrence nearest to there. A start of 0, where
/// the answer is not, says as little as none: many a file has it everywhere. Then there must be one
/// occurrence only; and so there must where the texts are the same but for how they are written.
///
/// # Errors
/// When it occurs nowhere, or it cannot be known which occurrence is meant.
pub(crate) fn locate(context: &str, answer: &Answer) -> Result<Location, Lost> {
    if answer.text.trim().is_empty() {
        return Err(Lost::Nowhere);
    }
    let stated = answer.start.and_then(|start| byte_of_code_point(context, start));
    if let Some(start) = stated
        && context[start..].starts_with(&answer.text)
    {
        return Ok(Location { bytes: start..start + answer.text.len(), moved: false });
    }
    let (squeezed, places) = squeeze(context);
    let words: Vec<&str> = answer.text.split_whitespace().collect();
    let wanted = words.join(" ");
    let found: Vec<usize> = occurrences(&squeezed, &wanted).collect();
    let bytes = if found.is_empty() {
        written_otherwise(context, &answer.text)?
    } else {
        let start = nearest(&found, context, &places, answer.start.filter(|&start| start > 0))?;
        // The answer ends with a character of the text, so its end is that character's end.
        let last_len = wanted.chars().next_back().map_or(0, char::len_utf8);
        let last = start + wanted.len() - last_len;
        places[start]..places[last] + last_len
    };
    Ok(Location { bytes, moved: true })
}

/// The occurrence that is nearest to a start, in code points; the only one where there is no start.
fn nearest(
    found: &[usize],
    context: &str,
    places: &[usize],
    stated: Option<usize>,
) -> Result<usize, Lost> {
    if let &[only] = found {
        return Ok(only);
    }
    let stated = stated.ok_or(Lost::Undecided)?;
    let distance = |start: usize| code_point_of_byte(context, places[start]).abs_diff(stated);
    let mut by_distance: Vec<(usize, usize)> =
        found.iter().map(|&start| (distance(start), start)).collect();
    by_distance.sort_unstable();
    match by_distance[..] {
        [first, second, ..] if first.0 == second.0 => Err(Lost::Undecided),
        [first, ..] => Ok(first.1),
        [] => Err(Lost::Nowhere),
    }
}

/// The one place where a context holds a text but for case, compatible characters (NFKC), quotes,
/// dashes and white space.
fn written_otherwise(context: &str, text: &str) -> Result<Range<usize>, Lost> {
    let (folded, places) = fold(context);
    let (wanted, _) = fold(text);
    let wanted = wanted.trim();
    let mut found = occurrences(&folded, wanted);
    let start = found.next().filter(|_| !wanted.is_empty()).ok_or(Lost::Nowhere)?;
    if found.next().is_some() {
        return Err(Lost::Undecided);
    }
    let end = start + wanted.len();
    // A mark that has become one with its letter belongs to it.
    let last = places[end - 1].end;
    let next = places.get(end).map_or(context.len(), |place| place.start);
    let is_whole = context.get(last..next).is_some_and(|marks| marks.chars().all(is_mark));
    Ok(places[start].start..if is_whole { next } else { last })
}

/// A text as it would be without the liberties of writing it, with one space for each run of white
/// space; and for each of its bytes what it stands for in the original text.
fn fold(text: &str) -> (String, Vec<Range<usize>>) {
    let mut normalised = NormalizedString::from(text);
    normalised.nfkc().lowercase();
    let (mut folded, mut places) = (String::new(), Vec::new());
    let mut in_space = false;
    for (byte, character) in normalised.get().char_indices() {
        let character = match character {
            '\u{2018}'..='\u{201b}' | '`' | '\u{b4}' => '\'',
            '\u{201c}'..='\u{201f}' | '\u{ab}' | '\u{bb}' => '"',
            '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
            '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{feff}' => continue,
            character if character.is_whitespace() => ' ',
            character => character,
        };
        let repeated = character == ' ' && in_space;
        in_space = character == ' ';
        let of = byte..byte + normalised.get()[byte..].chars().next().map_or(1, char::len_utf8);
        let Some(original) = normalised.convert_offsets(Offsets::Normalized(of)) else { continue };
        if !repeated {
            folded.push(character);
            places.resize(folded.len(), original);
        }
    }
    (folded, places)
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
        Answer { text: text.into(), start: Some(start) }
    }

    fn found<'a>(
        context: &'a str,
        text: &str,
        start: impl Into<Option<usize>>,
    ) -> Result<(&'a str, bool), Lost> {
        locate(context, &Answer { text: text.into(), start: start.into() })
            .map(|location| (&context[location.bytes.clone()], location.moved))
    }

    #[test]
    fn an_answer_is_taken_where_the_data_says_in_code_points() {
        let context = "日本の首都は🗼東京🗼です。東京";
        assert_eq!(found(context, "東京", 7), Ok(("東京", false)));
        assert_eq!(locate(context, &answer("東京", 7)).unwrap().bytes, 22..28);
    }

    #[test]
    fn an_answer_that_is_not_there_is_found_at_the_nearest_place() {
        let context = "a cat, a dog, a cat";
        assert_eq!(locate(context, &answer("cat", 14)).unwrap().bytes, 16..19);
        assert_eq!(locate(context, &answer("cat", 4)).unwrap().bytes, 2..5);
        assert_eq!(found(context, "cat", 10_000), Ok(("cat", true)));
        assert_eq!(found(context, "bird", 2), Err(Lost::Nowhere));
        // Near is what is near in code points, not in bytes.
        let context = "cat 日本日本日本日本 dog cat";
        assert_eq!(locate(context, &answer("cat", 11)).unwrap().bytes, 33..36);
    }

    #[test]
    fn a_start_of_0_or_none_decides_only_where_there_is_one_place() {
        let context = "a cat, a dog, a cat";
        for start in [None, Some(0)] {
            assert_eq!(found(context, "dog", start), Ok(("dog", true)));
            assert_eq!(found(context, "cat", start), Err(Lost::Undecided));
        }
        assert_eq!(found("cat, dog, cat", "cat", 0), Ok(("cat", false)));
        assert_eq!(found(context, "cat", 9), Err(Lost::Undecided), "as near to both");
    }

    #[test]
    fn white_space_may_differ_from_the_context() {
        assert_eq!(found("the  big\n\tcat é.", "big cat", 4), Ok(("big\n\tcat", true)));
        assert_eq!(found("the  big\n\tcat é.", " cat  é ", 4), Ok(("cat é", true)));
    }

    #[test]
    fn a_text_that_is_written_otherwise_is_found_where_it_stands_once() {
        for (context, text, wanted) in [
            ("The “Brenta” café", "\"brenta\"", "“Brenta”"),
            ("at the cafe\u{301} of Rome", "Café", "cafe\u{301}"),
            ("from 1914–1918 on", "1914-1918", "1914–1918"),
            ("a ﬁne\u{a0} day", "fine day", "ﬁne\u{a0} day"),
            ("soft\u{ad}ware here", "software", "soft\u{ad}ware"),
        ] {
            assert_eq!(found(context, text, 3), Ok((wanted, true)), "{text}");
        }
        assert_eq!(found("Rome and ROME", "rome", 5), Err(Lost::Undecided));
        assert_eq!(found("a cat", "\u{ad}", 5), Err(Lost::Nowhere));
    }

    #[test]
    fn an_empty_answer_is_nowhere() {
        assert_eq!(found("a cat", "", 0), Err(Lost::Nowhere));
        assert_eq!(found("a cat", " ", 1), Err(Lost::Nowhere));
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
