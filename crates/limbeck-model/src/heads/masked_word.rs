//! The masked-word head of pretraining (Devlin et al., 2019, §3.1): a dense layer, the
//! activation and a layer norm turn the hidden state of every masked row into a word vector,
//! which is compared with all word embeddings; they are the decoder's weight.
//!
//! The logits of all masked rows would be by far the largest matrix of a step. They are made
//! for [`chunks`] of rows only, and what backward needs of a chunk is taken before the next:
//! [`forward`], then for every chunk [`logits`], a loss that turns them into their gradient,
//! and [`learn`], then [`backward`].

use std::ops::Range;

use limbeck_kernels::dropout::Dropout;
use limbeck_kernels::linear::{self, Weight};
use limbeck_kernels::matmul::Write;
use limbeck_kernels::norm::{Norm, NormGradients, residual_norm, residual_norm_backward};
use limbeck_kernels::reduce::add_column_sums;

use super::masked_word_slots;
use crate::encoder::{BackwardBuffers, grown};
use crate::error::{ModelError, Result};
use crate::model::Model;

/// Logits of a chunk at most: 16 MB, whatever the vocabulary.
const CHUNK_LOGITS: usize = 4 << 20;

/// The word vectors of a batch's masked rows, and the memory to make them.
#[derive(Debug, Default)]
pub struct WordVectors {
    /// How many rows are masked.
    count: usize,
    /// The masked rows themselves.
    rows: Vec<usize>,
    /// Their hidden states, `[masked, hidden]`.
    hidden: Vec<f32>,
    /// The dense layer before its activation, and after it.
    before: Vec<f32>,
    after: Vec<f32>,
    /// The same before gain and shift of the norm, with the scale of each row.
    normalised: Vec<f32>,
    reciprocals: Vec<f32>,
    /// `[masked, hidden]`
    vectors: Vec<f32>,
    /// Their gradient.
    gradient: Vec<f32>,
    /// What the fused norm asks for and this head has not: a bias before it.
    no_bias: Vec<f32>,
}

impl WordVectors {
    /// How many rows are masked.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The masked rows, chunk after chunk, for a vocabulary of this size.
pub fn chunks(masked: usize, vocab_size: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let rows = (CHUNK_LOGITS / vocab_size.max(1)).max(1);
    (0..masked).step_by(rows).map(move |start| start..(start + rows).min(masked))
}

fn norm<'a>(model: &'a Model, slots: &crate::layout::MaskedWordSlots) -> Norm<'a> {
    Norm {
        weight: &model.parameters[slots.norm_weight.clone()],
        bias: &model.parameters[slots.norm_bias.clone()],
        epsilon: model.config.layer_norm_eps,
    }
}

/// The word vectors of the rows `masked` of `hidden` (`[rows, hidden]`).
///
/// # Errors
/// When the model has another head, or there is no such row.
pub fn forward(
    model: &Model,
    masked: &[u32],
    hidden: &[f32],
    vectors: &mut WordVectors,
) -> Result<()> {
    let slots = masked_word_slots(model)?;
    let width = model.config.hidden_size;
    vectors.count = masked.len();
    vectors.rows.clear();
    vectors.hidden.clear();
    for row in masked.iter().map(|&row| row as usize) {
        let state = hidden.get(row * width..(row + 1) * width);
        let beyond = || ModelError::Tokens(format!("there is no row {row} to mask"));
        vectors.hidden.extend_from_slice(state.ok_or_else(beyond)?);
        vectors.rows.push(row);
    }
    let size = vectors.hidden.len();
    let WordVectors { hidden, before, after, normalised, reciprocals, no_bias, .. } = vectors;
    linear::forward_activation(
        hidden,
        width,
        Weight::Plain(&model.parameters[slots.dense_weight.clone()]),
        &model.parameters[slots.dense_bias.clone()],
        model.config.hidden_act.kernel(),
        grown(before, size),
        grown(after, size),
    );
    let normalised = grown(normalised, size);
    normalised.fill(0.0);
    residual_norm(
        normalised,
        grown(no_bias, width),
        &after[..size],
        Dropout::none(),
        norm(model, slots),
        grown(reciprocals, masked.len()),
        grown(&mut vectors.vectors, size),
    );
    grown(&mut vectors.gradient, size).fill(0.0);
    Ok(())
}

