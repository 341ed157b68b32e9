//! The memory of forward and backward, which grows to the largest batch and stays.

use limbeck_kernels::reduce::Partials;

use super::choice::Choice;
use super::route::{Rows, Stay, left};
use crate::model::Model;

/// The first `len` values of a buffer, grown if need be. What was in them before is
/// overwritten by the callers.
pub(crate) fn grown(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        // A little more than asked: batches differ by a few rows, and each growth would
        // leave a hole of the old size in the heap.
        if buffer.capacity() < len {
            *buffer = Vec::with_capacity(len + len / 8);
        }
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// What one layer's forward leaves for its backward.
#[derive(Debug, Default)]
pub struct LayerActivations {
    /// Queries, keys and values, `[rows, 3 * heads * head_size]`.
    pub(crate) qkv: Vec<f32>,
    /// What attention read for the rows that asked, `[queries, heads * head_size]`.
    pub(crate) context: Vec<f32>,
    /// Logarithms of the softmax's sums, `[queries * heads]`.
    pub(crate) log_sums: Vec<f32>,
    /// Of the rows that stayed, where attention decided which, what it read.
    pub(crate) stayed_context: Vec<f32>,
    /// The attention block's sum before gain and shift, `[rows, hidden]`.
    pub(crate) attention_normalised: Vec<f32>,
    /// The scale of each of its rows, `[rows]`.
    pub(crate) attention_reciprocals: Vec<f32>,
    /// The attention block's output, `[rows, hidden]`.
    pub(crate) attention_output: Vec<f32>,
    /// Before the activation, `[rows, intermediate]`; backward puts in its place what comes after.
    pub(crate) before_activation: Vec<f32>,
    /// The layer's sum before gain and shift, `[rows, hidden]`.
    pub(crate) output_normalised: Vec<f32>,
    /// The scale of each of its rows, `[rows]`.
    pub(crate) output_reciprocals: Vec<f32>,
}

/// What forward and backward of a layer work in, used by one layer after the other.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// In forward what comes out of the activation, `[rows, intermediate]`; in backward its
    /// gradient, and then that of queries, keys and values, `[rows, 3 * heads * head_size]`.
    pub(super) wide: Vec<f32>,
    /// How much each row was looked at, `[rows * heads]`, where rows may leave.
    pub(super) attention: Vec<f32>,
    /// The layer's input, of the rows that stay.
    pub(super) residual: Vec<f32>,
    pub(super) choice: Choice,
}

/// What became of the rows that entered a layer.
#[derive(Debug, Default)]
pub(super) struct Stayed {
    pub(super) who: Stay,
    /// Those that stayed, where some left, as numbers among the rows that entered.
    pub(super) rows: Vec<usize>,
}

impl Stayed {
    /// The rows that stayed; none where all did.
    pub(super) fn rows(&self) -> Option<&[usize]> {
        (self.who != Stay::All).then_some(self.rows.as_slice())
    }

    /// Those that alone ask in attention, where it was known before who would stay.
    pub(super) fn asking(&self) -> Option<&[usize]> {
        (self.who == Stay::Read).then_some(self.rows.as_slice())
    }

    /// Those that stayed, where attention decided it, and so was asked by all.
    pub(super) fn chosen(&self) -> Option<&[usize]> {
        (self.who == Stay::Chosen).then_some(self.rows.as_slice())
    }
}

/// What [`super::forward`] leaves for [`super::backward`].
#[derive(Debug, Default)]
pub struct Activations {
    /// Keep only what enters each layer; backward computes the rest again, to the bit, at the
    /// cost of one more forward. The memory is that of one layer, whatever the depth.
    pub recompute: bool,
    pub(super) embedding_normalised: Vec<f32>,
    pub(super) embedding_reciprocals: Vec<f32>,
    /// Of each layer, or of the last one that ran.
    pub(super) layers: Vec<LayerActivations>,
    pub(super) stayed: Vec<Stayed>,
    /// What enters each layer, and what leaves the last.
    pub(super) hidden: Vec<(Vec<f32>, Rows)>,
    /// By number, the layers that were passed over.
    pub(super) skipped: Vec<bool>,
    pub(super) work: Work,
    /// The last state of every row of the batch, where some have left.
    restored: Vec<f32>,
    /// Rows of the batch.
    rows: usize,
    width: usize,
}

impl Activations {
    /// With [`Activations::recompute`] as given.
    pub fn recomputing(recompute: bool) -> Activations {
        Activations { recompute, ..Activations::default() }
    }

    pub(super) fn prepare(&mut self, model: &Model, rows: usize) {
        let layers = model.layout.slots.layers.len();
        let kept = if self.recompute { layers.min(1) } else { layers };
        self.layers.resize_with(kept, LayerActivations::default);
        self.stayed.resize_with(layers, Stayed::default);
        self.hidden.resize_with(layers + 1, Default::default);
        self.skipped.clear();
        self.rows = rows;
        self.width = model.config.hidden_size;
    }

    /// The hidden state after `layers` layers, `[rows, hidden]`, of the rows that went on until
    /// there; 0 is the embeddings' output.
    ///
    /// # Panics
    /// When the model has fewer layers or nothing has run yet.
    pub fn hidden_state(&self, layers: usize) -> &[f32] {
        let (hidden, rows) = &self.hidden[layers];
        &hidden[..rows.count() * self.width]
    }

    /// The last hidden state of every row of the batch, `[rows, hidden]`: of a row that left on
    /// the way the one it left with.
    pub fn last_hidden_state(&self) -> &[f32] {
        if self.some_left() {
            return &self.restored[..self.rows * self.width];
        }
        self.hidden.last().map_or(&[], |(hidden, _)| &hidden[..self.rows * self.width])
    }

    /// Whether any row left on the way.
    pub(super) fn some_left(&self) -> bool {
        self.hidden.last().is_some_and(|(_, rows)| rows.count() < self.rows)
    }

    /// Puts the last state of every row of the batch together.
    pub(super) fn restore(&mut self) {
        let (width, rows) = (self.width, self.rows);
        let restored = grown(&mut self.restored, rows * width);
        let mut put = |(hidden, rows): &(Vec<f32>, Rows), row: usize| {
            let place = rows.origins[row] * width;
            let state = &hidden[row * width..(row + 1) * width];
            restored[place..place + width].copy_from_slice(state);
        };
        for (entered, stayed) in self.hidden.iter().zip(&self.stayed) {
            if let Some(stayed) = stayed.rows() {
                left(entered.1.count(), stayed).for_each(|row| put(entered, row));
            }
        }
        if let Some(last) = self.hidden.last() {
            (0..last.1.count()).for_each(|row| put(last, row));
        }
    }
}

/// The memory of [`super::backward`]: one layer's, whatever the depth.
#[derive(Debug, Default)]
pub struct BackwardBuffers {
    /// The gradient of the hidden state that backward has reached, `[rows, hidden]`.
    pub hidden_gradient: Vec<f32>,
    /// Of the last state of every row of the batch, where some have left.
    pub(crate) restored: Vec<f32>,
    /// Of the attention block's output, `[rows, hidden]`.
    pub(crate) middle: Vec<f32>,
    /// Of a product before its norm, `[rows, hidden]`.
    pub(crate) product: Vec<f32>,
    /// Of what attention read, `[rows, heads * head_size]`.
    pub(crate) context: Vec<f32>,
    pub(crate) partials: Partials,
}
