//! Forward for inference: nothing is kept.
//!
//! Between two attentions every row goes its own way: the attention block's product and
//! norm, the feed-forward part, and the next layer's queries, keys and values. So a stretch of
//! rows takes all of it at once, on one thread, while it lies in that thread's cache; the
//! threads meet only before and after attention.

use std::cell::RefCell;

use limbeck_kernels::attention::{self, Sequences};
use limbeck_kernels::dropout::Dropout;
use limbeck_kernels::linear::{self, Weight};
use limbeck_kernels::norm::residual_norm;
use limbeck_kernels::threads::{RowsOf, each_stretch};

use super::buffers::grown;
use super::choice::some_will_leave;
use super::layer::View;
use super::present::Present;
use super::route::only_read;
use super::weights::{PackedLayer, PackedWeights};
use super::{Mode, Tokens, embed};
use crate::layout::LayerSlots;
use crate::lengths::LengthPlan;
use crate::model::Model;

/// Most rows that go through at once: with one layer's feed-forward rows they stay in the
/// second cache.
const STRETCH_ROWS: usize = 96;

/// The memory of [`infer`]: one layer's, whatever the depth.
#[derive(Debug, Default)]
pub struct InferenceBuffers {
    /// `[rows, hidden]`
    hidden: Vec<f32>,
    /// Queries, keys and values, `[rows, 3 * heads * head_size]`.
    qkv: Vec<f32>,
    /// What attention read, `[rows, heads * head_size]`.
    context: Vec<f32>,
    /// Written by attention and not needed, `[rows * heads]`.
    log_sums: Vec<f32>,
    /// How much each row was looked at, `[rows * heads]`, where rows may leave.
    attention: Vec<f32>,
    /// The rows that are still on their way.
    present: Present,
    /// Written by the embeddings and not needed.
    normalised: Vec<f32>,
    reciprocals: Vec<f32>,
}

/// What a thread needs for one stretch, kept between stretches.
#[derive(Default)]
struct Scratch {
    product: Vec<f32>,
    reciprocals: Vec<f32>,
    attention_output: Vec<f32>,
    inner: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Runs the encoder for its last hidden state only, `[rows, hidden]`. With a plan, rows leave
/// on the way and keep their states of then. Without one, the last layer may go on with the rows
/// `read` alone, if there are some and they rise; what is in the place of the others then means
/// nothing.
///
/// # Panics
/// As [`forward`](super::forward).
pub fn infer<'a>(
    model: &Model,
    packed: &PackedWeights,
    tokens: Tokens<'_>,
    plan: Option<&LengthPlan>,
    read: Option<&[usize]>,
    buffers: &'a mut InferenceBuffers,
) -> &'a [f32] {
    let InferenceBuffers {
        hidden,
        qkv,
        context,
        log_sums,
        attention,
        present,
        normalised,
        reciprocals,
    } = buffers;
    let hidden_size = model.config.hidden_size;
    let mut rows = tokens.input_ids.len();
    present.all(tokens.starts);
    embed(model, tokens, Mode::Evaluate, normalised, reciprocals, hidden);
    let hidden = &mut hidden[..rows * hidden_size];
    let slots = &model.layout.slots.layers;
    let layer =
        |index: usize| Some(Layer::new(model, slots.get(index)?, packed.layers.get(index)?));
    let mut next = layer(0);
    if let Some(first) = next {
        let width = first.qkv_width();
        let qkv = RowsOf { values: grown(qkv, rows * width), width };
        let hidden = &*hidden;
        each_stretch(rows, STRETCH_ROWS, [qkv], |range, [qkv]| {
            first.project(&hidden[range.start * hidden_size..range.end * hidden_size], qkv);
        });
    }
    for index in 0.. {
        let Some(layer_now) = next else { break };
        next = layer(index + 1);
        let (heads, width) = (layer_now.view.heads(), layer_now.view.width());
        let context = grown(context, rows * width);
        let log_sums = grown(log_sums, rows * heads.count);
        let qkv_now = &qkv[..rows * layer_now.qkv_width()];
        let read = read.filter(|_| next.is_none() && plan.is_none());
        let asking = read.and_then(|read| only_read(read, rows));
        let sequences = Sequences { starts: &present.starts, asking };
        let dropout = Dropout::none();
        let starts = &present.starts;
        match plan.filter(|plan| some_will_leave(plan, index, starts, tokens.starts)) {
            None => attention::forward(qkv_now, sequences, heads, dropout, context, log_sums),
            Some(plan) => {
                let attention = grown(attention, rows * heads.count);
                attention::forward_measuring(
                    qkv_now, sequences, heads, dropout, context, log_sums, attention,
                );
                let states =
                    RowsOf { values: &mut hidden[..rows * hidden_size], width: hidden_size };
                let context = RowsOf { values: &mut *context, width };
                present.leave((plan, index), tokens.starts, attention, states, context);
                rows = present.rows();
            }
        }
        if let Some(read) = asking {
            present.keep(read, RowsOf { values: hidden, width: hidden_size });
            rows = present.rows();
        }
        let context = &context[..rows * width];
        let qkv_width = next.map_or(0, Layer::qkv_width);
        let parts = [
            RowsOf { values: &mut hidden[..rows * hidden_size], width: hidden_size },
            RowsOf { values: grown(qkv, rows * qkv_width), width: qkv_width },
        ];
        each_stretch(rows, STRETCH_ROWS, parts, |range, [hidden, qkv]| {
            layer_now.finish(&context[range.start * width..range.end * width], hidden);
            if let Some(next) = next {
                next.project(hidden, qkv);
            }
        });
    }
    present.all_states(&hidden[..rows * hidden_size], hidden_size)
}

