//! `config.json` as either architecture spells it.
//!
//! Keys that are absent or null take the values transformers gives them. Keys that mean
//! nothing here are kept and written back, except those that would contradict what is
//! saved: the number type of the weights (always float32) and the labels of another task.
//! The keys of the head are in `head`.

mod head;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Activation, Architecture, HeadKind, INT8_METHOD, ModelConfig, SPARSE_METHOD};
use crate::error::{ModelError, Result};

pub(super) use head::dropout_key;

/// What an architecture calls the keys that the two name differently.
pub(super) struct Keys {
    pub(super) model_type: &'static str,
    pub(super) hidden_size: &'static str,
    pub(super) num_hidden_layers: &'static str,
    pub(super) num_attention_heads: &'static str,
    pub(super) intermediate_size: &'static str,
    hidden_act: &'static str,
    pub(super) hidden_dropout: &'static str,
    pub(super) attention_dropout: &'static str,
}

const BERT: Keys = Keys {
    model_type: "bert",
    hidden_size: "hidden_size",
    num_hidden_layers: "num_hidden_layers",
    num_attention_heads: "num_attention_heads",
    intermediate_size: "intermediate_size",
    hidden_act: "hidden_act",
    hidden_dropout: "hidden_dropout_prob",
    attention_dropout: "attention_probs_dropout_prob",
};

const DISTILBERT: Keys = Keys {
    model_type: "distilbert",
    hidden_size: "dim",
    num_hidden_layers: "n_layers",
    num_attention_heads: "n_heads",
    intermediate_size: "hidden_dim",
    hidden_act: "activation",
    hidden_dropout: "dropout",
    attention_dropout: "attention_dropout",
};

pub(super) fn keys_of(architecture: Architecture) -> Keys {
    match architecture {
        Architecture::Bert => BERT,
        Architecture::DistilBert => DISTILBERT,
    }
}

impl ModelConfig {
    /// Reads the content of a `config.json` and [validates](ModelConfig::validate) it.
    ///
    /// # Errors
    /// One line that names the key and its value.
    pub fn from_json(json: &Value) -> Result<ModelConfig> {
        ModelConfig::read(json, None)
    }

    /// Like [`ModelConfig::from_json`], with a head of this kind, whatever the file's own.
    /// A classification head on what was none has two labels without names.
    ///
    /// # Errors
    /// As [`ModelConfig::from_json`].
    pub fn from_json_with_head(json: &Value, head: HeadKind) -> Result<ModelConfig> {
        ModelConfig::read(json, Some(head))
    }

    fn read(json: &Value, wanted: Option<HeadKind>) -> Result<ModelConfig> {
        let Value::Object(map) = json else {
            return Err(ModelError::config(
                "config.json",
                shorten(json),
                "must be an object of keys and values",
            ));
        };
        let mut fields = Fields(map.clone());
        let own_head = fields.head_kind();
        let head_kind = wanted.unwrap_or(own_head);
        let architecture = fields.take_architecture()?;
        fields.reject_unsupported()?;
        fields.drop_what_saving_decides();

        let keys = keys_of(architecture);
        let (layers, type_vocab) = match architecture {
            Architecture::Bert => (12, 2),
            Architecture::DistilBert => (6, 0),
        };
        let layer_norm_eps = match architecture {
            Architecture::Bert => fields.take_f32("layer_norm_eps", 1e-12)?,
            Architecture::DistilBert => 1e-12,
        };
        let hidden_dropout = fields.take_f32(keys.hidden_dropout, 0.1)?;
        let config = ModelConfig {
            architecture,
            vocab_size: fields.take_usize("vocab_size", "vocab_size", 30522)?,
            hidden_size: fields.take_usize(keys.hidden_size, "hidden_size", 768)?,
            num_hidden_layers: fields.take_usize(
                keys.num_hidden_layers,
                "num_hidden_layers",
                layers,
            )?,
            num_attention_heads: fields.take_usize(
                keys.num_attention_heads,
                "num_attention_heads",
                12,
            )?,
            intermediate_size: fields.take_usize(
                keys.intermediate_size,
                keys.intermediate_size,
                3072,
            )?,
            max_position_embeddings: fields.take_usize(
                "max_position_embeddings",
                "max_position_embeddings",
                512,
            )?,
            type_vocab_size: fields.take_usize("type_vocab_size", "type_vocab_size", type_vocab)?,
            layer_norm_eps,
            hidden_act: fields.take_activation(keys.hidden_act)?,
            hidden_dropout,
            attention_dropout: fields.take_f32(keys.attention_dropout, 0.1)?,
            head_dropout: fields.take_head_dropout(architecture, head_kind, hidden_dropout)?,
            initializer_range: fields.take_f32("initializer_range", 0.02)?,
            pad_token_id: fields.take_u32("pad_token_id", 0)?,
            pruned_heads: fields.take_pruned_heads()?,
            head: fields.take_head(head_kind, own_head)?,
            extra: fields.0,
        };
        config.validate()?;
        Ok(config)
    }

