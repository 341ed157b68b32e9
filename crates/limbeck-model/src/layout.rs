//! Where each tensor lies in the one flat buffer of a model.
//!
//! Parameters, gradients, optimiser moments and masks share a [`Layout`], so whatever
//! treats all of them alike is one pass over flat memory. Tensors begin at multiples of
//! [`ALIGNMENT`] floats; the floats between them are padding and stay zero. Inside a
//! layer the query, key and value weights follow one another without a gap, so that one
//! matrix product computes all three, and so do their biases.

mod head;

use std::ops::Range;

use crate::config::{Architecture, Head, ModelConfig};

pub use head::{ClassificationSlots, HeadSlots, MaskedWordSlots, SpanSlots};

/// Tensors begin at multiples of this many floats: 64 bytes, a cache line and a vector
/// register of AVX-512.
pub const ALIGNMENT: usize = 16;

/// What a tensor is to the optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Weight of a linear layer; weight decay applies.
    Weight,
    /// Bias of a linear layer; never decayed.
    Bias,
    /// Weight or bias of a layer norm; never decayed.
    LayerNorm,
    /// An embedding table; weight decay applies.
    Embedding,
}

impl Role {
    /// Whether weight decay applies.
    pub fn decays(self) -> bool {
        matches!(self, Role::Weight | Role::Embedding)
    }
}

/// One named tensor of the flat buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorView {
    /// The name under which transformers saves it in a model with the same head.
    pub name: String,
    /// Its dimensions, row-major.
    pub shape: Vec<usize>,
    /// Where its first float lies.
    pub offset: usize,
    /// What it is to the optimiser.
    pub role: Role,
}

impl TensorView {
    /// How many floats it holds.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// The floats it takes of the flat buffer.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.size()
    }
}

/// The parts of one encoder layer, as ranges of the flat buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSlots {
    /// Attention heads left after pruning.
    pub heads: usize,
    /// Width of a head.
    pub head_size: usize,
    /// Width of the feed-forward part.
    pub intermediate_size: usize,
    /// `[3 * heads * head_size, hidden]`: query rows, then key rows, then value rows.
    pub qkv_weight: Range<usize>,
    /// `[3 * heads * head_size]`, in the same order.
    pub qkv_bias: Range<usize>,
    /// `[hidden, heads * head_size]`.
    pub attention_output_weight: Range<usize>,
    /// `[hidden]`.
    pub attention_output_bias: Range<usize>,
    /// `[hidden]`, of the norm after attention and residual.
    pub attention_norm_weight: Range<usize>,
    /// `[hidden]`.
    pub attention_norm_bias: Range<usize>,
    /// `[intermediate, hidden]`.
    pub intermediate_weight: Range<usize>,
    /// `[intermediate]`.
    pub intermediate_bias: Range<usize>,
    /// `[hidden, intermediate]`.
    pub output_weight: Range<usize>,
    /// `[hidden]`.
    pub output_bias: Range<usize>,
    /// `[hidden]`, of the norm after the feed-forward part and residual.
    pub output_norm_weight: Range<usize>,
    /// `[hidden]`.
    pub output_norm_bias: Range<usize>,
}

impl LayerSlots {
    /// All tensors of the layer, which lie together.
    pub fn all(&self) -> Range<usize> {
        self.qkv_weight.start..self.output_norm_bias.end
    }
}

impl LayerSlots {
    /// The weights of the layer's products, each with its number of inputs: of queries, keys
    /// and values, of the attention's output, and both of the feed-forward part.
    pub fn weights(&self) -> [(Range<usize>, usize); 4] {
        let hidden = self.output_bias.len();
        [
            (self.qkv_weight.clone(), hidden),
            (self.attention_output_weight.clone(), self.heads * self.head_size),
            (self.intermediate_weight.clone(), hidden),
            (self.output_weight.clone(), self.intermediate_size),
        ]
    }
}

/// The parts of a model, as ranges of the flat buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// `[vocab, hidden]`.
    pub word_embeddings: Range<usize>,
    /// `[max_position_embeddings, hidden]`.
    pub position_embeddings: Range<usize>,
    /// `[type_vocab, hidden]`, if the model tells segments apart.
    pub token_type_embeddings: Option<Range<usize>>,
    /// `[hidden]`, of the norm over the sum of the embeddings.
    pub embedding_norm_weight: Range<usize>,
    /// `[hidden]`.
    pub embedding_norm_bias: Range<usize>,
    /// The encoder, first layer first.
    pub layers: Vec<LayerSlots>,
    /// What stands on the encoder.
    pub head: HeadSlots,
}

