use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::cache::memory::{Failing, Memory};
use crate::testing::{data, tokenizer};
use crate::{Answer, Paragraph, Question};

fn options(max_length: usize, doc_stride: usize, max_query_length: usize) -> FeatureOptions {
    FeatureOptions { max_length, doc_stride, max_query_length, ..Default::default() }
}

fn train(data: &SquadData, options: &FeatureOptions) -> (Features, BuildReport) {
    Features::build(data, &tokenizer(), options, Purpose::Train).unwrap()
}

/// The text that a feature's label covers.
fn labelled<'a>(data: &'a SquadData, features: &Features, index: usize) -> &'a str {
    let feature = features.feature(index);
    let token = |row: u32| row as usize - feature.first_context_row() + feature.window_start;
    let offsets = features.offsets(feature.paragraph);
    let (first, last) = (token(feature.start_position), token(feature.end_position));
    &data.paragraphs[feature.paragraph].context
        [offsets[first][0] as usize..offsets[last][1] as usize]
}

#[test]
fn a_feature_is_cls_question_sep_window_sep() {
    let data = data("The cat sat on the mat.", "Who sat?", Some(("cat", 4)));
    let tokenizer = tokenizer();
    let (features, report) = train(&data, &FeatureOptions::default());
    assert_eq!((features.len(), report.features, report.rows), (1, 1, 13));
    assert_eq!((features.rows_of(0), features.features_of(0)), (13, 0..1));
    let mut batch = Batch::default();
    features.batch(&[0, 0], &mut batch);
    let encode = |text| tokenizer.encode(text).unwrap().ids;
    let expected = [
        &[tokenizer.cls()][..],
        &encode("who sat?"),
        &[tokenizer.sep()],
        &encode("the cat sat on the mat."),
        &[tokenizer.sep()],
    ]
    .concat();
    assert_eq!(batch.input_ids, [expected.clone(), expected].concat());
    assert_eq!(batch.token_type_ids[..13], [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
    assert_eq!(batch.starts, [0, 13, 26]);
    assert_eq!((batch.start_positions[1], batch.end_positions[1]), (6, 6));
    assert_eq!((batch.features.as_slice(), batch.sequences(), batch.rows()), (&[0, 0][..], 2, 26));
}

#[test]
fn a_batch_is_refilled_without_allocation() {
    let data = data(&"cat sat ".repeat(50), "Who?", None);
    let (features, _) = train(&data, &options(20, 4, 8));
    let all: Vec<usize> = (0..features.len()).collect();
    let mut batch = Batch::default();
    features.batch(&all, &mut batch);
    let before = (batch.input_ids.as_ptr(), batch.starts.as_ptr(), batch.token_type_ids.as_ptr());
    let (first, again) = (batch.clone(), &all[..3]);
    features.batch(again, &mut batch);
    assert_eq!(batch.sequences(), 3);
    features.batch(&all, &mut batch);
    let after = (batch.input_ids.as_ptr(), batch.starts.as_ptr(), batch.token_type_ids.as_ptr());
    assert_eq!((before, first), (after, batch));
}

#[test]
fn windows_that_do_not_hold_the_whole_answer_are_labelled_with_nothing() {
    // 12 tokens of context, windows of 5 that share 2: 0..5, 3..8, 6..11, 9..12 less the last.
    let context = "a b c d e f g h i j k l";
    let data = data(context, "who", Some(("e f", 8)));
    let (features, _) = train(&data, &options(9, 2, 1));
    let positions: Vec<_> = (0..features.len())
        .map(|index| features.feature(index))
        .map(|feature| (feature.window_start, feature.start_position, feature.end_position))
        .collect();
    assert_eq!(positions, [(0, 0, 0), (3, 4, 5), (6, 0, 0), (9, 0, 0)]);
    assert_eq!(labelled(&data, &features, 1), "e f");
}

#[test]
fn labels_cover_the_answer_in_any_script() {
    for (context, answer, start) in [
        ("東京 is 日本 🦀🦀 big", "日本", 6),
        ("the Café sat", "Café", 4),
        ("the cafe\u{301} sat", "cafe\u{301}", 4),
        ("🦀 red 🦀 dog", "dog", 8),
        ("שלום cat שלום", "cat", 5),
    ] {
        let data = data(context, "what", Some((answer, start)));
        let (features, report) = train(&data, &FeatureOptions::default());
        assert_eq!(report.moved_answers + report.unlocatable_answers, 0, "{context}");
        assert_eq!(labelled(&data, &features, 0), answer);
    }
}

#[test]
fn older_labels_are_whole_words_unless_they_are_refined() {
    let data = data("the dog (1895-1843).", "what", Some(("1895", 9)));
    let mut options = FeatureOptions::default();
    assert_eq!(labelled(&data, &train(&data, &options).0, 0), "1895");
    options.doc_stride_meaning = DocStrideMeaning::Advance;
    assert_eq!(labelled(&data, &train(&data, &options).0, 0), "1895");
    options.refine_labels = false;
    assert_eq!(labelled(&data, &train(&data, &options).0, 0), "(1895-1843).");
}

#[test]
fn an_answer_that_is_nowhere_is_counted_and_left_out_of_training_only() {
    let mut data = data("the cat", "who", Some(("dog", 4)));
    let more = |id: &str, text: &str, start| Question {
        id: id.into(),
        answers: vec![Answer { text: text.into(), start: Some(start) }],
        ..data.questions[0].clone()
    };
    let more = [more("r", "cat", 0), more("s", "\u{200b}", 0)];
    data.questions.extend(more);
    let (features, report) = train(&data, &FeatureOptions::default());
    assert_eq!((features.len(), features.questions()), (1, 3));
    assert_eq!((report.unlocatable_answers, report.moved_answers), (2, 1));
    assert_eq!(report.unlocatable_ids, ["q", "s"]);
    assert_eq!((features.features_of(0), features.features_of(1)), (0..0, 0..1));
    let (features, report) =
        Features::build(&data, &tokenizer(), &FeatureOptions::default(), Purpose::Predict).unwrap();
    assert_eq!((features.len(), report.unlocatable_answers), (3, 0));
}

#[test]
fn training_leaves_out_what_has_no_answer_and_no_mark_that_it_has_none() {
    let mut data = data("the cat", "who", None);
    assert_eq!(train(&data, &FeatureOptions::default()).0.feature(0).end_position, 0);
    data.questions[0].is_impossible = false;
    let build = |purpose| Features::build(&data, &tokenizer(), &FeatureOptions::default(), purpose);
    let (features, report) = build(Purpose::Train).unwrap();
    assert!(features.is_empty());
    assert_eq!((report.left_out[0].id.as_str(), report.unlocatable_answers), ("q", 1));
    assert!(report.left_out[0].reason.contains("no answer"), "{:?}", report.left_out);
    assert_eq!(build(Purpose::Predict).unwrap().1.left_out, []);
}

#[test]
fn answers_that_are_moved_or_left_out_are_all_named_from_the_cache_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = data("the cat, the dog, the cat", "who", Some(("dog", 3)));
    let first = data.questions[0].clone();
    let more = |id: &str, answers: &[(&str, Option<usize>)]| Question {
        id: id.into(),
        answers: answers.iter().map(|&(text, start)| Answer { text: text.into(), start }).collect(),
        ..first.clone()
    };
    data.questions.extend([
        more("undecided", &[("cat", None)]),
        more("second", &[("bird", Some(4)), ("cat", Some(4))]),
        more("nearest", &[("cat", Some(20))]),
    ]);
    let built = open(folder.path(), &data, &FeatureOptions::default());
    let (features, report) = open(folder.path(), &data, &FeatureOptions::default());
    assert!(matches!(report.cache, CacheUse::Opened(_)));
    assert_eq!((&built.1.moved, &built.1.left_out), (&report.moved, &report.left_out));
    let moved = |id: &str, text: &str, from, to| MovedAnswer {
        id: id.into(),
        text: text.into(),
        from: Some(from),
        to,
    };
    assert_eq!(report.moved, [moved("q", "dog", 3, 13), moved("nearest", "cat", 20, 22)]);
    assert_eq!(report.left_out.len(), 1);
    assert_eq!(report.left_out[0].id, "undecided");
    assert!(report.left_out[0].reason.contains("several times"));
    assert_eq!(labelled(&data, &features, features.features_of(2).start), "cat");
}

#[test]
fn a_question_without_a_paragraph_is_an_error() {
    let mut data = data("the cat", "who", None);
    data.questions[0].paragraph = 1;
    assert!(
        Features::build(&data, &tokenizer(), &FeatureOptions::default(), Purpose::Train).is_err()
    );
}

#[test]
fn a_long_question_is_cut_or_refused_with_its_id() {
    let data = data("the cat sat", &"who ".repeat(500), Some(("cat", 4)));
    let (features, report) = train(&data, &FeatureOptions::default());
    assert_eq!((features.feature(0).question_len, report.truncated_questions), (64, 1));
    let unlimited = options(384, 128, 0);
    let error = Features::build(&data, &tokenizer(), &unlimited, Purpose::Train).unwrap_err();
    assert!(error.to_string().contains("question \"q\""), "{error}");
}

#[test]
fn a_context_without_tokens_still_makes_a_feature() {
    let data = data("\u{200b}", "who", None);
    let (features, _) = train(&data, &FeatureOptions::default());
    assert_eq!((features.len(), features.rows_of(0)), (1, 4));
}

#[test]
fn a_context_of_a_hundred_thousand_words_is_covered_to_its_end() {
    let context = "cat ".repeat(99_999) + "dog";
    let data = data(&context, "who", Some(("dog", 4 * 99_999)));
    let (features, report) = train(&data, &FeatureOptions::default());
    // Windows have 384 - 1 - 3 = 380 tokens and begin 252 tokens apart.
    assert_eq!(features.len(), (100_000_usize - 380).div_ceil(252) + 1);
    let last = features.feature(features.len() - 1);
    assert_eq!(last.window().end, 100_000);
    assert_eq!(labelled(&data, &features, features.len() - 1), "dog");
    assert_eq!(report.features, features.len());
}

/// Several questions about several paragraphs.
fn larger() -> SquadData {
    let mut all = SquadData::default();
    for paragraph in 0..5 {
        let context = "the big red cat sat ".repeat(5 + paragraph) + "on a mat";
        all.paragraphs.push(Paragraph { title: "T".into(), context: context.clone() });
        for number in 0..3 {
            let mut one = data(&context, "who sat?", Some(("mat", context.len() - 3)));
            let mut question = one.questions.remove(0);
            question.id = format!("{paragraph}.{number}");
            question.paragraph = paragraph;
            all.questions.push(question);
        }
    }
    all
}

fn open(folder: &Path, data: &SquadData, options: &FeatureOptions) -> (Features, BuildReport) {
    let cache = Cache::folder(folder);
    Features::open_or_build(Some(&cache), data, &tokenizer(), options, Purpose::Train).unwrap()
}

fn all_rows(features: &Features) -> Batch {
    let mut batch = Batch::default();
    features.batch(&(0..features.len()).collect::<Vec<_>>(), &mut batch);
    batch
}

#[test]
fn mapped_features_equal_those_that_were_built() {
    let folder = tempfile::tempdir().unwrap();
    let (data, options) = (larger(), options(24, 5, 8));
    let (built, first) = open(folder.path(), &data, &options);
    assert!(matches!(first.cache, CacheUse::Written(_)), "{:?}", first.cache);
    let (mapped, mut second) = open(folder.path(), &data, &options);
    assert!(matches!(second.cache, CacheUse::Opened(_)), "{:?}", second.cache);
    assert_eq!(all_rows(&built), all_rows(&mapped));
    assert_eq!(built.offsets(4), mapped.offsets(4));
    second.cache = first.cache.clone();
    assert_eq!(first, second);
}

#[test]
fn everything_that_features_depend_on_has_its_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let (mut data, base) = (larger(), options(24, 5, 8));
    let mut files = Vec::new();
    let mut keep = |report: BuildReport| match report.cache {
        CacheUse::Written(path) => files.push(path),
        other => panic!("{other:?}"),
    };
    keep(open(folder.path(), &data, &base).1);
    keep(open(folder.path(), &data, &options(25, 5, 8)).1);
    keep(open(folder.path(), &data, &options(24, 4, 8)).1);
    keep(open(folder.path(), &data, &options(24, 5, 7)).1);
    let advance = FeatureOptions { doc_stride_meaning: DocStrideMeaning::Advance, ..base.clone() };
    keep(open(folder.path(), &data, &advance).1);
    keep(open(folder.path(), &data, &FeatureOptions { refine_labels: false, ..advance }).1);
    let cache = Cache::folder(folder.path());
    let predict =
        Features::open_or_build(Some(&cache), &data, &tokenizer(), &base, Purpose::Predict);
    keep(predict.unwrap().1);
    data.limit(14);
    keep(open(folder.path(), &data, &base).1);
    let start = &mut data.questions[0].answers[0].start;
    *start = start.map(|start| start - 1);
    keep(open(folder.path(), &data, &base).1);
    let count = files.len();
    files.sort();
    files.dedup();
    assert_eq!(files.len(), count);
}