    /// The content of the `config.json` that [`from_json`](ModelConfig::from_json) reads
    /// back to the same configuration.
    pub fn to_json(&self) -> Value {
        let keys = keys_of(self.architecture);
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| {
            map.insert(key.to_owned(), value);
        };
        put("architectures", json!([self.class()]));
        put("model_type", json!(keys.model_type));
        put("vocab_size", json!(self.vocab_size));
        put(keys.hidden_size, json!(self.hidden_size));
        put(keys.num_hidden_layers, json!(self.num_hidden_layers));
        put(keys.num_attention_heads, json!(self.num_attention_heads));
        put(keys.intermediate_size, json!(self.intermediate_size));
        put(keys.hidden_act, json!(activation_name(self.hidden_act)));
        put(keys.hidden_dropout, shortest(self.hidden_dropout));
        put(keys.attention_dropout, shortest(self.attention_dropout));
        if let Some(key) = dropout_key(self.architecture, self.head.kind()) {
            put(key, shortest(self.head_dropout));
        }
        put("max_position_embeddings", json!(self.max_position_embeddings));
        if self.architecture == Architecture::Bert || self.type_vocab_size > 0 {
            put("type_vocab_size", json!(self.type_vocab_size));
        }
        if self.architecture == Architecture::Bert {
            put("layer_norm_eps", shortest(self.layer_norm_eps));
        }
        put("initializer_range", shortest(self.initializer_range));
        put("pad_token_id", json!(self.pad_token_id));
        if !self.pruned_heads.is_empty() {
            put("pruned_heads", json!(self.pruned_heads));
        }
        self.put_labels(put);
        for (key, value) in &self.extra {
            map.entry(key).or_insert_with(|| value.clone());
        }
        Value::Object(map)
    }
}

/// A number of 32 bits as the shortest decimal that means it: 0.1, not
/// 0.10000000149011612.
fn shortest(number: f32) -> Value {
    number.to_string().parse::<f64>().map_or(Value::Null, |number| json!(number))
}

/// A value as text for an error, cut where it would fill the screen.
fn shorten(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_new",
        Activation::Relu => "relu",
    }
}

/// The keys of a `config.json` that are not interpreted yet.
struct Fields(Map<String, Value>);

