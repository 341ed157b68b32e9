use limbeck_kernels::random::Key;

use super::*;
use crate::config::ModelConfig;
use crate::encoder::Place;
use crate::heads::span::{self, SpanLogits};
use crate::testing;

const STARTS: [usize; 4] = [0, 4, 5, 9];
const ROWS: usize = 9;

fn numbers(len: usize, seed: u64) -> Vec<f32> {
    (0..len).map(|i| Key::new(seed).normal(i as u64) as f32).collect()
}

/// A classifier whose parameters are all random, so that a mistake anywhere shows.
fn model(config: ModelConfig) -> Model {
    let mut model = Model::initialise(testing::classifier(config, &["A", "B", "C"]), 1);
    let head = model.layout.slots.head.range();
    let values = numbers(head.len(), 2);
    model.parameters[head].copy_from_slice(&values);
    model
}

fn logits_of(model: &Model, hidden: &[f32], mode: Mode) -> ClassLogits {
    let mut logits = ClassLogits::default();
    forward(model, &STARTS, hidden, mode, &mut logits).unwrap();
    logits
}

/// A loss whose gradient is `weights`.
fn loss(model: &Model, hidden: &[f32], mode: Mode, weights: &[f32]) -> f64 {
    let logits = logits_of(model, hidden, mode).values;
    logits.iter().zip(weights).map(|(&v, &w)| f64::from(v) * f64::from(w)).sum()
}

#[track_caller]
fn assert_derivative(got: f32, mut loss_at: impl FnMut(f32) -> f64, what: &str) {
    let step = 1e-2;
    let want = (loss_at(step) - loss_at(-step)) / (2.0 * f64::from(step));
    let error = (f64::from(got) - want).abs();
    assert!(error < 5e-3 * want.abs().max(1.0), "{what}: {got}, expected {want}");
}

#[test]
fn backward_is_the_derivative_of_forward_with_and_without_dropout() {
    for config in [testing::bert(), testing::distilbert()] {
        let model = model(config);
        let width = model.config.hidden_size;
        let hidden = numbers(ROWS * width, 3);
        let d_logits = numbers(3 * 3, 4);
        for mode in [Mode::Evaluate, Mode::Train(Key::new(9), Place::default())] {
            let logits = logits_of(&model, &hidden, mode);
            let mut buffers = BackwardBuffers::default();
            let mut gradients = vec![0.0; model.layout.len];
            // What an earlier batch has left must not matter.
            buffers.hidden_gradient = vec![7.0; 3];
            backward(&model, &STARTS, mode, &logits, &d_logits, &mut buffers, &mut gradients)
                .unwrap();
            assert_eq!(buffers.hidden_gradient.len(), hidden.len());
            for (i, &got) in buffers.hidden_gradient.iter().enumerate() {
                let loss_at = |step: f32| {
                    let mut hidden = hidden.clone();
                    hidden[i] += step;
                    loss(&model, &hidden, mode, &d_logits)
                };
                assert_derivative(got, loss_at, &format!("hidden {i}"));
            }
            for i in model.layout.slots.head.range() {
                let loss_at = |step: f32| {
                    let mut moved = model.clone();
                    moved.parameters[i] += step;
                    loss(&moved, &hidden, mode, &d_logits)
                };
                assert_derivative(gradients[i], loss_at, &format!("parameter {i}"));
            }
            let encoder = ..model.layout.slots.head.range().start;
            assert!(gradients[encoder].iter().all(|&gradient| gradient == 0.0));
        }
    }
}

#[test]
fn dropout_comes_from_the_head_s_own_rate() {
    let mut model = model(testing::bert());
    let hidden = numbers(ROWS * model.config.hidden_size, 3);
    let values = |model: &Model, mode| logits_of(model, &hidden, mode).values;
    let train = Mode::Train(Key::new(9), Place::default());
    assert_ne!(values(&model, train), values(&model, Mode::Evaluate));
    model.config.head_dropout = 0.0;
    assert_eq!(values(&model, train), values(&model, Mode::Evaluate));
}

#[test]
fn a_sequence_speaks_by_its_first_token_only() {
    let model = model(testing::bert());
    let width = model.config.hidden_size;
    let hidden = numbers(ROWS * width, 3);
    let mut other = hidden.clone();
    other[width..4 * width].fill(1.0);
    let values = |hidden: &[f32]| logits_of(&model, hidden, Mode::Evaluate).values;
    assert_eq!(values(&hidden), values(&other));
    other[4 * width] += 1.0;
    assert_ne!(values(&hidden), values(&other));
}

#[test]
fn a_sequence_without_tokens_is_an_error() {
    let model = model(testing::bert());
    let hidden = numbers(ROWS * model.config.hidden_size, 3);
    let mut logits = ClassLogits::default();
    for starts in [&[0, 4, 4, 9][..], &[0, 9, 9], &[0, 9, 10]] {
        let result = forward(&model, starts, &hidden, Mode::Evaluate, &mut logits);
        assert!(result.unwrap_err().to_string().contains("no tokens"), "{starts:?}");
    }
    forward(&model, &[0], &[], Mode::Evaluate, &mut logits).unwrap();
    assert!(logits.values.is_empty());
}

#[test]
fn each_head_refuses_a_model_with_the_other() {
    let (classifier, reader) = (model(testing::bert()), Model::initialise(testing::bert(), 1));
    let hidden = numbers(ROWS * 8, 3);
    let result = forward(&reader, &STARTS, &hidden, Mode::Evaluate, &mut ClassLogits::default());
    let message = result.unwrap_err().to_string();
    assert!(message.contains("classification head") && message.contains("span head"), "{message}");
    let result = span::forward(&classifier, &hidden, Mode::Evaluate, &mut SpanLogits::default());
    assert!(result.unwrap_err().to_string().contains("span head"));
}
