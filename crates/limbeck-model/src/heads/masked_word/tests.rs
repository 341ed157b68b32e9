use limbeck_kernels::random::Key;
use limbeck_kernels::vocabulary::{self, RowLoss};

use super::*;
use crate::config::{Head, ModelConfig};
use crate::heads::span::{self, SpanLogits};
use crate::heads::{Places, Words};
use crate::testing;

const ROWS: usize = 9;
const MASKED: [u32; 4] = [1, 4, 5, 8];

fn numbers(len: usize, seed: u64) -> Vec<f32> {
    (0..len).map(|i| Key::new(seed).normal(i as u64) as f32).collect()
}

/// A model whose head and word embeddings are all random, so that a mistake anywhere shows.
fn model(config: ModelConfig) -> Model {
    let mut model = Model::initialise(ModelConfig { head: Head::MaskedWord, ..config }, 1);
    for (range, seed) in
        [(model.layout.slots.head.range(), 2), (model.layout.slots.word_embeddings.clone(), 3)]
    {
        let values = numbers(range.len(), seed);
        model.parameters[range].iter_mut().zip(values).for_each(|(p, v)| *p = 0.5 * v);
    }
    model
}

/// The mean cross-entropy against words 2, 3, 4, ..., and the gradients of hidden state and
/// parameters.
fn learnt(model: &Model, hidden: &[f32]) -> (f64, Vec<f32>, Vec<f32>) {
    let mut words = Words::default();
    // What an earlier batch has left must not matter.
    let mut buffers =
        BackwardBuffers { hidden_gradient: vec![7.0; 3], ..BackwardBuffers::default() };
    let mut gradients = vec![0.0; model.layout.len];
    forward(model, &MASKED, hidden, &mut words.vectors).unwrap();
    let mut sum = 0.0;
    let weight = 1.0 / MASKED.len() as f64;
    words
        .learn(model, &mut buffers, &mut gradients, |rows, logits| {
            let labels: Vec<u32> = rows.clone().map(|row| 2 + row as u32).collect();
            let mut losses = vec![RowLoss::default(); rows.len()];
            vocabulary::learn(logits, &labels, weight, None, &mut losses);
            sum += losses.iter().map(|loss| weight * loss.hard).sum::<f64>();
            Ok::<_, ModelError>(())
        })
        .unwrap();
    backward(model, ROWS, &mut words.vectors, &mut buffers, &mut gradients).unwrap();
    (sum, buffers.hidden_gradient, gradients)
}

#[track_caller]
fn assert_derivative(got: f32, mut loss_at: impl FnMut(f32) -> f64, what: &str) {
    let step = 4e-3;
    let want = (loss_at(step) - loss_at(-step)) / (2.0 * f64::from(step));
    let error = (f64::from(got) - want).abs();
    assert!(error < 5e-3 * want.abs().max(0.2), "{what}: {got}, expected {want}");
}

#[test]
fn backward_is_the_derivative_of_forward_for_head_embeddings_and_hidden_states() {
    for config in [testing::bert(), testing::distilbert()] {
        let model = model(config);
        let hidden = numbers(ROWS * model.config.hidden_size, 4);
        let (_, d_hidden, gradients) = learnt(&model, &hidden);
        assert_eq!(d_hidden.len(), hidden.len());
        for (i, &got) in d_hidden.iter().enumerate() {
            let loss_at = |step: f32| {
                let mut hidden = hidden.clone();
                hidden[i] += step;
                learnt(&model, &hidden).0
            };
            assert_derivative(got, loss_at, &format!("hidden {i}"));
        }
        let slots = &model.layout.slots;
        for i in slots.head.range().chain(slots.word_embeddings.clone()) {
            let loss_at = |step: f32| {
                let mut moved = model.clone();
                moved.parameters[i] += step;
                learnt(&moved, &hidden).0
            };
            assert_derivative(gradients[i], loss_at, &format!("parameter {i}"));
        }
        // The head's parameters and the decoder's, and no others.
        let between = slots.word_embeddings.end..slots.head.range().start;
        assert!(gradients[between].iter().all(|&gradient| gradient == 0.0));
    }
}

#[test]
fn chunks_cover_all_rows_once_and_are_bounded() {
    let all: Vec<_> = chunks(1000, 30_522).collect();
    assert!(all.len() > 1 && all.iter().all(|chunk| chunk.len() * 30_522 <= CHUNK_LOGITS));
    assert_eq!(all.into_iter().flatten().collect::<Vec<_>>(), (0..1000).collect::<Vec<_>>());
    assert_eq!(chunks(0, 30_522).count(), 0);
    assert_eq!(chunks(2, usize::MAX).collect::<Vec<_>>(), [0..1, 1..2]);
}

#[test]
fn only_masked_rows_are_read_and_a_row_that_is_not_there_is_refused() {
    let model = model(testing::bert());
    let width = model.config.hidden_size;
    let hidden = numbers(ROWS * width, 4);
    let mut other = hidden.clone();
    other[2 * width..4 * width].fill(9.0);
    assert_eq!(learnt(&model, &hidden), learnt(&model, &other));
    let error = forward(&model, &[9], &hidden, &mut WordVectors::default()).unwrap_err();
    assert!(error.to_string().contains("no row 9"), "{error}");
}

#[test]
fn the_head_refuses_a_model_with_another_one_and_the_other_way_round() {
    let hidden = numbers(ROWS * 8, 4);
    let reader = Model::initialise(testing::bert(), 1);
    let error = forward(&reader, &MASKED, &hidden, &mut WordVectors::default()).unwrap_err();
    assert!(error.to_string().contains("needs a masked-word head"), "{error}");
    let model = model(testing::bert());
    let mode = crate::encoder::Mode::Evaluate;
    let error = span::forward(&model, &hidden, mode, &mut SpanLogits::default()).unwrap_err();
    assert!(error.to_string().contains("has a masked-word head"), "{error}");
    let places = Places { starts: &[0, 9], masked: &MASKED };
    let mut outputs = crate::heads::Outputs::of(&Head::MaskedWord);
    assert!(outputs.forward(&reader, places, &hidden, mode).is_err());
}
