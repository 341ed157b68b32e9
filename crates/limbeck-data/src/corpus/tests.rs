use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::cache::memory::{Failing, Memory};
use crate::testing::tokenizer;
use crate::{Batch, Cache, Examples, Tokenizer};

const TEXT: &str = "the cats sat on the mat\n\nwho sat\nthe big dog (18) sat on the red cat\n";

fn texts(folder: &Path, text: &str, documents: Documents) -> Texts {
    let path = folder.join("text.txt");
    std::fs::write(&path, text).unwrap();
    Texts { paths: vec![path], documents }
}

fn corpus_of(text: &str, documents: Documents) -> Corpus {
    let folder = tempfile::tempdir().unwrap();
    let texts = texts(folder.path(), text, documents);
    let go_on = |_| ControlFlow::Continue(());
    Corpus::open_or_build(&Cache::folder(folder.path()), &texts, &tokenizer(), go_on)
        .unwrap()
        .unwrap()
}

fn masking() -> Masking {
    Masking::new(MaskingKind::WholeWord, 0.15, &tokenizer()).unwrap()
}

fn ids(tokenizer: &Tokenizer, documents: &[&str]) -> Vec<u32> {
    let all = documents.iter().map(|text| tokenizer.encode(text).unwrap().ids);
    all.collect::<Vec<_>>().join(&tokenizer.sep())
}

/// A batch with what was masked put back.
fn restored(mut batch: Batch) -> Vec<u32> {
    for (&row, &id) in batch.masked_rows.iter().zip(&batch.masked_ids) {
        batch.input_ids[row as usize] = id;
    }
    batch.input_ids
}

#[test]
fn tokens_lie_end_to_end_with_a_separator_between_documents() {
    let tokenizer = tokenizer();
    let lines: Vec<&str> = TEXT.lines().filter(|line| !line.is_empty()).collect();
    let corpus = corpus_of(TEXT, Documents::Lines);
    assert_eq!(corpus.tokens(), ids(&tokenizer, &lines));
    assert_eq!(corpus.report, CorpusReport { documents: 3, tokens: corpus.tokens().len() as u64 });
    let corpus = corpus_of(TEXT, Documents::BlankLines);
    let two = [lines[0].to_owned(), format!("{} {}", lines[1], lines[2])];
    assert_eq!(corpus.tokens(), ids(&tokenizer, &[&two[0], &two[1]]));
    // What makes no token is no document.
    let corpus = corpus_of("the cat\n\u{200b}\n\nsat", Documents::Lines);
    assert_eq!(corpus.tokens(), ids(&tokenizer, &["the cat", "sat"]));
    assert_eq!(corpus_of("", Documents::Lines).report, CorpusReport::default());
}

#[test]
fn a_file_of_tokens_is_used_again_and_a_damaged_one_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let texts = texts(folder.path(), TEXT, Documents::Lines);
    let open = |texts: &Texts| {
        let mut built = 0;
        let count = |bytes| {
            built += bytes;
            ControlFlow::Continue(())
        };
        let corpus =
            Corpus::open_or_build(&Cache::folder(folder.path()), texts, &tokenizer(), count);
        (corpus.unwrap().unwrap().tokens().to_vec(), built)
    };
    let (tokens, built) = open(&texts);
    assert!(built > 0);
    assert_eq!(open(&texts), (tokens.clone(), 0));
    let cache = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let cache = cache.filter(|path| path.extension().is_some_and(|end| end == "bin"));
    let [path] = &cache.collect::<Vec<_>>()[..] else { panic!("one file") };
    let whole = std::fs::read(path).unwrap();
    for change in [whole.len() - 1, 30, 4, whole.len() - 4] {
        let mut bytes = whole.clone();
        bytes[change] ^= 1;
        std::fs::write(path, &bytes).unwrap();
        assert_eq!(open(&texts), (tokens.clone(), built), "byte {change}");
    }
    std::fs::write(path, &whole[..whole.len() - 4]).unwrap();
    assert_eq!(open(&texts), (tokens.clone(), built));
    let blank = Texts { documents: Documents::BlankLines, ..texts };
    assert!(open(&blank).1 > 0);
}

#[test]
fn tokens_of_another_machine_are_brought_and_damaged_ones_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let texts = texts(folder.path(), TEXT, Documents::Lines);
    let source = Arc::new(Memory::default());
    let open_in = |cache: &Cache| {
        let mut built = 0;
        let count = |bytes| {
            built += bytes;
            ControlFlow::Continue(())
        };
        let corpus = Corpus::open_or_build(cache, &texts, &tokenizer(), count);
        (corpus.unwrap().unwrap().tokens().to_vec(), built > 0)
    };
    let open = || open_in(&source.machine().1);
    let (tokens, is_built) = open();
    assert!(is_built);
    assert_eq!(open(), (tokens.clone(), false));
    for bytes in source.files.lock().unwrap().values_mut() {
        *bytes.last_mut().unwrap() ^= 1;
    }
    assert_eq!(open(), (tokens.clone(), true));
    assert_eq!(open(), (tokens.clone(), false));
    assert_eq!(source.kept.lock().unwrap().len(), 2);
    let failing = Cache::before(folder.path().join("cache"), Arc::new(Failing));
    assert_eq!(open_in(&failing), (tokens, true));
}

