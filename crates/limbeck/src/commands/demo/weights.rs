//! The weights that training starts from.
//!
//! To answer, a model must find the question's name again in the text, and what is said
//! beside it. From plain random weights that takes a long time to come about. So every
//! head begins by looking at tokens like its own and at its neighbours: key weights are
//! the query weights (compare "Mimetic Initialization of Self-Attention Layers",
//! Trockman and Kolter, 2023), and positions are sines and cosines (Vaswani et al.,
//! 2017), so that near ones are alike. All of it is trained afterwards.

use limbeck_model::{Model, ModelConfig};

/// How much larger query and key weights are than the other new ones.
const ATTENTION_GAIN: f32 = 2.0;

/// A new model.
pub fn initialise(config: ModelConfig, seed: u64) -> Model {
    let (hidden_size, amplitude) = (config.hidden_size, config.initializer_range);
    let mut model = Model::initialise(config, seed);
    let Model { layout, parameters, .. } = &mut model;
    let positions = &mut parameters[layout.slots.position_embeddings.clone()];
    for (position, row) in positions.chunks_exact_mut(hidden_size).enumerate() {
        for (channel, value) in row.iter_mut().enumerate() {
            let period = 10_000_f32.powf((channel / 2 * 2) as f32 / hidden_size as f32);
            let (sine, cosine) = (position as f32 / period).sin_cos();
            *value = amplitude * if channel.is_multiple_of(2) { sine } else { cosine };
        }
    }
    for layer in &layout.slots.layers {
        // The rows of q, then of k, then of v.
        let weights = &mut parameters[layer.qkv_weight.clone()];
        let (query, others) = weights.split_at_mut(weights.len() / 3);
        query.iter_mut().for_each(|weight| *weight *= ATTENTION_GAIN);
        others[..query.len()].copy_from_slice(query);
    }
    model
}
