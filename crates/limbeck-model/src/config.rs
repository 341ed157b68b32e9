//! The configuration of a model: one form for BERT and DistilBERT.
//!
//! [`ModelConfig`] holds what the engine needs, the head among it (`head`). How either
//! architecture spells it in `config.json` is in `json`.

mod head;
mod json;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::error::{ModelError, Result};
use crate::layout::ALIGNMENT;

pub use head::{Classes, Head, HeadKind, MAX_LABELS, ProblemType};

/// What `config.json` calls weights of one byte, see [`crate::Model::save_quantized`].
pub(crate) const INT8_METHOD: &str = "limbeck_int8";

/// What `config.json` calls weights without their zeros, see [`crate::Model::save_sparse`].
pub(crate) const SPARSE_METHOD: &str = "limbeck_sparse";

/// The families of models this crate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// BERT.
    Bert,
    /// DistilBERT: BERT's layers under other names, without segment embeddings.
    DistilBert,
}

impl fmt::Display for Architecture {
    /// Writes the `model_type` of `config.json`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(json::keys_of(*self).model_type)
    }
}

/// The activation between the two linear layers of the feed-forward part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `gelu`: with the error function.
    Gelu,
    /// `gelu_new` or `gelu_pytorch_tanh`: the approximation with tanh.
    GeluTanh,
    /// `relu`.
    Relu,
}

impl Activation {
    /// The function that computes it.
    pub(crate) fn kernel(self) -> limbeck_kernels::activation::Activation {
        use limbeck_kernels::activation::Activation as Kernel;
        match self {
            Activation::Gelu => Kernel::Gelu,
            Activation::GeluTanh => Kernel::GeluTanh,
            Activation::Relu => Kernel::Relu,
        }
    }
}

/// A model's `config.json`, in one form for all architectures.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Which family the model is of; decides the names of keys and tensors.
    pub architecture: Architecture,
    /// Rows of the word embeddings.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Encoder layers.
    pub num_hidden_layers: usize,
    /// Attention heads of a layer before pruning.
    pub num_attention_heads: usize,
    /// Width of the feed-forward part.
    pub intermediate_size: usize,
    /// Rows of the position embeddings: the longest sequence the model can read.
    pub max_position_embeddings: usize,
    /// Rows of the segment embeddings; 0 means that the model has none, as DistilBERT.
    ///
    /// A DistilBERT with segments is possible. transformers knows none in a DistilBERT, so it is
    /// written as a BERT; a folder of an older version has the tensor
    /// `distilbert.embeddings.token_type_embeddings.weight`.
    pub type_vocab_size: usize,
    /// Added to the variance in every layer norm. DistilBERT fixes it at 1e-12.
    pub layer_norm_eps: f32,
    /// The activation of the feed-forward part.
    pub hidden_act: Activation,
    /// Dropout after embeddings, attention output and feed-forward part.
    pub hidden_dropout: f32,
    /// Dropout on attention probabilities.
    pub attention_dropout: f32,
    /// Dropout before the head: `qa_dropout` of a DistilBERT with a span head, 0 in such a
    /// BERT and before a masked-word head; `classifier_dropout` or `seq_classif_dropout` of a
    /// classifier.
    pub head_dropout: f32,
    /// Standard deviation of newly initialised weights.
    pub initializer_range: f32,
    /// The padding token. It is never fed, but its embedding is initialised to zero.
    pub pad_token_id: u32,
    /// Layer to the heads taken away from it, by their numbers before any pruning.
    pub pruned_heads: BTreeMap<usize, Vec<usize>>,
    /// What stands on the encoder.
    pub head: Head,
    /// Keys of `config.json` that are not interpreted here; written back unchanged.
    pub extra: Map<String, Value>,
}

/// The most parameters a model may have. Larger numbers in a `config.json` are taken
/// for damage or malice rather than served with an allocation.
pub const MAX_PARAMETERS: u64 = 4_000_000_000;

/// The most layers a model may have; bounds the size of the layout's table.
pub const MAX_LAYERS: usize = 1024;

