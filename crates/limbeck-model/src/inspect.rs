//! What a model is made of: sizes, non-zeros and multiply-adds.

use serde::Serialize;

use crate::config::{Head, HeadKind, ModelConfig, ProblemType};
use crate::model::Model;

/// The sizes of a model, for people and as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// `bert` or `distilbert`.
    pub architecture: String,
    /// What stands on the encoder.
    pub head: HeadInspection,
    /// Whether the folder keeps linear weights with one byte each.
    pub quantized: bool,
    /// All parameters.
    pub parameters: usize,
    /// Parameters that are not zero.
    pub nonzero_parameters: usize,
    /// The share of all parameters that is zero.
    pub sparsity: f64,
    /// The encoder's layers together, without embeddings and head.
    pub encoder: EncoderInspection,
    /// Sequence length in tokens for which `macs` holds.
    pub length: usize,
    /// Multiply-adds of one sequence, see [`macs`].
    pub macs: u64,
    /// The encoder, first layer first.
    pub layers: Vec<LayerInspection>,
    /// All tensors, in the order of the flat buffer.
    pub tensors: Vec<TensorInspection>,
}

/// The head, and of a classifier what its logits mean.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeadInspection {
    /// Which head it is.
    pub kind: HeadKind,
    /// How logits and labels belong together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem_type: Option<ProblemType>,
    /// The labels' names, by the number of their logit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

impl HeadInspection {
    fn new(head: &Head) -> HeadInspection {
        let (problem_type, labels) = match head {
            Head::Span | Head::MaskedWord => (None, Vec::new()),
            Head::Classification(classes) => (Some(classes.problem()), classes.labels.clone()),
        };
        HeadInspection { kind: head.kind(), problem_type, labels }
    }
}

/// All layers of the encoder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EncoderInspection {
    /// Their parameters.
    pub parameters: usize,
    /// Those that are not zero.
    pub nonzero_parameters: usize,
    /// The share that is zero.
    pub sparsity: f64,
}

/// The sizes of one encoder layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerInspection {
    /// Heads left after pruning.
    pub heads: usize,
    /// Width of a head.
    pub head_size: usize,
    /// Width of the feed-forward part.
    pub intermediate_size: usize,
}

/// One tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorInspection {
    /// Its name in `model.safetensors`.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// How many of its floats are not zero.
    pub nonzero: usize,
    /// The share of them that is zero.
    pub sparsity: f64,
}

impl Inspection {
    /// Inspects a model; `length` is the sequence length to count multiply-adds for.
    pub fn new(model: &Model, length: usize) -> Inspection {
        let tensors: Vec<_> = (model.layout.tensors.iter())
            .map(|tensor| {
                let nonzero = model.values(tensor).iter().filter(|&&value| value != 0.0).count();
                TensorInspection {
                    name: tensor.name.clone(),
                    shape: tensor.shape.clone(),
                    nonzero,
                    sparsity: sparsity(nonzero, tensor.size()),
                }
            })
            .collect();
        let layers = (model.layout.slots.layers.iter())
            .map(|layer| LayerInspection {
                heads: layer.heads,
                head_size: layer.head_size,
                intermediate_size: layer.intermediate_size,
            })
            .collect();
        let nonzero_parameters = tensors.iter().map(|tensor| tensor.nonzero).sum();
        Inspection {
            quantized: false,
            architecture: model.config.architecture.to_string(),
            head: HeadInspection::new(&model.config.head),
            parameters: model.layout.parameters(),
            nonzero_parameters,
            sparsity: sparsity(nonzero_parameters, model.layout.parameters()),
            encoder: EncoderInspection::new(model, &tensors),
            length,
            macs: macs(&model.config, length),
            layers,
            tensors,
        }
    }
}

impl EncoderInspection {
    fn new(model: &Model, tensors: &[TensorInspection]) -> EncoderInspection {
        let slots = &model.layout.slots;
        // The layers lie between the embeddings and the head.
        let layers = slots.embedding_norm_bias.end..slots.head.range().start;
        let views = model.layout.tensors.iter().zip(tensors);
        let (mut parameters, mut nonzero_parameters) = (0, 0);
        for (view, tensor) in views.filter(|(view, _)| layers.contains(&view.offset)) {
            parameters += view.size();
            nonzero_parameters += tensor.nonzero;
        }
        let sparsity = sparsity(nonzero_parameters, parameters);
        EncoderInspection { parameters, nonzero_parameters, sparsity }
    }
}

