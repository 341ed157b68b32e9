//! Names of two syllables. A hash of the name says whether it belongs to training or
//! to the development part, so the two never share one, though they share syllables.

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
    Pet,
}

const KINDS: [NameKind; 4] = [NameKind::Woman, NameKind::Man, NameKind::Town, NameKind::Pet];

// Enough of them that no model learns each pair by heart rather than to compare, few
// enough that each is seen often.
const STARTS: [&str; 16] = [
    "bel", "cal", "dor", "fen", "gar", "hol", "jor", "kel", "lim", "mar", "nor", "per", "ras",
    "siv", "tav", "wen",
];

impl NameKind {
    fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Woman => &["a", "ia", "ela", "ina", "issa", "etta"],
            Self::Man => &["o", "us", "en", "ik", "ard", "on"],
            Self::Town => &["ton", "wick", "ford", "bury", "dale", "holm"],
            Self::Pet => &["ko", "i", "ka", "by", "u"],
        }
    }
}

/// The vocabulary's entries for all names: every name is two of them.
pub(super) fn pieces() -> impl Iterator<Item = String> {
    let endings = KINDS.into_iter().flat_map(NameKind::endings);
    STARTS.into_iter().map(str::to_owned).chain(endings.map(|ending| format!("##{ending}")))
}

/// Whether a lower-case word is one of the names.
pub(super) fn is_name(word: &str) -> bool {
    let mut rests = STARTS.iter().filter_map(|start| word.strip_prefix(start));
    rests.any(|rest| KINDS.iter().any(|kind| kind.endings().contains(&rest)))
}

/// A new name of `kind` for `part`, whose first syllable no name in `taken` has. The
/// name is added to `taken`.
pub(super) fn invent(
    random: &mut Random,
    part: Part,
    kind: NameKind,
    taken: &mut Vec<String>,
) -> String {
    loop {
        let start = capitalised(random.pick(&STARTS));
        let name = format!("{start}{}", random.pick(kind.endings()));
        // A paragraph takes fewer names than there are syllables, and an eighth of all
        // names is free to the development part: the loop ends.
        let clashes = taken.iter().any(|other| other.starts_with(&start));
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