#[test]
fn a_stop_leaves_no_file_and_a_missing_text_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let texts = texts(folder.path(), TEXT, Documents::Lines);
    let stop = |_| ControlFlow::Break(());
    let stopped =
        Corpus::open_or_build(&Cache::folder(folder.path()), &texts, &tokenizer(), stop).unwrap();
    assert!(stopped.is_none());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let missing = Texts { paths: vec!["no/such.txt".into()], ..texts };
    let error = Corpus::open_or_build(&Cache::folder(folder.path()), &missing, &tokenizer(), stop)
        .unwrap_err();
    assert!(error.to_string().contains("no/such.txt"), "{error}");
    assert!(missing.bytes().is_err());
}

#[test]
fn windows_hold_every_token_once_and_none_is_padded() {
    let (tokenizer, text) = (tokenizer(), TEXT.repeat(20));
    let tokens = corpus_of(&text, Documents::Lines).tokens().to_vec();
    for max_length in [8, 9, 20] {
        let corpus = corpus_of(&text, Documents::Lines);
        let windows = Windows::all(corpus, &masking(), max_length, 1).unwrap();
        let mut all = Vec::new();
        for index in 0..windows.len() {
            let mut batch = Batch::default();
            windows.batch(&[index], &mut batch);
            assert_eq!(batch.rows(), windows.rows_of(index));
            assert!(batch.rows() == max_length || index + 1 == windows.len());
            assert!(!batch.masked_rows.is_empty());
            let ids = restored(batch);
            assert_eq!((ids[0], ids[ids.len() - 1]), (tokenizer.cls(), tokenizer.sep()));
            all.extend_from_slice(&ids[1..ids.len() - 1]);
        }
        assert_eq!(all, tokens);
        assert_eq!(windows.rows(), tokens.len() + 2 * windows.len());
    }
}

#[test]
fn epochs_draw_masks_of_their_own_and_validation_keeps_its() {
    let split = || {
        let corpus = corpus_of(&TEXT.repeat(40), Documents::Lines);
        Windows::split(corpus, &masking(), 20, 0.2, (1, 2)).unwrap()
    };
    let (train, validation) = split();
    let total = train.len() + validation.len();
    assert_eq!(validation.len(), (total as f64 * 0.2).round() as usize);
    let of_epoch = |windows: &Windows, epoch| {
        let mut batch = Batch::default();
        windows.batch_of_epoch(&[0, 3], epoch, &mut batch);
        batch
    };
    assert_eq!(of_epoch(&train, 5), of_epoch(&split().0, 5));
    assert_ne!(of_epoch(&train, 5).masked_rows, of_epoch(&train, 6).masked_rows);
    assert_eq!(restored(of_epoch(&train, 5)), restored(of_epoch(&train, 6)));
    assert_eq!(of_epoch(&validation, 5), of_epoch(&validation, 6));
    // Where a window lies in a batch does not matter.
    let mut batch = Batch::default();
    train.batch_of_epoch(&[3], 5, &mut batch);
    let both = of_epoch(&train, 5);
    assert_eq!(both.input_ids[both.starts[1]..], batch.input_ids);
    // Windows of training and validation are different ones, whatever the training's seed.
    let places: Vec<u32> = train.places.iter().chain(&validation.places).copied().collect();
    let distinct: std::collections::BTreeSet<u32> = places.iter().copied().collect();
    assert_eq!(distinct.len(), total);
    let corpus = corpus_of(&TEXT.repeat(40), Documents::Lines);
    let (_, other) = Windows::split(corpus, &masking(), 20, 0.2, (9, 2)).unwrap();
    assert_eq!(of_epoch(&other, 0), of_epoch(&validation, 0));
}

#[test]
fn shares_and_lengths_that_cannot_work_are_refused() {
    let split = |max_length, share| {
        let corpus = corpus_of(TEXT, Documents::Lines);
        Windows::split(corpus, &masking(), max_length, share, (1, 2)).map(|_| ())
    };
    assert!(split(20, 0.0).is_ok());
    assert!(split(7, 0.0).unwrap_err().to_string().contains("max_length"));
    for share in [1.0, -0.1, f64::NAN] {
        assert!(split(20, share).unwrap_err().to_string().contains("validation_share"));
    }
    assert!(split(500, 0.05).unwrap_err().to_string().contains("none to learn from"));
}