impl Fields {
    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.shift_remove(key).filter(|value| !value.is_null())
    }

    /// Takes a whole number. `alias` is a second name that transformers accepts for the
    /// key in this architecture, or the key itself.
    fn take_usize(&mut self, key: &str, alias: &str, default: usize) -> Result<usize> {
        let value = self.take(key);
        let aliased = self.take(alias);
        if let (Some(value), Some(aliased)) = (&value, &aliased)
            && value != aliased
        {
            return Err(ModelError::config(
                alias,
                shorten(aliased),
                format!("contradicts `{key}`, which is {}", shorten(value)),
            ));
        }
        let Some(value) = value.or(aliased) else { return Ok(default) };
        value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| ModelError::config(key, shorten(&value), "must be a whole number"))
    }

    fn take_u32(&mut self, key: &str, default: u32) -> Result<u32> {
        let Some(value) = self.take(key) else { return Ok(default) };
        value
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| ModelError::config(key, shorten(&value), "must be a whole number"))
    }

    fn take_f32(&mut self, key: &str, default: f32) -> Result<f32> {
        let Some(value) = self.take(key) else { return Ok(default) };
        value
            .as_f64()
            .map(|number| number as f32)
            .ok_or_else(|| ModelError::config(key, shorten(&value), "must be a number"))
    }

    fn take_activation(&mut self, key: &str) -> Result<Activation> {
        let Some(value) = self.take(key) else { return Ok(Activation::Gelu) };
        match value.as_str() {
            Some("gelu" | "gelu_python") => Ok(Activation::Gelu),
            Some("gelu_new" | "gelu_pytorch_tanh") => Ok(Activation::GeluTanh),
            Some("relu") => Ok(Activation::Relu),
            _ => Err(ModelError::config(
                key,
                shorten(&value),
                "not supported; must be gelu, gelu_new, gelu_pytorch_tanh or relu",
            )),
        }
    }

    fn take_pruned_heads(&mut self) -> Result<BTreeMap<usize, Vec<usize>>> {
        let key = "pruned_heads";
        let Some(value) = self.take(key) else { return Ok(BTreeMap::new()) };
        let mut pruned: BTreeMap<usize, Vec<usize>> = serde_json::from_value(value.clone())
            .map_err(|_| {
                ModelError::config(
                    key,
                    shorten(&value),
                    "must give lists of heads by layer, as {\"0\": [3, 5]}",
                )
            })?;
        for heads in pruned.values_mut() {
            heads.sort_unstable();
            heads.dedup();
        }
        pruned.retain(|_, heads| !heads.is_empty());
        Ok(pruned)
    }

    /// Takes `model_type`, or for old files without it the class in `architectures`.
    fn take_architecture(&mut self) -> Result<Architecture> {
        let classes = self.take("architectures");
        if let Some(value) = self.take("model_type") {
            return match value.as_str() {
                Some("bert") => Ok(Architecture::Bert),
                Some("distilbert") => Ok(Architecture::DistilBert),
                _ => Err(ModelError::config(
                    "model_type",
                    shorten(&value),
                    "not supported; must be bert or distilbert",
                )),
            };
        }
        match classes.as_ref().and_then(|classes| classes.get(0)).and_then(Value::as_str) {
            Some(class) if class == "BertModel" || class.starts_with("BertFor") => {
                Ok(Architecture::Bert)
            }
            Some(class) if class.starts_with("DistilBert") => Ok(Architecture::DistilBert),
            _ => Err(ModelError::config(
                "model_type",
                "absent",
                "add \"model_type\": \"bert\" or \"distilbert\" to config.json",
            )),
        }
    }

    fn reject_unsupported(&self) -> Result<()> {
        if let Some(value) = self.0.get("position_embedding_type")
            && !value.is_null()
            && value != "absolute"
        {
            return Err(ModelError::config(
                "position_embedding_type",
                shorten(value),
                "not supported; must be absolute",
            ));
        }
        for key in ["is_decoder", "add_cross_attention", "is_encoder_decoder"] {
            if let Some(value) = self.0.get(key)
                && !value.is_null()
                && value != &Value::Bool(false)
            {
                return Err(ModelError::config(
                    key,
                    shorten(value),
                    "not supported; only encoders can be used",
                ));
            }
        }
        if let Some(value) = self.0.get("quantization_config")
            && !value.is_null()
            && ![Some(INT8_METHOD), Some(SPARSE_METHOD)]
                .contains(&value.get("quant_method").and_then(Value::as_str))
        {
            return Err(ModelError::config(
                "quantization_config",
                shorten(value),
                "not supported; use the model before quantisation",
            ));
        }
        Ok(())
    }

    /// Weights are saved as float32, whatever the file they come from held. Left in place,
    /// these keys would have transformers narrow the weights.
    fn drop_what_saving_decides(&mut self) {
        for key in ["dtype", "torch_dtype", "quantization_config"] {
            self.0.shift_remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
