//! One transformer layer: attention and feed-forward, each with a residual and a norm.
//!
//! With `x` the layer's input, forward computes
//! ```text
//! qkv    = x · Wqkvᵀ + bqkv
//! c      = attention(qkv)
//! a      = norm(dropout(c · Waᵀ + ba) + x)
//! f      = activation(a · Wiᵀ + bi)
//! output = norm(dropout(f · Woᵀ + bo) + a)
//! ```
//! and backward walks the same lines from the last to the first. Where rows leave, they do
//! after attention: `c` and the residual `x` are those of the rows that stay. Where that is
//! known before, as of rows that no head reads, they do not ask in attention either.

use std::ops::Range;

use limbeck_kernels::activation::Activation as ActivationKernel;
use limbeck_kernels::attention::{self, Heads, Queries, Sequences};
use limbeck_kernels::dropout::Dropout;
use limbeck_kernels::linear::{self, Weight};
use limbeck_kernels::matmul::Write;
use limbeck_kernels::norm::{Norm, NormGradients, residual_norm, residual_norm_backward};
use limbeck_kernels::reduce::add_column_sums;

use super::Mode;
use super::buffers::{BackwardBuffers, LayerActivations, Stayed, Work, grown};
use super::route::{Rows, gather, spread};
use super::taps::Taps;
use crate::config::ModelConfig;
use crate::layout::LayerSlots;
use crate::model::Model;

/// Names of the streams of random bits below a layer's key.
mod stream {
    pub const PROBABILITIES: u64 = 0;
    pub const ATTENTION_OUTPUT: u64 = 1;
    pub const OUTPUT: u64 = 2;
}

/// One layer of a model.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub config: &'a ModelConfig,
    pub slots: &'a LayerSlots,
    parameters: &'a [f32],
}

impl<'a> View<'a> {
    pub fn new(model: &'a Model, slots: &'a LayerSlots) -> Self {
        View { config: &model.config, slots, parameters: &model.parameters }
    }

    pub fn get(&self, range: &Range<usize>) -> &'a [f32] {
        &self.parameters[range.clone()]
    }

    pub fn heads(&self) -> Heads {
        Heads { count: self.slots.heads, size: self.slots.head_size }
    }

    pub fn width(&self) -> usize {
        self.slots.heads * self.slots.head_size
    }

    fn norm(&self, weight: &Range<usize>, bias: &Range<usize>) -> Norm<'a> {
        Norm { weight: self.get(weight), bias: self.get(bias), epsilon: self.config.layer_norm_eps }
    }

    pub fn attention_norm(&self) -> Norm<'a> {
        self.norm(&self.slots.attention_norm_weight, &self.slots.attention_norm_bias)
    }

    pub fn output_norm(&self) -> Norm<'a> {
        self.norm(&self.slots.output_norm_weight, &self.slots.output_norm_bias)
    }

    pub fn activation(&self) -> ActivationKernel {
        self.config.hidden_act.kernel()
    }

    fn probability_dropout(&self, mode: Mode) -> Dropout {
        mode.dropout(self.config.attention_dropout, stream::PROBABILITIES)
    }

    fn attention_dropout(&self, mode: Mode) -> Dropout {
        mode.dropout(self.config.hidden_dropout, stream::ATTENTION_OUTPUT)
    }

    fn output_dropout(&self, mode: Mode) -> Dropout {
        mode.dropout(self.config.hidden_dropout, stream::OUTPUT)
    }
}

/// Slices of different tensors of one buffer.
///
/// # Panics
/// Never for ranges of one layout, whose tensors do not overlap.
pub(crate) fn disjoint<'a, const N: usize>(
    buffer: &'a mut [f32],
    ranges: [&Range<usize>; N],
) -> [&'a mut [f32]; N] {
    buffer.get_disjoint_mut(ranges.map(Clone::clone)).expect("tensors of a layout are disjoint")
}