/// The table of a model's tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// All tensors, in the order of their offsets.
    pub tensors: Vec<TensorView>,
    /// The same tensors by their place in the network.
    pub slots: Slots,
    /// Length of the flat buffer in floats, padding included.
    pub len: usize,
}

impl Layout {
    /// The layout of a model of this configuration, which must be
    /// [valid](ModelConfig::validate). Allocates the table only, not the parameters.
    pub fn new(config: &ModelConfig) -> Layout {
        let names = match config.architecture {
            Architecture::Bert => &BERT,
            Architecture::DistilBert => &DISTILBERT,
        };
        let hidden = config.hidden_size;
        let mut builder = Builder { tensors: Vec::new(), len: 0 };

        let embedding = |part: &str| format!("{}.embeddings.{part}", names.prefix);
        let word_embeddings = builder.add(
            embedding("word_embeddings.weight"),
            &[config.vocab_size, hidden],
            Role::Embedding,
        );
        let position_embeddings = builder.add(
            embedding("position_embeddings.weight"),
            &[config.max_position_embeddings, hidden],
            Role::Embedding,
        );
        let token_type_embeddings = (config.type_vocab_size > 0).then(|| {
            builder.add(
                embedding("token_type_embeddings.weight"),
                &[config.type_vocab_size, hidden],
                Role::Embedding,
            )
        });
        let (embedding_norm_weight, embedding_norm_bias) =
            builder.add_norm(&embedding("LayerNorm"), hidden);
        let layers = (0..config.num_hidden_layers)
            .map(|layer| builder.add_layer(config, names, layer))
            .collect();
        let head = match &config.head {
            Head::Span => {
                let (weight, bias) = builder.add_linear("qa_outputs", [2, hidden]);
                HeadSlots::Span(SpanSlots { weight, bias })
            }
            Head::Classification(classes) => {
                let (dense_weight, dense_bias) = builder.add_linear(names.pooler, [hidden; 2]);
                let labels = classes.labels.len();
                let (weight, bias) = builder.add_linear("classifier", [labels, hidden]);
                let slots = ClassificationSlots { dense_weight, dense_bias, weight, bias };
                HeadSlots::Classification(slots)
            }
            Head::MaskedWord => {
                let [dense, norm, bias] = names.masked_word;
                let (dense_weight, dense_bias) = builder.add_linear(dense, [hidden; 2]);
                let (norm_weight, norm_bias) = builder.add_norm(norm, hidden);
                let bias = builder.add(bias.to_owned(), &[config.vocab_size], Role::Bias);
                let slots =
                    MaskedWordSlots { dense_weight, dense_bias, norm_weight, norm_bias, bias };
                HeadSlots::MaskedWord(slots)
            }
        };

        let slots = Slots {
            word_embeddings,
            position_embeddings,
            token_type_embeddings,
            embedding_norm_weight,
            embedding_norm_bias,
            layers,
            head,
        };
        builder.align();
        Layout { tensors: builder.tensors, slots, len: builder.len }
    }

    /// How many parameters the model has; padding is not counted.
    pub fn parameters(&self) -> usize {
        self.tensors.iter().map(TensorView::size).sum()
    }

    /// The tensor of this name.
    pub fn find(&self, name: &str) -> Option<&TensorView> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }
}

