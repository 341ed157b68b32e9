use super::*;
use crate::testing::{tokenizer, write_vocabulary};

fn slices(text: &str) -> Vec<&str> {
    let encoded = tokenizer().encode(text).unwrap();
    encoded.offsets.iter().map(|&(start, end)| &text[start as usize..end as usize]).collect()
}

fn error_of(folder: &Path) -> String {
    Tokenizer::from_folder(folder).unwrap_err().to_string()
}

#[test]
fn tokens_are_slices_of_any_text() {
    assert_eq!(slices("The cats sat."), ["The", "cat", "s", "sat", "."]);
    assert_eq!(slices(" Café CAFÉ"), ["Café", "CAFÉ"]);
    assert_eq!(slices("cafe\u{301}, cat"), ["cafe\u{301}", ",", "cat"]);
    assert_eq!(slices("cafe\u{301}\u{302}"), ["cafe\u{301}\u{302}"]);
    assert_eq!(slices("日本 東京🦀"), ["日", "本", "東", "京", "🦀"]);
    assert_eq!(slices("שָׁלוֹם the\u{202e} cat"), ["שָׁלוֹם", "the", "cat"]);
    assert_eq!(slices("the\0cat"), ["the", "c", "a", "t"]);
    assert_eq!(slices("\u{200b}\u{7}"), [""; 0]);
    assert_eq!(slices(""), [""; 0]);
}

#[test]
fn a_long_text_is_not_cut() {
    assert_eq!(tokenizer().encode(&"cat ".repeat(100_000)).unwrap().ids.len(), 100_000);
}

