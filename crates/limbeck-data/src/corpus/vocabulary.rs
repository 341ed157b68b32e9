//! WordPiece vocabularies trained from text: the pairs of pieces that stand together most often
//! are joined, again and again, until there are enough (Sennrich, Haddow and Birch, 2016).
//!
//! The trainer of the crate `tokenizers` does the same, but breaks ties by the order of a hash
//! table: the same text gives another vocabulary in every run. Here the text alone decides.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::ops::ControlFlow;

use rayon::prelude::*;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
};

use super::Texts;
use super::documents::{self, Piece};
use crate::tokenizer::CREATED;
use crate::{Cache, DataError, Tokenizer};

/// The tokens that every vocabulary begins with, in the order of their ids.
pub const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// The most characters that become entries; rarer ones become `[UNK]`.
const ALPHABET: usize = 1000;

/// The longest word, in characters, that WordPiece cuts; longer ones become `[UNK]`.
const LONGEST_WORD: usize = 100;

/// A pair must stand together so often to become an entry.
const LEAST: u64 = 2;

/// Bytes of text whose words are counted together.
const STRETCH: usize = 4 << 20;

/// What stands before a piece that continues a word.
const CONTINUES: &str = "##";

/// The entries of a vocabulary for the texts, `size` at most, in the order of their ids.
/// `progress` hears of every stretch of text, in bytes; `None` when it asked to stop.
///
/// # Errors
/// When a text cannot be read, or `size` leaves no room for its characters.
pub fn train(
    texts: &Texts,
    size: usize,
    lower_case: bool,
    progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Vec<String>>, DataError> {
    let Some(counts) = count_words(texts, lower_case, progress)? else { return Ok(None) };
    let mut entries: Vec<String> = SPECIAL_TOKENS.map(str::to_owned).into();
    let alphabet = alphabet(&counts);
    entries.extend(alphabet.iter().map(char::to_string));
    let mut continuing: BTreeSet<char> = BTreeSet::new();
    for (word, _) in &counts {
        continuing.extend(word.chars().skip(1).filter(|c| alphabet.contains(c)));
    }
    entries.extend(continuing.iter().map(|c| format!("{CONTINUES}{c}")));
    if entries.len() > size {
        let message = format!(
            "{size} entries are too few: special tokens and single characters take {}",
            entries.len()
        );
        return Err(DataError::Option { option: "text.vocab_size", message });
    }
    Merging::new(&counts, entries).run(size).map(Some)
}

/// The tokenizer that [`train_into`] left under this name, if all of it is there and can be
/// opened.
pub fn open(cache: &Cache, name: &str) -> Option<Tokenizer> {
    let is_there = |file: &str| cache.wanted(&format!("{name}/{file}")).is_file();
    // In the order in which they are written: the last one comes only when all others are there.
    let is_whole = CREATED.into_iter().all(is_there);
    is_whole.then(|| Tokenizer::from_folder(&cache.path_of(name)).ok())?
}

/// Trains a vocabulary and leaves a tokenizer in the folder `name` of the cache: `vocab.txt`,
/// `tokenizer_config.json` and `tokenizer.json`, as Transformers' BERT has them. `None` when
/// `progress` asked to stop.
///
/// # Errors
/// As [`train`], or when a file cannot be written.
pub fn train_into(
    cache: &Cache,
    name: &str,
    texts: &Texts,
    size: usize,
    lower_case: bool,
    progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Tokenizer>, DataError> {
    let Some(entries) = train(texts, size, lower_case, progress)? else { return Ok(None) };
    let folder = cache.path_of(name);
    std::fs::create_dir_all(&folder).map_err(DataError::io("create", &folder))?;
    let tokenizer = Tokenizer::create(&folder, &entries, lower_case)?;
    CREATED.iter().for_each(|file| cache.built(&format!("{name}/{file}")));
    Ok(Some(tokenizer))
}

/// How often each word occurs, in alphabetical order.
fn count_words(
    texts: &Texts,
    lower_case: bool,
    mut progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Vec<(String, u64)>>, DataError> {
    let normalizer = BertNormalizer::new(true, true, None, lower_case);
    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut stopped = false;
    let counted = documents::each_stretch(texts, STRETCH, |pieces: Vec<Piece>| {
        let of_pieces = pieces
            .par_iter()
            .try_fold(HashMap::new, |mut counts: HashMap<String, u64>, piece| {
                for word in words(&piece.text, &normalizer)? {
                    *counts.entry(word).or_default() += 1;
                }
                Ok(counts)
            })
            .try_reduce(HashMap::new, |a, b| {
                let (mut more, fewer) = if a.len() < b.len() { (b, a) } else { (a, b) };
                fewer.into_iter().for_each(|(word, n)| *more.entry(word).or_default() += n);
                Ok(more)
            })
            .map_err(|error: tokenizers::Error| DataError::Tokenizer(error.to_string()))?;
        of_pieces.into_iter().for_each(|(word, n)| *counts.entry(word).or_default() += n);
        stopped = progress(pieces.iter().map(|piece| piece.text.len()).sum()).is_break();
        if stopped { Err(DataError::Tokenizer("stopped".to_owned())) } else { Ok(()) }
    });
    if stopped {
        return Ok(None);
    }
    counted?;
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_unstable();
    Ok(Some(counts))
}

/// The words of a text, as the tokenizer will see them.
fn words(text: &str, normalizer: &BertNormalizer) -> tokenizers::Result<Vec<String>> {
    let mut text = NormalizedString::from(text);
    normalizer.normalize(&mut text)?;
    let mut text = PreTokenizedString::from(text);
    BertPreTokenizer.pre_tokenize(&mut text)?;
    let words = text.get_splits(OffsetReferential::Normalized, OffsetType::None).into_iter();
    let is_cut = |word: &&str| word.chars().nth(LONGEST_WORD).is_none();
    Ok(words.map(|(word, ..)| word).filter(is_cut).map(str::to_owned).collect())
}

/// The most frequent characters, in their order.
fn alphabet(counts: &[(String, u64)]) -> BTreeSet<char> {
    let mut characters: HashMap<char, u64> = HashMap::new();
    for (word, count) in counts {
        word.chars().for_each(|c| *characters.entry(c).or_default() += count);
    }
    let mut characters: Vec<(char, u64)> = characters.into_iter().collect();
    characters.sort_unstable_by_key(|&(c, count)| (Reverse(count), c));
    characters.into_iter().take(ALPHABET).map(|(c, _)| c).collect()
}

/// Two pieces, by their ids.
type Pair = (u32, u32);

/// Where a pair occurs, and how often.
#[derive(Default)]
struct Occurrences {
    count: u64,
    /// Words that hold it, or once did.
    words: Vec<u32>,
}

/// The words in pieces, while pieces are joined.
struct Merging {
    entries: Vec<String>,
    ids: HashMap<String, u32>,
    words: Vec<(Vec<u32>, u64)>,
    pairs: HashMap<Pair, Occurrences>,
    /// The most frequent pair first, of equally frequent ones that of the smallest ids. What it
    /// says of a pair may be out of date.
    queue: BinaryHeap<(u64, Reverse<Pair>)>,
}

impl Merging {
    fn new(counts: &[(String, u64)], entries: Vec<String>) -> Merging {
        let ids: HashMap<String, u32> = entries.iter().cloned().zip(0..).collect();
        let piece = |(place, c): (usize, char)| match place {
            0 => ids.get(&c.to_string()).copied(),
            _ => ids.get(&format!("{CONTINUES}{c}")).copied(),
        };
        // A word with a character that is no entry cannot be spelled.
        let words = counts.iter().filter_map(|(word, count)| {
            let pieces: Option<Vec<u32>> = word.chars().enumerate().map(piece).collect();
            Some((pieces?, *count))
        });
        let words: Vec<(Vec<u32>, u64)> = words.collect();
        let mut pairs: HashMap<Pair, Occurrences> = HashMap::new();
        for (index, (pieces, count)) in (0..).zip(&words) {
            for pair in pieces.windows(2) {
                let found = pairs.entry((pair[0], pair[1])).or_default();
                found.count += count;
                found.words.push(index);
            }
        }
        let queue = pairs.iter().map(|(&pair, found)| (found.count, Reverse(pair))).collect();
        Merging { entries, ids, words, pairs, queue }
    }

    /// Joins pairs until there are `size` entries or none is frequent enough.
    fn run(mut self, size: usize) -> Result<Vec<String>, DataError> {
        while self.entries.len() < size {
            let Some((count, Reverse(pair))) = self.queue.pop() else { break };
            let now = self.pairs.get(&pair).map_or(0, |found| found.count);
            if now != count {
                // It has been put back with its count when that changed.
                continue;
            }
            if count < LEAST {
                break;
            }
            self.join(pair);
        }
        Ok(self.entries)
    }

    fn join(&mut self, pair: Pair) {
        let (first, second) = (&self.entries[pair.0 as usize], &self.entries[pair.1 as usize]);
        let joined = format!("{first}{}", second.strip_prefix(CONTINUES).unwrap_or(second));
        let id = match self.ids.get(&joined) {
            Some(&id) => id,
            None => {
                let id = self.entries.len() as u32;
                self.entries.push(joined.clone());
                self.ids.insert(joined, id);
                id
            }
        };
        let found = self.pairs.remove(&pair).unwrap_or_default();
        let mut changed: BTreeSet<Pair> = BTreeSet::new();
        let mut words = found.words;
        words.sort_unstable();
        words.dedup();
        for index in words {
            let (pieces, count) = &mut self.words[index as usize];
            let mut place = 0;
            while place + 1 < pieces.len() {
                if (pieces[place], pieces[place + 1]) != pair {
                    place += 1;
                    continue;
                }
                let before = place.checked_sub(1).map(|before| pieces[before]);
                let after = pieces.get(place + 2).copied();
                pieces[place] = id;
                pieces.remove(place + 1);
                let gone = [before.map(|b| (b, pair.0)), after.map(|a| (pair.1, a))];
                for pair in gone.into_iter().flatten() {
                    if let Some(found) = self.pairs.get_mut(&pair) {
                        found.count = found.count.saturating_sub(*count);
                        changed.insert(pair);
                    }
                }
                let new = [before.map(|b| (b, id)), after.map(|a| (id, a))];
                for pair in new.into_iter().flatten() {
                    let found = self.pairs.entry(pair).or_default();
                    found.count += *count;
                    found.words.push(index);
                    changed.insert(pair);
                }
                place += 1;
            }
        }
        for pair in changed {
            let count = self.pairs.get(&pair).map_or(0, |found| found.count);
            if count >= LEAST {
                self.queue.push((count, Reverse(pair)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::cache::memory::{Failing, Memory};

    fn texts(folder: &Path, text: &str) -> Texts {
        let path = folder.join("text.txt");
        std::fs::write(&path, text).unwrap();
        Texts { paths: vec![path], documents: Default::default() }
    }

    fn trained(text: &str, size: usize) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let go_on = |_| ControlFlow::Continue(());
        train(&texts(folder.path(), text), size, true, go_on).unwrap().unwrap()
    }

    #[test]
    fn the_most_frequent_pairs_become_entries_in_their_order() {
        // ab: 7 times, bc after a: 4, and cd once only.
        let entries = trained("abc abc abc abc ab ab ab\nAb cd", 100);
        let expected = ["a", "b", "c", "d", "##b", "##c", "##d", "ab", "abc"];
        assert_eq!(entries[..5], SPECIAL_TOKENS);
        assert_eq!(entries[5..], expected);
        assert_eq!(trained("abc abc abc abc ab ab ab\nAb cd", 13).len(), 13);
    }

    #[test]
    fn the_same_text_gives_the_same_vocabulary() {
        let words: String = (0..3000_u64)
            .map(|i| {
                let mut random = crate::random::SplitMix64::new(1, i % 700);
                let letters = (0..1 + random.below(9)).map(|_| b"abcdefgh"[random.below(8)]);
                let word: String = letters.map(char::from).collect();
                if i % 20 == 0 { format!("{word}\n") } else { format!("{word} ") }
            })
            .collect();
        let first = trained(&words, 400);
        assert_eq!(first.len(), 400);
        assert_eq!(first, trained(&words, 400));
        let distinct: BTreeSet<&String> = first.iter().collect();
        assert_eq!(distinct.len(), first.len());
    }

    #[test]
    fn runs_of_one_letter_are_joined_without_losing_count() {
        let entries = trained(&"aaaa aaaaaaa\n".repeat(5), 60);
        assert!(entries.contains(&"aaaa".to_owned()), "{entries:?}");
        assert!(entries.contains(&"aaaaaaa".to_owned()), "{entries:?}");
    }

    #[test]
    fn a_size_without_room_for_characters_is_refused_and_a_stop_is_heeded() {
        let folder = tempfile::tempdir().unwrap();
        let texts = texts(folder.path(), "some letters");
        let error = train(&texts, 8, true, |_| ControlFlow::Continue(())).unwrap_err();
        assert!(error.to_string().contains("text.vocab_size"), "{error}");
        assert!(train(&texts, 80, true, |_| ControlFlow::Break(())).unwrap().is_none());
    }

    #[test]
    fn the_tokenizer_in_the_folder_reads_the_text_it_was_trained_on() {
        let folder = tempfile::tempdir().unwrap();
        let text = "The cats sat. The cats sat on the mat.";
        let texts = texts(folder.path(), text);
        let go_on = |_| ControlFlow::Continue(());
        let cache = Cache::folder(folder.path());
        let tokenizer = train_into(&cache, "new", &texts, 200, true, go_on).unwrap().unwrap();
        let again = open(&cache, "new").unwrap();
        assert_eq!(again.fingerprint(), tokenizer.fingerprint());
        let ids = tokenizer.encode(text).unwrap().ids;
        assert_eq!(ids, tokenizer.ids(text).unwrap());
        assert!(!ids.contains(&tokenizer.token_id("[UNK]").unwrap()));
        assert_eq!(ids[0], tokenizer.token_id("the").unwrap());
        assert_eq!(tokenizer.mask().unwrap(), 4);
        // Without tokenizer.json the vocabulary alone says the same.
        std::fs::remove_file(cache.path_of("new/tokenizer.json")).unwrap();
        assert_eq!(Tokenizer::from_folder(&cache.path_of("new")).unwrap().ids(text).unwrap(), ids);
    }

    #[test]
    fn a_tokenizer_is_brought_whole_or_trained_anew_and_handed_over() {
        let folder = tempfile::tempdir().unwrap();
        let texts = texts(folder.path(), "The cats sat. The cats sat on the mat.");
        let store = Arc::new(Memory::default());
        let train = |place: &str| {
            let cache = Cache::before(folder.path().join(place), store.clone());
            assert!(open(&cache, "new").is_none());
            let go_on = |_| ControlFlow::Continue(());
            let tokenizer = train_into(&cache, "new", &texts, 200, true, go_on).unwrap().unwrap();
            assert_eq!(store.taken_in(), CREATED.map(|file| format!("new/{file}")));
            tokenizer.fingerprint().to_owned()
        };
        let trained = train("first");
        let second = Cache::before(folder.path().join("second"), store.clone());
        assert_eq!(open(&second, "new").unwrap().fingerprint(), trained);
        for file in CREATED {
            let path = format!("new/{file}");
            let [first, second] = ["first", "second"].map(|f| folder.path().join(f).join(&path));
            assert_eq!(std::fs::read(second).unwrap(), std::fs::read(first).unwrap());
        }
        assert!(store.taken_in().is_empty());

        // Where one that is written earlier is missing, the last does not come.
        let of_store = |name: &str| store.files.lock().unwrap()[name].clone();
        let config = of_store("new/tokenizer_config.json");
        store.files.lock().unwrap().remove("new/tokenizer_config.json");
        let third = Cache::before(folder.path().join("third"), store.clone());
        assert!(open(&third, "new").is_none());
        assert!(third.path_of("new/vocab.txt").is_file());
        assert!(!third.path_of("new/tokenizer.json").exists());
        assert_eq!(train("third"), trained);
        assert_eq!(of_store("new/tokenizer_config.json"), config);

        let whole = of_store("new/tokenizer.json");
        let half = whole[..whole.len() / 2].to_vec();
        store.files.lock().unwrap().insert("new/tokenizer.json".to_owned(), half);
        assert_eq!(train("fourth"), trained);
        assert_eq!(of_store("new/tokenizer.json"), whole);
        let failing = Cache::before(folder.path().join("fifth"), Arc::new(Failing));
        assert!(open(&failing, "new").is_none());
    }
}
