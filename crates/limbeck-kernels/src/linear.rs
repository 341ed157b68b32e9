//! Linear layers `y = x · Wᵀ + b` and what is fused with them.
//!
//! Weights lie as PyTorch keeps them: `[outputs, inputs]`.

use crate::activation::Activation;
use crate::isa::for_each_isa;
use crate::matmul::int8::{self, Int8Weight};
use crate::matmul::sparse::{self, SparseWeight};
use crate::matmul::{Matrix, Packed, Right, Write, matmul, matmul_then};
use crate::profile::{self, Timer};
use crate::threads::Shared;

/// The weight of a linear layer, `[outputs, inputs]`.
#[derive(Debug, Clone, Copy)]
pub enum Weight<'a> {
    /// As the parameters hold it: packed anew for every product.
    Plain(&'a [f32]),
    /// Packed once.
    Packed(&'a PackedWeight),
}

/// The weight of a linear layer, packed for many forward products.
#[derive(Debug)]
pub enum PackedWeight {
    /// By [`pack_weight`].
    Float(Packed),
    /// With one byte a value.
    Int8(Int8Weight),
    /// Without its zeros.
    Sparse(SparseWeight),
}

/// Up to this share of values that are not zero, the product without zeros is the faster one, for
/// few rows as for many (`cargo bench -p limbeck-kernels --bench sparse`, AVX-512: it passes the
/// dense product at a density of 0.5 with 160 rows, and of 0.28 with 24).
pub const SPARSE_DENSITY: f64 = 0.3;

/// Packs a weight `[outputs, inputs]` for many forward products: without its zeros where there
/// are enough of them.
pub fn pack_weight(weight: &[f32], outputs: usize, inputs: usize) -> PackedWeight {
    let on = weight.iter().filter(|&&value| value != 0.0).count();
    if on as f64 <= SPARSE_DENSITY * weight.len() as f64 {
        return PackedWeight::Sparse(SparseWeight::new(weight, outputs, inputs));
    }
    PackedWeight::Float(Packed::new(Matrix::new(weight, outputs, inputs).transposed()))
}

/// `y = x · Wᵀ`, then `epilogue(first_row, rows)` for every stretch of finished rows.
fn product_then(
    x: &[f32],
    inputs: usize,
    weight: Weight<'_>,
    outputs: usize,
    y: &mut [f32],
    epilogue: impl Fn(usize, &mut [f32]) + Sync,
) {
    let right = match weight {
        Weight::Plain(data) => Right::Plain(Matrix::new(data, outputs, inputs).transposed()),
        Weight::Packed(PackedWeight::Float(packed)) => Right::Packed(packed),
        Weight::Packed(PackedWeight::Int8(weight)) => {
            assert_eq!((weight.inputs(), weight.outputs()), (inputs, outputs), "shape of a weight");
            return int8::multiply_then(x, weight, y, epilogue);
        }
        Weight::Packed(PackedWeight::Sparse(weight)) => {
            assert_eq!((weight.inputs(), weight.outputs()), (inputs, outputs), "shape of a weight");
            return sparse::multiply_then(x, weight, y, epilogue);
        }
    };
    matmul_then(rows_of(x, inputs), right, y, Write::Replace, epilogue);
}

for_each_isa! {
    fn add_bias<FMA>(row: &mut [f32], bias: &[f32]) {
        for (value, &bias) in row.iter_mut().zip(bias) {
            *value += bias;
        }
    }
}

fn rows_of(x: &[f32], inputs: usize) -> Matrix<'_> {
    Matrix::new(x, x.len() / inputs, inputs)
}

/// Times a product of as many multiply-adds as `values` of one side meet columns of
/// the other.
fn timed(kernel: &'static str, values: usize, columns: usize) -> Timer {
    profile::timer(kernel, || 2.0 * values as f64 * columns as f64)
}

/// `y = x · Wᵀ`: the product alone, for layers whose bias is added by what follows.
/// `x` is `[rows, inputs]`, `y` is `[rows, outputs]`.
pub fn product(x: &[f32], inputs: usize, weight: Weight<'_>, outputs: usize, y: &mut [f32]) {
    let _timer = timed("linear forward", x.len(), outputs);
    product_then(x, inputs, weight, outputs, y, |_, _| {});
}

/// `y = x · Wᵀ + b`. `x` is `[rows, inputs]`, `y` is `[rows, outputs]`.
pub fn forward(x: &[f32], inputs: usize, weight: Weight<'_>, bias: &[f32], y: &mut [f32]) {
    let outputs = bias.len();
    let _timer = timed("linear forward", x.len(), outputs);
    product_then(x, inputs, weight, outputs, y, |_, rows| {
        rows.chunks_exact_mut(outputs).for_each(|row| add_bias(row, bias))
    });
}

