//! Students cut from larger models: some of the layers, some of the heads, some of the neurons.
//!
//! What remains is copied exactly. Heads are named by their numbers before any pruning,
//! as in `pruned_heads` of `config.json`.

mod neurons;

use std::collections::BTreeMap;
use std::ops::Range;

use limbeck_kernels::random::Key;

use crate::config::{Head, ModelConfig};
use crate::error::{ModelError, Result};
use crate::initialise;
use crate::layout::{LayerSlots, TensorView};
use crate::model::Model;

pub use neurons::keep_neurons;

/// Names the streams that choose neurons below a pruning seed; those of heads are the layers.
const NEURONS: u64 = 1 << 32;

/// A model of the chosen layers of a teacher, in the given order, with the teacher's
/// embeddings and head. A layer may be chosen more than once.
///
/// # Errors
/// If no layer is chosen or the teacher has no such layer.
pub fn select_layers(teacher: &Model, layers: &[usize]) -> Result<Model> {
    let available = teacher.config.num_hidden_layers;
    if let Some(layer) = layers.iter().find(|&&layer| layer >= available) {
        let reason = format!("there is no layer {layer}: the model has {available}, from 0 on");
        return Err(ModelError::Selection(reason));
    }
    let mut config = teacher.config.clone();
    config.num_hidden_layers = layers.len();
    config.pruned_heads = (layers.iter().enumerate())
        .filter_map(|(to, from)| Some((to, teacher.config.pruned_heads.get(from)?.clone())))
        .collect();
    config.validate()?;

    let mut student = Model::zeros(config);
    copy_around_layers(teacher, &mut student);
    for (to, &from) in layers.iter().enumerate() {
        copy_layer(teacher, from, &mut student, to);
    }
    Ok(student)
}

/// The same encoder under another head. What the two heads have in common, such as BERT's pooler
/// under classifiers of different labels, stays; the rest is drawn from the seed. Also returns the
/// names of what was drawn.
///
/// # Errors
/// If the head is none that a model can have.
pub fn with_head(model: &Model, head: Head, seed: u64) -> Result<(Model, Vec<String>)> {
    let config = ModelConfig { head, ..model.config.clone() };
    config.validate()?;
    let mut result = Model::zeros(config);
    let mut drawn = Vec::new();
    for tensor in &result.layout.tensors {
        let same = |old: &&TensorView| old.name == tensor.name && old.shape == tensor.shape;
        let values = &mut result.parameters[tensor.range()];
        match model.layout.tensors.iter().find(same) {
            Some(old) => values.copy_from_slice(&model.parameters[old.range()]),
            None => {
                initialise::fill(&result.config, tensor, seed, values);
                drawn.push(tensor.name.clone());
            }
        }
    }
    Ok((result, drawn))
}

/// A student as SigOpt's search builds them: the first `n_layers` layers of a pretrained
/// model, then in every layer as many random heads pruned as leave `n_heads`; 0 leaves all that
/// are there.
///
/// Layers past the pretrained model's last are newly initialised from `init_seed`. The
/// heads of each layer are drawn anew, by this project's generator from `pruning_seed`:
/// the same seed does not choose the heads that Python's `random` would.
///
/// # Errors
/// If a layer has fewer heads than asked for, or the sizes make no valid model.
pub fn with_layers_and_pruned_heads(
    pretrained: &Model,
    n_layers: usize,
    n_heads: usize,
    pruning_seed: u64,
    init_seed: u64,
) -> Result<Model> {
    let available = pretrained.config.num_hidden_layers;
    let mut config = pretrained.config.clone();
    config.num_hidden_layers = n_layers;
    config.pruned_heads.retain(|&layer, _| layer < n_layers);
    config.validate()?;

    let mut pruned = BTreeMap::new();
    let shortened = if n_heads > 0 { n_layers } else { 0 };
    for layer in 0..shortened {
        let heads = config.kept_heads(layer);
        let Some(excess) = heads.len().checked_sub(n_heads) else {
            let reason =
                format!("cannot leave {n_heads} heads: layer {layer} has {} heads", heads.len());
            return Err(ModelError::Selection(reason));
        };
        let stream = Key::new(pruning_seed).child(layer as u64);
        pruned.insert(layer, choose(heads, excess, stream));
    }

    let mut student = Model::zeros(config);
    copy_around_layers(pretrained, &mut student);
    for layer in 0..n_layers.min(available) {
        copy_layer(pretrained, layer, &mut student, layer);
    }
    if n_layers > available {
        let slots = &student.layout.slots;
        let new = slots.layers[available].qkv_weight.start..slots.head.range().start;
        for tensor in student.layout.tensors.iter().filter(|t| new.contains(&t.offset)) {
            let values = &mut student.parameters[tensor.range()];
            initialise::fill(&student.config, tensor, init_seed, values);
        }
    }
    prune_heads(&student, &pruned)
}

/// The model with `count` feed-forward neurons left in every layer, drawn at random from
/// `pruning_seed` for each layer anew.
///
/// # Errors
/// If there are fewer, or none would be left.
pub fn with_random_neurons(model: &Model, count: usize, pruning_seed: u64) -> Result<Model> {
    let available = model.config.intermediate_size;
    if count > available {
        let reason = format!("cannot leave {count} neurons: a layer has {available}");
        return Err(ModelError::Selection(reason));
    }
    let drawn = |layer: usize| {
        let stream = Key::new(pruning_seed).child(NEURONS).child(layer as u64);
        choose((0..available).collect(), count, stream)
    };
    let layers = 0..model.config.num_hidden_layers;
    keep_neurons(model, &layers.map(drawn).collect::<Vec<_>>())
}