#[test]
fn what_another_machine_has_built_is_brought_and_a_damaged_one_replaced() {
    let (data, options) = (larger(), options(24, 5, 8));
    let source = Arc::new(Memory::default());
    let open_in = |cache: &Cache| {
        let cache = Some(cache);
        Features::open_or_build(cache, &data, &tokenizer(), &options, Purpose::Train).unwrap()
    };
    let open = || open_in(&source.machine().1);
    let (built, first) = open();
    assert!(matches!(first.cache, CacheUse::Written(_)), "{:?}", first.cache);
    let (brought, second) = open();
    assert!(matches!(second.cache, CacheUse::Opened(_)), "{:?}", second.cache);
    assert_eq!(all_rows(&built), all_rows(&brought));
    assert_eq!(source.kept.lock().unwrap().len(), 1);
    for bytes in source.files.lock().unwrap().values_mut() {
        *bytes.last_mut().unwrap() ^= 1;
    }
    assert!(matches!(open().1.cache, CacheUse::Written(_)));
    assert!(matches!(open().1.cache, CacheUse::Opened(_)));
    assert_eq!(source.kept.lock().unwrap().len(), 2);

    let folder = tempfile::tempdir().unwrap();
    let (again, report) = open_in(&Cache::before(folder.path(), Arc::new(Failing)));
    assert!(matches!(report.cache, CacheUse::Written(_)), "{:?}", report.cache);
    assert_eq!(all_rows(&built), all_rows(&again));
    // What could not be written is not handed over.
    let in_the_way = folder.path().join("file");
    std::fs::write(&in_the_way, "").unwrap();
    let report = open_in(&Cache::before(in_the_way, source.clone())).1;
    assert!(matches!(report.cache, CacheUse::Failed(_)), "{:?}", report.cache);
    assert_eq!(source.kept.lock().unwrap().len(), 2);
}

