//! Training passes along routes, with losses that look inside: gradients are derivatives.

use limbeck_kernels::attention::{MapLoss, Maps, Queries};
use limbeck_kernels::distance::Distance;
use limbeck_kernels::random::Key;

use super::*;
use crate::config::ModelConfig;
use crate::lengths::LengthPlan;
use crate::testing;

const STARTS: [usize; 4] = [0, 7, 9, 15];

/// Rows that a head reads: none of the second sequence.
const READ: [usize; 4] = [2, 4, 6, 9];

/// A model whose every parameter matters.
fn model(config: ModelConfig, seed: u64) -> Model {
    let mut model = Model::initialise(config, seed);
    let key = Key::new(seed);
    for tensor in &model.layout.tensors.clone() {
        for (i, value) in model.parameters[tensor.range()].iter_mut().enumerate() {
            *value += 0.3 * key.child(tensor.offset as u64).normal(i as u64) as f32;
        }
    }
    model
}

struct Inputs {
    ids: Vec<u32>,
    segments: Vec<u8>,
}

impl Inputs {
    fn new() -> Inputs {
        let ids = (0..15).map(|i| Key::new(5).bits(i) as u32 % 11).collect();
        Inputs { ids, segments: (0..15).map(|i| (i % 2) as u8).collect() }
    }

    fn tokens(&self) -> Tokens<'_> {
        Tokens { input_ids: &self.ids, token_type_ids: &self.segments, starts: &STARTS }
    }
}

/// Compares hidden states and attention of every layer with those of a teacher.
struct Inside<'a> {
    teacher: &'a States,
    weight: f64,
    sum: f64,
}

impl Taps for Inside<'_> {
    fn hidden_state(&mut self, layers: usize, hidden: &[f32], gradient: &mut [f32]) {
        let (wanted, sums) = (self.teacher.hidden_state(layers), &mut Vec::new());
        let width = self.teacher.hidden_size();
        let distance = Distance::SquaredError;
        self.sum += distance.add(hidden, wanted, width, self.weight, gradient, sums);
    }

    fn attention(&mut self, layer: usize, queries: Queries<'_>, gradient: &mut [f32]) {
        let loss = MapLoss { maps: Maps::Scores, distance: Distance::SquaredError };
        let (wanted, sums) = (self.teacher.queries(layer), &mut Vec::new());
        self.sum += loss.add(queries, wanted, &STARTS, self.weight, gradient, sums);
    }
}

/// A loss over the last hidden state and, with a teacher, over what is inside.
fn loss(model: &Model, route: Route<'_>, teacher: Option<&States>) -> (f64, Vec<f32>) {
    loss_with(model, route, teacher, false)
}

fn loss_with(
    model: &Model,
    route: Route<'_>,
    teacher: Option<&States>,
    recompute: bool,
) -> (f64, Vec<f32>) {
    let inputs = Inputs::new();
    let mut activations = Activations::recomputing(recompute);
    // A pass before this one must leave no trace.
    let shorter = LengthPlan::Fractions(vec![0.5, 0.3, 0.2]);
    let skipped = &[false, true];
    let other =
        Route { lengths: Some(&shorter), skipped, first_may_leave: true, ..Route::default() };
    forward_along(model, inputs.tokens(), Mode::Evaluate, other, &mut activations);
    let mode = Mode::Train(Key::new(3), Place::default());
    forward_along(model, inputs.tokens(), mode, route, &mut activations);
    let hidden = activations.last_hidden_state().to_vec();
    let weights: Vec<f32> =
        (0..hidden.len()).map(|i| Key::new(9).normal(i as u64) as f32).collect();
    let mut sum: f64 =
        hidden.iter().zip(&weights).map(|(&h, &w)| f64::from(h) * f64::from(w)).sum();
    let mut buffers = BackwardBuffers { hidden_gradient: weights, ..Default::default() };
    let mut gradients = vec![0.0; model.layout.len];
    let mut inside;
    let taps: &mut dyn Taps = match teacher {
        None => &mut NoTaps,
        Some(teacher) => {
            inside = Inside { teacher, weight: 20.0, sum: 0.0 };
            &mut inside
        }
    };
    backward(model, inputs.tokens(), mode, &mut activations, taps, &mut buffers, &mut gradients);
    if let Some(teacher) = teacher {
        let mut again = Inside { teacher, weight: 20.0, sum: 0.0 };
        let (mut buffers, mut unused) = (BackwardBuffers::default(), gradients.clone());
        buffers.hidden_gradient = vec![0.0; hidden.len()];
        backward(
            model,
            inputs.tokens(),
            mode,
            &mut activations,
            &mut again,
            &mut buffers,
            &mut unused,
        );
        sum += again.weight * again.sum;
    }
    (sum, gradients)
}

#[track_caller]
fn assert_derivatives(model: &Model, route: Route<'_>, teacher: Option<&States>) {
    let (_, gradients) = loss(model, route, teacher);
    for tensor in &model.layout.tensors {
        let range = tensor.range();
        for i in range.clone().step_by((range.len() / 3).max(1)) {
            let step = 2e-3;
            let at = |by: f32| {
                let mut moved = Model::zeros(model.config.clone());
                moved.parameters.copy_from_slice(&model.parameters);
                moved.parameters[i] += by;
                loss(&moved, route, teacher).0
            };
            let expected = (at(step) - at(-step)) / (2.0 * f64::from(step));
            let got = f64::from(gradients[i]);
            let error = (got - expected).abs();
            let name = &tensor.name;
            assert!(error < 2e-2 * expected.abs().max(1.0), "{name}[{i}]: {got}, not {expected}");
        }
    }
}

