//! A layer's weights, packed once for inference.

use limbeck_kernels::linear::pack_weight;
use limbeck_kernels::matmul::Packed;

use crate::model::Model;

/// The four weights of one layer.
#[derive(Debug)]
pub(crate) struct PackedLayer {
    pub(crate) qkv: Packed,
    pub(crate) attention_output: Packed,
    pub(crate) intermediate: Packed,
    pub(crate) output: Packed,
}

/// All weights of an encoder's layers, packed for the matrix products of inference.
#[derive(Debug)]
pub struct PackedWeights {
    pub(crate) layers: Vec<PackedLayer>,
}

impl PackedWeights {
    /// Packs the weights that `model` has now.
    pub fn new(model: &Model) -> Self {
        let hidden = model.config.hidden_size;
        let pack = |range: &std::ops::Range<usize>, inputs: usize| {
            pack_weight(&model.parameters[range.clone()], range.len() / inputs, inputs)
        };
        let layers = model.layout.slots.layers.iter().map(|slots| PackedLayer {
            qkv: pack(&slots.qkv_weight, hidden),
            attention_output: pack(&slots.attention_output_weight, slots.heads * slots.head_size),
            intermediate: pack(&slots.intermediate_weight, hidden),
            output: pack(&slots.output_weight, slots.intermediate_size),
        });
        PackedWeights { layers: layers.collect() }
    }
}