/// `before = x · Wᵀ + b` and `after = activation(before)`, both `[rows, outputs]`.
pub fn forward_activation(
    x: &[f32],
    inputs: usize,
    weight: Weight<'_>,
    bias: &[f32],
    activation: Activation,
    before: &mut [f32],
    after: &mut [f32],
) {
    let outputs = bias.len();
    let _timer = timed("linear forward with activation", x.len(), outputs);
    let after = Shared::new(after);
    product_then(x, inputs, weight, outputs, before, |first, rows| {
        for (i, row) in rows.chunks_exact_mut(outputs).enumerate() {
            add_bias(row, bias);
            let start = (first + i) * outputs;
            // SAFETY: each row is finished by one thread only.
            let after = unsafe { after.range(start..start + outputs) };
            activation.forward_here(row, after);
        }
    });
}

/// `y = activation(x · Wᵀ + b)`, `[rows, outputs]`, for inference: what was before the
/// activation is not kept.
pub fn forward_activated(
    x: &[f32],
    inputs: usize,
    weight: Weight<'_>,
    bias: &[f32],
    activation: Activation,
    y: &mut [f32],
) {
    let outputs = bias.len();
    let _timer = timed("linear forward with activation", x.len(), outputs);
    product_then(x, inputs, weight, outputs, y, |_, rows| {
        for row in rows.chunks_exact_mut(outputs) {
            add_bias(row, bias);
            activation.replace(row);
        }
    });
}

/// `dx = dy · W` or `dx += dy · W`. `dy` is `[rows, outputs]`, `dx` is `[rows, inputs]`.
pub fn backward_input(
    dy: &[f32],
    outputs: usize,
    weight: &[f32],
    inputs: usize,
    dx: &mut [f32],
    write: Write,
) {
    let _timer = timed("linear backward, input", dy.len(), inputs);
    matmul(rows_of(dy, outputs), Matrix::new(weight, outputs, inputs), dx, write);
}

/// `dW += dyᵀ · x`, over all rows at once.
pub fn backward_weight(
    dy: &[f32],
    outputs: usize,
    x: &[f32],
    inputs: usize,
    weight_gradient: &mut [f32],
) {
    let _timer = timed("linear backward, weight", dy.len(), inputs);
    let dy = rows_of(dy, outputs).transposed();
    matmul(dy, rows_of(x, inputs), weight_gradient, Write::Add);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, assert_gradient, numbers, weighted};

    const ROWS: usize = 11;
    const INPUTS: usize = 7;
    const OUTPUTS: usize = 19;

    #[test]
    fn backward_is_the_derivative_of_forward() {
        let x = numbers(ROWS * INPUTS, 1);
        let weight = numbers(OUTPUTS * INPUTS, 2);
        let bias = numbers(OUTPUTS, 3);
        let dy = numbers(ROWS * OUTPUTS, 4);
        let loss = |x: &[f32], weight: &[f32]| {
            let mut y = vec![0.0; ROWS * OUTPUTS];
            forward(x, INPUTS, Weight::Plain(weight), &bias, &mut y);
            weighted(&y, &dy)
        };
        let mut dx = vec![0.0; x.len()];
        backward_input(&dy, OUTPUTS, &weight, INPUTS, &mut dx, Write::Replace);
        assert_gradient(&x, &dx, "x", |x| loss(x, &weight));
        let mut dw = vec![0.0; weight.len()];
        backward_weight(&dy, OUTPUTS, &x, INPUTS, &mut dw);
        assert_gradient(&weight, &dw, "weight", |weight| loss(&x, weight));
    }

    #[test]
    fn fused_forms_equal_the_plain_one() {
        let x = numbers(ROWS * INPUTS, 1);
        let weight = numbers(OUTPUTS * INPUTS, 2);
        let bias = numbers(OUTPUTS, 3);
        let packed = pack_weight(&weight, OUTPUTS, INPUTS);
        let mut plain = vec![0.0; ROWS * OUTPUTS];
        forward(&x, INPUTS, Weight::Plain(&weight), &bias, &mut plain);
        let mut want = vec![0.0; plain.len()];
        Activation::Gelu.forward_here(&plain, &mut want);

        let (mut before, mut after) = (vec![0.0; plain.len()], vec![0.0; plain.len()]);
        let weight = Weight::Packed(&packed);
        forward_activation(&x, INPUTS, weight, &bias, Activation::Gelu, &mut before, &mut after);
        assert_eq!(before, plain);
        assert_close(&after, &want, 1e-6, "after");
        forward_activated(&x, INPUTS, weight, &bias, Activation::Gelu, &mut before);
        assert_eq!(before, after);
    }
}
