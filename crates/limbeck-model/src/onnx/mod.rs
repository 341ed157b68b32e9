//! A model as an ONNX file, for ONNX Runtime, OpenVINO and other programs that run such.
//!
//! Inputs and outputs are named as in Hugging Face's exports: `input_ids`, `attention_mask`
//! and, where the model tells segments apart, `token_type_ids`, whole numbers of
//! `[batch_size, sequence_length]`; `start_logits` and `end_logits`, floats of the same
//! shape, or `logits`, `[batch_size, labels]`, of a classifier. Both sizes are free. Tokens with mask 0 are padding: no other token sees them.
//!
//! # Layout
//! - `network`: the model as a graph.
//! - `graph`: building a graph, node after node.
//! - `proto`: ONNX's messages.
//! - `write`: the graph and the weights to files.

mod graph;
mod network;
mod proto;
mod write;

use std::fs;
use std::path::Path;

use crate::config::HeadKind;
use crate::error::{ModelError, Result};
use crate::folder::CONFIG_FILE;
use crate::folder::aside::Aside;
use crate::model::Model;
use proto::{ModelProto, OperatorSetIdProto};

/// Name of the network in an exported folder.
pub const ONNX_FILE: &str = "model.onnx";

/// Name of the weights in an exported folder that are too large for [`ONNX_FILE`].
pub const DATA_FILE: &str = "model.onnx.data";

/// The most bytes of weights in [`ONNX_FILE`]: protobuf ends at 2 GiB.
const INLINE_LIMIT: usize = 1_500_000_000;

impl Model {
    /// Writes `config.json` and `model.onnx` into a folder, which is made if absent. Weights
    /// of more than 1.5 GB lie beside it in `model.onnx.data`.
    ///
    /// Heads that were pruned stay away: the layers keep their smaller tensors.
    ///
    /// # Errors
    /// If the configuration is not valid or a file cannot be written; then the old files are
    /// still there.
    pub fn save_onnx(&self, dir: &Path) -> Result<()> {
        self.save_onnx_limited(dir, INLINE_LIMIT)
    }

    /// Like [`Model::save_onnx`], with another limit of the weights in the file itself.
    fn save_onnx_limited(&self, dir: &Path, limit: usize) -> Result<()> {
        let config_path = dir.join(CONFIG_FILE);
        self.config.validate().map_err(|error| error.in_file(&config_path))?;
        fs::create_dir_all(dir).map_err(ModelError::io("create", dir))?;
        let written = write::write(dir, &self.onnx_header(), &network::graph(self), limit)?;
        let json = format!("{:#}\n", self.written().0.to_json());
        let config = Aside::write_bytes(&config_path, json.as_bytes())?;
        written.publish()?;
        config.publish()
    }

    /// What stands around the graph.
    fn onnx_header(&self) -> ModelProto {
        let config = &self.config;
        ModelProto {
            ir_version: proto::IR_VERSION,
            producer_name: "limbeck".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            doc_string: format!(
                "{} of {} layers, for {}",
                config.architecture,
                config.num_hidden_layers,
                match config.head.kind() {
                    HeadKind::Span => "question answering",
                    HeadKind::Classification => "classifying texts",
                    HeadKind::MaskedWord => "guessing masked words",
                }
            ),
            graph: None,
            // The checker wants the domain to be set, and ONNX's own is the empty one.
            opset_import: vec![OperatorSetIdProto {
                domain: Some(String::new()),
                version: proto::OPERATORS,
            }],
        }
    }
}

#[cfg(test)]
mod tests;