/// The share of zeros among `size` values.
fn sparsity(nonzero: usize, size: usize) -> f64 {
    (size - nonzero) as f64 / size.max(1) as f64
}

/// Multiply-adds of the forward pass over one sequence of `n` tokens: those of linear
/// layers and of attention's two products. With hidden size `h`, feed-forward size `f`
/// and `w` = heads × head size of a layer:
///
/// ```text
/// sum over layers of  n·(3·h·w + w·h + 2·h·f) + 2·n²·w,   plus  2·n·h      for a span head
///                                                         or    h·(h + c)  for c classes
/// ```
///
/// Embeddings, norms, softmax and activations are not counted; zeros are.
pub fn macs(config: &ModelConfig, n: usize) -> u64 {
    let layers = (0..config.num_hidden_layers).map(|layer| layer_macs(config, layer, n, n));
    layers.fold(head_macs(config, n), u64::saturating_add)
}

/// Multiply-adds of one layer that `present` tokens enter and of which `kept` go on after
/// attention: `present·3·h·w + 2·present²·w + kept·(w·h + 2·h·f)`.
pub fn layer_macs(config: &ModelConfig, layer: usize, present: usize, kept: usize) -> u64 {
    // Sizes of a valid model are far below 2^32; only an absurd length can saturate.
    let [n, kept, h, f] =
        [present, kept, config.hidden_size, config.intermediate_size].map(|size| size as u128);
    let w = (config.heads_of(layer) * config.head_size()) as u128;
    let attention = n.saturating_mul(n).saturating_mul(2 * w);
    let total = n.saturating_mul(3 * h * w).saturating_add(attention);
    let total = total.saturating_add(kept.saturating_mul(w * h + 2 * h * f));
    u64::try_from(total).unwrap_or(u64::MAX)
}

/// Multiply-adds of the head for a sequence of `n` tokens; a masked-word head reads them all.
pub fn head_macs(config: &ModelConfig, n: usize) -> u64 {
    let h = config.hidden_size as u128;
    let total = match &config.head {
        Head::Span => (n as u128).saturating_mul(2 * h),
        Head::Classification(classes) => h * (h + classes.labels.len() as u128),
        Head::MaskedWord => (n as u128).saturating_mul(h * (h + config.vocab_size as u128)),
    };
    u64::try_from(total).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn multiply_adds_follow_the_formula() {
        let mut config = testing::bert();
        // Per token 4·8·8 + 2·8·12 = 448 in each of three layers, 16 in the head;
        // attention adds 2·5²·8 = 400 a layer.
        assert_eq!(macs(&config, 5), 3 * (5 * 448 + 400) + 5 * 16);
        config.pruned_heads.insert(1, vec![0]);
        // The second layer loses half of w = 8.
        assert_eq!(macs(&config, 5), 3 * (5 * 448 + 400) + 5 * 16 - 5 * 128 - 200);
        assert_eq!(macs(&config, usize::MAX), u64::MAX);
        // A classifier's head reads one token: 8·8 + 3·8.
        let classifier = testing::classifier(testing::bert(), &["A", "B", "C"]);
        assert_eq!(macs(&classifier, 5), 3 * (5 * 448 + 400) + 88);
    }

    #[test]
    fn zeros_are_told_from_parameters_and_padding_counts_as_neither() {
        let mut model = Model::initialise(testing::bert(), 1);
        model.parameters.fill(1.0);
        let tensor = model.layout.slots.layers[0].output_weight.clone();
        model.parameters[tensor.start..tensor.start + 7].fill(0.0);
        let inspection = Inspection::new(&model, 5);
        assert_eq!(inspection.parameters, model.layout.parameters());
        assert_eq!(inspection.nonzero_parameters, inspection.parameters - 7);
        assert!(inspection.parameters < model.layout.len);
        assert_eq!(inspection.sparsity, 7.0 / inspection.parameters as f64);
        // Each of three layers: 4·8·8 + 2·8·12 weights, 5·8 + 12 biases, two norms of 16.
        assert_eq!(inspection.encoder.parameters, 3 * (448 + 52 + 32));
        assert_eq!(inspection.encoder.sparsity, 7.0 / inspection.encoder.parameters as f64);
        let sparse: Vec<_> = inspection.tensors.iter().filter(|t| t.sparsity > 0.0).collect();
        assert_eq!(sparse.len(), 1);
        assert_eq!(sparse[0].sparsity, 7.0 / 96.0);
    }
}
