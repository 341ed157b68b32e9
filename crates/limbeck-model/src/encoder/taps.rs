//! Losses that look inside: what backward shows on its way.

use limbeck_kernels::attention::Queries;

/// Sees hidden states and attention as [`backward`](super::backward) arrives at them, and may
/// add to their gradients.
pub trait Taps {
    /// The hidden state after `layers` layers (0: the embeddings' output), `[rows, hidden]`, with
    /// its gradient.
    fn hidden_state(&mut self, layers: usize, hidden: &[f32], gradient: &mut [f32]);

    /// The queries and keys of layer `layer`, with the gradient of queries, keys and values,
    /// `[rows, 3 * heads * head_size]`.
    fn attention(&mut self, layer: usize, queries: Queries<'_>, gradient: &mut [f32]);

    /// Whether it looks at what the head does not read, so that every row has to go on to the end.
    fn needs_all_rows(&self) -> bool {
        true
    }

    /// Nothing more of this pass will be added to the gradients of layer `layer`; `gradients` are
    /// those of all parameters.
    fn layer_is_done(&mut self, _layer: usize, _gradients: &[f32]) {}
}

/// Looks at nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoTaps;

impl Taps for NoTaps {
    fn hidden_state(&mut self, _: usize, _: &[f32], _: &mut [f32]) {}

    fn attention(&mut self, _: usize, _: Queries<'_>, _: &mut [f32]) {}

    fn needs_all_rows(&self) -> bool {
        false
    }
}
