//! The span head of question answering (Devlin et al., 2019, §4.2): every token gets
//! one logit as the answer's start and one as its end.

use limbeck_kernels::linear::{self, Weight};
use limbeck_kernels::matmul::Write;
use limbeck_kernels::reduce::add_column_sums;

use super::span_slots;
use crate::encoder::{BackwardBuffers, Mode};
use crate::error::Result;
use crate::model::Model;

/// Start and end logits of a batch, one a row, and the memory to make them.
#[derive(Debug, Default)]
pub struct SpanLogits {
    /// Logits of the answer's start, `[rows]`.
    pub start: Vec<f32>,
    /// Logits of the answer's end, `[rows]`.
    pub end: Vec<f32>,
    /// `[rows, 2]`
    pairs: Vec<f32>,
    /// Hidden states after dropout, when there is dropout.
    dropped: Vec<f32>,
}

/// Gradients of [`SpanLogits`], one a row.
#[derive(Debug, Default)]
pub struct SpanGradients {
    /// Of the start logits, `[rows]`.
    pub start: Vec<f32>,
    /// Of the end logits, `[rows]`.
    pub end: Vec<f32>,
    /// `[rows, 2]`
    pairs: Vec<f32>,
}

impl SpanGradients {
    /// Makes room for `rows` logits and sets all gradients to zero.
    pub fn clear(&mut self, rows: usize) {
        for gradient in [&mut self.start, &mut self.end] {
            gradient.clear();
            gradient.resize(rows, 0.0);
        }
    }
}

/// The logits of `hidden` (`[rows, hidden]`).
///
/// # Errors
/// When the model has another head.
pub fn forward(model: &Model, hidden: &[f32], mode: Mode, logits: &mut SpanLogits) -> Result<()> {
    let slots = span_slots(model)?;
    let width = model.config.hidden_size;
    let dropout = mode.head_dropout(model.config.head_dropout);
    let hidden = if dropout.is_none() {
        hidden
    } else {
        logits.dropped.clear();
        logits.dropped.extend_from_slice(hidden);
        dropout.apply(&mut logits.dropped, width);
        &logits.dropped
    };
    logits.pairs.resize(hidden.len() / width * 2, 0.0);
    let weight = Weight::Plain(&model.parameters[slots.weight.clone()]);
    let bias = &model.parameters[slots.bias.clone()];
    linear::forward(hidden, width, weight, bias, &mut logits.pairs);
    logits.start.clear();
    logits.start.extend(logits.pairs.iter().step_by(2));
    logits.end.clear();
    logits.end.extend(logits.pairs.iter().skip(1).step_by(2));
    Ok(())
}

/// From the gradient of the logits to that of the last hidden state, which is left in
/// `buffers.hidden_gradient`, and to those of the head's parameters, added to
/// `gradients`.
///
/// `hidden`, `mode` and `logits` must be those of the [`forward`] before.
///
/// # Errors
/// When the model has another head.
pub fn backward(
    model: &Model,
    hidden: &[f32],
    mode: Mode,
    logits: &SpanLogits,
    d_logits: &mut SpanGradients,
    buffers: &mut BackwardBuffers,
    gradients: &mut [f32],
) -> Result<()> {
    let slots = span_slots(model)?;
    let width = model.config.hidden_size;
    d_logits.pairs.clear();
    d_logits
        .pairs
        .extend(d_logits.start.iter().zip(&d_logits.end).flat_map(|(&start, &end)| [start, end]));
    let dropout = mode.head_dropout(model.config.head_dropout);
    let input = if dropout.is_none() { hidden } else { &logits.dropped };
    let bias = &mut gradients[slots.bias.clone()];
    add_column_sums(&d_logits.pairs, 2, bias, &mut buffers.partials);
    let weight = &mut gradients[slots.weight.clone()];
    linear::backward_weight(&d_logits.pairs, 2, input, width, weight);
    buffers.hidden_gradient.resize(hidden.len(), 0.0);
    let weight = &model.parameters[slots.weight.clone()];
    let d_hidden = &mut buffers.hidden_gradient;
    linear::backward_input(&d_logits.pairs, 2, weight, width, d_hidden, Write::Replace);
    dropout.apply(d_hidden, width);
    Ok(())
}