#[test]
fn settings_beside_the_vocabulary_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    write_vocabulary(folder.path());
    let ids = |settings: &str, text: &str| {
        std::fs::write(folder.path().join(CONFIG), settings).unwrap();
        Tokenizer::from_folder(folder.path()).unwrap().encode(text).unwrap().ids
    };
    let lower = ids("{}", "cafe");
    assert_eq!(lower, ids(r#"{"do_lower_case": true}"#, "CAFÉ"));
    assert_ne!(lower, ids(r#"{"do_lower_case": false}"#, "CAFE"));
    assert_ne!(lower, ids(r#"{"strip_accents": false}"#, "Café"));
    assert_eq!(ids(r#"{"tokenize_chinese_chars": false}"#, "日本").len(), 1);
    let first = ids(r#"{"cls_token": {"content": "the"}}"#, "the");
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    assert_eq!(first, [tokenizer.cls()]);
}

#[test]
fn padding_and_truncation_of_the_file_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let json = r###"{"version":"1.0",
        "truncation":{"direction":"Right","max_length":2,"strategy":"LongestFirst","stride":0},
        "padding":{"strategy":{"Fixed":8},"direction":"Right","pad_to_multiple_of":null,
                   "pad_id":0,"pad_type_id":0,"pad_token":"[PAD]"},
        "added_tokens":[],
        "normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,
                      "strip_accents":null,"lowercase":true},
        "pre_tokenizer":{"type":"BertPreTokenizer"},"post_processor":null,"decoder":null,
        "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",
                 "max_input_chars_per_word":100,
                 "vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"cat":9}}}"###;
    std::fs::write(folder.path().join("tokenizer.json"), json).unwrap();
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    assert_eq!(tokenizer.encode("Cat cat cat").unwrap().ids, [9, 9, 9]);
    assert_eq!((tokenizer.cls(), tokenizer.sep(), tokenizer.vocab_size()), (2, 3, 10));
    // The settings win where the two files disagree.
    std::fs::write(folder.path().join(CONFIG), r#"{"do_lower_case": false}"#).unwrap();
    let cased = Tokenizer::from_folder(folder.path()).unwrap();
    assert_eq!(cased.encode("Cat cat").unwrap().ids, [1, 9]);
    assert_ne!(cased.fingerprint(), tokenizer.fingerprint());
}

#[test]
fn a_folder_without_a_usable_tokenizer_is_told_what_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    assert!(error_of(folder.path()).contains("needs tokenizer.json or vocab.txt"));
    std::fs::write(folder.path().join("spiece.model"), "x").unwrap();
    assert!(error_of(folder.path()).contains("spiece.model is of another kind"));
    std::fs::write(folder.path().join("bert-vocab.txt"), "[UNK]\n").unwrap();
    assert!(error_of(folder.path()).contains("rename bert-vocab.txt to vocab.txt"));
    std::fs::write(folder.path().join("vocab.txt"), "[UNK]\n[SEP]\ncat\n").unwrap();
    assert!(error_of(folder.path()).contains("has no [CLS]"));
    std::fs::write(folder.path().join("vocab.txt"), "[CLS]\n[SEP]\n").unwrap();
    assert!(error_of(folder.path()).contains("has no [UNK]"));
    std::fs::write(folder.path().join("vocab.txt"), b"[CLS]\n\xFF\n").unwrap();
    assert!(error_of(folder.path()).contains("line 2 is not UTF-8"));
    std::fs::write(folder.path().join("tokenizer.json"), "{\"version\":").unwrap();
    assert!(error_of(folder.path()).contains("tokenizer.json: not a tokenizer"));
}

#[test]
fn saving_copies_the_files_that_exist() {
    let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_vocabulary(source.path());
    let tokenizer = Tokenizer::from_folder(source.path()).unwrap();
    tokenizer.save(target.path()).unwrap();
    assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 1);
    let copy = Tokenizer::from_folder(target.path()).unwrap();
    assert_eq!(copy.fingerprint(), tokenizer.fingerprint());
    copy.save(target.path()).unwrap();
}

const BASE: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\n";

/// The tokenizer of a folder with these files.
fn open(files: &[(&str, &str)]) -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    Tokenizer::from_folder(folder.path()).unwrap()
}

fn difference(one: &[(&str, &str)], two: &[(&str, &str)]) -> String {
    let (one, two) = (open(one), open(two));
    assert_ne!(one.fingerprint(), two.fingerprint());
    one.difference(&two).unwrap()
}

#[test]
fn tokenizers_that_do_the_same_are_the_same_whatever_else_their_files_say() {
    let plain = open(&[(VOCABULARY, BASE)]);
    let config = r#"{"name_or_path": "bert-base-uncased", "model_max_length": 512,
        "padding_side": "left", "do_lower_case": true, "strip_accents": null}"#;
    let one_more = open(&[(VOCABULARY, BASE), (CONFIG, config)]);
    assert_eq!(plain.difference(&one_more), None);
    assert_eq!(plain.fingerprint(), one_more.fingerprint());
    let accents = open(&[(VOCABULARY, BASE), (CONFIG, r#"{"strip_accents": true}"#)]);
    assert_eq!(plain.difference(&accents), None);
    assert_eq!(plain.fingerprint(), accents.fingerprint());
}

#[test]
fn the_first_difference_of_two_tokenizers_is_named() {
    let plain = [(VOCABULARY, BASE)];
    let with = |config| [(VOCABULARY, BASE), (CONFIG, config)];
    let cased = with(r#"{"do_lower_case": false}"#);
    assert_eq!(difference(&plain, &cased), "one lowercases, the other does not");
    let accents = with(r#"{"strip_accents": false}"#);
    assert_eq!(difference(&plain, &accents), "one strips accents, the other does not");
    let other = BASE.replace("the", "[unused5]");
    let other = [(VOCABULARY, other.as_str())];
    assert_eq!(difference(&plain, &other), "token 5 is `the` in one and `[unused5]` in the other");
    let longer = format!("{BASE}sat\n");
    let longer = [(VOCABULARY, longer.as_str())];
    assert_eq!(difference(&plain, &longer), "token 7 is absent in one and `sat` in the other");
    let added = [(VOCABULARY, BASE), (ADDED, r#"{"brenta": 7}"#)];
    assert_eq!(difference(&plain, &added), "token 7 is absent in one and `brenta` in the other");
    let extra = with(r#"{"additional_special_tokens": ["cat"]}"#);
    assert_eq!(difference(&plain, &extra), "`cat` is an added token in one, not in the other");
    let decoder = |flag| {
        let token = format!(r#"{{"content": "cat", "lstrip": {flag}, "special": true}}"#);
        format!(r#"{{"added_tokens_decoder": {{"6": {token}}}}}"#)
    };
    let (plain_cat, stripping) = (decoder(false), decoder(true));
    assert_eq!(
        difference(&with(&plain_cat), &with(&stripping)),
        "`lstrip` of the added token `cat` is false in one and true in the other"
    );
    let first = with(r#"{"cls_token": "[SEP]"}"#);
    assert_eq!(
        difference(&plain, &first),
        "the token at the beginning is `[CLS]` in one and `[SEP]` in the other"
    );
    let words = with(r#"{"split_special_tokens": true}"#);
    assert!(difference(&plain, &words).contains("reads special tokens in a text as words"));
}

#[test]
fn a_vocabulary_keeps_its_ids_whatever_its_line_ends_and_empty_lines() {
    let plain = open(&[(VOCABULARY, BASE)]);
    let variants = [
        format!("\u{feff}{BASE}"),
        BASE.replace('\n', "\r\n"),
        format!("{BASE}\n\n \n"),
        BASE.trim_end().to_owned(),
        format!("\u{feff}{}\r\n\r\n", BASE.replace('\n', "\r\n")),
    ];
    for text in &variants {
        let tokenizer = open(&[(VOCABULARY, text)]);
        assert_eq!(plain.difference(&tokenizer), None, "{text:?}");
        assert_eq!(tokenizer.vocab_size(), 7, "{text:?}");
    }
    let gap = open(&[(VOCABULARY, &BASE.replace("the\n", "\nthe\n"))]);
    assert_eq!(gap.token_id("the"), Some(6));
}

#[test]
fn a_mask_token_outside_the_vocabulary_needs_no_embedding_and_is_used_if_there_is_one() {
    let short = BASE.replace("[MASK]\n", "");
    let named = r#"{"mask_token": "[MASK]", "pad_token": "[PAD]"}"#;
    let without = open(&[(VOCABULARY, &short)]);
    let mut tokenizer = open(&[(VOCABULARY, &short), (CONFIG, named)]);
    assert_eq!(without.difference(&tokenizer), None);
    assert_eq!(tokenizer.vocab_size(), 6);
    assert_eq!(tokenizer.ids("the [MASK] cat").unwrap(), [4, 1, 5]);
    assert!(tokenizer.mask().unwrap_err().to_string().contains("no [MASK]"));
    tokenizer.fit_to(8);
    assert_eq!(tokenizer.vocab_size(), 7);
    assert_eq!(tokenizer.ids("the [MASK] cat").unwrap(), [4, 6, 5]);
    assert_eq!(tokenizer.mask().unwrap(), 6);
}

#[test]
fn what_cannot_be_used_of_a_tokenizer_is_named_with_its_file() {
    let refused = |name: &str, content: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(VOCABULARY), BASE).unwrap();
        std::fs::write(folder.path().join(name), content).unwrap();
        let error = error_of(folder.path());
        assert!(error.contains(name), "{error}");
        error
    };
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 231508\n";
    for name in [VOCABULARY, JSON, CONFIG] {
        assert!(refused(name, pointer).contains("is a Git LFS pointer"));
        assert!(refused(name, "").contains("is empty"));
    }
    assert!(refused(ADDED, r#"{"cat": "x"}"#).contains("the id of \"cat\" is \"x\""));
    assert!(refused(ADDED, r#"["cat"]"#).contains("expected a map"));
    assert!(refused(CONFIG, r#"{"do_lower_case": "yes"}"#).contains("`do_lower_case`"));
    assert!(refused(CONFIG, r#"{"cls_token": {"x": 1}}"#).contains("`cls_token`"));
    let japanese = r#"{"tokenizer_class": "BertJapaneseTokenizer"}"#;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(VOCABULARY), BASE).unwrap();
    std::fs::write(folder.path().join(CONFIG), japanese).unwrap();
    assert!(error_of(folder.path()).contains("finds words by a dictionary"));
    assert!(refused(SPECIAL, "{\"cls_token\": ").contains("EOF"));
}

#[test]
fn saving_copies_the_files_of_added_tokens_too() {
    let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(source.path().join(VOCABULARY), BASE).unwrap();
    std::fs::write(source.path().join(ADDED), r#"{"brenta": 7}"#).unwrap();
    Tokenizer::from_folder(source.path()).unwrap().save(target.path()).unwrap();
    let copy = Tokenizer::from_folder(target.path()).unwrap();
    assert_eq!(copy.ids("the brenta").unwrap(), [5, 7]);
}

#[test]
fn the_longest_text_is_what_the_settings_say_unless_they_mean_no_limit() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(model_max_length(folder.path()).unwrap(), None);
    for (value, expected) in
        [("256", Some(256)), ("1000000000000000019884624838656", None), ("null", None), ("0", None)]
    {
        let config = format!(r#"{{"model_max_length": {value}}}"#);
        std::fs::write(folder.path().join(CONFIG), config).unwrap();
        assert_eq!(model_max_length(folder.path()).unwrap(), expected, "{value}");
    }
}