/// The first half: what enters the layer, `x` (`[rows, hidden]`), to what attention reads for
/// all rows or for those that are `asking`, in `kept.context`. With `measured` (one value for
/// each row and head) it tells how much each row was looked at.
pub(super) fn attend(
    view: View<'_>,
    (x, rows): (&[f32], &Rows),
    asking: Option<&[usize]>,
    mode: Mode,
    measured: Option<&mut [f32]>,
    kept: &mut LayerActivations,
) {
    let (slots, width) = (view.slots, view.width());
    let (sequences, rows) = (Sequences { starts: &rows.starts, asking }, rows.count());
    let qkv = grown(&mut kept.qkv, rows * 3 * width);
    let qkv_weight = Weight::Plain(view.get(&slots.qkv_weight));
    linear::forward(x, view.config.hidden_size, qkv_weight, view.get(&slots.qkv_bias), qkv);
    let queries = sequences.queries();
    let context = grown(&mut kept.context, queries * width);
    let log_sums = grown(&mut kept.log_sums, queries * slots.heads);
    let (heads, dropout) = (view.heads(), view.probability_dropout(mode));
    match measured {
        None => attention::forward(qkv, sequences, heads, dropout, context, log_sums),
        Some(looks) => {
            attention::forward_measuring(qkv, sequences, heads, dropout, context, log_sums, looks);
        }
    }
}

/// The second half: from what attention read to the layer's output, of all rows or of those
/// that `stayed`.
pub(super) fn finish(
    view: View<'_>,
    x: &[f32],
    stayed: &Stayed,
    mode: Mode,
    kept: &mut LayerActivations,
    work: &mut Work,
    output: &mut Vec<f32>,
) {
    let slots = view.slots;
    let (hidden, width) = (view.config.hidden_size, view.width());
    let weight = |range: &Range<usize>| Weight::Plain(view.get(range));
    let rows = stayed.rows().map_or(x.len() / hidden, <[usize]>::len);
    let x = match stayed.rows() {
        None => x,
        Some(stayed) => {
            let residual = grown(&mut work.residual, rows * hidden);
            gather(x, hidden, stayed, residual);
            &*residual
        }
    };
    let context = match stayed.chosen() {
        None => &kept.context[..rows * width],
        Some(stayed) => {
            let stayed_context = grown(&mut kept.stayed_context, rows * width);
            gather(&kept.context, width, stayed, stayed_context);
            &*stayed_context
        }
    };

    let product = grown(&mut kept.attention_normalised, rows * hidden);
    let attention_weight = weight(&slots.attention_output_weight);
    linear::product(context, width, attention_weight, hidden, product);
    let attention_output = grown(&mut kept.attention_output, rows * hidden);
    residual_norm(
        product,
        view.get(&slots.attention_output_bias),
        x,
        view.attention_dropout(mode),
        view.attention_norm(),
        grown(&mut kept.attention_reciprocals, rows),
        attention_output,
    );

    let after = grown(&mut work.wide, rows * slots.intermediate_size);
    linear::forward_activation(
        attention_output,
        hidden,
        weight(&slots.intermediate_weight),
        view.get(&slots.intermediate_bias),
        view.activation(),
        grown(&mut kept.before_activation, rows * slots.intermediate_size),
        after,
    );

    let product = grown(&mut kept.output_normalised, rows * hidden);
    let output_weight = weight(&slots.output_weight);
    linear::product(after, slots.intermediate_size, output_weight, hidden, product);
    residual_norm(
        product,
        view.get(&slots.output_bias),
        attention_output,
        view.output_dropout(mode),
        view.output_norm(),
        grown(&mut kept.output_reciprocals, rows),
        grown(output, rows * hidden),
    );
}

