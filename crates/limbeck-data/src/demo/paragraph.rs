//! One paragraph: two subjects, facts of the same kinds about both, told in random
//! sentences.

use super::DemoOptions;
use super::facts::{FactKind, Piece, Slot, pieces};
use super::names::{NameKind, Part, invent};
use super::people::PEOPLE;
use super::random::Random;
use super::towns::TOWNS;
use super::values::draw;
use crate::squad::Paragraph;

/// Share of paragraphs about people rather than towns.
const PEOPLE_SHARE: f64 = 0.7;

/// Share of fact kinds that are told of both subjects, beyond the first kind.
const TOLD_OF_BOTH_SHARE: f64 = 0.75;

/// A paragraph and what it says.
pub(super) struct Told {
    pub(super) text: String,
    /// The two people or towns.
    pub(super) subjects: [String; 2],
    /// All kinds that could be told of these subjects.
    pub(super) kinds: &'static [FactKind],
    /// What is told, in the order of the sentences.
    pub(super) facts: Vec<Fact>,
    /// Every name and value of the paragraph.
    pub(super) taken: Vec<String>,
}

/// A fact of a paragraph.
pub(super) struct Fact {
    /// Index into [`Told::kinds`].
    pub(super) kind: usize,
    /// Index into [`Told::subjects`].
    pub(super) subject: usize,
    /// The values of `{a}` and `{b}`.
    pub(super) values: Vec<String>,
    /// Where the sentence says the subject, `{a}` and `{b}`: byte offsets into the
    /// text, which is ASCII. A subject said as a pronoun has none.
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
    let about_people = random.chance(PEOPLE_SHARE);
    let mut taken = Vec::new();
    let genders = [(); 2].map(|()| match (about_people, random.chance(0.5)) {
        (true, true) => NameKind::Woman,
        (true, false) => NameKind::Man,
        (false, _) => NameKind::Town,
    });
    let subjects = genders.map(|kind| invent(random, part, kind, &mut taken));
    let kinds = if about_people { PEOPLE } else { TOWNS };
    let sentences = random.between(options.min_sentences, options.max_sentences);

    let mut facts: Vec<Fact> = plan(random, kinds.len(), sentences)
        .into_iter()
        .map(|(kind, subject)| Fact {
            kind,
            subject,
            values: kinds[kind]
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

    let mut told = Told { text: String::new(), subjects, kinds, facts: Vec::new(), taken };
    for mut fact in facts {
        let pronoun = match genders[fact.subject] {
            NameKind::Woman => "She",
            NameKind::Man => "He",
            _ => "",
        };
        let same = told.facts.last().is_some_and(|last| last.subject == fact.subject);
        let pattern = random.pick(kinds[fact.kind].sentences);
        let says_pronoun = same
            && !pronoun.is_empty()
            && pattern.starts_with("{s}")
            && !pattern.starts_with("{s} and")
            && random.chance(options.pronoun_share);
        if !told.text.is_empty() {
            told.text.push(' ');
        }
        for piece in pieces(pattern) {
            match piece {
                Piece::Text(text) => told.text.push_str(text),
                Piece::Slot(Slot::Subject) if says_pronoun => told.text.push_str(pronoun),
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
fn plan(random: &mut Random, kinds: usize, sentences: usize) -> Vec<(usize, usize)> {
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
            left > 1 && index > 0 && (!later_kinds_suffice || random.chance(TOLD_OF_BOTH_SHARE));
        if both {
            plan.extend([(kind, 0), (kind, 1)]);
        } else {
            plan.push((kind, random.below(2)));
        }
    }
    plan
}
