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

/// The context, and the sums that the backward wants.
fn run(qkv: &[f32], dropout: Dropout) -> (Vec<f32>, Vec<f32>) {
    let rows = STARTS[STARTS.len() - 1];
    let mut context = vec![f32::NAN; rows * HEADS.width()];
    let mut log_sums = vec![f32::NAN; rows * HEADS.count];
    forward(qkv, &STARTS, HEADS, dropout, &mut context, &mut log_sums);
    (context, log_sums)
}

#[test]
fn sequences_attend_to_themselves_only() {
    let qkv = numbers(STARTS[4] * 3 * HEADS.width(), 1);
    let mut want = vec![0.0; STARTS[4] * HEADS.width()];
    naive(&qkv, &mut want);
    assert_close(&run(&qkv, Dropout::none()).0, &want, 1e-5, "context");
}

#[test]
fn backward_is_the_derivative_of_forward() {
    let qkv = numbers(STARTS[4] * 3 * HEADS.width(), 1);
    let d_context = numbers(STARTS[4] * HEADS.width(), 2);
    for rate in [0.0, 0.25] {
        let dropout = Dropout::new(rate, Key::new(3));
        let (context, log_sums) = run(&qkv, dropout);
        let done = Forward { qkv: &qkv, context: &context, log_sums: &log_sums };
        let mut d_qkv = vec![f32::NAN; qkv.len()];
        backward(done, &STARTS, HEADS, dropout, &d_context, &mut d_qkv);
        assert_gradient(&qkv, &d_qkv, "qkv", |qkv| weighted(&run(qkv, dropout).0, &d_context));
    }
}

#[test]
fn scores_far_apart_neither_overflow_nor_vanish() {
    let mut qkv = numbers(STARTS[4] * 3 * HEADS.width(), 1);
    qkv.iter_mut().for_each(|value| *value *= 40.0);
    let (context, log_sums) = run(&qkv, Dropout::none());
    let done = Forward { qkv: &qkv, context: &context, log_sums: &log_sums };
    let mut d_qkv = vec![f32::NAN; qkv.len()];
    backward(done, &STARTS, HEADS, Dropout::none(), &vec![1.0; context.len()], &mut d_qkv);
    assert!(context.iter().chain(&d_qkv).all(|value| value.is_finite()));
}
