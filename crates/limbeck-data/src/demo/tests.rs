//! What must hold of the whole corpus.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::*;

fn small() -> DemoOptions {
    DemoOptions { train_questions: 4_000, dev_questions: 600, ..DemoOptions::default() }
}

/// The corpus of [`small`], made once for all tests.
fn corpus() -> &'static DemoCorpus {
    static CORPUS: OnceLock<DemoCorpus> = OnceLock::new();
    CORPUS.get_or_init(|| DemoCorpus::generate(&small()).unwrap())
}

fn names(data: &SquadData) -> BTreeSet<&str> {
    let ordinary: BTreeSet<&str> = BTreeSet::from([
        "In",
        "On",
        "At",
        "By",
        "The",
        "A",
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
    ]);
    data.paragraphs
        .iter()
        .flat_map(|paragraph| paragraph.context.split(|c: char| !c.is_alphabetic()))
        .filter(|word| word.starts_with(|c: char| c.is_uppercase()) && !ordinary.contains(word))
        .collect()
}

#[test]
fn the_same_options_give_the_same_corpus_and_another_seed_another() {
    let first = corpus();
    let again = DemoCorpus::generate(&small()).unwrap();
    let other = DemoCorpus::generate(&DemoOptions { seed: 1, ..small() }).unwrap();
    assert_eq!(first.train.paragraphs[7].context, again.train.paragraphs[7].context);
    assert_eq!(first.dev.questions[599].text, again.dev.questions[599].text);
    assert_eq!(first.vocabulary, again.vocabulary);
    assert_ne!(first.train.paragraphs[7].context, other.train.paragraphs[7].context);
}

#[test]
fn answers_stand_where_they_are_said_to() {
    let corpus = corpus();
    assert_eq!(corpus.train.questions.len(), 4_000);
    assert_eq!(corpus.dev.questions.len(), 600);
    for data in [&corpus.train, &corpus.dev] {
        for question in &data.questions {
            assert_eq!(question.is_impossible, question.answers.is_empty());
            for answer in &question.answers {
                let context = &data.paragraphs[question.paragraph].context;
                assert!(
                    context[answer.start.unwrap()..].starts_with(&answer.text),
                    "{}",
                    question.id
                );
                let words = format!(" {} ", question.text.replace('?', " "));
                assert!(!words.contains(&format!(" {} ", answer.text)), "{words}");
            }
        }
    }
}

#[test]
fn about_the_asked_share_has_no_answer() {
    let corpus = corpus();
    let impossible = corpus.dev.questions.iter().filter(|q| q.is_impossible).count();
    assert!((120..=180).contains(&impossible), "{impossible} of 600");
}

#[test]
fn labels_of_training_alone_are_wrong_now_and_then() {
    let noisy = corpus();
    let clean = DemoCorpus::generate(&DemoOptions { wrong_label_share: 0.0, ..small() }).unwrap();
    let wrong = |noisy: &SquadData, clean: &SquadData| {
        let pairs = noisy.questions.iter().zip(&clean.questions);
        pairs.filter(|(a, b)| a.text == b.text && a.answers != b.answers).count()
    };
    // Of 30 %, some draw the right sentence.
    let count = wrong(&noisy.train, &clean.train);
    assert!((700..=1_200).contains(&count), "{count} of 4000");
    assert_eq!(wrong(&noisy.dev, &clean.dev), 0);
}

#[test]
fn development_names_never_occur_in_training() {
    let corpus = corpus();
    let (train, dev) = (names(&corpus.train), names(&corpus.dev));
    // Sixteen starts, four kinds of name, one ending each.
    assert_eq!(dev.len(), 64);
    assert_eq!(train.intersection(&dev).collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn every_name_is_two_known_syllables_and_common_words_are_whole() {
    let corpus = corpus();
    let entries: BTreeSet<&str> = corpus.vocabulary.iter().map(String::as_str).collect();
    assert_eq!(entries.len(), corpus.vocabulary.len(), "an entry occurs twice");
    for word in ["who", "born", "town", "blacksmith", "?", "##a"] {
        assert!(entries.contains(word), "{word}");
    }
    for name in names(&corpus.dev).into_iter().chain(names(&corpus.train)) {
        let name = name.to_lowercase();
        // WordPiece takes the longest entry that the rest begins with.
        let longest = |rest: &str, mark: &str| {
            let fits = |end: &usize| entries.contains(&*format!("{mark}{}", &rest[..*end]));
            (1..=rest.len()).rev().find(fits).unwrap_or(0)
        };
        let first = longest(&name, "");
        assert_eq!(first + longest(&name[first..], "##"), name.len(), "{name}");
        assert!(first < name.len(), "{name} is an entry");
        assert!(super::names::is_name(&name), "{name}");
    }
}

#[test]
fn the_question_words_alone_do_not_tell_whether_there_is_an_answer() {
    // Nearly all unanswerable questions have the words of some answerable question,
    // once names and values are left out: their first two words say nothing.
    let corpus = corpus();
    let mut by_opening: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for question in &corpus.train.questions {
        let opening: Vec<&str> = question.text.split(' ').take(2).collect();
        by_opening.entry(opening.join(" ")).or_default()[usize::from(question.is_impossible)] += 1;
    }
    let guessed: usize = by_opening.values().map(|counts| counts.iter().max().unwrap()).sum();
    let answered: usize = by_opening.values().map(|counts| counts[0]).sum();
    assert!(guessed < answered + 120, "{guessed} of 4000 guessed, {answered} without looking");
}

#[test]
fn extreme_options_still_end() {
    for (min_sentences, max_sentences) in [(2, 2), (12, 12)] {
        let options = DemoOptions {
            train_questions: 400,
            dev_questions: 400,
            questions_per_paragraph: 8,
            min_sentences,
            max_sentences,
            ..DemoOptions::default()
        };
        for unanswerable_share in [0.0, 1.0] {
            let options = DemoOptions { unanswerable_share, ..options.clone() };
            let corpus = DemoCorpus::generate(&options).unwrap();
            assert_eq!(corpus.train.questions.len(), 400);
            let sentences = corpus.train.paragraphs[0].context.matches('.').count();
            assert_eq!(sentences, min_sentences);
        }
    }
    let one = DemoOptions { train_questions: 1, dev_questions: 0, ..DemoOptions::default() };
    assert_eq!(DemoCorpus::generate(&one).unwrap().train.questions.len(), 1);
}

#[test]
fn an_option_out_of_range_is_named() {
    let options = DemoOptions { unanswerable_share: 1.5, ..DemoOptions::default() };
    let message = DemoCorpus::generate(&options).unwrap_err().to_string();
    assert_eq!(message, "unanswerable_share: must be from 0 to 1");
}

#[test]
fn the_files_hold_the_corpus() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus();
    corpus.save_data(folder.path()).unwrap();
    corpus.save_tokenizer(folder.path()).unwrap();
    let read = SquadData::read(&folder.path().join("dev.json"), crate::Gold::Read).unwrap().0;
    assert_eq!(read.paragraphs.len(), corpus.dev.paragraphs.len());
    for (read, made) in read.questions.iter().zip(&corpus.dev.questions) {
        assert_eq!((&read.id, &read.text, read.paragraph), (&made.id, &made.text, made.paragraph));
        assert_eq!(read.is_impossible, made.is_impossible);
    }
    let vocabulary = std::fs::read_to_string(folder.path().join("vocab.txt")).unwrap();
    assert!(vocabulary.lines().eq(corpus.vocabulary.iter().map(String::as_str)));
}
