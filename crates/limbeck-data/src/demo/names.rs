//! Names of two syllables. Which two are joined says whether a name belongs to training
//! or to the development part, so the two never share one, though they share syllables.

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

    /// Whether this part may join the syllables of these numbers. Every start has one
    /// ending of each kind that is kept for development.
    fn may_join(self, start: usize, ending: usize, endings: usize) -> bool {
        (start % endings == ending) == (self == Self::Dev)
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
    let endings = kind.endings();
    // A paragraph takes fewer names than there are syllables: both loops end.
    let (index, start) = loop {
        let index = random.below(STARTS.len());
        let start = capitalised(STARTS[index]);
        if !taken.iter().any(|other| other.starts_with(&start)) {
            break (index, start);
        }
    };
    loop {
        let ending = random.below(endings.len());
        if part.may_join(index, ending, endings.len()) {
            let name = format!("{start}{}", endings[ending]);
            taken.push(name.clone());
            return name;
        }
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
