//! Narrower feed-forward parts.

use std::ops::Range;

use super::{copy_around_layers, within};
use crate::config::ModelConfig;
use crate::error::{ModelError, Result};
use crate::model::Model;

/// The model with some of the neurons of its feed-forward parts: their rows of the first
/// weight and bias, their columns of the second weight. `neurons` names those that stay, for
/// each layer in rising order and as many in every layer, because `intermediate_size` of
/// `config.json` is one number.
///
/// # Errors
/// If the model has other layers, no such neuron, or the lists have different lengths.
pub fn keep_neurons(model: &Model, neurons: &[Vec<usize>]) -> Result<Model> {
    let ModelConfig { num_hidden_layers: layers, intermediate_size: available, .. } = model.config;
    let refuse = |reason: String| Err(ModelError::Selection(reason));
    let left = neurons.first().map_or(0, Vec::len);
    if neurons.len() != layers || neurons.iter().any(|kept| kept.len() != left) {
        return refuse(format!("{layers} layers must keep as many neurons each"));
    }
    for (layer, kept) in neurons.iter().enumerate() {
        if !kept.is_sorted_by(|a, b| a < b) || kept.last().is_some_and(|&last| last >= available) {
            return refuse(format!(
                "layer {layer} must keep neurons below {available}, in rising order"
            ));
        }
    }
    let mut config = model.config.clone();
    config.intermediate_size = left;
    config.validate()?;

    let mut result = Model::zeros(config);
    copy_around_layers(model, &mut result);
    let hidden = model.config.hidden_size;
    for (layer, kept) in neurons.iter().enumerate() {
        let (source, target) =
            (&model.layout.slots.layers[layer], &result.layout.slots.layers[layer]);
        let mut copy = |source: Range<usize>, target: Range<usize>| {
            result.parameters[target].copy_from_slice(&model.parameters[source]);
        };
        // All of attention lies before the feed-forward part, and what follows it behind.
        copy(
            source.qkv_weight.start..source.attention_norm_bias.end,
            target.qkv_weight.start..target.attention_norm_bias.end,
        );
        copy(
            source.output_bias.start..source.output_norm_bias.end,
            target.output_bias.start..target.output_norm_bias.end,
        );
        for (place, &neuron) in kept.iter().enumerate() {
            copy(
                within(&source.intermediate_weight, neuron * hidden, hidden),
                within(&target.intermediate_weight, place * hidden, hidden),
            );
            copy(
                within(&source.intermediate_bias, neuron, 1),
                within(&target.intermediate_bias, place, 1),
            );
            for row in 0..hidden {
                copy(
                    within(&source.output_weight, row * available + neuron, 1),
                    within(&target.output_weight, row * left + place, 1),
                );
            }
        }
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::Tokens;
    use crate::inference::{InferenceMemory, InferenceModel};
    use crate::testing;

    fn logits(model: &Model) -> Vec<f32> {
        let tokens = Tokens {
            input_ids: &[2, 7, 9, 3, 2, 8, 3],
            token_type_ids: &[0, 0, 1, 1, 0, 1, 1],
            starts: &[0, 4, 7],
        };
        let mut memory = InferenceMemory::default();
        InferenceModel::of(model).span_logits(tokens, &mut memory).unwrap().start.clone()
    }

    #[test]
    fn neurons_that_nothing_listens_to_can_go_and_the_folder_loads() {
        for config in [testing::bert(), testing::distilbert()] {
            let wide = ModelConfig { initializer_range: 0.4, ..config };
            let mut model = Model::initialise(wide, 5);
            let gone = [1, 2, 7, 10, 11];
            for slots in model.layout.slots.layers.clone() {
                let output = &mut model.parameters[slots.output_weight];
                for row in output.chunks_exact_mut(slots.intermediate_size) {
                    gone.iter().for_each(|&neuron| row[neuron] = 0.0);
                }
            }
            let kept: Vec<usize> = (0..12).filter(|neuron| !gone.contains(neuron)).collect();
            let narrow = keep_neurons(&model, &vec![kept; 3]).unwrap();
            assert_eq!(narrow.config.intermediate_size, 7);
            assert!(narrow.layout.parameters() < model.layout.parameters());
            for (narrow, whole) in logits(&narrow).iter().zip(logits(&model)) {
                assert!((narrow - whole).abs() < 1e-5, "{narrow} {whole}");
            }
            let folder = tempfile::tempdir().unwrap();
            narrow.save(folder.path()).unwrap();
            let loaded = Model::open(folder.path()).unwrap();
            assert_eq!(loaded.parameters, narrow.parameters);
            assert_eq!(loaded.config.intermediate_size, 7);
        }
    }

    #[test]
    fn each_layer_keeps_its_own_neurons() {
        let model = Model::initialise(testing::bert(), 5);
        let neurons = [vec![0, 3], vec![4, 5], vec![1, 11]];
        let narrow = keep_neurons(&model, &neurons).unwrap();
        for (layer, kept) in neurons.iter().enumerate() {
            let rows = |model: &Model| {
                model.parameters[model.layout.slots.layers[layer].intermediate_weight.clone()]
                    .chunks_exact(8)
                    .map(<[f32]>::to_vec)
                    .collect::<Vec<_>>()
            };
            let whole = rows(&model);
            assert_eq!(rows(&narrow), [whole[kept[0]].clone(), whole[kept[1]].clone()]);
        }
    }

    #[test]
    fn neurons_that_make_no_model_are_refused() {
        let model = Model::initialise(testing::bert(), 5);
        for wrong in [
            vec![],
            vec![vec![0]; 2],
            vec![vec![]; 3],
            vec![vec![0], vec![0, 1], vec![0]],
            vec![vec![12]; 3],
            vec![vec![1, 0]; 3],
            vec![vec![1, 1]; 3],
        ] {
            assert!(keep_neurons(&model, &wrong).is_err(), "{wrong:?}");
        }
    }
}
