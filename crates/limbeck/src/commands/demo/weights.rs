//! The weights that training starts from.
//!
//! To answer, a model must find the question's name again in the text, and what is said
//! beside it. From plain random weights that takes a long time to come about. So half
//! of the heads begin by looking at the same word elsewhere, the other half at the
//! neighbours: key weights are the query weights (compare "Mimetic Initialization of
//! Self-Attention Layers", Trockman and Kolter, 2023), words and positions lie in
//! different channels, and positions are sines and cosines (Vaswani et al., 2017), so
//! that near ones are alike. All of it is trained afterwards.

use limbeck_model::{Model, ModelConfig};

/// About the score that a token gives its like before the softmax; the score of two
/// different words is near 0.
const SAME_WORD_SCORE: f32 = 5.0;

/// The longest period of the positions over 2π, in tokens: a few sentences.
const LONGEST_PERIOD: f32 = 100.0;

/// How much larger positions are than words.
const POSITION_GAIN: f32 = 2.0;

/// A new model. The last quarter of its channels begins with positions and segments,
/// the others with words.
pub fn initialise(config: ModelConfig, seed: u64) -> Model {
    let (hidden_size, head_size) = (config.hidden_size, config.head_size());
    let deviation = config.initializer_range;
    let word_channels = hidden_size - hidden_size / 4;
    let mut model = Model::initialise(config, seed);
    let Model { layout, parameters, .. } = &mut model;
    let slots = &layout.slots;

    for row in parameters[slots.word_embeddings.clone()].chunks_exact_mut(hidden_size) {
        row[word_channels..].fill(0.0);
    }
    let segments = slots.token_type_embeddings.clone().unwrap_or_default();
    for row in parameters[segments].chunks_exact_mut(hidden_size) {
        row[..word_channels].fill(0.0);
    }
    let positions = parameters[slots.position_embeddings.clone()].chunks_exact_mut(hidden_size);
    for (position, row) in positions.enumerate() {
        let (words, waves) = row.split_at_mut(word_channels);
        words.fill(0.0);
        let count = waves.len() as f32;
        for (channel, value) in waves.iter_mut().enumerate() {
            let even = channel / 2 * 2;
            let angle = position as f32 / LONGEST_PERIOD.powf(even as f32 / count);
            let wave = if channel == even { angle.sin() } else { angle.cos() };
            *value = POSITION_GAIN * deviation * wave;
        }
    }

    // After the layer norm a row's squares add up to `hidden_size`; about half of that
    // is the word's. A head multiplies it by the squares of its weights.
    let word = hidden_size as f32 / 2.0;
    let wanted = (SAME_WORD_SCORE / (word * (head_size as f32).sqrt())).sqrt();
    for layer in &slots.layers {
        // The rows of q, then of k, then of v.
        let weights = &mut parameters[layer.qkv_weight.clone()];
        let (query, others) = weights.split_at_mut(weights.len() / 3);
        for (row, weights) in query.chunks_exact_mut(hidden_size).enumerate() {
            let sees_words = row / head_size < layer.heads / 2;
            let (words, waves) = weights.split_at_mut(word_channels);
            if sees_words { waves } else { words }.fill(0.0);
            weights.iter_mut().for_each(|weight| *weight *= wanted / deviation);
        }
        others[..query.len()].copy_from_slice(query);
    }
    model
}

#[cfg(test)]
mod tests {
    use super::super::plan;
    use super::*;

    #[test]
    fn heads_begin_with_keys_that_are_the_queries() {
        let config = plan::bert(&plan::STUDENT, 50);
        let hidden_size = config.hidden_size;
        let model = initialise(config, 1);
        for layer in &model.layout.slots.layers {
            let weights = &model.parameters[layer.qkv_weight.clone()];
            let (query, others) = weights.split_at(weights.len() / 3);
            assert_eq!(query, &others[..query.len()]);
            assert_ne!(query, &others[query.len()..]);
            let (first, last) = (&query[..hidden_size], &query[query.len() - hidden_size..]);
            let words = hidden_size - hidden_size / 4;
            assert!(first[words..].iter().all(|&w| w == 0.0) && first[0] != 0.0);
            assert!(last[..words].iter().all(|&w| w == 0.0) && last[words] != 0.0);
        }
    }
}
