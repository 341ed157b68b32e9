//! The network as a graph: what [`crate::encoder`] and [`crate::heads`] compute, on padded
//! batches.
//!
//! Operators stand in the order in which Hugging Face's exports have them, so that what
//! optimises those knows these too: three products rather than one for query, key and value,
//! weights as `[inputs, outputs]`, ready for `MatMul`, axes of the mask added one by one. ONNX
//! Runtime's optimiser of transformers makes one operator of each attention, and its quantiser
//! finds the weights.

use std::f32::consts::{FRAC_2_PI, SQRT_2};
use std::ops::Range;

use super::graph::{AXES, Graph, Numbers};
use super::proto::AttributeProto;
use crate::config::{Activation, Architecture};
use crate::layout::{
    ClassificationSlots, HeadSlots, LayerSlots, MaskedWordSlots, SpanSlots, TensorView,
};
use crate::model::Model;

const INPUT_IDS: &str = "input_ids";
const ATTENTION_MASK: &str = "attention_mask";
const TOKEN_TYPE_IDS: &str = "token_type_ids";

/// Added to the scores of padding. The softmax makes zeros of it, and half precision can
/// still hold it; a row of nothing but padding stays finite.
const PADDED: f32 = -10_000.0;

/// The factor of the third power in the approximation of GELU.
const CUBIC: f32 = 0.044_715;

/// The graph of a model: token ids, mask and segments to the logits of its head.
pub(super) fn graph(model: &Model) -> Graph<'_> {
    let mut network = Network { model, graph: Graph::default() };
    let head = match &model.layout.slots.head {
        HeadSlots::Span(_) => "question-answering",
        HeadSlots::Classification(_) => "sequence-classification",
        HeadSlots::MaskedWord(_) => "fill-mask",
    };
    network.graph.proto.name = format!("{}-{head}", model.config.architecture);
    network.graph.input(INPUT_IDS);
    network.graph.input(ATTENTION_MASK);
    let mut hidden = network.embeddings();
    let mask = network.mask();
    for (index, slots) in model.layout.slots.layers.iter().enumerate() {
        let scope = format!("layer.{index}");
        hidden = network.attention(&scope, slots, &hidden, &mask);
        hidden = network.feed_forward(&scope, slots, &hidden);
    }
    match &model.layout.slots.head {
        HeadSlots::Span(slots) => network.span_head(slots, &hidden),
        HeadSlots::Classification(slots) => network.classification_head(slots, &hidden),
        HeadSlots::MaskedWord(slots) => network.masked_word_head(slots, &hidden),
    }
    network.graph
}

struct Network<'a> {
    model: &'a Model,
    graph: Graph<'a>,
}

impl<'a> Network<'a> {
    /// A tensor of the model, by where it begins.
    fn view(&self, offset: usize) -> (&'a TensorView, &'a [f32]) {
        let tensors = &self.model.layout.tensors;
        let place = tensors.binary_search_by_key(&offset, |tensor| tensor.offset);
        let tensor = &tensors[place.expect("slots begin where tensors do")];
        (tensor, self.model.values(tensor))
    }

    /// A tensor as the model has it, under its name there.
    fn tensor(&mut self, offset: usize) -> String {
        let (tensor, values) = self.view(offset);
        let dims = tensor.shape.iter().map(|&size| size as i64).collect();
        self.graph.initializer(tensor.name.clone(), dims, Numbers::Plain(values))
    }

    /// The weight of a linear layer, turned to `[inputs, outputs]`.
    fn transposed(&mut self, offset: usize) -> String {
        let (tensor, values) = self.view(offset);
        let dims = tensor.shape.iter().rev().map(|&size| size as i64).collect();
        let name = format!("{}.transposed", tensor.name);
        let columns = tensor.shape.last().copied().unwrap_or(1);
        self.graph.initializer(name, dims, Numbers::Transposed(values, columns))
    }

    /// `x · Wᵀ + b`, with weight and bias by where they begin.
    fn linear(&mut self, scope: &str, x: &str, weight: usize, bias: usize) -> String {
        let (weight, bias) = (self.transposed(weight), self.tensor(bias));
        let product = self.graph.node(scope, "MatMul", [x, &weight], &[]);
        self.graph.node(scope, "Add", [&product, &bias], &[])
    }

    fn norm(&mut self, scope: &str, x: &str, weight: &Range<usize>, bias: &Range<usize>) -> String {
        let (weight, bias) = (self.tensor(weight.start), self.tensor(bias.start));
        let attributes = [
            AttributeProto::int("axis", -1),
            AttributeProto::float("epsilon", self.model.config.layer_norm_eps),
        ];
        self.graph.node(scope, "LayerNormalization", [x, &weight, &bias], &attributes)
    }

