//! One paragraph: two subjects, facts of the same kinds about both, told in random
//! sentences.

use super::DemoOptions;
use super::facts::{Piece, Slot, pieces};
use super::names::{NameKind, Part, invent};
use super::people::PEOPLE;
use super::random::Random;
use super::values::draw;
use crate::squad::Paragraph;

/// A paragraph and what it says.
pub(super) struct Told {
    pub(super) text: String,
    /// The two people.
    pub(super) subjects: [String; 2],
    /// What is told, in the order of the sentences.
    pub(super) facts: Vec<Fact>,
    /// Every name and value of the paragraph.
    pub(super) taken: Vec<String>,
}

/// A fact of a paragraph.
pub(super) struct Fact {
    /// Index into [`PEOPLE`].
    pub(super) kind: usize,
    /// Index into [`Told::subjects`].
    pub(super) subject: usize,
    /// The values of `{a}` and `{b}`.
    pub(super) values: Vec<String>,
    /// Where the sentence says the subject, `{a}` and, if there is one, `{b}`: byte
    /// offsets into the text, which is ASCII.
    starts: [Option<usize>; 3],
}

impl Told {
    pub(super) fn into_paragraph(self) -> Paragraph {
        let [first, second] = self.subjects;
        Paragraph { title: format!("{first} and {second}"), context: self.text }
    }

    /// What `fact` has in `slot`.
    pub(super) fn value<'a>(&'a self, fact: &'a Fact, slot: Slot) -> &'a str {
        match slot {
            Slot::Subject => &self.subjects[fact.subject],
            Slot::A => &fact.values[0],
            Slot::B => &fact.values[1],
        }
    }

    /// The subject that `fact` is not about.
    pub(super) fn other_subject(&self, fact: &Fact) -> &str {
        &self.subjects[1 - fact.subject]
    }

    /// Whether `kind` is told of both subjects.
    pub(super) fn is_told_of_both(&self, kind: usize) -> bool {
        self.facts.iter().filter(|fact| fact.kind == kind).count() > 1
    }
}

impl Fact {
    /// Where the text says the slot.
    pub(super) fn start(&self, slot: Slot) -> Option<usize> {
        self.starts[slot as usize]
    }
}

/// Makes a paragraph.
pub(super) fn tell(random: &mut Random, part: Part, options: &DemoOptions) -> Told {
    let mut taken = Vec::new();
    let subjects = [(); 2].map(|()| {
        let kind = if random.chance(0.5) { NameKind::Woman } else { NameKind::Man };
        invent(random, part, kind, &mut taken)
    });
    let sentences = random.between(options.min_sentences, options.max_sentences);

    let mut facts: Vec<Fact> = plan(random, sentences, options.told_of_both_share)
        .into_iter()
        .map(|(kind, subject)| Fact {
            kind,
            subject,
            values: PEOPLE[kind]
                .values
                .iter()
                .map(|&value| draw(random, part, value, &mut taken))
                .collect(),
            starts: [None; 3],
        })
        .collect();
    random.shuffle(&mut facts);
    if random.chance(0.5) {
        // One subject after the other, rather than to and fro.
        facts.sort_by_key(|fact| fact.subject);
    }

    let mut told = Told { text: String::new(), subjects, facts: Vec::new(), taken };
    for mut fact in facts {
        let pattern = random.pick(PEOPLE[fact.kind].sentences);
        if !told.text.is_empty() {
            told.text.push(' ');
        }
        for piece in pieces(pattern) {
            match piece {
                Piece::Text(text) => told.text.push_str(text),
                Piece::Slot(slot) => {
                    fact.starts[slot as usize] = Some(told.text.len());
                    let value = told.value(&fact, slot).to_owned();
                    told.text.push_str(&value);
                }
            }
        }
        told.facts.push(fact);
    }
    told
}

/// Chooses which kind is told of which subject: `(kind, subject)`, one a sentence.
/// The first kind is told of one subject only, so that there is always something to
/// ask in vain about the other.
fn plan(random: &mut Random, sentences: usize, told_of_both_share: f64) -> Vec<(usize, usize)> {
    let kinds = PEOPLE.len();
    let mut order: Vec<usize> = (0..kinds).collect();
    random.shuffle(&mut order);
    let mut plan = Vec::with_capacity(sentences);
    for (index, &kind) in order.iter().enumerate() {
        let left = sentences - plan.len();
        if left == 0 {
            break;
        }
        let later_kinds_suffice = left - 1 <= 2 * (kinds - index - 1);
        let both =
            left > 1 && index > 0 && (!later_kinds_suffice || random.chance(told_of_both_share));
        if both {
            plan.extend([(kind, 0), (kind, 1)]);
        } else {
            plan.push((kind, random.below(2)));
        }
    }
    plan
}