#[test]
fn gradients_are_derivatives_where_rows_leave_and_layers_are_passed_over() {
    let plan = LengthPlan::Fractions(vec![0.8, 0.6, 0.4]);
    for config in [testing::bert(), testing::distilbert()] {
        let model = model(config, 1);
        for skipped in [&[][..], &[false, true], &[true, false, true]] {
            for lengths in [None, Some(&plan)] {
                let route = Route { lengths, skipped, ..Route::default() };
                assert_derivatives(&model, route, None);
            }
        }
        let route = Route { lengths: Some(&plan), first_may_leave: true, ..Route::default() };
        assert_derivatives(&model, route, None);
        let route = Route { read: Some(&READ), ..Route::default() };
        assert_derivatives(&model, route, None);
    }
}

#[test]
fn rows_that_are_read_are_what_they_are_where_all_go_on() {
    let inputs = Inputs::new();
    let width = testing::bert().hidden_size;
    let pass = |model: &Model, mode, read: Option<&[usize]>| {
        let mut activations = Activations::default();
        let route = Route { read, ..Route::default() };
        forward_along(model, inputs.tokens(), mode, route, &mut activations);
        let mut states = vec![0.0; READ.len() * width];
        gather(activations.last_hidden_state(), width, &READ, &mut states);
        // The head's gradient, zero but for what it reads.
        let mut hidden_gradient = vec![0.0; inputs.ids.len() * width];
        for (i, row) in READ.into_iter().enumerate() {
            let values = &mut hidden_gradient[row * width..(row + 1) * width];
            let drawn = (0..width).map(|at| Key::new(9).normal((i * width + at) as u64) as f32);
            values.iter_mut().zip(drawn).for_each(|(value, drawn)| *value = drawn);
        }
        let mut buffers = BackwardBuffers { hidden_gradient, ..Default::default() };
        let mut gradients = vec![0.0; model.layout.len];
        let taps = &mut NoTaps;
        let (sums, memory) = (&mut gradients, &mut buffers);
        backward(model, inputs.tokens(), mode, &mut activations, taps, memory, sums);
        (states, gradients)
    };
    for config in [testing::bert(), testing::distilbert()] {
        let model = model(config, 1);
        let (want, want_gradients) = pass(&model, Mode::Evaluate, None);
        let (got, gradients) = pass(&model, Mode::Evaluate, Some(&READ));
        assert_eq!(got, want);
        for (got, want) in gradients.iter().zip(&want_gradients) {
            assert!((got - want).abs() < 1e-4 * want.abs().max(1.0), "{got} for {want}");
        }
        let packed = PackedWeights::new(&model);
        let mut buffers = InferenceBuffers::default();
        // Whoever reads what is not there, or not in order, gets all.
        for read in [&READ[..], &[4, 2, 9], &[2, 99], &[]] {
            let tokens = inputs.tokens();
            let hidden = infer(&model, &packed, tokens, None, Some(read), &mut buffers).to_vec();
            let all = infer(&model, &packed, tokens, None, None, &mut buffers);
            let some = read == READ;
            for row in (0..inputs.ids.len()).filter(|row| !some || READ.contains(row)) {
                let values = row * width..(row + 1) * width;
                assert_eq!(hidden[values.clone()], all[values], "row {row} of {read:?}");
            }
        }
    }
}

#[test]
fn gradients_are_derivatives_with_losses_inside() {
    let (student, teacher) = (model(testing::bert(), 1), model(testing::bert(), 2));
    let wanted = Wanted { hidden: vec![true; 4], attention: vec![true; 3] };
    let mut states = States::default();
    observe(&teacher, Inputs::new().tokens(), &wanted, &mut states);
    assert_derivatives(&student, Route::default(), Some(&states));
}

#[test]
fn what_is_computed_again_in_backward_is_the_same_to_the_bit() {
    let plan = LengthPlan::Fractions(vec![0.8, 0.6, 0.4]);
    let (student, teacher) = (model(testing::bert(), 1), model(testing::bert(), 2));
    let wanted = Wanted { hidden: vec![true; 4], attention: vec![true; 3] };
    let mut states = States::default();
    observe(&teacher, Inputs::new().tokens(), &wanted, &mut states);
    let gradients = |route, teacher, recompute| loss_with(&student, route, teacher, recompute).1;
    for skipped in [&[][..], &[false, true], &[true, false, true]] {
        for lengths in [None, Some(&plan)] {
            let route = Route { lengths, skipped, ..Route::default() };
            assert_eq!(gradients(route, None, true), gradients(route, None, false));
        }
    }
    let route = Route { read: Some(&READ), ..Route::default() };
    assert_eq!(gradients(route, None, true), gradients(route, None, false));
    let route = Route::default();
    assert_eq!(gradients(route, Some(&states), true), gradients(route, Some(&states), false));
}

#[test]
fn an_observed_teacher_is_in_the_states_of_a_plain_forward() {
    let model = model(testing::bert(), 2);
    let inputs = Inputs::new();
    let mut activations = Activations::default();
    forward(&model, inputs.tokens(), Mode::Evaluate, &mut activations);
    let wanted = Wanted { hidden: vec![true, false, false, true], attention: vec![false, true] };
    let mut states = States::default();
    for _ in 0..2 {
        observe(&model, inputs.tokens(), &wanted, &mut states);
        assert_eq!(states.hidden_state(0), activations.hidden_state(0));
        assert_eq!(states.hidden_state(3), activations.last_hidden_state());
        let qkv = states.queries(1).qkv;
        assert_eq!(qkv, &activations.layers[1].qkv[..qkv.len()]);
    }
}
