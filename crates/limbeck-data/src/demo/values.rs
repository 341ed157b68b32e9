//! What a fact can say: values of every kind, drawn so that one paragraph never has
//! the same value twice.

use super::names::{NameKind, Part, invent};
use super::random::Random;

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    Animal,
    Date,
    Job,
    Person,
    Pet,
    Price,
    Thing,
    Town,
    Year,
}

// No word here begins with a vowel: sentences write "a" before them.
const ANIMALS: [&str; 14] = [
    "goat",
    "goose",
    "horse",
    "donkey",
    "parrot",
    "cat",
    "dog",
    "sheep",
    "rabbit",
    "pony",
    "duck",
    "pig",
    "fox",
    "tame crow",
];
const JOBS: [&str; 20] = [
    "baker",
    "potter",
    "weaver",
    "blacksmith",
    "tailor",
    "miller",
    "fisher",
    "carpenter",
    "teacher",
    "doctor",
    "painter",
    "gardener",
    "clock maker",
    "stone mason",
    "ferry pilot",
    "rope maker",
    "shepherd",
    "printer",
    "judge",
    "sailor",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const THINGS: [&str; 14] = [
    "lamp", "boat", "clock", "carpet", "mirror", "cart", "saddle", "table", "coat", "ring",
    "bicycle", "map", "chair", "kettle",
];

/// Draws a value of `kind` that is not yet in `taken`, and adds it.
pub(super) fn draw(
    random: &mut Random,
    part: Part,
    kind: ValueKind,
    taken: &mut Vec<String>,
) -> String {
    if let Some(name) = kind.name_kind(random) {
        return invent(random, part, name, taken);
    }
    // Every list is longer than the facts of one kind in a paragraph, two told and
    // one asked: the loop ends.
    loop {
        let value = match kind {
            ValueKind::Date => format!(
                "{} {} {}",
                random.between(1, 28),
                random.pick(&MONTHS),
                random.between(1700, 1989)
            ),
            ValueKind::Price => format!("{} crowns", random.between(2, 99)),
            ValueKind::Year => random.between(1700, 1989).to_string(),
            listed => random.pick(listed.words()).to_owned(),
        };
        if !taken.contains(&value) {
            taken.push(value.clone());
            return value;
        }
    }
}

impl ValueKind {
    fn name_kind(self, random: &mut Random) -> Option<NameKind> {
        match self {
            Self::Person if random.chance(0.5) => Some(NameKind::Woman),
            Self::Person => Some(NameKind::Man),
            Self::Town => Some(NameKind::Town),
            Self::Pet => Some(NameKind::Pet),
            _ => None,
        }
    }

    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Animal => &ANIMALS,
            Self::Job => &JOBS,
            _ => &THINGS,
        }
    }
}
