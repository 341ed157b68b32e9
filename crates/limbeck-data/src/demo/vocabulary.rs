//! WordPiece entries for the demo corpus: words that many paragraphs use are entries
//! of their own; names and numbers are left to pieces of two and three characters.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::squad::SquadData;

/// The entries that every BERT vocabulary begins with here.
const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// A word is an entry when at least one paragraph in this many uses it. The invented
/// names lie far below.
const PARAGRAPHS_A_WORD: usize = 200;

/// Builds at most `size` entries from the contexts and questions of `data`.
pub(super) fn build(data: &SquadData, size: usize) -> Vec<String> {
    let mut vocabulary: Vec<String> = SPECIAL_TOKENS.map(str::to_owned).into();
    // Every printable ASCII character, so that any English text has a spelling.
    vocabulary.extend(('!'..='~').filter(|c| !c.is_ascii_uppercase()).map(String::from));
    vocabulary.extend(
        ('0'..='z')
            .filter(|c| c.is_ascii_digit() || c.is_ascii_lowercase())
            .map(|c| format!("##{c}")),
    );

    let counts = paragraphs_of_words(data);
    let least = (data.paragraphs.len() / PARAGRAPHS_A_WORD).max(2);
    let (mut frequent, rare): (Vec<_>, Vec<_>) = counts
        .into_iter()
        .filter(|(word, _)| word.len() > 1)
        .partition(|&(_, count)| count >= least);
    frequent.sort_by_key(|&(_, count)| Reverse(count));
    frequent.truncate(size.saturating_sub(vocabulary.len()) * 2 / 3);
    let mut known: BTreeSet<String> = vocabulary.iter().cloned().collect();
    for (word, _) in frequent {
        known.insert(word.clone());
        vocabulary.push(word);
    }

    let mut pieces: Vec<(String, usize)> = count_pieces(&rare).into_iter().collect();
    pieces.sort_by_key(|&(_, count)| Reverse(count));
    let pieces = pieces.into_iter().map(|(piece, _)| piece).filter(|piece| !known.contains(piece));
    let room = size.saturating_sub(vocabulary.len());
    vocabulary.extend(pieces.take(room));
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

/// Counts the beginnings and the inner pieces (`##`) of two and three characters.
fn count_pieces(words: &[(String, usize)]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (word, count) in words {
        for start in 0..word.len() {
            for end in start + 2..=word.len().min(start + 3) {
                let mark = if start == 0 { "" } else { "##" };
                *counts.entry(format!("{mark}{}", &word[start..end])).or_insert(0) += count;
            }
        }
    }
    counts
}
