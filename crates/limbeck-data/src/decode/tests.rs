use super::*;

const CONTEXT: &str = "日本 the big cat";
/// 日, 本, the, big, cat.
const OFFSETS: [[u32; 2]; 5] = [[0, 3], [3, 6], [7, 10], [11, 14], [15, 18]];

/// A feature `[CLS] q [SEP] window [SEP]`: the logits of `[CLS]` and of the window's tokens;
/// those of the other rows are high, to show that they are never chosen.
fn rows(cls: f32, tokens: &[f32]) -> Vec<f32> {
    [&[cls, 90.0, 91.0], tokens, &[92.0]].concat()
}

fn window<'a>(start: &'a [f32], end: &'a [f32], first: usize) -> Window<'a> {
    let len = start.len() - 4;
    Window {
        start_logits: start,
        end_logits: end,
        first_row: 3,
        window_start: first,
        offsets: &OFFSETS[first..first + len],
    }
}

fn options() -> DecodeOptions {
    DecodeOptions::default()
}

fn with_null(threshold: f64) -> DecodeOptions {
    DecodeOptions { allow_null: true, null_score_diff_threshold: threshold, ..options() }
}

#[test]
fn the_answer_is_the_span_with_the_highest_score_as_written_in_the_context() {
    let start = rows(50.0, &[0.0, 5.0, 1.0, 0.0, 0.0]);
    let end = rows(50.0, &[6.0, 0.0, 1.0, 3.0, 2.0]);
    let decoded = decode_question(CONTEXT, &[window(&start, &end, 0)], &options());
    assert_eq!(decoded.text, "本 the big");
    let best = &decoded.candidates[0];
    assert_eq!((best.start, best.end), (1, 10));
    assert_eq!((best.start_logit, best.end_logit), (5.0, 3.0));
    assert_eq!(decoded.null_odds, None);
    assert_eq!(decoded.predicted(), Some(best));
    let sum: f64 = decoded.candidates.iter().map(|candidate| candidate.probability).sum();
    assert!((sum - 1.0).abs() < 1e-12);
    let ratio = decoded.candidates[1].probability / best.probability;
    let second = decoded.candidates[1].start_logit + decoded.candidates[1].end_logit;
    assert!((ratio - f64::from(second - 8.0).exp()).abs() < 1e-12);
    assert!(decoded.candidates.is_sorted_by(|a, b| a.probability >= b.probability));
}

#[test]
fn an_answer_has_at_most_max_answer_length_tokens() {
    let start = rows(0.0, &[9.0, 0.0, 0.0, 0.0, 0.0]);
    let end = rows(0.0, &[0.0, 0.0, 0.0, 1.0, 9.0]);
    let text = |max_answer_length| {
        let options = DecodeOptions { max_answer_length, ..options() };
        decode_question(CONTEXT, &[window(&start, &end, 0)], &options).text
    };
    assert_eq!(text(5), CONTEXT);
    assert_eq!(text(4), "日本 the big");
    assert_eq!(text(0), "");
}

#[test]
fn windows_are_pooled_and_a_text_is_kept_once_with_its_best_score() {
    let (start, end) = (rows(0.0, &[1.0, 0.0, 0.0]), rows(0.0, &[1.0, 0.0, 0.0]));
    let (later_start, later_end) = (rows(0.0, &[4.0, 0.0, 1.0]), rows(0.0, &[4.0, 0.0, 1.0]));
    let windows = [window(&start, &end, 0), window(&later_start, &later_end, 2)];
    let decoded = decode_question(CONTEXT, &windows, &options());
    assert_eq!(decoded.text, "the");
    let texts: Vec<&str> = decoded.candidates.iter().map(|c| c.text.as_str()).collect();
    let mut different = texts.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), texts.len());
    let the = decoded.candidates.iter().find(|candidate| candidate.text == "the").unwrap();
    assert_eq!(the.start_logit, 4.0);
    // The same text at two places counts once too, and takes no room in the list.
    let offsets = [[0, 1], [2, 3], [4, 5]];
    let repeated = Window { offsets: &offsets, ..window(&start, &end, 0) };
    let narrow = DecodeOptions { n_best_size: 3, max_answer_length: 1, ..options() };
    let decoded = decode_question("a a b", &[repeated], &narrow);
    let texts: Vec<&str> = decoded.candidates.iter().map(|c| c.text.as_str()).collect();
    assert_eq!(texts, ["a", "b"]);
}

#[test]
fn equal_scores_are_ordered_by_place() {
    let flat = rows(0.0, &[1.0; 5]);
    let decoded = decode_question(CONTEXT, &[window(&flat, &flat, 0)], &options());
    let texts: Vec<&str> =
        decoded.candidates.iter().take(3).map(|candidate| candidate.text.as_str()).collect();
    assert_eq!(texts, ["日", "日本", "日本 the"]);
}

#[test]
fn nothing_is_predicted_only_above_the_threshold() {
    let (start, end) = (rows(3.0, &[2.0, 0.0]), rows(2.0, &[1.0, 0.0]));
    let windows = [window(&start, &end, 0)];
    let decoded = decode_question(CONTEXT, &windows, &with_null(2.0));
    assert_eq!((decoded.text.as_str(), decoded.null_odds), ("日", Some(2.0)));
    let decoded = decode_question(CONTEXT, &windows, &with_null(1.9));
    assert_eq!((decoded.text.as_str(), decoded.best_text.as_str()), ("", "日"));
    assert_eq!(decoded.predicted().map(|candidate| candidate.start_logit), Some(3.0));
    assert_eq!(decoded.candidates[0].text, "");
    let without = decode_question(CONTEXT, &windows, &options());
    assert!(without.text == "日" && without.candidates.iter().all(|c| !c.text.is_empty()));
}

