//! Names from syllables. A hash of the name says whether it belongs to training or
//! to the development part, so the two never share one.

use super::random::Random;

/// Which part of the corpus is being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Train,
    Dev,
}

impl Part {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
        }
    }

    /// Keeps the random streams of the two parts apart.
    pub(super) fn stream(self) -> u64 {
        self as u64
    }

    /// The part that may use `name`: one name in eight is kept for development.
    pub(super) fn of_name(name: &str) -> Self {
        let hash = blake3::hash(name.as_bytes());
        if hash.as_bytes()[0].is_multiple_of(8) { Self::Dev } else { Self::Train }
    }
}

/// What a name is for; each has its own endings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameKind {
    Woman,
    Man,
    Town,
    River,
    Pet,
}

// Few syllables, so that each is seen often and a small model soon tells them apart.
const ONSETS: [&str; 12] = ["b", "d", "f", "g", "k", "l", "m", "n", "r", "s", "t", "v"];
const VOWELS: [&str; 5] = ["a", "e", "i", "o", "u"];
const MIDDLES: [&str; 12] =
    ["bel", "dor", "fen", "gar", "lim", "mar", "nam", "ras", "rin", "sal", "tam", "ver"];

impl NameKind {
    fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Woman => &["a", "ia", "ela", "ina", "is", "y"],
            Self::Man => &["o", "us", "en", "ik", "ard", "on"],
            Self::Town => &["ton", "wick", "ford", "bury", "dale", "holm"],
            Self::River => &["e", "ow", "une", "il"],
            Self::Pet => &["o", "i", "ka", "by", "u"],
        }
    }
}

/// A new name of `kind` for `part`, whose first letters no name in `taken` shares.
/// The name is added to `taken`.
pub(super) fn invent(
    random: &mut Random,
    part: Part,
    kind: NameKind,
    taken: &mut Vec<String>,
) -> String {
    loop {
        let onset = random.pick(&ONSETS);
        let vowel = random.pick(&VOWELS);
        let start = format!("{onset}{vowel}");
        let middle = if kind == NameKind::Pet { "" } else { random.pick(&MIDDLES) };
        let ending = random.pick(kind.endings());
        let name = capitalised(&format!("{start}{middle}{ending}"));
        // A paragraph takes fewer names than there are first letters, and an eighth
        // of all names is free to the development part: the loop ends.
        let first_letters = |name: &str| name.bytes().take(2).collect::<Vec<_>>();
        let clashes = taken.iter().any(|other| first_letters(other) == first_letters(&name));
        if !clashes && Part::of_name(&name) == part {
            taken.push(name.clone());
            return name;
        }
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