/// The logits of a chunk, `[rows of it, vocabulary]`.
///
/// # Errors
/// When the model has another head.
pub fn logits<'a>(
    model: &Model,
    vectors: &WordVectors,
    chunk: Range<usize>,
    logits: &'a mut Vec<f32>,
) -> Result<&'a mut [f32]> {
    let slots = masked_word_slots(model)?;
    let width = model.config.hidden_size;
    let logits = grown(logits, chunk.len() * model.config.vocab_size);
    let weight = Weight::Plain(&model.parameters[model.layout.slots.word_embeddings.clone()]);
    let bias = &model.parameters[slots.bias.clone()];
    let rows = &vectors.vectors[chunk.start * width..chunk.end * width];
    linear::forward(rows, width, weight, bias, logits);
    Ok(logits)
}

/// Takes the gradient of a chunk's logits to that of its word vectors, and adds those of the
/// decoder to `gradients`: the word embeddings' and the bias.
///
/// # Errors
/// When the model has another head.
pub fn learn(
    model: &Model,
    vectors: &mut WordVectors,
    chunk: Range<usize>,
    d_logits: &[f32],
    buffers: &mut BackwardBuffers,
    gradients: &mut [f32],
) -> Result<()> {
    let slots = masked_word_slots(model)?;
    let words = &model.layout.slots.word_embeddings;
    let (width, vocabulary) = (model.config.hidden_size, model.config.vocab_size);
    let rows = chunk.start * width..chunk.end * width;
    add_column_sums(
        d_logits,
        vocabulary,
        &mut gradients[slots.bias.clone()],
        &mut buffers.partials,
    );
    let own = &vectors.vectors[rows.clone()];
    linear::backward_weight(d_logits, vocabulary, own, width, &mut gradients[words.clone()]);
    let weight = &model.parameters[words.clone()];
    let own = &mut vectors.gradient[rows];
    linear::backward_input(d_logits, vocabulary, weight, width, own, Write::Replace);
    Ok(())
}

/// From the gradient of the word vectors, which [`learn`] has left for every chunk, to that of
/// the last hidden state, left in `buffers.hidden_gradient` (`[rows, hidden]`, zero but for
/// masked rows), and to those of the head's other parameters, added to `gradients`. `rows` is
/// the number of the batch's rows.
///
/// # Errors
/// When the model has another head.
pub fn backward(
    model: &Model,
    rows: usize,
    vectors: &mut WordVectors,
    buffers: &mut BackwardBuffers,
    gradients: &mut [f32],
) -> Result<()> {
    let slots = masked_word_slots(model)?;
    let width = model.config.hidden_size;
    let size = vectors.count * width;
    let BackwardBuffers { hidden_gradient, middle, product, partials, .. } = buffers;
    let WordVectors { hidden, before, normalised, reciprocals, gradient, no_bias, .. } = vectors;

    let [norm_weight, norm_bias] =
        crate::encoder::disjoint(gradients, [&slots.norm_weight, &slots.norm_bias]);
    let d_after = grown(middle, size);
    residual_norm_backward(
        &gradient[..size],
        &normalised[..size],
        &reciprocals[..vectors.count],
        norm(model, slots),
        Dropout::none(),
        d_after,
        grown(product, size),
        NormGradients { weight: norm_weight, bias: norm_bias, product_bias: grown(no_bias, width) },
        partials,
    );
    no_bias.fill(0.0);

    let values = grown(product, size);
    values.copy_from_slice(&before[..size]);
    let bias = &mut gradients[slots.dense_bias.clone()];
    model.config.hidden_act.kernel().backward(values, d_after, bias, partials);
    let weight = &mut gradients[slots.dense_weight.clone()];
    linear::backward_weight(d_after, width, hidden, width, weight);
    let d_hidden = values;
    let weight = &model.parameters[slots.dense_weight.clone()];
    linear::backward_input(d_after, width, weight, width, d_hidden, Write::Replace);

    hidden_gradient.clear();
    hidden_gradient.resize(rows * width, 0.0);
    for (&row, gradient) in vectors.rows.iter().zip(d_hidden.chunks_exact(width)) {
        // A row may be masked once only, but adding costs nothing and is right in any case.
        let own = &mut hidden_gradient[row * width..(row + 1) * width];
        own.iter_mut().zip(gradient).for_each(|(own, gradient)| *own += gradient);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
