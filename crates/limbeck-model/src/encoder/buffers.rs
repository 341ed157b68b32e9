//! The memory of forward and backward, which grows to the largest batch and stays.

use limbeck_kernels::reduce::Partials;

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
    /// What attention read, `[rows, heads * head_size]`.
    pub(crate) context: Vec<f32>,
    /// Logarithms of the softmax's sums, `[rows * heads]`.
    pub(crate) log_sums: Vec<f32>,
    /// The attention block's sum before gain and shift, `[rows, hidden]`.
    pub(crate) attention_normalised: Vec<f32>,
    /// The scale of each of its rows, `[rows]`.
    pub(crate) attention_reciprocals: Vec<f32>,
    /// The attention block's output, `[rows, hidden]`.
    pub(crate) attention_output: Vec<f32>,
    /// Before the activation, `[rows, intermediate]`.
    pub(crate) before_activation: Vec<f32>,
    /// The layer's sum before gain and shift, `[rows, hidden]`.
    pub(crate) output_normalised: Vec<f32>,
    /// The scale of each of its rows, `[rows]`.
    pub(crate) output_reciprocals: Vec<f32>,
}

/// What [`super::forward`] leaves for [`super::backward`].
#[derive(Debug, Default)]
pub struct Activations {
    pub(crate) embedding_normalised: Vec<f32>,
    pub(crate) embedding_reciprocals: Vec<f32>,
    pub(crate) layers: Vec<LayerActivations>,
    pub(crate) hidden: Vec<Vec<f32>>,
    /// After the activation, `[rows, intermediate]`; used by one layer after the other.
    pub(crate) inner: Vec<f32>,
    size: usize,
}

impl Activations {
    pub(crate) fn prepare(&mut self, model: &Model, rows: usize) {
        let layers = model.layout.slots.layers.len();
        self.layers.resize_with(layers, LayerActivations::default);
        self.hidden.resize_with(layers + 1, Vec::new);
        self.size = rows * model.config.hidden_size;
    }

    /// The hidden state after `layers` layers, `[rows, hidden]`; 0 is the embeddings'
    /// output.
    ///
    /// # Panics
    /// When the model has fewer layers or nothing has run yet.
    pub fn hidden_state(&self, layers: usize) -> &[f32] {
        &self.hidden[layers][..self.size]
    }

    /// The last hidden state, `[rows, hidden]`.
    pub fn last_hidden_state(&self) -> &[f32] {
        self.hidden.last().map_or(&[], |hidden| &hidden[..self.size])
    }
}

/// The memory of [`super::backward`]: one layer's, whatever the depth.
#[derive(Debug, Default)]
pub struct BackwardBuffers {
    /// The gradient of the hidden state that backward has reached, `[rows, hidden]`.
    pub hidden_gradient: Vec<f32>,
    /// Of the attention block's output, `[rows, hidden]`.
    pub(crate) middle: Vec<f32>,
    /// Of a product before its norm, `[rows, hidden]`.
    pub(crate) product: Vec<f32>,
    /// Of the feed-forward part's inner rows, `[rows, intermediate]`.
    pub(crate) intermediate: Vec<f32>,
    /// Those rows themselves, made again.
    pub(crate) inner: Vec<f32>,
    /// Of what attention read, `[rows, heads * head_size]`.
    pub(crate) context: Vec<f32>,
    /// Of queries, keys and values, `[rows, 3 * heads * head_size]`.
    pub(crate) qkv: Vec<f32>,
    pub(crate) partials: Partials,
}
