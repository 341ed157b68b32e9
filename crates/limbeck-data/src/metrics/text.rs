//! How SQuAD's scripts compare two texts.

use std::collections::HashMap;

/// Lower case, without punctuation, without the words `a`, `an` and `the`, words separated by
/// one space (`normalize_answer` of the official scripts).
///
/// Punctuation is Python's `string.punctuation`, which is that of ASCII. A word, for the
/// articles, is a run of letters and digits of any script.
pub fn normalise(text: &str) -> String {
    let lower: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let mut without_articles = String::with_capacity(lower.len());
    let mut rest = lower.as_str();
    while !rest.is_empty() {
        let word_len = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_len);
        without_articles.push_str(match word {
            "a" | "an" | "the" => " ",
            _ => word,
        });
        let gap_len = after.find(char::is_alphanumeric).unwrap_or(after.len());
        let (gap, after) = after.split_at(gap_len);
        without_articles.push_str(gap);
        rest = after;
    }
    let words: Vec<&str> = words(&without_articles).collect();
    words.join(" ")
}

/// Words between white space, as Python's `str.split` finds them: it counts four control
/// characters (FS, GS, RS, US) as white space that Unicode does not.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    text.split(is_space).filter(|word| !word.is_empty())
}

/// 1 when both texts are the same once normalised, else 0.
pub fn exact(gold: &str, prediction: &str) -> f64 {
    f64::from(u8::from(normalise(gold) == normalise(prediction)))
}

/// The harmonic mean of precision and recall over the words that two texts share; 0 when
/// they share none.
pub fn f1(gold: &str, prediction: &str) -> f64 {
    let (gold, prediction) = (normalise(gold), normalise(prediction));
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in words(&gold) {
        *left.entry(word).or_default() += 1;
    }
    let mut shared = 0;
    for word in words(&prediction) {
        if let Some(count) = left.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    if shared == 0 {
        return 0.0;
    }
    let precision = f64::from(shared) / words(&prediction).count() as f64;
    let recall = f64::from(shared) / words(&gold).count() as f64;
    (2.0 * precision * recall) / (precision + recall)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_normalised_as_by_the_official_script() {
        for (text, normalised) in [
            ("The  Cat's  A-game, an the.", "cats agame"),
            ("theatre an  ant A", "theatre ant"),
            ("“The” «a» the—an", "“ ” « » —"),
            ("İstanbul ΣΑΣ", "i\u{307}stanbul σας"),
            ("a\u{301} the\u{a0}x\u{1c}y\u{85}z\u{200b}q", "\u{301} x y z\u{200b}q"),
            ("a_b the_ a.b the-cat", "ab ab thecat"),
            ("日本 the本 a ²a Ⅷ", "日本 the本 ²a ⅷ"),
            ("$1,000 £5", "1000 £5"),
            ("a the an", ""),
            ("", ""),
        ] {
            assert_eq!(normalise(text), normalised, "{text:?}");
        }
    }

    #[test]
    fn f1_counts_each_shared_word_as_often_as_both_have_it() {
        for (gold, prediction, expected) in [
            ("the big red dog", "a red dog dog", 0.6666666666666666),
            ("one two two three", "two two two", 0.5714285714285715),
            ("Denver Broncos", "the Denver Broncos!", 1.0),
            ("x y", "z", 0.0),
            ("a", "the", 0.0),
        ] {
            assert_eq!(f1(gold, prediction), expected, "{gold:?} {prediction:?}");
        }
        assert_eq!(
            (exact("a", "the"), exact("Cat", "the cat."), exact("cat", "cats")),
            (1.0, 1.0, 0.0)
        );
    }
}
