//! Layer norm (Ba, Kiros and Hinton, 2016), fused with what stands before it in a
//! post-norm encoder: bias, dropout and residual in one pass over memory.

use crate::dropout::{Dropout, Mask};
use crate::isa::for_each_isa;
use crate::math::{mul_add, sum_by};
use crate::profile;
use crate::reduce::Partials;
use crate::threads::{self, BLOCK_ROWS, Shared};

/// The gain and shift of a layer norm, `[hidden]` each.
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a> {
    /// Multiplies the normalised row.
    pub weight: &'a [f32],
    /// Is added after.
    pub bias: &'a [f32],
    /// Is added to the variance.
    pub epsilon: f32,
}

for_each_isa! {
    fn add_bias_dropout_residual<FMA>(
        row: &mut [f32], bias: &[f32], residual: &[f32], mask: Option<Mask>, index: u32,
    ) {
        match mask {
            None => for ((value, &bias), &residual) in row.iter_mut().zip(bias).zip(residual) {
                *value = *value + bias + residual;
            },
            Some(mask) => for (i, ((value, &bias), &residual)) in
                row.iter_mut().zip(bias).zip(residual).enumerate()
            {
                let factor = mask.factor(index.wrapping_add(i as u32));
                *value = mul_add::<FMA>(*value + bias, factor, residual);
            },
        }
    }
}

for_each_isa! {
    /// Normalises `row` in place, writes gain and shift of it to `out` and returns
    /// the reciprocal of its standard deviation.
    pub(crate) fn normalise_row<FMA>(
        row: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32],
    ) -> f32 {
        let count = row.len() as f32;
        let mean = sum_by(row.len(), |i| row[i]) / count;
        let variance = sum_by(row.len(), |i| (row[i] - mean) * (row[i] - mean)) / count;
        let reciprocal = 1.0 / (variance + epsilon).sqrt();
        for (((value, out), &weight), &bias) in
            row.iter_mut().zip(out.iter_mut()).zip(weight).zip(bias)
        {
            *value = (*value - mean) * reciprocal;
            *out = mul_add::<FMA>(*value, weight, bias);
        }
        reciprocal
    }
}

for_each_isa! {
    /// The gradient of the row before it was normalised, written to `ds`; adds to the
    /// gradients of gain and shift.
    pub(crate) fn normalise_row_backward<FMA>(
        dout: &[f32], normalised: &[f32], weight: &[f32], reciprocal: f32,
        ds: &mut [f32], weight_gradient: &mut [f32], bias_gradient: &mut [f32],
    ) {
        let count = dout.len();
        let (dout, normalised, weight) = (&dout[..count], &normalised[..count], &weight[..count]);
        let mean = sum_by(count, |i| dout[i] * weight[i]) / count as f32;
        let slope = sum_by(count, |i| dout[i] * weight[i] * normalised[i]) / count as f32;
        for (i, ds) in ds[..count].iter_mut().enumerate() {
            let centred = dout[i] * weight[i] - mean;
            *ds = reciprocal * mul_add::<FMA>(-normalised[i], slope, centred);
        }
        for (i, gradient) in weight_gradient[..count].iter_mut().enumerate() {
            *gradient += dout[i] * normalised[i];
        }
        for (gradient, &dout) in bias_gradient.iter_mut().zip(dout) {
            *gradient += dout;
        }
    }
}

for_each_isa! {
    /// `target = source · mask`, and the sum is added to `sums`.
    fn mask_row<FMA>(
        source: &[f32], mask: Option<Mask>, index: u32, target: &mut [f32], sums: &mut [f32],
    ) {
        match mask {
            None => target.copy_from_slice(source),
            Some(mask) => for (i, (target, &source)) in target.iter_mut().zip(source).enumerate() {
                *target = source * mask.factor(index.wrapping_add(i as u32));
            },
        }
        for (sum, &value) in sums.iter_mut().zip(target.iter()) {
            *sum += value;
        }
    }
}

/// `out = norm(dropout(product + bias) + residual)`.
///
/// `product` (`[rows, hidden]`) becomes the normalised rows and `reciprocals`
/// (`[rows]`) their scales, which [`residual_norm_backward`] needs.
pub fn residual_norm(
    product: &mut [f32],
    bias: &[f32],
    residual: &[f32],
    dropout: Dropout,
    norm: Norm<'_>,
    reciprocals: &mut [f32],
    out: &mut [f32],
) {
    let _timer = profile::timer("norm forward", || 0.0);
    let hidden = bias.len();
    let rows = reciprocals.len();
    assert!(product.len() == rows * hidden && residual.len() == rows * hidden);
    let mask = dropout.mask_of_rows(hidden);
    let (product, reciprocals, out) =
        (Shared::new(product), Shared::new(reciprocals), Shared::new(out));
    each_block(rows, |row| {
        let range = row * hidden..(row + 1) * hidden;
        // SAFETY: each row belongs to one block.
        let (values, out, reciprocal) = unsafe {
            (
                product.range(range.clone()),
                out.range(range.clone()),
                reciprocals.range(row..row + 1),
            )
        };
        let index = range.start as u32;
        add_bias_dropout_residual(values, bias, &residual[range], mask, index);
        reciprocal[0] = normalise_row(values, norm.weight, norm.bias, norm.epsilon, out);
    });
}

