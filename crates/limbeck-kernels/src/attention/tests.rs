use super::*;
use crate::random::Key;
use crate::testing::{assert_close, assert_gradient, numbers, weighted};

const HEADS: Heads = Heads { count: 2, size: 5 };
const STARTS: [usize; 5] = [0, 3, 3, 4, 74];

fn naive(qkv: &[f32], context: &mut [f32]) {
    let width = HEADS.width();
    for pair in STARTS.windows(2) {
        for head in 0..HEADS.count {
            let at = |row: usize, part: usize, i: usize| {
                qkv[row * 3 * width + part * width + head * HEADS.size + i]
            };
            for query in pair[0]..pair[1] {
                let weights: Vec<f32> = (pair[0]..pair[1])
                    .map(|key| {
                        let dot: f32 =
                            (0..HEADS.size).map(|i| at(query, 0, i) * at(key, 1, i)).sum();
                        (dot / (HEADS.size as f32).sqrt()).exp()
                    })
                    .collect();
                let total: f32 = weights.iter().sum();
                for i in 0..HEADS.size {
                    context[query * width + head * HEADS.size + i] = (pair[0]..pair[1])
                        .zip(&weights)
                        .map(|(key, weight)| weight / total * at(key, 2, i))
                        .sum();
                }
            }
        }
    }
}

const ALL: Sequences<'static> = Sequences { starts: &STARTS, asking: None };

/// Of a sequence two, of another none, of the last more than go into a block.
fn some_ask() -> Vec<usize> {
    [0, 2].into_iter().chain((5..74).filter(|row| row % 23 != 0)).collect()
}

/// The context, and the sums that the backward wants.
fn run(qkv: &[f32], sequences: Sequences<'_>, dropout: Dropout) -> (Vec<f32>, Vec<f32>) {
    let mut context = vec![f32::NAN; sequences.queries() * HEADS.width()];
    let mut log_sums = vec![f32::NAN; sequences.queries() * HEADS.count];
    forward(qkv, sequences, HEADS, dropout, &mut context, &mut log_sums);
    (context, log_sums)
}

fn run_back(
    qkv: &[f32],
    sequences: Sequences<'_>,
    dropout: Dropout,
    d_context: &[f32],
) -> Vec<f32> {
    let (context, log_sums) = run(qkv, sequences, dropout);
    let done = Forward { qkv, context: &context, log_sums: &log_sums };
    let mut d_qkv = vec![f32::NAN; qkv.len()];
    backward(done, sequences, HEADS, dropout, d_context, &mut d_qkv);
    d_qkv
}

#[test]
fn sequences_attend_to_themselves_only() {
    let qkv = numbers(STARTS[4] * 3 * HEADS.width(), 1);
    let mut want = vec![0.0; STARTS[4] * HEADS.width()];
    naive(&qkv, &mut want);
    assert_close(&run(&qkv, ALL, Dropout::none()).0, &want, 1e-5, "context");
}

#[test]
fn backward_is_the_derivative_of_forward() {
    let qkv = numbers(STARTS[4] * 3 * HEADS.width(), 1);
    let asking = some_ask();
    for sequences in [ALL, Sequences { asking: Some(&asking), ..ALL }] {
        let d_context = numbers(sequences.queries() * HEADS.width(), 2);
        for rate in [0.0, 0.25] {
            let dropout = Dropout::new(rate, Key::new(3));
            let d_qkv = run_back(&qkv, sequences, dropout, &d_context);
            assert_gradient(&qkv, &d_qkv, "qkv", |qkv| {
                weighted(&run(qkv, sequences, dropout).0, &d_context)
            });
        }
    }
}

#[test]
fn rows_that_ask_get_what_they_get_when_all_ask() {
    let qkv = numbers(STARTS[4] * 3 * HEADS.width(), 1);
    let dropout = Dropout::new(0.25, Key::new(3));
    let all = run(&qkv, ALL, dropout).0;
    let asking = some_ask();
    let some = run(&qkv, Sequences { asking: Some(&asking), ..ALL }, dropout).0;
    let width = HEADS.width();
    for (&row, got) in asking.iter().zip(some.chunks_exact(width)) {
        assert_eq!(got, &all[row * width..(row + 1) * width], "row {row}");
    }
    let (context, log_sums) = run(&qkv, Sequences { asking: Some(&[]), ..ALL }, dropout);
    assert!(context.is_empty() && log_sums.is_empty());
}

#[test]
#[should_panic = "rows that ask rise"]
fn rows_that_do_not_rise_are_refused() {
    let qkv = numbers(STARTS[4] * 3 * HEADS.width(), 1);
    run(&qkv, Sequences { asking: Some(&[4, 4]), ..ALL }, Dropout::none());
}

#[test]
fn scores_far_apart_neither_overflow_nor_vanish() {
    let mut qkv = numbers(STARTS[4] * 3 * HEADS.width(), 1);
    qkv.iter_mut().for_each(|value| *value *= 40.0);
    let context = run(&qkv, ALL, Dropout::none()).0;
    let d_qkv = run_back(&qkv, ALL, Dropout::none(), &vec![1.0; context.len()]);
    assert!(context.iter().chain(&d_qkv).all(|value| value.is_finite()));
}