    /// The sum of the embeddings, normalised: `[batch, length, hidden]`.
    fn embeddings(&mut self) -> String {
        let slots = &self.model.layout.slots;
        let words = self.tensor(slots.word_embeddings.start);
        let mut sum = self.graph.node("embeddings/words", "Gather", [&words, INPUT_IDS], &[]);
        if let Some(range) = &slots.token_type_embeddings {
            self.graph.input(TOKEN_TYPE_IDS);
            let table = self.tensor(range.start);
            let inputs = [table.as_str(), TOKEN_TYPE_IDS];
            let segments = self.graph.node("embeddings/segments", "Gather", inputs, &[]);
            sum = self.graph.node("embeddings", "Add", [&sum, &segments], &[]);
        }
        // The table's first rows, as many as the sequences have tokens.
        let scope = "embeddings/positions";
        let second = [AttributeProto::int("start", 1), AttributeProto::int("end", 2)];
        let length = self.graph.node(scope, "Shape", [INPUT_IDS], &second);
        let table = self.tensor(slots.position_embeddings.start);
        let zero = self.graph.integers(&[0]);
        let positions = self.graph.node(scope, "Slice", [&table, &zero, &length, &zero], &[]);
        sum = self.graph.node("embeddings", "Add", [&sum, &positions], &[]);
        self.norm("embeddings", &sum, &slots.embedding_norm_weight, &slots.embedding_norm_bias)
    }

    /// What is added to the scores of each key, `[batch, 1, 1, length]`.
    fn mask(&mut self) -> String {
        let scope = "mask";
        let [first, second] = [1, 2].map(|axis| self.graph.integers(&[axis]));
        let mask = self.graph.node(scope, "Unsqueeze", [ATTENTION_MASK, &first], &[]);
        let mask = self.graph.node(scope, "Unsqueeze", [&mask, &second], &[]);
        let float = AttributeProto::int("to", super::proto::data_type::FLOAT.into());
        let mask = self.graph.node(scope, "Cast", [&mask], &[float]);
        let (one, padded) = (self.graph.number(1.0), self.graph.number(PADDED));
        let padding = self.graph.node(scope, "Sub", [&one, &mask], &[]);
        self.graph.node(scope, "Mul", [&padding, &padded], &[])
    }

    /// The attention block of a layer, with residual and norm.
    fn attention(&mut self, layer: &str, slots: &LayerSlots, x: &str, mask: &str) -> String {
        let scope = format!("{layer}/attention");
        let size = slots.head_size as f32;
        let keys_first = [0, 2, 3, 1];
        let queries = self.heads(&format!("{scope}/query"), slots, 0, x, [0, 2, 1, 3]);
        let keys = self.heads(&format!("{scope}/key"), slots, 1, x, keys_first);
        let values = self.heads(&format!("{scope}/value"), slots, 2, x, [0, 2, 1, 3]);

        let scores = self.graph.node(&scope, "MatMul", [&queries, &keys], &[]);
        let root = self.graph.number(size.sqrt());
        let scores = self.graph.node(&scope, "Div", [&scores, &root], &[]);
        let scores = self.graph.node(&scope, "Add", [&scores, mask], &[]);
        let last = [AttributeProto::int("axis", -1)];
        let probabilities = self.graph.node(&scope, "Softmax", [&scores], &last);

        let context = format!("{scope}/context");
        let read = self.graph.node(&context, "MatMul", [&probabilities, &values], &[]);
        let permutation = [AttributeProto::ints("perm", &[0, 2, 1, 3])];
        let read = self.graph.node(&context, "Transpose", [&read], &permutation);
        let rows = self.graph.integers(&[0, 0, (slots.heads * slots.head_size) as i64]);
        let read = self.graph.node(&context, "Reshape", [&read, &rows], &[]);

        let output = format!("{scope}/output");
        let (weight, bias) = (&slots.attention_output_weight, &slots.attention_output_bias);
        let product = self.linear(&output, &read, weight.start, bias.start);
        let sum = self.graph.node(&output, "Add", [&product, x], &[]);
        self.norm(&output, &sum, &slots.attention_norm_weight, &slots.attention_norm_bias)
    }

    /// Queries (`part` 0), keys (1) or values (2) of `[batch, length, heads, head_size]`, the
    /// axes put into another order.
    fn heads(
        &mut self,
        scope: &str,
        slots: &LayerSlots,
        part: usize,
        x: &str,
        order: [i64; 4],
    ) -> String {
        let begin = |joined: &Range<usize>| joined.start + part * (joined.len() / 3);
        let rows = self.linear(scope, x, begin(&slots.qkv_weight), begin(&slots.qkv_bias));
        let shape = self.graph.integers(&[0, 0, slots.heads as i64, slots.head_size as i64]);
        let heads = self.graph.node(scope, "Reshape", [&rows, &shape], &[]);
        self.graph.node(scope, "Transpose", [&heads], &[AttributeProto::ints("perm", &order)])
    }