/// Calls `work` for every row, blocks of rows in parallel.
pub(crate) fn each_block(rows: usize, work: impl Fn(usize) + Sync) {
    threads::run(rows.div_ceil(BLOCK_ROWS), |block| {
        (block * BLOCK_ROWS..((block + 1) * BLOCK_ROWS).min(rows)).for_each(&work);
    });
}

/// Where [`residual_norm_backward`] adds the gradients of parameters, `[hidden]` each.
#[derive(Debug)]
pub struct NormGradients<'a> {
    /// Of the norm's gain.
    pub weight: &'a mut [f32],
    /// Of the norm's shift.
    pub bias: &'a mut [f32],
    /// Of the bias of the product before the norm.
    pub product_bias: &'a mut [f32],
}

/// The backward of [`residual_norm`]: from `dout`, the gradient of `out`, to those of
/// the residual and of the product, all `[rows, hidden]`.
#[allow(clippy::too_many_arguments)] // what one pass over memory reads and writes
pub fn residual_norm_backward(
    dout: &[f32],
    normalised: &[f32],
    reciprocals: &[f32],
    norm: Norm<'_>,
    dropout: Dropout,
    d_residual: &mut [f32],
    d_product: &mut [f32],
    gradients: NormGradients<'_>,
    scratch: &mut Partials,
) {
    let _timer = profile::timer("norm backward", || 0.0);
    let hidden = norm.weight.len();
    let mask = dropout.mask_of_rows(hidden);
    let (d_residual, d_product) = (Shared::new(d_residual), Shared::new(d_product));
    scratch.fill(reciprocals.len(), 3 * hidden, |block, partial| {
        let (weight, rest) = partial.split_at_mut(hidden);
        let (bias, product_bias) = rest.split_at_mut(hidden);
        for row in block {
            let range = row * hidden..(row + 1) * hidden;
            // SAFETY: each row belongs to one block.
            let (ds, dp) =
                unsafe { (d_residual.range(range.clone()), d_product.range(range.clone())) };
            normalise_row_backward(
                &dout[range.clone()],
                &normalised[range.clone()],
                norm.weight,
                reciprocals[row],
                ds,
                weight,
                bias,
            );
            mask_row(ds, mask, range.start as u32, dp, product_bias);
        }
    });
    scratch.add_to(&mut [gradients.weight, gradients.bias, gradients.product_bias]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;
    use crate::testing::{assert_close, assert_gradient, numbers, weighted};

    const ROWS: usize = 70;
    const HIDDEN: usize = 21;

    struct Case {
        product: Vec<f32>,
        bias: Vec<f32>,
        residual: Vec<f32>,
        weight: Vec<f32>,
        shift: Vec<f32>,
        dropout: Dropout,
    }

    impl Case {
        fn new(rate: f32) -> Self {
            Case {
                product: numbers(ROWS * HIDDEN, 1),
                bias: numbers(HIDDEN, 2),
                residual: numbers(ROWS * HIDDEN, 3),
                weight: numbers(HIDDEN, 4),
                shift: numbers(HIDDEN, 5),
                dropout: Dropout::new(rate, Key::new(9)),
            }
        }

        fn norm(&self) -> Norm<'_> {
            Norm { weight: &self.weight, bias: &self.shift, epsilon: 1e-6 }
        }

        /// Output, normalised rows and reciprocals.
        fn forward(&self) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
            let mut product = self.product.clone();
            let (mut out, mut reciprocals) = (vec![0.0; product.len()], vec![0.0; ROWS]);
            residual_norm(
                &mut product,
                &self.bias,
                &self.residual,
                self.dropout,
                self.norm(),
                &mut reciprocals,
                &mut out,
            );
            (out, product, reciprocals)
        }
    }

    #[test]
    fn backward_is_the_derivative_of_forward() {
        for rate in [0.0, 0.3] {
            let mut case = Case::new(rate);
            let dout = numbers(ROWS * HIDDEN, 6);
            let (_, normalised, reciprocals) = case.forward();
            let (mut d_residual, mut d_product) = (vec![0.0; dout.len()], vec![0.0; dout.len()]);
            let mut gradients = [vec![0.0; HIDDEN], vec![0.0; HIDDEN], vec![0.0; HIDDEN]];
            let [weight, bias, product_bias] = &mut gradients;
            residual_norm_backward(
                &dout,
                &normalised,
                &reciprocals,
                case.norm(),
                case.dropout,
                &mut d_residual,
                &mut d_product,
                NormGradients { weight, bias, product_bias },
                &mut Partials::default(),
            );
            macro_rules! check {
                ($field:ident, $gradient:expr) => {
                    let at = case.$field.clone();
                    assert_gradient(&at, $gradient, stringify!($field), |moved| {
                        case.$field = moved.to_vec();
                        weighted(&case.forward().0, &dout)
                    });
                    case.$field = at;
                };
            }
            check!(product, &d_product);
            check!(residual, &d_residual);
            check!(weight, &gradients[0]);
            check!(shift, &gradients[1]);
            check!(bias, &gradients[2]);
        }
    }

    #[test]
    fn a_row_is_normalised_to_mean_zero_and_variance_one() {
        let case = Case::new(0.0);
        let (_, normalised, _) = case.forward();
        for row in normalised.chunks_exact(HIDDEN) {
            let mean = row.iter().sum::<f32>() / HIDDEN as f32;
            let variance = row.iter().map(|v| v * v).sum::<f32>() / HIDDEN as f32;
            assert_close(&[mean, variance], &[0.0, 1.0], 1e-4, "mean and variance");
        }
    }
}
