//! Small configurations for the tests of this crate.

use std::collections::BTreeMap;

use serde_json::Map;

use crate::config::{Activation, Architecture, Classes, Head, ModelConfig};

/// Three layers of two heads; the sizes are no multiples of the alignment.
pub(crate) fn bert() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Bert,
        vocab_size: 11,
        hidden_size: 8,
        num_hidden_layers: 3,
        num_attention_heads: 2,
        intermediate_size: 12,
        max_position_embeddings: 7,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        hidden_act: Activation::Gelu,
        hidden_dropout: 0.1,
        attention_dropout: 0.1,
        head_dropout: 0.0,
        initializer_range: 0.02,
        pad_token_id: 0,
        pruned_heads: BTreeMap::new(),
        head: Head::Span,
        extra: Map::new(),
    }
}

/// The same as DistilBERT.
pub(crate) fn distilbert() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::DistilBert,
        type_vocab_size: 0,
        head_dropout: 0.1,
        ..bert()
    }
}

/// The same model with a classification head in the place of its own.
pub(crate) fn classifier(config: ModelConfig, labels: &[&str]) -> ModelConfig {
    let labels = labels.iter().map(|&label| label.to_owned()).collect();
    let head = Head::Classification(Classes { labels, problem_type: None });
    ModelConfig { head, head_dropout: 0.2, ..config }
}

/// Both architectures with both heads.
pub(crate) fn all() -> [ModelConfig; 4] {
    let labels = ["A", "B", "C"];
    [bert(), distilbert(), classifier(bert(), &labels), classifier(distilbert(), &labels)]
}