/// How an architecture names the tensors of a layer.
struct Names {
    /// What the names of all encoder tensors begin with.
    prefix: &'static str,
    /// What follows it for the list of layers.
    layers: &'static str,
    query_key_value: [&'static str; 3],
    attention_output: &'static str,
    attention_norm: &'static str,
    intermediate: &'static str,
    output: &'static str,
    output_norm: &'static str,
    /// The whole name of what a classifier reads the first token through.
    pooler: &'static str,
    /// The whole names of the masked-word head: its dense layer, its norm, and the decoder's
    /// bias. The decoder's weight has none of its own: it is the word embeddings.
    masked_word: [&'static str; 3],
}

const BERT: Names = Names {
    prefix: "bert",
    layers: "encoder.layer",
    query_key_value: ["attention.self.query", "attention.self.key", "attention.self.value"],
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    intermediate: "intermediate.dense",
    output: "output.dense",
    output_norm: "output.LayerNorm",
    pooler: "bert.pooler.dense",
    masked_word: [
        "cls.predictions.transform.dense",
        "cls.predictions.transform.LayerNorm",
        "cls.predictions.bias",
    ],
};

const DISTILBERT: Names = Names {
    prefix: "distilbert",
    layers: "transformer.layer",
    query_key_value: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
    attention_output: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    intermediate: "ffn.lin1",
    output: "ffn.lin2",
    output_norm: "output_layer_norm",
    pooler: "pre_classifier",
    masked_word: ["vocab_transform", "vocab_layer_norm", "vocab_projector.bias"],
};

/// Lays tensors out one after the other.
struct Builder {
    tensors: Vec<TensorView>,
    len: usize,
}

impl Builder {
    fn align(&mut self) {
        self.len = self.len.next_multiple_of(ALIGNMENT);
    }

    /// Appends a tensor at the very next float.
    fn add_adjacent(&mut self, name: String, shape: &[usize], role: Role) -> Range<usize> {
        let tensor = TensorView { name, shape: shape.to_vec(), offset: self.len, role };
        let range = tensor.range();
        self.len = range.end;
        self.tensors.push(tensor);
        range
    }

    /// Appends a tensor at the next aligned float.
    fn add(&mut self, name: String, shape: &[usize], role: Role) -> Range<usize> {
        self.align();
        self.add_adjacent(name, shape, role)
    }

    fn add_linear(&mut self, name: &str, shape: [usize; 2]) -> (Range<usize>, Range<usize>) {
        let weight = self.add(format!("{name}.weight"), &shape, Role::Weight);
        let bias = self.add(format!("{name}.bias"), &shape[..1], Role::Bias);
        (weight, bias)
    }

    fn add_norm(&mut self, name: &str, hidden: usize) -> (Range<usize>, Range<usize>) {
        let weight = self.add(format!("{name}.weight"), &[hidden], Role::LayerNorm);
        let bias = self.add(format!("{name}.bias"), &[hidden], Role::LayerNorm);
        (weight, bias)
    }

    /// Appends the same part of query, key and value without gaps; returns the whole.
    fn add_query_key_value(
        &mut self,
        names: [String; 3],
        shape: &[usize],
        role: Role,
    ) -> Range<usize> {
        self.align();
        let start = self.len;
        for name in names {
            self.add_adjacent(name, shape, role);
        }
        start..self.len
    }

    fn add_layer(&mut self, config: &ModelConfig, names: &Names, layer: usize) -> LayerSlots {
        let hidden = config.hidden_size;
        let intermediate_size = config.intermediate_size;
        let (heads, head_size) = (config.heads_of(layer), config.head_size());
        let width = heads * head_size;
        let name = |part: &str| format!("{}.{}.{layer}.{part}", names.prefix, names.layers);

        let qkv_weight = self.add_query_key_value(
            names.query_key_value.map(|part| name(part) + ".weight"),
            &[width, hidden],
            Role::Weight,
        );
        let qkv_bias = self.add_query_key_value(
            names.query_key_value.map(|part| name(part) + ".bias"),
            &[width],
            Role::Bias,
        );
        let (attention_output_weight, attention_output_bias) =
            self.add_linear(&name(names.attention_output), [hidden, width]);
        let (attention_norm_weight, attention_norm_bias) =
            self.add_norm(&name(names.attention_norm), hidden);
        let (intermediate_weight, intermediate_bias) =
            self.add_linear(&name(names.intermediate), [intermediate_size, hidden]);
        let (output_weight, output_bias) =
            self.add_linear(&name(names.output), [hidden, intermediate_size]);
        let (output_norm_weight, output_norm_bias) =
            self.add_norm(&name(names.output_norm), hidden);

        LayerSlots {
            heads,
            head_size,
            intermediate_size,
            qkv_weight,
            qkv_bias,
            attention_output_weight,
            attention_output_bias,
            attention_norm_weight,
            attention_norm_bias,
            intermediate_weight,
            intermediate_bias,
            output_weight,
            output_bias,
            output_norm_weight,
            output_norm_bias,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing;

    fn distilbert_base(layers: usize) -> ModelConfig {
        ModelConfig {
            vocab_size: 30522,
            hidden_size: 768,
            num_hidden_layers: layers,
            num_attention_heads: 12,
            intermediate_size: 3072,
            max_position_embeddings: 512,
            ..testing::distilbert()
        }
    }

    #[test]
    fn distilbert_has_the_published_number_of_parameters() {
        for (layers, expected) in [(6, 66_364_418), (4, 52_188_674), (1, 30_925_058)] {
            assert_eq!(Layout::new(&distilbert_base(layers)).parameters(), expected);
        }
    }

    #[test]
    fn a_pruned_head_takes_its_rows_and_columns_along() {
        let mut config = distilbert_base(4);
        config.pruned_heads = BTreeMap::from([(0, vec![1, 5]), (3, vec![11])]);
        assert_eq!(Layout::new(&config).parameters(), 52_188_674 - 3 * 196_800);
    }

    #[test]
    fn tensors_begin_aligned_and_do_not_overlap() {
        for config in testing::all() {
            let layout = Layout::new(&config);
            let mut end = 0;
            for tensor in &layout.tensors {
                let follows_on = ["key", "value", "k_lin", "v_lin"]
                    .iter()
                    .any(|part| tensor.name.contains(&format!(".{part}.")));
                if follows_on {
                    assert_eq!(tensor.offset, end, "{}", tensor.name);
                } else {
                    assert_eq!(tensor.offset, end.next_multiple_of(ALIGNMENT), "{}", tensor.name);
                }
                end = tensor.range().end;
            }
            assert_eq!(layout.len, end.next_multiple_of(ALIGNMENT));
        }
    }

    #[test]
    fn slots_and_names_mean_the_same_floats() {
        let layout = Layout::new(&testing::bert());
        let range = |name: &str| layout.find(name).unwrap().range();
        let slots = &layout.slots;
        assert_eq!(slots.word_embeddings, range("bert.embeddings.word_embeddings.weight"));
        assert_eq!(slots.head.range().start, range("qa_outputs.weight").start);
        assert_eq!(slots.head.range().end, range("qa_outputs.bias").end);
        let layer = &slots.layers[2];
        let name = |part: &str| range(&format!("bert.encoder.layer.2.{part}"));
        assert_eq!(layer.qkv_weight.start, name("attention.self.query.weight").start);
        assert_eq!(layer.qkv_weight.end, name("attention.self.value.weight").end);
        assert_eq!(layer.qkv_weight.len(), 3 * 8 * 8);
        assert_eq!(layer.qkv_bias.end, name("attention.self.value.bias").end);
        assert_eq!(layer.intermediate_weight, name("intermediate.dense.weight"));
        assert_eq!(layer.output_weight, name("output.dense.weight"));
        assert_eq!(layer.output_norm_bias, name("output.LayerNorm.bias"));
    }

    #[test]
    fn a_classifier_has_the_tensors_of_its_architecture_behind_all_others() {
        for (config, dense) in
            [(testing::bert(), "bert.pooler.dense"), (testing::distilbert(), "pre_classifier")]
        {
            let layout = Layout::new(&testing::classifier(config, &["A", "B", "C"]));
            let last = &layout.tensors[layout.tensors.len() - 4..];
            let expected = [
                (format!("{dense}.weight"), vec![8, 8]),
                (format!("{dense}.bias"), vec![8]),
                ("classifier.weight".to_owned(), vec![3, 8]),
                ("classifier.bias".to_owned(), vec![3]),
            ];
            for (tensor, (name, shape)) in last.iter().zip(expected) {
                assert_eq!((&tensor.name, &tensor.shape), (&name, &shape));
            }
            assert_eq!(layout.slots.head.range(), last[0].offset..last[3].range().end);
        }
    }

    #[test]
    fn norms_and_biases_are_not_decayed_in_either_architecture() {
        for config in testing::all() {
            for tensor in &Layout::new(&config).tensors {
                assert_eq!(tensor.role.decays(), tensor.shape.len() == 2, "{}", tensor.name);
            }
        }
    }

    #[test]
    fn only_a_distilbert_with_segments_has_their_embeddings() {
        let name = "distilbert.embeddings.token_type_embeddings.weight";
        let mut config = testing::distilbert();
        assert_eq!(Layout::new(&config).find(name), None);
        assert_eq!(Layout::new(&config).slots.token_type_embeddings, None);
        config.type_vocab_size = 16;
        assert_eq!(Layout::new(&config).find(name).unwrap().shape, [16, 8]);
    }
}