#[test]
fn a_cut_or_damaged_cache_is_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (data, options) = (larger(), options(24, 5, 8));
    let (built, report) = open(folder.path(), &data, &options);
    let CacheUse::Written(path) = report.cache else { panic!("{:?}", report.cache) };
    let whole = std::fs::read(&path).unwrap();
    let mut damaged: Vec<Vec<u8>> =
        [0, 7, 50, 200, whole.len() - 1].iter().map(|&len| whole[..len].to_vec()).collect();
    damaged.push([whole.as_slice(), b"x"].concat());
    for byte in (0..whole.len()).step_by(97) {
        let mut copy = whole.clone();
        copy[byte] ^= 0x40;
        damaged.push(copy);
    }
    for bytes in damaged {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let (again, report) = open(folder.path(), &data, &options);
        assert!(matches!(report.cache, CacheUse::Written(_)), "{:?}", report.cache);
        assert_eq!(all_rows(&again), all_rows(&built));
    }
    assert_eq!(std::fs::read(&path).unwrap(), whole);
}

#[test]
fn two_threads_building_at_once_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let (data, options) = (larger(), options(24, 5, 8));
    let expected = all_rows(&train(&data, &options).0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(all_rows(&open(folder.path(), &data, &options).0), expected));
        }
    });
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_cache_that_cannot_be_written_is_told_and_does_not_stop_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("file");
    std::fs::write(&in_the_way, "").unwrap();
    let (features, report) = open(&in_the_way, &larger(), &options(24, 5, 8));
    assert!(!features.is_empty());
    assert!(matches!(report.cache, CacheUse::Failed(_)), "{:?}", report.cache);
}
