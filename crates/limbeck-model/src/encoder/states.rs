//! Forward of a teacher: hidden states, queries and keys of chosen layers, and nothing else.

use limbeck_kernels::attention::{Heads, Queries};
use limbeck_kernels::embedding::Tokens;

use super::buffers::{LayerActivations, Stayed, Work, grown};
use super::route::Rows;
use super::{Mode, embed, layer};
use crate::model::Model;

/// Which layers are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// By number of layers done, 0 being the embeddings' output: is the hidden state wanted?
    pub hidden: Vec<bool>,
    /// By number of the layer: are its queries and keys wanted?
    pub attention: Vec<bool>,
}

/// What [`observe`] saw, and its memory.
#[derive(Debug, Default)]
pub struct States {
    hidden: Vec<Vec<f32>>,
    qkv: Vec<Vec<f32>>,
    heads: Vec<Heads>,
    rows: usize,
    hidden_size: usize,
    layer: LayerActivations,
    work: Work,
    present: Vec<f32>,
    next: Vec<f32>,
    all_rows: Rows,
    normalised: Vec<f32>,
    reciprocals: Vec<f32>,
}

impl States {
    /// The hidden state after `layers` layers, `[rows, hidden]`.
    ///
    /// # Panics
    /// When it was not wanted.
    pub fn hidden_state(&self, layers: usize) -> &[f32] {
        &self.hidden[layers][..self.rows * self.hidden_size]
    }

    /// The width of a hidden state.
    pub fn hidden_size(&self) -> usize {
        self.hidden_size
    }

    /// Queries and keys of layer `layer`.
    ///
    /// # Panics
    /// When they were not wanted.
    pub fn queries(&self, layer: usize) -> Queries<'_> {
        let heads = self.heads[layer];
        let width = 3 * heads.count * heads.size;
        Queries { qkv: &self.qkv[layer][..self.rows * width], heads }
    }
}

/// Runs the encoder without dropout and keeps what is wanted of it.
///
/// # Panics
/// As [`forward`](super::forward).
pub fn observe(model: &Model, tokens: Tokens<'_>, wanted: &Wanted, states: &mut States) {
    let layers = &model.layout.slots.layers;
    let size = tokens.input_ids.len() * model.config.hidden_size;
    states.rows = tokens.input_ids.len();
    states.hidden_size = model.config.hidden_size;
    states.hidden.resize_with(layers.len() + 1, Vec::new);
    states.qkv.resize_with(layers.len(), Vec::new);
    states.heads.clear();
    states.all_rows.all(tokens.starts, false);
    let States { hidden, qkv, heads, layer, work, present, next, normalised, reciprocals, .. } =
        states;
    let mut keep = |number: usize, state: &[f32]| {
        if wanted.hidden.get(number) == Some(&true) {
            grown(&mut hidden[number], size).copy_from_slice(state);
        }
    };
    embed(model, tokens, Mode::Evaluate, normalised, reciprocals, present);
    keep(0, &present[..size]);
    for (index, slots) in layers.iter().enumerate() {
        let view = layer::View::new(model, slots);
        heads.push(view.heads());
        let x = &present[..size];
        layer::attend(view, (x, &states.all_rows), None, Mode::Evaluate, None, layer);
        layer::finish(view, x, &Stayed::default(), Mode::Evaluate, layer, work, next);
        if wanted.attention.get(index) == Some(&true) {
            std::mem::swap(&mut layer.qkv, &mut qkv[index]);
        }
        std::mem::swap(present, next);
        keep(index + 1, &present[..size]);
    }
}
