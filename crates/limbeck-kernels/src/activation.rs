//! The activations between two products: of a feed-forward layer, or of a head.

use crate::isa::for_each_isa;
use crate::math;
use crate::profile;
use crate::reduce::Partials;
use crate::threads::Shared;

/// A non-linear function of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x · Φ(x)`, by the error function (Hendrycks and Gimpel, 2016).
    Gelu,
    /// The approximation of the same by a hyperbolic tangent, as in Google's BERT.
    GeluTanh,
    /// `max(x, 0)`
    Relu,
    /// The hyperbolic tangent, as in BERT's pooler.
    Tanh,
}

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

for_each_isa! {
    fn gelu<FMA>(inputs: &[f32], outputs: &mut [f32]) {
        for (output, &x) in outputs.iter_mut().zip(inputs) {
            *output = x * math::normal::<FMA>(x).0;
        }
    }
}

for_each_isa! {
    fn gelu_tanh<FMA>(inputs: &[f32], outputs: &mut [f32]) {
        for (output, &x) in outputs.iter_mut().zip(inputs) {
            let inner = SQRT_2_OVER_PI * (x + CUBIC * x * x * x);
            *output = 0.5 * x * (1.0 + math::tanh::<FMA>(inner));
        }
    }
}

for_each_isa! {
    fn relu<FMA>(inputs: &[f32], outputs: &mut [f32]) {
        for (output, &x) in outputs.iter_mut().zip(inputs) {
            // Not `max`, which would hide a NaN.
            *output = if x < 0.0 { 0.0 } else { x };
        }
    }
}

for_each_isa! {
    fn tanh<FMA>(inputs: &[f32], outputs: &mut [f32]) {
        for (output, &x) in outputs.iter_mut().zip(inputs) {
            *output = math::tanh::<FMA>(x);
        }
    }
}

for_each_isa! {
    fn gelu_backward<FMA>(values: &mut [f32], gradient: &mut [f32]) {
        for (gradient, value) in gradient.iter_mut().zip(values) {
            let x = *value;
            let (cumulative, density) = math::normal::<FMA>(x);
            *value = x * cumulative;
            *gradient *= math::mul_add::<FMA>(x, density, cumulative);
        }
    }
}

for_each_isa! {
    fn gelu_tanh_backward<FMA>(values: &mut [f32], gradient: &mut [f32]) {
        for (gradient, value) in gradient.iter_mut().zip(values) {
            let x = *value;
            let t = math::tanh::<FMA>(SQRT_2_OVER_PI * (x + CUBIC * x * x * x));
            let inner = SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x);
            *value = 0.5 * x * (1.0 + t);
            *gradient *= 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner;
        }
    }
}

for_each_isa! {
    fn relu_backward<FMA>(values: &mut [f32], gradient: &mut [f32]) {
        for (gradient, value) in gradient.iter_mut().zip(values) {
            let x = *value;
            *value = if x < 0.0 { 0.0 } else { x };
            *gradient = if x <= 0.0 { 0.0 } else { *gradient };
        }
    }
}

for_each_isa! {
    fn tanh_backward<FMA>(values: &mut [f32], gradient: &mut [f32]) {
        for (gradient, value) in gradient.iter_mut().zip(values) {
            let x = *value;
            let t = math::tanh::<FMA>(x);
            *value = t;
            *gradient *= 1.0 - t * t;
        }
    }
}

