//! The encoder: embeddings and transformer layers (Devlin et al., 2019; post-norm), on
//! ragged rows.
//!
//! `forward` leaves what `backward` needs in [`Activations`]; there is no tape. Both
//! reuse their buffers, so a step allocates nothing once it has seen its largest
//! batch.
//!
//! # Layout
//! - `buffers`: the memory of forward and backward
//! - `layer`: one transformer layer, forward and backward side by side
//! - `route`: the way of a training pass: layers passed over, rows that leave
//! - `choice`: which rows of a sequence leave under a length plan
//! - `taps`: losses that look inside, on the way back
//! - `states`: forward of a teacher whose inside is looked at
//! - `infer`: forward for inference, fused over rows
//! - `present`: the rows that are still on their way there
//! - `weights`: plain weights for training, packed ones for inference

mod buffers;
mod choice;
mod infer;
mod layer;
mod present;
mod route;
mod states;
mod taps;
#[cfg(test)]
mod tests;
mod weights;

use limbeck_kernels::dropout::Dropout;
use limbeck_kernels::embedding::{self, TableGradients, Tables};
use limbeck_kernels::norm::Norm;
use limbeck_kernels::random::Key;

pub use buffers::{Activations, BackwardBuffers};
pub use infer::{InferenceBuffers, infer};
pub use limbeck_kernels::dropout::Place;
pub use limbeck_kernels::embedding::Tokens;
pub use route::Route;
pub use states::{States, Wanted, observe};
pub use taps::{NoTaps, Taps};
pub use weights::PackedWeights;

use crate::model::Model;
pub(crate) use buffers::grown;
pub(crate) use layer::disjoint;
use route::{Departure, Stay, gather};

/// Names of the streams of random bits below a step's key.
mod stream {
    pub const EMBEDDINGS: u64 = 0;
    pub const HEAD: u64 = 1;
    pub const FIRST_LAYER: u64 = 2;
}

/// Whether a forward pass drops values, and with which random bits.
#[derive(Debug, Clone, Copy)]
pub enum Mode {
    /// Nothing is dropped.
    Evaluate,
    /// Dropout at the configuration's rates, from the streams of this key: one for
    /// each step. A part of a batch drops what the whole would drop in its place.
    Train(Key, Place),
}

impl Mode {
    fn dropout(self, rate: f32, name: u64) -> Dropout {
        match self {
            Mode::Evaluate => Dropout::none(),
            Mode::Train(key, place) => Dropout::new(rate, key.child(name)).at(place),
        }
    }

    /// The key of one layer's streams.
    fn layer(self, layer: usize) -> Mode {
        match self {
            Mode::Evaluate => Mode::Evaluate,
            Mode::Train(key, place) => {
                Mode::Train(key.child(stream::FIRST_LAYER + layer as u64), place)
            }
        }
    }

    /// The same where each sequence is one row.
    pub(crate) fn of_sequences(self) -> Mode {
        match self {
            Mode::Evaluate => Mode::Evaluate,
            Mode::Train(key, place) => {
                Mode::Train(key, Place { first_row: place.first_sequence, ..place })
            }
        }
    }

    /// The same where only the rows that the head reads are left.
    fn of_read(self) -> Mode {
        match self {
            Mode::Evaluate => Mode::Evaluate,
            Mode::Train(key, place) => {
                Mode::Train(key, Place { first_row: place.first_read, ..place })
            }
        }
    }

    pub(crate) fn head_dropout(self, rate: f32) -> Dropout {
        self.dropout(rate, stream::HEAD)
    }
}

fn embedding_norm(model: &Model) -> Norm<'_> {
    let (slots, parameters) = (&model.layout.slots, &model.parameters);
    Norm {
        weight: &parameters[slots.embedding_norm_weight.clone()],
        bias: &parameters[slots.embedding_norm_bias.clone()],
        epsilon: model.config.layer_norm_eps,
    }
}

fn embed(
    model: &Model,
    tokens: Tokens<'_>,
    mode: Mode,
    normalised: &mut Vec<f32>,
    reciprocals: &mut Vec<f32>,
    out: &mut Vec<f32>,
) {
    let (slots, parameters) = (&model.layout.slots, &model.parameters);
    let rows = tokens.input_ids.len();
    let size = rows * model.config.hidden_size;
    embedding::forward(
        tokens,
        Tables {
            words: &parameters[slots.word_embeddings.clone()],
            positions: &parameters[slots.position_embeddings.clone()],
            token_types: slots.token_type_embeddings.clone().map(|range| &parameters[range]),
        },
        embedding_norm(model),
        mode.dropout(model.config.hidden_dropout, stream::EMBEDDINGS),
        grown(normalised, size),
        grown(reciprocals, rows),
        grown(out, size),
    );
}

/// Runs the encoder and keeps what [`backward`] needs. The hidden states are in
/// `activations`.
///
/// # Panics
/// When a token id, a segment or a sequence's length is beyond the model's tables:
/// callers check them, see [`Model::check_tokens`].
pub fn forward(model: &Model, tokens: Tokens<'_>, mode: Mode, activations: &mut Activations) {
    forward_along(model, tokens, mode, Route::default(), activations);
}

