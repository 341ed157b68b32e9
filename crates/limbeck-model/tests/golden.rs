//! The encoder agrees with Hugging Face Transformers, number by number.
//!
//! `tools/golden.py` made the values: a small model of each architecture with random
//! weights, sequences of several lengths, hidden states, logits, losses and gradients.

mod support;

use limbeck_kernels::attention::{MapLoss, Maps, Queries};
use limbeck_kernels::distance::Distance;
use limbeck_kernels::loss;
use limbeck_model::encoder::{
    self, Activations, BackwardBuffers, Mode, Route, States, Taps, Tokens, Wanted,
};
use limbeck_model::heads::span::{self, SpanGradients, SpanLogits};
use limbeck_model::{LengthPlan, student};

use support::{Batch, Golden, assert_close};

const ARCHITECTURES: [&str; 2] = ["bert", "distilbert"];

#[test]
fn hidden_states_and_logits_agree_with_transformers() {
    for name in ARCHITECTURES {
        let golden = Golden::open(name);
        let batch = Batch::of(&golden);
        let mut activations = Activations::default();
        encoder::forward(&golden.model, batch.tokens(), Mode::Evaluate, &mut activations);
        for layer in 0..=golden.model.config.num_hidden_layers {
            let want = golden.floats(&format!("hidden_states.{layer}"));
            assert_close(activations.hidden_state(layer), &want, 1e-5, &format!("hidden {layer}"));
        }
        let mut logits = SpanLogits::default();
        let hidden = activations.last_hidden_state();
        span::forward(&golden.model, hidden, Mode::Evaluate, &mut logits).unwrap();
        assert_close(&logits.start, &golden.floats("start_logits"), 1e-5, "start logits");
        assert_close(&logits.end, &golden.floats("end_logits"), 1e-5, "end logits");
    }
}

#[test]
fn packed_inference_gives_the_logits_of_training() {
    for name in ARCHITECTURES {
        let golden = Golden::open(name);
        let batch = Batch::of(&golden);
        let packed = encoder::PackedWeights::new(&golden.model);
        let mut buffers = encoder::InferenceBuffers::default();
        let hidden =
            encoder::infer(&golden.model, &packed, batch.tokens(), None, None, &mut buffers);
        let layers = golden.model.config.num_hidden_layers;
        let want = golden.floats(&format!("hidden_states.{layers}"));
        assert_close(hidden, &want, 1e-5, "hidden");
    }
}

#[test]
fn tokens_leave_and_keep_their_states_as_pytorch_computes_it() {
    let plans = [
        ("fractions", LengthPlan::Fractions(vec![0.7, 0.4])),
        ("tokens", LengthPlan::Tokens(vec![20, 9])),
    ];
    for name in ARCHITECTURES {
        let golden = Golden::open(name);
        let batch = Batch::of(&golden);
        let packed = encoder::PackedWeights::new(&golden.model);
        let mut buffers = encoder::InferenceBuffers::default();
        let (model, tokens) = (&golden.model, batch.tokens());
        let whole = encoder::infer(model, &packed, tokens, None, None, &mut buffers).to_vec();
        for (plan_name, plan) in &plans {
            plan.check(&model.config).unwrap();
            let hidden = encoder::infer(model, &packed, tokens, Some(plan), None, &mut buffers);
            let want = golden.floats(&format!("lengths.{plan_name}"));
            assert_close(hidden, &want, 1e-5, plan_name);
            assert_ne!(hidden, whole);
            let route = Route { lengths: Some(plan), ..Route::default() };
            let mut activations = Activations::default();
            encoder::forward_along(model, tokens, Mode::Evaluate, route, &mut activations);
            assert_close(activations.last_hidden_state(), &want, 1e-5, "in training");
        }
        // A plan that keeps everything changes no bit, also in buffers used before.
        let all = LengthPlan::Fractions(vec![1.0; 2]);
        assert_eq!(encoder::infer(model, &packed, tokens, Some(&all), None, &mut buffers), whole);
        // Nor does a larger batch before a smaller one.
        let last = batch.starts.len() - 2;
        let rows = batch.starts[last]..batch.starts[last + 1];
        let alone = Tokens {
            input_ids: &tokens.input_ids[rows.clone()],
            token_type_ids: &tokens.token_type_ids[rows.clone()],
            starts: &[0, rows.len()],
        };
        let hidden = encoder::infer(model, &packed, alone, Some(&plans[0].1), None, &mut buffers);
        let width = model.config.hidden_size;
        let want = golden.floats("lengths.fractions");
        assert_close(hidden, &want[rows.start * width..rows.end * width], 1e-5, "alone");
    }
}

/// Loss and parameter gradients of one batch, from the given loss of one sequence's
/// logits: `(sequence, end of the answer?, logits, gradient) -> loss`.
fn step(
    golden: &Golden,
    mut sequence_loss: impl FnMut(usize, bool, &[f32], &mut [f32]) -> f64,
) -> (f64, Vec<f32>) {
    let batch = Batch::of(golden);
    let model = &golden.model;
    let mut activations = Activations::default();
    let mut logits = SpanLogits::default();
    let mut d_logits = SpanGradients::default();
    encoder::forward(model, batch.tokens(), Mode::Evaluate, &mut activations);
    let hidden = activations.last_hidden_state();
    span::forward(model, hidden, Mode::Evaluate, &mut logits).unwrap();
    d_logits.clear(batch.input_ids.len());
    let mut loss = 0.0;
    for (sequence, pair) in batch.starts.windows(2).enumerate() {
        let range = pair[0]..pair[1];
        let start = &mut d_logits.start[range.clone()];
        loss += sequence_loss(sequence, false, &logits.start[range.clone()], start);
        let end = &mut d_logits.end[range.clone()];
        loss += sequence_loss(sequence, true, &logits.end[range], end);
    }
    let mut gradients = vec![0.0; model.layout.len];
    let mut buffers = BackwardBuffers::default();
    let mode = Mode::Evaluate;
    span::backward(model, hidden, mode, &logits, &mut d_logits, &mut buffers, &mut gradients)
        .unwrap();
    let (tokens, taps) = (batch.tokens(), &mut encoder::NoTaps);
    encoder::backward(model, tokens, mode, &mut activations, taps, &mut buffers, &mut gradients);
    (loss, gradients)
}

