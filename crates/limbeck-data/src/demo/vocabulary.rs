//! WordPiece entries for the demo corpus: words that many paragraphs use are entries
//! of their own; names are made of syllables and numbers of pairs of digits.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::names;
use crate::squad::SquadData;

/// The entries that every BERT vocabulary begins with here.
const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// A word is an entry when at least one paragraph in this many uses it.
const PARAGRAPHS_A_WORD: usize = 500;

/// Builds the entries for the contexts and questions of `data`.
pub(super) fn build(data: &SquadData) -> Vec<String> {
    let mut vocabulary: Vec<String> = SPECIAL_TOKENS.map(str::to_owned).into();
    // Every printable ASCII character, so that any English text has a spelling.
    vocabulary.extend(('!'..='~').filter(|c| !c.is_ascii_uppercase()).map(String::from));
    vocabulary.extend(('0'..='9').chain('a'..='z').map(|c| format!("##{c}")));
    vocabulary.extend((0..100).flat_map(|n| [format!("{n:02}"), format!("##{n:02}")]));

    let mut known: BTreeSet<String> = vocabulary.iter().cloned().collect();
    let least = (data.paragraphs.len() / PARAGRAPHS_A_WORD).max(2);
    let mut words: Vec<(String, usize)> = paragraphs_of_words(data)
        .into_iter()
        .filter(|(word, count)| *count >= least && !names::is_name(word))
        .filter(|(word, _)| word.bytes().all(|b| b.is_ascii_lowercase()))
        .collect();
    words.sort_by_key(|&(_, count)| Reverse(count));
    let words = words.into_iter().map(|(word, _)| word);
    vocabulary.extend(names::pieces().chain(words).filter(|entry| known.insert(entry.clone())));
    vocabulary
}

/// In how many paragraphs, with their questions, each lower-cased word occurs.
fn paragraphs_of_words(data: &SquadData) -> BTreeMap<String, usize> {
    let mut words: Vec<BTreeSet<String>> =
        data.paragraphs.iter().map(|paragraph| words_of(&paragraph.context)).collect();
    for question in &data.questions {
        words[question.paragraph].append(&mut words_of(&question.text));
    }
    let mut counts = BTreeMap::new();
    for word in words.into_iter().flatten() {
        *counts.entry(word).or_insert(0) += 1;
    }
    counts
}

fn words_of(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect()
}