    /// The feed-forward part of a layer, with residual and norm.
    fn feed_forward(&mut self, layer: &str, slots: &LayerSlots, x: &str) -> String {
        let scope = format!("{layer}/intermediate");
        let (weight, bias) = (&slots.intermediate_weight, &slots.intermediate_bias);
        let inner = self.linear(&scope, x, weight.start, bias.start);
        let inner = self.activation(&format!("{scope}/activation"), &inner);
        let scope = format!("{layer}/output");
        let product =
            self.linear(&scope, &inner, slots.output_weight.start, slots.output_bias.start);
        let sum = self.graph.node(&scope, "Add", [&product, x], &[]);
        self.norm(&scope, &sum, &slots.output_norm_weight, &slots.output_norm_bias)
    }

    /// The activation of the configuration.
    fn activation(&mut self, scope: &str, x: &str) -> String {
        match self.model.config.hidden_act {
            Activation::Gelu => self.gelu(scope, x),
            Activation::GeluTanh => self.gelu_tanh(scope, x),
            Activation::Relu => self.graph.node(scope, "Relu", [x], &[]),
        }
    }

    /// `x · (1 + erf(x / √2)) · 0.5`
    fn gelu(&mut self, scope: &str, x: &str) -> String {
        let [root, one, half] = [SQRT_2, 1.0, 0.5].map(|value| self.graph.number(value));
        let scaled = self.graph.node(scope, "Div", [x, &root], &[]);
        let error = self.graph.node(scope, "Erf", [&scaled], &[]);
        let twice = self.graph.node(scope, "Add", [&error, &one], &[]);
        let product = self.graph.node(scope, "Mul", [x, &twice], &[]);
        self.graph.node(scope, "Mul", [&product, &half], &[])
    }

    /// `0.5 · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))`
    fn gelu_tanh(&mut self, scope: &str, x: &str) -> String {
        let [half, three, cubic, root, one] =
            [0.5, 3.0, CUBIC, FRAC_2_PI.sqrt(), 1.0].map(|value| self.graph.number(value));
        let halved = self.graph.node(scope, "Mul", [x, &half], &[]);
        let cube = self.graph.node(scope, "Pow", [x, &three], &[]);
        let cube = self.graph.node(scope, "Mul", [&cube, &cubic], &[]);
        let sum = self.graph.node(scope, "Add", [x, &cube], &[]);
        let scaled = self.graph.node(scope, "Mul", [&sum, &root], &[]);
        let tanh = self.graph.node(scope, "Tanh", [&scaled], &[]);
        let twice = self.graph.node(scope, "Add", [&tanh, &one], &[]);
        self.graph.node(scope, "Mul", [&halved, &twice], &[])
    }

    /// Both logits of each token.
    fn span_head(&mut self, slots: &SpanSlots, hidden: &str) {
        let pairs = self.linear("span", hidden, slots.weight.start, slots.bias.start);
        for (column, name) in [(0, "start_logits"), (1, "end_logits")] {
            let column = self.graph.index(column);
            let last = [AttributeProto::int("axis", 2)];
            self.graph.output(name, &AXES, "Gather", [&pairs, &column], &last);
        }
    }

    /// One logit a word of the vocabulary for each token: which of them are masked, the graph
    /// does not know.
    fn masked_word_head(&mut self, slots: &MaskedWordSlots, hidden: &str) {
        let scope = "words";
        let dense = self.linear(scope, hidden, slots.dense_weight.start, slots.dense_bias.start);
        let dense = self.activation(&format!("{scope}/activation"), &dense);
        let vectors = self.norm(scope, &dense, &slots.norm_weight, &slots.norm_bias);
        let decoder = self.transposed(self.model.layout.slots.word_embeddings.start);
        let bias = self.tensor(slots.bias.start);
        let product = self.graph.node(scope, "MatMul", [&vectors, &decoder], &[]);
        let axes = [AXES[0], AXES[1], "words"];
        self.graph.output("logits", &axes, "Add", [&product, &bias], &[]);
    }

    /// One logit a label for each sequence, out of its first token.
    fn classification_head(&mut self, slots: &ClassificationSlots, hidden: &str) {
        let scope = "classification";
        let first = self.graph.index(0);
        let axis = [AttributeProto::int("axis", 1)];
        let first = self.graph.node(scope, "Gather", [hidden, &first], &axis);
        let dense = self.linear(scope, &first, slots.dense_weight.start, slots.dense_bias.start);
        let activation = match self.model.config.architecture {
            Architecture::Bert => "Tanh",
            Architecture::DistilBert => "Relu",
        };
        let pooled = self.graph.node(scope, activation, [&dense], &[]);
        let (weight, bias) = (self.transposed(slots.weight.start), self.tensor(slots.bias.start));
        let product = self.graph.node(scope, "MatMul", [&pooled, &weight], &[]);
        self.graph.output("logits", &[AXES[0], "labels"], "Add", [&product, &bias], &[]);
    }
}
