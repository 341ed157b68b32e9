//! The classification head (Devlin et al., 2019, §4.1): the first token of each sequence
//! speaks for the whole of it. A dense layer reads its hidden state, with tanh in BERT (its
//! pooler) and ReLU in DistilBERT, and a linear layer gives one logit a label.

use limbeck_kernels::activation::Activation;
use limbeck_kernels::dropout::Dropout;
use limbeck_kernels::linear::{self, Weight};
use limbeck_kernels::matmul::Write;
use limbeck_kernels::reduce::add_column_sums;

use super::classification_slots;
use crate::config::Architecture;
use crate::encoder::{BackwardBuffers, Mode, grown};
use crate::error::{ModelError, Result};
use crate::model::Model;

/// The logits of a batch, and the memory to make them.
#[derive(Debug, Default)]
pub struct ClassLogits {
    /// One a label for each sequence, `[sequences, labels]`.
    pub values: Vec<f32>,
    /// The hidden state of each sequence's first token, `[sequences, hidden]`.
    first: Vec<f32>,
    /// The dense layer before its activation, `[sequences, hidden]`.
    before: Vec<f32>,
    /// The same after activation and dropout.
    pooled: Vec<f32>,
}

fn activation(model: &Model) -> Activation {
    match model.config.architecture {
        Architecture::Bert => Activation::Tanh,
        Architecture::DistilBert => Activation::Relu,
    }
}

/// Of the one row that each sequence has here.
fn dropout(model: &Model, mode: Mode) -> Dropout {
    mode.of_sequences().head_dropout(model.config.head_dropout)
}

/// The logits of `hidden` (`[rows, hidden]`), whose sequences begin at `starts`
/// (`[sequences + 1]`).
///
/// # Errors
/// When the model has another head, or a sequence has no first token.
pub fn forward(
    model: &Model,
    starts: &[usize],
    hidden: &[f32],
    mode: Mode,
    logits: &mut ClassLogits,
) -> Result<()> {
    let slots = classification_slots(model)?;
    let width = model.config.hidden_size;
    logits.first.clear();
    for pair in starts.windows(2) {
        let first = pair[0] * width..(pair[0] + 1) * width;
        let state = hidden.get(first).filter(|_| pair[0] < pair[1]);
        let empty = || ModelError::Tokens("a sequence has no tokens".to_owned());
        logits.first.extend_from_slice(state.ok_or_else(empty)?);
    }
    let sequences = logits.first.len() / width;
    logits.before.resize(logits.first.len(), 0.0);
    logits.pooled.resize(logits.first.len(), 0.0);
    logits.values.resize(sequences * slots.bias.len(), 0.0);
    linear::forward_activation(
        &logits.first,
        width,
        Weight::Plain(&model.parameters[slots.dense_weight.clone()]),
        &model.parameters[slots.dense_bias.clone()],
        activation(model),
        &mut logits.before,
        &mut logits.pooled,
    );
    dropout(model, mode).apply(&mut logits.pooled, width);
    let weight = Weight::Plain(&model.parameters[slots.weight.clone()]);
    let bias = &model.parameters[slots.bias.clone()];
    linear::forward(&logits.pooled, width, weight, bias, &mut logits.values);
    Ok(())
}

/// From the gradient of the logits (`[sequences, labels]`) to that of the last hidden
/// state, which is left in `buffers.hidden_gradient` (`[rows, hidden]`, zero but for first
/// tokens), and to those of the head's parameters, added to `gradients`.
///
/// `starts`, `mode` and `logits` must be those of the [`forward`] before.
///
/// # Errors
/// When the model has another head.
pub fn backward(
    model: &Model,
    starts: &[usize],
    mode: Mode,
    logits: &ClassLogits,
    d_logits: &[f32],
    buffers: &mut BackwardBuffers,
    gradients: &mut [f32],
) -> Result<()> {
    let slots = classification_slots(model)?;
    let width = model.config.hidden_size;
    let (labels, size) = (slots.bias.len(), logits.first.len());
    let BackwardBuffers { hidden_gradient, middle, product, partials, .. } = buffers;

    add_column_sums(d_logits, labels, &mut gradients[slots.bias.clone()], partials);
    let weight = &mut gradients[slots.weight.clone()];
    linear::backward_weight(d_logits, labels, &logits.pooled, width, weight);
    let d_pooled = grown(product, size);
    let weight = &model.parameters[slots.weight.clone()];
    linear::backward_input(d_logits, labels, weight, width, d_pooled, Write::Replace);
    dropout(model, mode).apply(d_pooled, width);

    let values = grown(middle, size);
    values.copy_from_slice(&logits.before);
    let bias = &mut gradients[slots.dense_bias.clone()];
    activation(model).backward(values, d_pooled, bias, partials);
    let weight = &mut gradients[slots.dense_weight.clone()];
    linear::backward_weight(d_pooled, width, &logits.first, width, weight);
    let d_first = values;
    let weight = &model.parameters[slots.dense_weight.clone()];
    linear::backward_input(d_pooled, width, weight, width, d_first, Write::Replace);

    hidden_gradient.clear();
    hidden_gradient.resize(starts.last().map_or(0, |&rows| rows * width), 0.0);
    for (&start, d_first) in starts.iter().zip(d_first.chunks_exact(width)) {
        hidden_gradient[start * width..(start + 1) * width].copy_from_slice(d_first);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
