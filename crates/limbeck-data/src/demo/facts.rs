//! The shape of a kind of fact. In a pattern `{s}` stands for the subject, `{a}` and
//! `{b}` for the fact's values.

use super::values::ValueKind;

/// A place in a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// `{s}`
    Subject,
    /// `{a}`
    A,
    /// `{b}`
    B,
}

/// Ways to ask for one slot of a fact.
pub(super) struct Asking {
    /// What is asked for.
    pub(super) slot: Slot,
    /// Questions in words of the sentences.
    pub(super) close: &'static [&'static str],
    /// Questions in other words.
    pub(super) reworded: &'static [&'static str],
}

/// Something that can be told of a person.
pub(super) struct FactKind {
    /// The types of `{a}` and, where there is one, `{b}`.
    pub(super) values: &'static [ValueKind],
    /// Sentences that tell the fact.
    pub(super) sentences: &'static [&'static str],
    /// The questions about it.
    pub(super) askings: &'static [Asking],
}

/// Splits a pattern into plain text and slots, in order.
pub(super) fn pieces(pattern: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = pattern;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        for (mark, slot) in [("{s}", Slot::Subject), ("{a}", Slot::A), ("{b}", Slot::B)] {
            if let Some(after) = rest.strip_prefix(mark) {
                rest = after;
                return Some(Piece::Slot(slot));
            }
        }
        let end = rest.find('{').unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        rest = after;
        Some(Piece::Text(text))
    })
}

/// A part of a pattern.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    Slot(Slot),
}

#[cfg(test)]
mod tests {
    use super::super::people::PEOPLE;
    use super::*;

    #[test]
    fn every_sentence_tells_the_whole_fact_and_every_question_hides_its_answer() {
        for kind in PEOPLE {
            for sentence in kind.sentences {
                let told: Vec<_> = pieces(sentence)
                    .filter_map(|piece| match piece {
                        Piece::Slot(slot) => Some(slot),
                        Piece::Text(text) => {
                            assert!(!text.contains(['{', '}']), "{sentence}");
                            None
                        }
                    })
                    .collect();
                assert_eq!(told.len(), kind.values.len() + 1, "{sentence}");
                assert!(told.contains(&Slot::Subject) && told.contains(&Slot::A), "{sentence}");
                assert!(sentence.ends_with('.'), "{sentence}");
            }
            for asking in kind.askings {
                assert!(!asking.close.is_empty() && !asking.reworded.is_empty());
                for question in asking.close.iter().chain(asking.reworded) {
                    let slots: Vec<_> =
                        pieces(question).filter(|piece| matches!(piece, Piece::Slot(_))).collect();
                    assert!(!slots.contains(&Piece::Slot(asking.slot)), "{question}");
                    assert!(!slots.is_empty(), "{question}");
                    assert!(kind.values.len() > 1 || !slots.contains(&Piece::Slot(Slot::B)));
                    assert!(question.ends_with('?'), "{question}");
                }
            }
        }
    }
}