#[track_caller]
fn assert_gradients(golden: &Golden, gradients: &[f32], prefix: &str) {
    for tensor in &golden.model.layout.tensors {
        let want = golden.floats(&format!("{prefix}{}", tensor.name));
        assert_close(&gradients[tensor.range()], &want, 2e-4, &tensor.name);
    }
}

#[test]
fn the_loss_and_every_gradient_agree_with_transformers() {
    for name in ARCHITECTURES {
        let golden = Golden::open(name);
        let positions = [golden.integers("start_positions"), golden.integers("end_positions")];
        let weight = 0.5 / positions[0].len() as f64;
        let (loss, gradients) = step(&golden, |sequence, end, logits, gradient| {
            let target = positions[usize::from(end)][sequence];
            loss::cross_entropy(logits, target, weight, gradient)
        });
        let want = f64::from(golden.floats("loss")[0]);
        assert!((loss - want).abs() < 1e-5 * want, "loss {loss}, expected {want}");
        assert_gradients(&golden, &gradients, "grad.");
    }
}

/// Hidden states and attention against those of a teacher.
struct Inside<'a> {
    teacher: &'a States,
    distance: Distance,
    maps: MapLoss,
    starts: &'a [usize],
    sum: f64,
}

impl Taps for Inside<'_> {
    fn hidden_state(&mut self, layers: usize, hidden: &[f32], gradient: &mut [f32]) {
        let (wanted, width) = (self.teacher.hidden_state(layers), self.teacher.hidden_size());
        self.sum += self.distance.add(hidden, wanted, width, 1.0, gradient, &mut Vec::new());
    }

    fn attention(&mut self, layer: usize, queries: Queries<'_>, gradient: &mut [f32]) {
        let (wanted, sums) = (self.teacher.queries(layer), &mut Vec::new());
        self.sum += self.maps.add(queries, wanted, self.starts, 1.0, gradient, sums);
    }
}

#[test]
fn losses_inside_and_every_gradient_agree_with_pytorch() {
    for name in ARCHITECTURES {
        let golden = Golden::open(name);
        let batch = Batch::of(&golden);
        let (model, tokens) = (&golden.model, batch.tokens());
        let teacher = student::select_layers(model, &[1, 0]).unwrap();
        let wanted = Wanted { hidden: vec![true; 3], attention: vec![true; 2] };
        let mut states = States::default();
        encoder::observe(&teacher, tokens, &wanted, &mut states);
        for (index, (distance, maps)) in
            [(Distance::SquaredError, Maps::Scores), (Distance::Cosine, Maps::Probabilities)]
                .into_iter()
                .enumerate()
        {
            let mut activations = Activations::default();
            encoder::forward(model, tokens, Mode::Evaluate, &mut activations);
            let mut buffers = BackwardBuffers::default();
            buffers.hidden_gradient.resize(activations.last_hidden_state().len(), 0.0);
            let mut gradients = vec![0.0; model.layout.len];
            let maps = MapLoss { maps, distance };
            let mut taps =
                Inside { teacher: &states, distance, maps, starts: &batch.starts, sum: 0.0 };
            encoder::backward(
                model,
                tokens,
                Mode::Evaluate,
                &mut activations,
                &mut taps,
                &mut buffers,
                &mut gradients,
            );
            let want = f64::from(golden.floats(&format!("inside_{index}_loss"))[0]);
            assert!((taps.sum - want).abs() < 1e-5 * want, "loss {}, expected {want}", taps.sum);
            assert_gradients(&golden, &gradients, &format!("inside_{index}_grad."));
        }
    }
}

#[test]
fn the_distillation_loss_and_every_gradient_agree_with_pytorch() {
    for name in ARCHITECTURES {
        let golden = Golden::open(name);
        let positions = [golden.integers("start_positions"), golden.integers("end_positions")];
        let teachers = [golden.floats("teacher_start_logits"), golden.floats("teacher_end_logits")];
        let starts = golden.integers("starts");
        let weight = 0.5 / positions[0].len() as f64;
        let (loss, gradients) = step(&golden, |sequence, end, logits, gradient| {
            let end = usize::from(end);
            let teacher = &teachers[end][starts[sequence]..starts[sequence + 1]];
            let target = positions[end][sequence];
            loss::divergence(logits, teacher, 2.0, 0.7 * weight, gradient)
                + loss::cross_entropy(logits, target, 0.3 * weight, gradient)
        });
        let want = f64::from(golden.floats("distill_loss")[0]);
        assert!((loss - want).abs() < 1e-5 * want, "loss {loss}, expected {want}");
        assert_gradients(&golden, &gradients, "distill_grad.");
    }
}