/// One layer with its packed weights.
#[derive(Clone, Copy)]
struct Layer<'a> {
    view: View<'a>,
    packed: &'a PackedLayer,
}

impl<'a> Layer<'a> {
    fn new(model: &'a Model, slots: &'a LayerSlots, packed: &'a PackedLayer) -> Self {
        Layer { view: View::new(model, slots), packed }
    }

    fn qkv_width(self) -> usize {
        3 * self.view.width()
    }

    /// Hidden rows to queries, keys and values.
    fn project(self, hidden: &[f32], qkv: &mut [f32]) {
        let Layer { view, packed } = self;
        let bias = view.get(&view.slots.qkv_bias);
        linear::forward(hidden, view.config.hidden_size, Weight::Packed(&packed.qkv), bias, qkv);
    }

    /// What attention read and the layer's input, `hidden`, to the layer's output, which
    /// takes the place of the input.
    fn finish(self, context: &[f32], hidden: &mut [f32]) {
        let Layer { view, packed } = self;
        let (slots, hidden_size) = (view.slots, view.config.hidden_size);
        let rows = hidden.len() / hidden_size;
        SCRATCH.with_borrow_mut(|scratch| {
            let product = grown(&mut scratch.product, rows * hidden_size);
            let reciprocals = grown(&mut scratch.reciprocals, rows);
            let weight = Weight::Packed(&packed.attention_output);
            linear::product(context, view.width(), weight, hidden_size, product);
            let attention_output = grown(&mut scratch.attention_output, rows * hidden_size);
            residual_norm(
                product,
                view.get(&slots.attention_output_bias),
                hidden,
                Dropout::none(),
                view.attention_norm(),
                reciprocals,
                attention_output,
            );
            let inner = grown(&mut scratch.inner, rows * slots.intermediate_size);
            let weight = Weight::Packed(&packed.intermediate);
            let bias = view.get(&slots.intermediate_bias);
            let activation = view.activation();
            linear::forward_activated(
                attention_output,
                hidden_size,
                weight,
                bias,
                activation,
                inner,
            );
            let weight = Weight::Packed(&packed.output);
            linear::product(inner, slots.intermediate_size, weight, hidden_size, product);
            residual_norm(
                product,
                view.get(&slots.output_bias),
                attention_output,
                Dropout::none(),
                view.output_norm(),
                reciprocals,
                hidden,
            );
        });
    }
}