#[test]
fn the_null_score_is_that_of_the_least_sure_window() {
    let (start, end) = (rows(9.0, &[0.0]), rows(9.0, &[0.0]));
    let (low_start, low_end) = (rows(-3.0, &[5.0]), rows(1.0, &[5.0]));
    let windows = [window(&start, &end, 0), window(&low_start, &low_end, 1)];
    let decoded = decode_question(CONTEXT, &windows, &with_null(0.0));
    assert_eq!((decoded.text.as_str(), decoded.null_odds), ("本", Some(-12.0)));
}

#[test]
fn no_answer_stays_in_the_list_where_its_score_is_low() {
    let (start, end) = (rows(-50.0, &[1.0; 5]), rows(-50.0, &[1.0; 5]));
    for n_best_size in [1, 2, 3, 20] {
        let options = DecodeOptions { n_best_size, ..with_null(0.0) };
        let decoded = decode_question(CONTEXT, &[window(&start, &end, 0)], &options);
        assert_eq!(decoded.candidates.last().unwrap().text, "");
        assert!(decoded.candidates.len() <= n_best_size.max(1));
        assert_eq!(decoded.text, "日");
    }
}

#[test]
fn an_answer_may_be_confined_to_the_window_of_most_context() {
    let (start, end) = (rows(0.0, &[0.0, 0.0, 0.0, 9.0]), rows(0.0, &[0.0, 0.0, 0.0, 9.0]));
    let (low, low_end) = (rows(0.0, &[0.0, 1.0, 0.0]), rows(0.0, &[0.0, 1.0, 0.0]));
    // "big" is the last token of the first window and in the middle of the second.
    let windows = [window(&start, &end, 0), window(&low, &low_end, 2)];
    let decoded = decode_question(CONTEXT, &windows, &options());
    assert_eq!(decoded.candidates[0].start_logit, 9.0);
    let confined = DecodeOptions { max_context: true, ..options() };
    let decoded = decode_question(CONTEXT, &windows, &confined);
    let big = decoded.candidates.iter().find(|candidate| candidate.text == "big").unwrap();
    assert_eq!((big.start_logit, big.end_logit), (1.0, 1.0));
    assert!(decoded.candidates.iter().all(|candidate| candidate.start_logit < 9.0));
}

#[test]
fn where_nothing_can_be_answered_the_prediction_is_empty() {
    let empty = rows(1.0, &[]);
    let nan = rows(f32::NAN, &[f32::NAN; 5]);
    let infinite = rows(f32::INFINITY, &[f32::INFINITY, f32::NEG_INFINITY, 0.0, 0.0, 0.0]);
    for windows in [
        vec![],
        vec![window(&empty, &empty, 0)],
        vec![window(&nan, &nan, 0)],
        vec![window(&nan, &infinite, 0)],
    ] {
        for options in [options(), with_null(0.0)] {
            let decoded = decode_question(CONTEXT, &windows, &options);
            assert_eq!((decoded.text.as_str(), decoded.best_text.as_str()), ("", ""));
            assert!(decoded.null_odds.is_none_or(f32::is_finite));
            assert!(decoded.candidates.iter().all(|c| c.probability.is_finite()));
        }
    }
}

#[test]
fn offsets_that_do_not_fit_the_text_make_no_candidate() {
    let flat = rows(0.0, &[1.0; 3]);
    let odd = [[0, 1], [1, 2], [4, 4_000_000_000]];
    let window = Window { offsets: &odd, ..window(&flat, &flat, 0) };
    assert_eq!(decode_question(CONTEXT, &[window], &options()).text, "");
}

#[test]
fn white_space_at_the_edges_of_a_token_is_no_part_of_an_answer() {
    let flat = rows(0.0, &[1.0]);
    let window = Window { offsets: &[[6, 11]], ..window(&flat, &flat, 0) };
    let decoded = decode_question(CONTEXT, &[window], &options());
    let candidate = &decoded.candidates[0];
    assert_eq!((candidate.text.as_str(), candidate.start, candidate.end), ("the", 3, 6));
}

#[test]
fn a_whole_data_set_is_decoded_in_its_order() {
    use crate::testing::{data, tokenizer};
    use crate::{FeatureOptions, Features, Purpose};
    let mut data = data("the cat sat on the mat", "who", Some(("cat", 4)));
    data.questions.push(crate::Question { id: "r".into(), ..data.questions[0].clone() });
    let options =
        FeatureOptions { max_length: 8, doc_stride: 2, max_query_length: 1, ..Default::default() };
    let (features, _) = Features::build(&data, &tokenizer(), &options, Purpose::Predict).unwrap();
    assert_eq!((features.len(), features.features_of(1)), (4, 2..4));
    let mut logits = SpanLogits::new(&features);
    // "cat" in the first window of the first question, "mat" in the last of the second.
    for (feature, row) in [(0, 4), (3, 6)] {
        let mut side = [0.0; 8];
        side[row] = 5.0;
        let rows = features.rows_of(feature);
        logits.set(feature, &side[..rows], &side[..rows]);
    }
    let decoded = decode_all(&data, &features, &logits, &self::options());
    let texts: Vec<&str> = decoded.iter().map(|decoded| decoded.text.as_str()).collect();
    assert_eq!(texts, ["cat", "mat"]);
}