/// The model without some heads: their rows of the query, key and value weights and
/// their columns of the attention output weight are taken out. Heads that are pruned
/// already are passed over.
///
/// # Errors
/// If there is no such layer or head, or no head of a layer would remain.
pub fn prune_heads(model: &Model, heads: &BTreeMap<usize, Vec<usize>>) -> Result<Model> {
    let mut config = model.config.clone();
    for (&layer, heads) in heads.iter().filter(|(_, heads)| !heads.is_empty()) {
        let pruned = config.pruned_heads.entry(layer).or_default();
        pruned.extend(heads);
        pruned.sort_unstable();
        pruned.dedup();
    }
    config.validate()?;
    let mut result = Model::zeros(config);
    copy_by_heads(model, &mut result);
    Ok(result)
}

/// The model with every pruned head put back as zeros. It computes the same, at the cost
/// of the full size, and has the shapes that transformers from version 5 on insists on.
pub fn restore_pruned_heads(model: &Model) -> Model {
    let mut config = model.config.clone();
    config.pruned_heads.clear();
    let mut result = Model::zeros(config);
    copy_by_heads(model, &mut result);
    result
}

/// Takes `count` of the heads by chance, in rising order.
fn choose(mut numbers: Vec<usize>, count: usize, stream: Key) -> Vec<usize> {
    // The first steps of Fisher and Yates' shuffle.
    for i in 0..count {
        let left = (numbers.len() - i) as u64;
        // The remainder favours small numbers by less than one in 2^50.
        let pick = i + (stream.bits(i as u64) % left) as usize;
        numbers.swap(i, pick);
    }
    numbers.truncate(count);
    numbers.sort_unstable();
    numbers
}

/// Copies embeddings and head; they have the same shapes in both.
fn copy_around_layers(from: &Model, to: &mut Model) {
    let embeddings = 0..from.layout.slots.embedding_norm_bias.end;
    to.parameters[embeddings.clone()].copy_from_slice(&from.parameters[embeddings]);
    // Like a layer, the head begins aligned.
    let (source, target) = (from.layout.slots.head.range(), to.layout.slots.head.range());
    to.parameters[target].copy_from_slice(&from.parameters[source]);
}

/// Copies a layer that has the same heads in both.
fn copy_layer(from: &Model, from_layer: usize, to: &mut Model, to_layer: usize) {
    let source = span_of(&from.layout.slots.layers[from_layer]);
    let target = span_of(&to.layout.slots.layers[to_layer]);
    // Layers begin aligned, so equal shapes have equal offsets within the layer.
    to.parameters[target].copy_from_slice(&from.parameters[source]);
}

/// The floats of a layer, from its first tensor to its last.
fn span_of(layer: &LayerSlots) -> Range<usize> {
    layer.qkv_weight.start..layer.output_norm_bias.end
}

/// Copies all of a model into one that has the same layers, but more or fewer heads in
/// them. Heads that `from` lacks are left as they are in `to`.
fn copy_by_heads(from: &Model, to: &mut Model) {
    copy_around_layers(from, to);
    let hidden = from.config.hidden_size;
    for layer in 0..from.config.num_hidden_layers {
        let (source, target) = (&from.layout.slots.layers[layer], &to.layout.slots.layers[layer]);
        let from_heads = from.config.kept_heads(layer);
        let to_heads = to.config.kept_heads(layer);
        let mut copy = |source: Range<usize>, target: Range<usize>| {
            to.parameters[target].copy_from_slice(&from.parameters[source]);
        };

        for (to_place, head) in to_heads.iter().enumerate() {
            let Some(from_place) = from_heads.iter().position(|other| other == head) else {
                continue;
            };
            for part in 0..3 {
                let from_row = (part * source.heads + from_place) * source.head_size;
                let to_row = (part * target.heads + to_place) * target.head_size;
                let rows = target.head_size;
                copy(
                    within(&source.qkv_weight, from_row * hidden, rows * hidden),
                    within(&target.qkv_weight, to_row * hidden, rows * hidden),
                );
                copy(
                    within(&source.qkv_bias, from_row, rows),
                    within(&target.qkv_bias, to_row, rows),
                );
            }
            for row in 0..hidden {
                let from_column = (row * source.heads + from_place) * source.head_size;
                let to_column = (row * target.heads + to_place) * target.head_size;
                copy(
                    within(&source.attention_output_weight, from_column, source.head_size),
                    within(&target.attention_output_weight, to_column, target.head_size),
                );
            }
        }
        // All after the output weight is the same, and its bias begins aligned.
        copy(
            source.attention_output_bias.start..source.output_norm_bias.end,
            target.attention_output_bias.start..target.output_norm_bias.end,
        );
    }
}

/// `length` floats from the `offset`-th of a range on.
fn within(range: &Range<usize>, offset: usize, length: usize) -> Range<usize> {
    range.start + offset..range.start + offset + length
}

#[cfg(test)]
mod tests;