/// Turns `buffers.hidden_gradient` from the gradient of the layer's output into that of
/// its input `x`, and adds the gradients of its parameters to `gradients`. `index` is the
/// layer's number, for `taps`. `kept` is used up.
pub(super) fn backward(
    (index, view, mode): (usize, View<'_>, Mode),
    (x, entered): (&[f32], &Rows),
    stayed: &Stayed,
    (kept, work): (&mut LayerActivations, &mut Work),
    taps: &mut dyn Taps,
    buffers: &mut BackwardBuffers,
    gradients: &mut [f32],
) {
    let slots = view.slots;
    let (hidden, inner, width) = (view.config.hidden_size, slots.intermediate_size, view.width());
    let rows_entered = entered.count();
    let rows = stayed.rows().map_or(rows_entered, <[usize]>::len);
    let size = rows * hidden;
    let d_hidden = &mut buffers.hidden_gradient[..size];
    let d_product = grown(&mut buffers.product, size);

    let d_attention_output = grown(&mut buffers.middle, size);
    let [weight, bias, product_bias] = disjoint(
        gradients,
        [&slots.output_norm_weight, &slots.output_norm_bias, &slots.output_bias],
    );
    residual_norm_backward(
        d_hidden,
        &kept.output_normalised[..size],
        &kept.output_reciprocals[..rows],
        view.output_norm(),
        view.output_dropout(mode),
        d_attention_output,
        d_product,
        NormGradients { weight, bias, product_bias },
        &mut buffers.partials,
    );
    let d_inner = grown(&mut work.wide, rows * inner);
    let output_weight = view.get(&slots.output_weight);
    linear::backward_input(d_product, hidden, output_weight, inner, d_inner, Write::Replace);

    // From here on what came out of the activation.
    let after = &mut kept.before_activation[..rows * inner];
    let inner_bias = &mut gradients[slots.intermediate_bias.clone()];
    view.activation().backward(after, d_inner, inner_bias, &mut buffers.partials);
    let output_weight = &mut gradients[slots.output_weight.clone()];
    linear::backward_weight(d_product, hidden, after, inner, output_weight);
    let attention_output = &kept.attention_output[..size];
    let inner_weight = &mut gradients[slots.intermediate_weight.clone()];
    linear::backward_weight(d_inner, inner, attention_output, hidden, inner_weight);
    let inner_weight = view.get(&slots.intermediate_weight);
    linear::backward_input(d_inner, inner, inner_weight, hidden, d_attention_output, Write::Add);

    let [weight, bias, product_bias] = disjoint(
        gradients,
        [&slots.attention_norm_weight, &slots.attention_norm_bias, &slots.attention_output_bias],
    );
    residual_norm_backward(
        d_attention_output,
        &kept.attention_normalised[..size],
        &kept.attention_reciprocals[..rows],
        view.attention_norm(),
        view.attention_dropout(mode),
        d_hidden,
        d_product,
        NormGradients { weight, bias, product_bias },
        &mut buffers.partials,
    );
    let sequences = Sequences { starts: &entered.starts, asking: stayed.asking() };
    let context = &kept.context[..sequences.queries() * width];
    let stayed_context =
        if stayed.chosen().is_some() { &kept.stayed_context[..rows * width] } else { context };
    let attention_weight = &mut gradients[slots.attention_output_weight.clone()];
    linear::backward_weight(d_product, hidden, stayed_context, width, attention_weight);
    let d_context = grown(&mut buffers.context, context.len());
    let attention_weight = view.get(&slots.attention_output_weight);
    let d_stayed = &mut d_context[..rows * width];
    linear::backward_input(d_product, hidden, attention_weight, width, d_stayed, Write::Replace);
    let d_hidden = &mut buffers.hidden_gradient[..rows_entered * hidden];
    if let Some(stayed) = stayed.chosen() {
        // Nothing read what attention gave those that left.
        spread(d_context, width, stayed, |_, values| values.fill(0.0));
    }
    if let Some(stayed) = stayed.rows() {
        // Their own states are in the end.
        let restored = &buffers.restored;
        spread(d_hidden, hidden, stayed, |row, values| {
            let origin = entered.origins[row];
            values.copy_from_slice(&restored[origin * hidden..(origin + 1) * hidden]);
        });
    }

    let d_qkv = grown(&mut work.wide, rows_entered * 3 * width);
    let qkv = &kept.qkv[..rows_entered * 3 * width];
    let log_sums = &kept.log_sums[..sequences.queries() * slots.heads];
    let heads = view.heads();
    let dropout = view.probability_dropout(mode);
    let done = attention::Forward { qkv, context, log_sums };
    attention::backward(done, sequences, heads, dropout, d_context, d_qkv);
    taps.attention(index, Queries { qkv, heads }, d_qkv);
    let qkv_bias = &mut gradients[slots.qkv_bias.clone()];
    add_column_sums(d_qkv, 3 * width, qkv_bias, &mut buffers.partials);
    let qkv_weight = &mut gradients[slots.qkv_weight.clone()];
    linear::backward_weight(d_qkv, 3 * width, x, hidden, qkv_weight);
    let qkv_weight = view.get(&slots.qkv_weight);
    linear::backward_input(d_qkv, 3 * width, qkv_weight, hidden, d_hidden, Write::Add);
}