for_each_isa! {
    fn add_row<FMA>(row: &[f32], sums: &mut [f32]) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

/// Values that are worked on at a time where the result takes the place of the input.
const PIECE: usize = 64;

impl Activation {
    /// `values = activation(values)`, on this thread.
    pub(crate) fn replace(self, values: &mut [f32]) {
        let mut inputs = [0.0; PIECE];
        for piece in values.chunks_mut(PIECE) {
            let inputs = &mut inputs[..piece.len()];
            inputs.copy_from_slice(piece);
            self.forward_here(inputs, piece);
        }
    }

    /// `outputs = activation(inputs)`, on this thread.
    pub(crate) fn forward_here(self, inputs: &[f32], outputs: &mut [f32]) {
        match self {
            Activation::Gelu => gelu(inputs, outputs),
            Activation::GeluTanh => gelu_tanh(inputs, outputs),
            Activation::Relu => relu(inputs, outputs),
            Activation::Tanh => tanh(inputs, outputs),
        }
    }

    /// Turns the gradient of the outputs into that of the inputs, in place, and adds
    /// its sum over the rows to `bias_gradient` (`[columns]`): the inputs are a product
    /// plus a bias, so both come in one pass. Turns `values` from the inputs into the
    /// outputs, which costs less than to have kept those of every layer.
    ///
    /// `values` and `gradient` are `[rows, columns]`.
    pub fn backward(
        self,
        values: &mut [f32],
        gradient: &mut [f32],
        bias_gradient: &mut [f32],
        scratch: &mut Partials,
    ) {
        let _timer = profile::timer("activation backward", || 0.0);
        let columns = bias_gradient.len();
        let rows = values.len() / columns;
        assert!(gradient.len() == values.len());
        let (values, gradient) = (Shared::new(values), Shared::new(gradient));
        scratch.fill(rows, columns, |block, partial| {
            for row in block {
                let range = row * columns..(row + 1) * columns;
                // SAFETY: each row belongs to one block.
                let (values, gradient) =
                    unsafe { (values.range(range.clone()), gradient.range(range)) };
                match self {
                    Activation::Gelu => gelu_backward(values, gradient),
                    Activation::GeluTanh => gelu_tanh_backward(values, gradient),
                    Activation::Relu => relu_backward(values, gradient),
                    Activation::Tanh => tanh_backward(values, gradient),
                }
                add_row(gradient, partial);
            }
        });
        scratch.add_to(&mut [bias_gradient]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, assert_gradient, numbers, weighted};

    #[test]
    fn backward_is_the_derivative_of_forward() {
        let (rows, columns) = (70, 9);
        // Away from zero, where ReLU has no derivative.
        let inputs: Vec<f32> =
            numbers(rows * columns, 1).into_iter().map(|x| 2.0 * x + 0.05 * x.signum()).collect();
        let weights = numbers(rows * columns, 2);
        for activation in
            [Activation::Gelu, Activation::GeluTanh, Activation::Relu, Activation::Tanh]
        {
            let mut outputs = inputs.clone();
            let mut gradient = weights.clone();
            let mut bias_gradient = vec![0.0; columns];
            activation.backward(
                &mut outputs,
                &mut gradient,
                &mut bias_gradient,
                &mut Partials::default(),
            );
            let mut forward = vec![0.0; inputs.len()];
            activation.forward_here(&inputs, &mut forward);
            assert_eq!(outputs, forward, "{activation:?}");
            assert_gradient(&inputs, &gradient, &format!("{activation:?}"), |inputs| {
                let mut outputs = vec![0.0; inputs.len()];
                activation.forward_here(inputs, &mut outputs);
                weighted(&outputs, &weights)
            });
            let sums: Vec<f32> =
                (0..columns).map(|c| gradient.iter().skip(c).step_by(columns).sum()).collect();
            assert_close(&bias_gradient, &sums, 1e-4, "bias");
        }
    }

    #[test]
    fn gelu_has_the_values_of_the_error_function() {
        // torch.nn.functional.gelu at these points
        let inputs = [-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0];
        let want =
            [-0.004_049_69, -0.158_655_26, -0.154_268_77, 0.0, 0.345_731_23, 0.841_344_7, 2.995_95];
        let mut outputs = [0.0; 7];
        Activation::Gelu.forward_here(&inputs, &mut outputs);
        assert_close(&outputs, &want, 1e-6, "gelu");
    }
}
