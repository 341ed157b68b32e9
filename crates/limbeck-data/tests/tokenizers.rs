//! Tokenizers of many kinds of folders, compared with Transformers.
//!
//! `tests/golden/tokenizers.json` says what is in it; `tools/golden_tokenizers.py` writes it.

use std::collections::BTreeMap;
use std::path::Path;

use limbeck_data::Tokenizer;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Golden {
    words: Vec<String>,
    texts: Vec<String>,
    folders: BTreeMap<String, Folder>,
}

#[derive(Deserialize)]
struct Folder {
    files: BTreeMap<String, Value>,
    resaved: BTreeMap<String, Value>,
    ids: Vec<Vec<u32>>,
    cls: u32,
    sep: u32,
    mask: u32,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/tokenizers.json")).unwrap()
}

fn open(folder: &Path, files: &BTreeMap<String, Value>, vocabulary: Option<&str>) -> Tokenizer {
    if let Some(vocabulary) = vocabulary {
        std::fs::write(folder.join("vocab.txt"), vocabulary).unwrap();
    }
    for (name, content) in files {
        let text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
        std::fs::write(folder.join(name), text).unwrap();
    }
    Tokenizer::from_folder(folder).unwrap()
}

#[test]
fn every_folder_gives_the_ids_of_transformers_also_when_saved_again() {
    let Golden { words, texts, folders } = golden();
    let vocabulary = words.join("\n") + "\n";
    for (name, golden) in &folders {
        let [first, again, copy] = [0; 3].map(|_| tempfile::tempdir().unwrap());
        let first = open(first.path(), &golden.files, Some(&vocabulary));
        let again = open(again.path(), &golden.resaved, None);
        first.save(copy.path()).unwrap();
        let copy = Tokenizer::from_folder(copy.path()).unwrap();
        for (how, tokenizer) in [("as it is", &first), ("saved again", &again), ("copied", &copy)] {
            for (text, ids) in texts.iter().zip(&golden.ids) {
                assert_eq!(&tokenizer.ids(text).unwrap(), ids, "{name}, {how}: {text:?}");
                assert_eq!(&tokenizer.encode(text).unwrap().ids, ids, "{name}, {how}: {text:?}");
            }
            let special = (tokenizer.cls(), tokenizer.sep(), tokenizer.mask().unwrap());
            assert_eq!(special, (golden.cls, golden.sep, golden.mask), "{name}, {how}");
            // It does the same, so it is the same, whatever files say it.
            assert_eq!(first.difference(tokenizer), None, "{name}, {how}");
            assert_eq!(first.fingerprint(), tokenizer.fingerprint(), "{name}, {how}");
        }
    }
}

#[test]
fn folders_that_give_other_ids_are_other_tokenizers() {
    let Golden { words, folders, .. } = golden();
    let vocabulary = words.join("\n") + "\n";
    let mut known: Vec<(&str, Tokenizer, &Folder)> = Vec::new();
    for (name, golden) in &folders {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = open(folder.path(), &golden.files, Some(&vocabulary));
        for (other_name, other, other_golden) in &known {
            let key = |golden: &Folder| (golden.ids.clone(), golden.cls, golden.sep, golden.mask);
            if key(golden) != key(other_golden) {
                let difference = tokenizer.difference(other);
                assert!(difference.is_some(), "{name} and {other_name}");
                assert_ne!(tokenizer.fingerprint(), other.fingerprint(), "{name}, {other_name}");
            }
        }
        known.push((name, tokenizer, golden));
    }
}