/// Like [`forward`], along a route on which layers are passed over and rows leave.
///
/// # Panics
/// As [`forward`].
pub fn forward_along(
    model: &Model,
    tokens: Tokens<'_>,
    mode: Mode,
    route: Route<'_>,
    activations: &mut Activations,
) {
    let width = model.config.hidden_size;
    activations.prepare(model, tokens.input_ids.len());
    let Activations { embedding_normalised, embedding_reciprocals, hidden, work, .. } = activations;
    let (embedded, rows) = &mut hidden[0];
    rows.all(tokens.starts, route.lengths.is_some() || route.read.is_some());
    embed(model, tokens, mode, embedding_normalised, embedding_reciprocals, embedded);
    for (index, slots) in model.layout.slots.layers.iter().enumerate() {
        let (before, after) = hidden.split_at_mut(index + 1);
        let ((x, rows), (output, next)) = (&before[index], &mut after[0]);
        let x = &x[..rows.count() * width];
        let stayed = &mut activations.stayed[index];
        stayed.who = Stay::All;
        next.same(rows);
        let skipped = route.skips(index);
        activations.skipped.push(skipped);
        if skipped {
            grown(output, x.len()).copy_from_slice(x);
            continue;
        }
        let (view, mode) = (layer::View::new(model, slots), mode.layer(index));
        let kept = &mut activations.layers[if activations.recompute { 0 } else { index }];
        let is_last = index + 1 == model.layout.slots.layers.len();
        if is_last && let Some(read) = route.only_read(rows.count()) {
            stayed.who = Stay::Read;
            stayed.rows.clear();
            stayed.rows.extend_from_slice(read);
            next.only(tokens.starts, read);
        }
        let departure = route.lengths.map(|plan| Departure {
            plan,
            layer: index,
            first_may_leave: route.first_may_leave,
            batch_starts: tokens.starts,
        });
        match departure.filter(|departure| departure.takes_place(rows)) {
            None => layer::attend(view, (x, rows), stayed.asking(), mode, None, kept),
            Some(departure) => {
                let measured = grown(&mut work.attention, rows.count() * slots.heads);
                layer::attend(view, (x, rows), None, mode, Some(&mut *measured), kept);
                stayed.who = Stay::Chosen;
                departure.take_place(rows, measured, &mut work.choice, &mut stayed.rows, next);
            }
        }
        layer::finish(view, x, stayed, stayed.who.mode(mode), kept, work, output);
    }
    if activations.some_left() {
        activations.restore();
    }
}

/// From the gradient of the last hidden state to those of all parameters of the
/// encoder, which are added to `gradients` (laid out as the parameters).
///
/// `buffers.hidden_gradient` (`[rows, hidden]`) holds the gradient of the last hidden
/// state and is used up. `tokens` and `mode` must be those of the [`forward`] that
/// filled `activations`, which is used up. `taps` sees what backward passes by.
pub fn backward(
    model: &Model,
    tokens: Tokens<'_>,
    mode: Mode,
    activations: &mut Activations,
    taps: &mut dyn Taps,
    buffers: &mut BackwardBuffers,
    gradients: &mut [f32],
) {
    let rows = tokens.input_ids.len();
    let width = model.config.hidden_size;
    let size = rows * width;
    let layers = &model.layout.slots.layers;
    if activations.some_left() {
        let BackwardBuffers { hidden_gradient, restored, .. } = &mut *buffers;
        grown(restored, size).copy_from_slice(&hidden_gradient[..size]);
        let origins = &activations.hidden[layers.len()].1.origins;
        gather(restored, width, origins, hidden_gradient);
    }
    let look = |number: usize, hidden: &[f32], gradient: &mut Vec<f32>, taps: &mut dyn Taps| {
        taps.hidden_state(number, hidden, &mut gradient[..hidden.len()]);
    };
    let last = activations.hidden_state(layers.len());
    look(layers.len(), last, &mut buffers.hidden_gradient, taps);
    // What the last layer that ran has left is there in any case.
    let mut is_there = true;
    for (index, slots) in layers.iter().enumerate().rev() {
        let Activations { layers, hidden, stayed, skipped, work, recompute, .. } = activations;
        let (x, rows) = &hidden[index];
        let x = &x[..rows.count() * width];
        if !skipped[index] {
            let (view, mode) = (layer::View::new(model, slots), mode.layer(index));
            let mode = stayed[index].who.mode(mode);
            let kept = &mut layers[if *recompute { 0 } else { index }];
            let stayed = &stayed[index];
            if *recompute && !is_there {
                layer::attend(view, (x, rows), stayed.asking(), mode, None, kept);
                // The output itself is there; its place is one that backward overwrites.
                layer::finish(view, x, stayed, mode, kept, work, &mut buffers.product);
            }
            is_there = false;
            let layer = (index, view, mode);
            layer::backward(layer, (x, rows), stayed, (kept, work), taps, buffers, gradients);
        }
        taps.layer_is_done(index, gradients);
        look(index, x, &mut buffers.hidden_gradient, taps);
    }
    let slots = &model.layout.slots;
    // Ranges of different tensors: they never overlap, and those that are missing are
    // empty.
    let token_types = slots.token_type_embeddings.clone().unwrap_or(0..0);
    let [words, positions, types, norm_weight, norm_bias] = layer::disjoint(
        gradients,
        [
            &slots.word_embeddings,
            &slots.position_embeddings,
            &token_types,
            &slots.embedding_norm_weight,
            &slots.embedding_norm_bias,
        ],
    );
    embedding::backward(
        tokens,
        embedding_norm(model),
        mode.dropout(model.config.hidden_dropout, stream::EMBEDDINGS),
        &activations.embedding_normalised[..size],
        &activations.embedding_reciprocals[..rows],
        &mut buffers.hidden_gradient[..size],
        TableGradients {
            words,
            positions,
            token_types: slots.token_type_embeddings.as_ref().map(|_| types),
        },
        norm_weight,
        norm_bias,
        &mut buffers.partials,
    );
}
