//! A layer's weights, packed once for inference.

use std::ops::Range;

use limbeck_kernels::linear::{PackedWeight, pack_weight};

use crate::model::Model;

/// The four weights of one layer.
#[derive(Debug)]
pub(crate) struct PackedLayer {
    pub(crate) qkv: PackedWeight,
    pub(crate) attention_output: PackedWeight,
    pub(crate) intermediate: PackedWeight,
    pub(crate) output: PackedWeight,
}

/// All weights of an encoder's layers, packed for the matrix products of inference.
#[derive(Debug)]
pub struct PackedWeights {
    pub(crate) layers: Vec<PackedLayer>,
}

impl PackedWeights {
    /// Packs the weights that `model` has now.
    pub fn new(model: &Model) -> Self {
        Self::with(model, |_, _| None)
    }

    /// Packs the weights of `model`, but for those that `packed(range of the flat buffer,
    /// inputs)` knows in another form.
    pub(crate) fn with(
        model: &Model,
        packed: impl Fn(&Range<usize>, usize) -> Option<PackedWeight>,
    ) -> Self {
        let pack = |(range, inputs): (Range<usize>, usize)| {
            packed(&range, inputs).unwrap_or_else(|| {
                let outputs = range.len() / inputs;
                pack_weight(&model.parameters[range], outputs, inputs)
            })
        };
        let layers = model.layout.slots.layers.iter().map(|slots| {
            let [qkv, attention_output, intermediate, output] = slots.weights().map(pack);
            PackedLayer { qkv, attention_output, intermediate, output }
        });
        PackedWeights { layers: layers.collect() }
    }
}
