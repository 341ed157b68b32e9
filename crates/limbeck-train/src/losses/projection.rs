//! A learned linear map from the student's hidden states to the teacher's width.

use std::ops::Range;

use limbeck_kernels::linear::{self, Weight};
use limbeck_kernels::matmul::Write;
use limbeck_kernels::random::Key;
use limbeck_kernels::reduce::{Partials, add_column_sums};

/// Names the stream of random bits below the seed.
const STREAM: u64 = 2;

/// `y = h · Wᵀ + b`, one for all layers (TinyBERT; Jiao et al., 2020, equation 8). Trained with
/// the student and left behind when it is done.
#[derive(Debug)]
pub struct Projection {
    inputs: usize,
    outputs: usize,
    /// `W` (`[outputs, inputs]`), then `b` (`[outputs]`).
    pub parameters: Vec<f32>,
    /// Of the same layout.
    pub gradients: Vec<f32>,
    projected: Vec<f32>,
    d_projected: Vec<f32>,
    partials: Partials,
}

impl Projection {
    /// The identity where both widths are the same, else weights of a normal distribution that
    /// keeps the size of states, drawn from the seed.
    pub fn new(inputs: usize, outputs: usize, seed: u64) -> Projection {
        let key = Key::new(seed).child(STREAM);
        let spread = 1.0 / (inputs as f64).sqrt();
        let weight = |index: usize| match (inputs == outputs, index / inputs == index % inputs) {
            (true, diagonal) => f32::from(u8::from(diagonal)),
            (false, _) => (spread * key.normal(index as u64)) as f32,
        };
        let mut parameters: Vec<f32> = (0..inputs * outputs).map(weight).collect();
        parameters.resize(inputs * outputs + outputs, 0.0);
        Projection {
            inputs,
            outputs,
            gradients: vec![0.0; parameters.len()],
            parameters,
            projected: Vec::new(),
            d_projected: Vec::new(),
            partials: Partials::default(),
        }
    }

    /// The parameters that weight decay applies to, the weights, and those that it does not.
    pub fn groups(&self) -> [(Range<usize>, bool); 2] {
        let weights = self.inputs * self.outputs;
        [(0..weights, true), (weights..self.parameters.len(), false)]
    }

    /// Projects `hidden` (`[rows, inputs]`) and asks `loss(projected, gradient)` for a loss of
    /// it; hands the gradient on to `d_hidden` and to its own parameters.
    pub(super) fn compare(
        &mut self,
        hidden: &[f32],
        d_hidden: &mut [f32],
        loss: impl FnOnce(&[f32], &mut [f32]) -> f64,
    ) -> f64 {
        let Projection { inputs, outputs, .. } = *self;
        let size = hidden.len() / inputs * outputs;
        let (weight, bias) = self.parameters.split_at(inputs * outputs);
        self.projected.resize(size, 0.0);
        linear::forward(hidden, inputs, Weight::Plain(weight), bias, &mut self.projected);
        self.d_projected.clear();
        self.d_projected.resize(size, 0.0);
        let value = loss(&self.projected, &mut self.d_projected);
        linear::backward_input(&self.d_projected, outputs, weight, inputs, d_hidden, Write::Add);
        let (d_weight, d_bias) = self.gradients.split_at_mut(inputs * outputs);
        linear::backward_weight(&self.d_projected, outputs, hidden, inputs, d_weight);
        add_column_sums(&self.d_projected, outputs, d_bias, &mut self.partials);
        value
    }
}

#[cfg(test)]
mod tests {
    use limbeck_kernels::distance::Distance;

    use super::*;

    fn numbers(len: usize, seed: u64) -> Vec<f32> {
        (0..len).map(|i| Key::new(seed).normal(i as u64) as f32).collect()
    }

    /// The loss, the gradient of the states and the projection with its own.
    fn compare(projection: &mut Projection, hidden: &[f32], wanted: &[f32]) -> (f64, Vec<f32>) {
        let mut d_hidden = vec![0.0; hidden.len()];
        let value = projection.compare(hidden, &mut d_hidden, |projected, gradient| {
            let mut sums = Vec::new();
            Distance::SquaredError.add(projected, wanted, 5, 1.0, gradient, &mut sums)
        });
        (value, d_hidden)
    }

    #[test]
    fn gradients_are_derivatives() {
        let (hidden, wanted) = (numbers(9 * 3, 1), numbers(9 * 5, 2));
        let mut projection = Projection::new(3, 5, 7);
        let (_, d_hidden) = compare(&mut projection, &hidden, &wanted);
        let close = |got: f32, above: f64, below: f64| {
            let expected = (above - below) / 2e-2;
            assert!((f64::from(got) - expected).abs() < 1e-3, "{got}, expected {expected}");
        };
        for (i, &got) in d_hidden.iter().enumerate() {
            let mut at = |by: f32| {
                let mut moved = hidden.clone();
                moved[i] += by;
                compare(&mut projection, &moved, &wanted).0
            };
            close(got, at(1e-2), at(-1e-2));
        }
        for i in 0..projection.parameters.len() {
            let at = |by: f32| {
                let mut moved = Projection::new(3, 5, 7);
                moved.parameters[i] += by;
                compare(&mut moved, &hidden, &wanted).0
            };
            let (above, below) = (at(1e-2), at(-1e-2));
            let mut fresh = Projection::new(3, 5, 7);
            compare(&mut fresh, &hidden, &wanted);
            close(fresh.gradients[i], above, below);
        }
    }

    #[test]
    fn between_equal_widths_it_begins_as_the_identity() {
        let hidden = numbers(4 * 5, 1);
        let mut projection = Projection::new(5, 5, 7);
        assert!(compare(&mut projection, &hidden, &hidden).0 < 1e-12);
    }
}
