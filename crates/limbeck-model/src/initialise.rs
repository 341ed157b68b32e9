//! Random weights of new models.
//!
//! Every float is a function of the seed, its tensor's name and its place in the tensor
//! alone. So neither the number of threads nor the presence of other tensors changes
//! it: a new head on a loaded encoder equals the head of a wholly new model.

use limbeck_kernels::random::Key;

use crate::config::ModelConfig;
use crate::layout::{Role, TensorView};

/// Fills one tensor of a new model.
pub(crate) fn fill(config: &ModelConfig, tensor: &TensorView, seed: u64, values: &mut [f32]) {
    match tensor.role {
        Role::Bias => values.fill(0.0),
        Role::LayerNorm => values.fill(if tensor.name.ends_with(".weight") { 1.0 } else { 0.0 }),
        Role::Weight => fill_normal(stream(seed, &tensor.name), config.initializer_range, values),
        Role::Embedding => {
            if config.sinusoidal_positions() && tensor.name.ends_with(".position_embeddings.weight")
            {
                fill_sinusoidal(config.hidden_size, values);
                return;
            }
            fill_normal(stream(seed, &tensor.name), config.initializer_range, values);
            if tensor.name.ends_with(".word_embeddings.weight") {
                let start = config.pad_token_id as usize * config.hidden_size;
                values[start..start + config.hidden_size].fill(0.0);
            }
        }
    }
}

/// The stream of random numbers of a thing with a name.
pub(crate) fn stream(seed: u64, name: &str) -> Key {
    // FNV-1a, to make a number of the name.
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    Key::new(seed).child(hash)
}

fn fill_normal(stream: Key, deviation: f32, values: &mut [f32]) {
    let deviation = f64::from(deviation);
    for (value, index) in values.iter_mut().zip(0..) {
        *value = (deviation * stream.normal(index)) as f32;
    }
}

/// DistilBERT's fixed positions: with frequency f = 10000^(-2⌊j/2⌋ / hidden), column j
/// of row p is sin(p·f) where j is even and cos(p·f) where it is odd.
fn fill_sinusoidal(hidden: usize, values: &mut [f32]) {
    for (position, row) in values.chunks_mut(hidden).enumerate() {
        for (column, value) in row.iter_mut().enumerate() {
            let exponent = (2 * (column / 2)) as f64 / hidden as f64;
            let angle = position as f64 / 10000_f64.powf(exponent);
            *value = if column % 2 == 0 { angle.sin() } else { angle.cos() } as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::model::Model;
    use crate::testing;

    #[test]
    fn weights_are_normal_norms_the_identity_and_biases_zero() {
        let mut config = testing::bert();
        config.vocab_size = 5000;
        config.pad_token_id = 3;
        let model = Model::initialise(config, 7);
        let slots = &model.layout.slots;
        let values = &model.parameters;

        let words = &values[slots.word_embeddings.clone()];
        let mean = words.iter().sum::<f32>() / words.len() as f32;
        let variance = words.iter().map(|value| value * value).sum::<f32>() / words.len() as f32;
        assert!(mean.abs() < 0.001, "mean {mean}");
        assert!((variance.sqrt() - 0.02).abs() < 0.001, "deviation {}", variance.sqrt());
        assert!(words[3 * 8..4 * 8].iter().all(|&value| value == 0.0));
        assert!(words[..3 * 8].iter().all(|&value| value != 0.0));

        let layer = &slots.layers[1];
        assert!(values[layer.qkv_weight.clone()].iter().all(|&value| value != 0.0));
        assert!(values[layer.qkv_bias.clone()].iter().all(|&value| value == 0.0));
        assert!(values[layer.output_norm_weight.clone()].iter().all(|&value| value == 1.0));
        assert!(values[layer.output_norm_bias.clone()].iter().all(|&value| value == 0.0));
    }

    #[test]
    fn the_seed_and_the_name_decide_a_tensor() {
        let model = Model::initialise(testing::bert(), 7);
        assert_eq!(model.parameters, Model::initialise(testing::bert(), 7).parameters);
        assert_ne!(model.parameters, Model::initialise(testing::bert(), 8).parameters);
        let layers = &model.layout.slots.layers;
        let weight = |layer: usize| &model.parameters[layers[layer].output_weight.clone()];
        assert_ne!(weight(0), weight(1));

        let mut deeper = testing::bert();
        deeper.num_hidden_layers = 5;
        let deeper = Model::initialise(deeper, 7);
        let head = |model: &Model| model.parameters[model.layout.slots.head.range()].to_vec();
        assert_eq!(head(&model), head(&deeper));
    }

    #[test]
    fn sinusoidal_positions_begin_with_sine_zero_and_cosine_zero() {
        let mut config = testing::distilbert();
        config.extra.insert("sinusoidal_pos_embds".into(), json!(true));
        let model = Model::initialise(config, 7);
        let positions = &model.parameters[model.layout.slots.position_embeddings.clone()];
        assert_eq!(positions[..4], [0.0, 1.0, 0.0, 1.0]);
        // Row 2, columns 2 and 3: frequency 10000^(-2/8) = 0.1.
        assert!((positions[2 * 8 + 2] - 0.2_f32.sin()).abs() < 1e-6);
        assert!((positions[2 * 8 + 3] - 0.2_f32.cos()).abs() < 1e-6);
    }
}
