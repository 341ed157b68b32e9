//! The models: BERT and DistilBERT encoders with a span or a classification head, as
//! Hugging Face folders hold them.
//!
//! This crate reads and writes model folders, lays all parameters out in one flat
//! buffer, and builds students from teachers. It knows nothing of questions and answers
//! as text, of tokenisers, losses or optimisers: ids go in, logits come out.
//!
//! # Layout
//! - [`config`]: `config.json` of either architecture as one [`ModelConfig`].
//! - [`layout`]: the table of tensors, by name and by place in the network.
//! - [`model`]: [`Model`], which is a configuration, a layout and the parameters.
//! - [`folder`]: Hugging Face folders in and out, safetensors files, `limbeck.json`.
//! - [`encoder`]: the encoder, forward and backward side by side.
//! - [`heads`]: what turns hidden states into logits.
//! - [`student`]: smaller models from larger ones: fewer layers, heads, neurons.
//! - [`inference`]: a model that only answers; [`lengths`]: how many tokens go on from layer to
//!   layer.
//! - [`onnx`]: a model as a file for other programs.
//! - [`inspect`]: sizes, non-zeros and multiply-adds of a model.

pub mod config;
pub mod encoder;
pub mod error;
pub mod folder;
pub mod heads;
pub mod inference;
mod initialise;
pub mod inspect;
pub mod layout;
pub mod lengths;
pub mod model;
pub mod onnx;
pub mod student;

#[cfg(test)]
mod testing;

pub use config::{Activation, Architecture, Classes, Head, HeadKind, ModelConfig, ProblemType};
pub use error::{ModelError, Result};
pub use folder::LoadReport;
pub use layout::{HeadSlots, LayerSlots, Layout, Role, Slots, TensorView};
pub use lengths::LengthPlan;
pub use model::Model;
