//! What a fact can say: values of every kind, drawn so that one paragraph never has
//! the same value twice.

use super::names::{NameKind, Part, invent};
use super::random::Random;

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    Animal,
    Colour,
    Count,
    Date,
    Food,
    Instrument,
    Job,
    Material,
    Person,
    Pet,
    Price,
    Product,
    River,
    Thing,
    Tool,
    Town,
    Weekday,
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
const COLOURS: [&str; 12] = [
    "red",
    "blue",
    "green",
    "yellow",
    "white",
    "black",
    "brown",
    "grey",
    "purple",
    "pink",
    "dark green",
    "pale blue",
];
const FOODS: [&str; 14] = [
    "fish soup",
    "apple cake",
    "fresh bread",
    "bean stew",
    "roast lamb",
    "boiled eggs",
    "plum jam",
    "pea soup",
    "rice",
    "pancakes",
    "smoked ham",
    "goat cheese",
    "pears",
    "cabbage",
];
const INSTRUMENTS: [&str; 10] =
    ["violin", "flute", "harp", "drum", "trumpet", "piano", "guitar", "horn", "lute", "cello"];
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
const MATERIALS: [&str; 8] =
    ["stone", "wood", "iron", "brick", "steel", "marble", "rope", "granite"];
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
const PRODUCTS: [&str; 14] = [
    "cheese", "honey", "glass", "paper", "silk", "salt", "wool", "tea", "wine", "leather",
    "pottery", "butter", "timber", "perfume",
];
const THINGS: [&str; 14] = [
    "lamp", "boat", "clock", "carpet", "mirror", "cart", "saddle", "table", "coat", "ring",
    "bicycle", "map", "chair", "kettle",
];
const TOOLS: [&str; 12] = [
    "hammer",
    "knife",
    "compass",
    "pair of scissors",
    "walking stick",
    "notebook",
    "key",
    "pocket watch",
    "needle",
    "candle",
    "whistle",
    "spoon",
];
const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

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
            ValueKind::Count => format!("{}", 100 * random.between(3, 98)),
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
            Self::River => Some(NameKind::River),
            Self::Pet => Some(NameKind::Pet),
            _ => None,
        }
    }

    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Animal => &ANIMALS,
            Self::Colour => &COLOURS,
            Self::Food => &FOODS,
            Self::Instrument => &INSTRUMENTS,
            Self::Job => &JOBS,
            Self::Material => &MATERIALS,
            Self::Product => &PRODUCTS,
            Self::Thing => &THINGS,
            Self::Tool => &TOOLS,
            _ => &WEEKDAYS,
        }
    }
}
