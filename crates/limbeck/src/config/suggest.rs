//! "Did you mean": the nearest of the known keys.

/// The known key that is nearest to an unknown one, when one is near enough.
///
/// A key whose last part is right but stands in another section wins.
pub fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let unknown_last = last(unknown);
    known
        .into_iter()
        .map(|key| {
            let whole = distance(unknown, key);
            let tail = distance(&unknown_last, &last(key));
            (tail, whole, key)
        })
        .min()
        .filter(|&(tail, _, _)| tail <= (unknown_last.chars().count() / 3).max(1))
        .map(|(_, _, key)| key)
}

/// Edits that turn `a` into `b`: insertions, deletions, replacements and swaps of two
/// neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let differs = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + differs);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 3] = ["optim.learning_rate", "train.batch_size", "train.seed"];

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("sede", "seed"), 1);
    }

    #[test]
    fn a_slip_of_the_finger_finds_its_key() {
        assert_eq!(nearest("optim.lerning_rate", KEYS), Some("optim.learning_rate"));
        assert_eq!(nearest("optm.learning_rate", KEYS), Some("optim.learning_rate"));
    }

    #[test]
    fn a_key_in_the_wrong_section_is_shown_its_own() {
        assert_eq!(nearest("optim.seed", KEYS), Some("train.seed"));
        assert_eq!(nearest("batch_size", KEYS), Some("train.batch_size"));
    }

    #[test]
    fn nothing_near_is_nothing_suggested() {
        assert_eq!(nearest("optim.momentum", KEYS), None);
    }
}