impl ModelConfig {
    /// Width of an attention head, which pruning does not change.
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_attention_heads.max(1)
    }

    /// Heads left in a layer after pruning.
    pub fn heads_of(&self, layer: usize) -> usize {
        let pruned = self.pruned_heads.get(&layer).map_or(0, Vec::len);
        self.num_attention_heads.saturating_sub(pruned)
    }

    /// The numbers, before any pruning, of the heads left in a layer, in order.
    pub fn kept_heads(&self, layer: usize) -> Vec<usize> {
        let pruned = self.pruned_heads.get(&layer).map_or(&[][..], Vec::as_slice);
        (0..self.num_attention_heads).filter(|head| !pruned.contains(head)).collect()
    }

    /// Whether the position embeddings are DistilBERT's fixed sines and cosines.
    ///
    /// They are stored with the model, and trained, like any others; only a new model
    /// computes them. transformers keeps them fixed in training.
    pub fn sinusoidal_positions(&self) -> bool {
        self.extra.get("sinusoidal_pos_embds").and_then(Value::as_bool).unwrap_or(false)
    }

    /// Checks that the sizes fit each other and that a model of this configuration can
    /// be laid out in memory.
    ///
    /// # Errors
    /// The first key whose value cannot be used, under the name that the
    /// architecture's `config.json` gives it.
    pub fn validate(&self) -> Result<()> {
        let keys = json::keys_of(self.architecture);
        let sizes = [
            ("vocab_size", self.vocab_size),
            (keys.hidden_size, self.hidden_size),
            (keys.num_hidden_layers, self.num_hidden_layers),
            (keys.num_attention_heads, self.num_attention_heads),
            (keys.intermediate_size, self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        for (key, size) in sizes {
            if size == 0 {
                return Err(ModelError::config(key, size, "must be at least 1"));
            }
        }
        if self.architecture == Architecture::Bert && self.type_vocab_size == 0 {
            return Err(ModelError::config("type_vocab_size", 0, "must be at least 1 in BERT"));
        }
        if self.num_hidden_layers > MAX_LAYERS {
            return Err(ModelError::config(
                keys.num_hidden_layers,
                self.num_hidden_layers,
                format!("more than {MAX_LAYERS} layers are not supported"),
            ));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(ModelError::config(
                keys.num_attention_heads,
                self.num_attention_heads,
                format!("must divide `{}` = {}", keys.hidden_size, self.hidden_size),
            ));
        }
        let padded = self.padded_parameters();
        if padded.is_none_or(|padded| padded > MAX_PARAMETERS) {
            return Err(ModelError::config(
                "config.json",
                format!("a model of more than {MAX_PARAMETERS} parameters"),
                "that is not supported; the sizes in it are probably wrong",
            ));
        }
        if self.pad_token_id as usize >= self.vocab_size {
            return Err(ModelError::config(
                "pad_token_id",
                self.pad_token_id,
                format!("must be below `vocab_size` = {}", self.vocab_size),
            ));
        }
        if let Head::Classification(classes) = &self.head {
            classes.validate()?;
        }
        self.validate_numbers(&keys)?;
        self.validate_pruned_heads()
    }

    fn validate_numbers(&self, keys: &json::Keys) -> Result<()> {
        let mut dropouts = vec![
            (keys.hidden_dropout, self.hidden_dropout),
            (keys.attention_dropout, self.attention_dropout),
        ];
        match json::dropout_key(self.architecture, self.head.kind()) {
            Some(key) => dropouts.push((key, self.head_dropout)),
            None if self.head_dropout != 0.0 => {
                return Err(ModelError::config(
                    "head_dropout",
                    self.head_dropout,
                    "this head has no dropout before it; must be 0",
                ));
            }
            None => {}
        }
        for (key, probability) in dropouts {
            if !(0.0..1.0).contains(&probability) {
                return Err(ModelError::config(key, probability, "must be in [0, 1)"));
            }
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps.is_finite()) {
            return Err(ModelError::config(
                "layer_norm_eps",
                self.layer_norm_eps,
                "must be greater than 0",
            ));
        }
        if !(self.initializer_range >= 0.0 && self.initializer_range.is_finite()) {
            return Err(ModelError::config(
                "initializer_range",
                self.initializer_range,
                "must be 0 or greater",
            ));
        }
        Ok(())
    }

    fn validate_pruned_heads(&self) -> Result<()> {
        for (&layer, heads) in &self.pruned_heads {
            let error = |reason: String| {
                ModelError::config("pruned_heads", format!("{{\"{layer}\": {heads:?}}}"), reason)
            };
            if layer >= self.num_hidden_layers {
                return Err(error(format!("the model has {} layers", self.num_hidden_layers)));
            }
            if heads.iter().any(|&head| head >= self.num_attention_heads) {
                return Err(error(format!("a layer has {} heads", self.num_attention_heads)));
            }
            if !heads.is_sorted_by(|a, b| a < b) {
                return Err(error("must be in rising order, without repetition".into()));
            }
            if heads.len() == self.num_attention_heads {
                return Err(error("a layer must keep at least one head".into()));
            }
        }
        Ok(())
    }

    /// Upper bound of the flat buffer's length, or `None` where it overflows. Pruning is
    /// left out of account.
    fn padded_parameters(&self) -> Option<u64> {
        let alignment = ALIGNMENT as u64;
        let hidden = self.hidden_size as u64;
        let rows =
            |rows: usize| (rows as u64).checked_mul(hidden)?.checked_next_multiple_of(alignment);
        let vector = hidden.checked_next_multiple_of(alignment)?;
        let intermediate = (self.intermediate_size as u64).checked_next_multiple_of(alignment)?;

        // Four square matrices, two feed-forward ones, and nine vectors of the hidden
        // size: four biases of attention, one of the output, two norms of two each.
        let layer = rows(self.hidden_size)?
            .checked_mul(4)?
            .checked_add(rows(self.intermediate_size)?.checked_mul(2)?)?
            .checked_add(vector.checked_mul(9)?)?
            .checked_add(intermediate)?;
        let embeddings = rows(self.vocab_size)?
            .checked_add(rows(self.max_position_embeddings)?)?
            .checked_add(rows(self.type_vocab_size)?)?
            .checked_add(vector.checked_mul(2)?)?;
        let head = match &self.head {
            Head::Span => rows(2)?.checked_add(alignment)?,
            Head::Classification(classes) => {
                let labels = (classes.labels.len() as u64).checked_next_multiple_of(alignment)?;
                let dense = rows(self.hidden_size)?.checked_add(vector)?;
                dense.checked_add(rows(classes.labels.len())?)?.checked_add(labels)?
            }
            Head::MaskedWord => {
                let words = (self.vocab_size as u64).checked_next_multiple_of(alignment)?;
                let norm = vector.checked_mul(3)?;
                rows(self.hidden_size)?.checked_add(norm)?.checked_add(words)?
            }
        };
        layer.checked_mul(self.num_hidden_layers as u64)?.checked_add(embeddings)?.checked_add(head)
    }
}
