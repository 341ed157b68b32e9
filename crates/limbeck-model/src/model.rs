//! A model: its configuration, the table of its tensors and the one buffer they lie in.

use crate::config::ModelConfig;
use crate::error::{ModelError, Result};
use crate::initialise;
use crate::layout::{Layout, TensorView};

/// A BERT or DistilBERT with its head.
#[derive(Clone, Debug)]
pub struct Model {
    /// Sizes and options.
    pub config: ModelConfig,
    /// Where each tensor lies in `parameters`.
    pub layout: Layout,
    /// All parameters, `layout.len` floats; the padding between tensors is zero.
    pub parameters: Vec<f32>,
}

impl Model {
    /// A new model with random weights, which the seed decides wholly.
    ///
    /// The configuration must be [valid](ModelConfig::validate). Linear weights and
    /// embeddings are drawn from N(0, `initializer_range`²), the padding token's
    /// embedding and all biases are 0, layer norms begin as the identity.
    pub fn initialise(config: ModelConfig, seed: u64) -> Model {
        let mut model = Model::zeros(config);
        for tensor in &model.layout.tensors {
            let values = &mut model.parameters[tensor.range()];
            initialise::fill(&model.config, tensor, seed, values);
        }
        model
    }

    /// A model whose parameters are all zero, to be filled.
    pub(crate) fn zeros(config: ModelConfig) -> Model {
        let layout = Layout::new(&config);
        let parameters = vec![0.0; layout.len];
        Model { config, layout, parameters }
    }

    /// Checks what [`crate::encoder`] takes for granted: ids, segments and lengths lie
    /// inside the model's tables.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn check_tokens(&self, tokens: crate::encoder::Tokens<'_>) -> Result<()> {
        let config = &self.config;
        let longest = tokens.starts.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max();
        let fault = if let Some(id) =
            tokens.input_ids.iter().find(|&&id| id as usize >= config.vocab_size)
        {
            format!("token id {id} is beyond its vocabulary of {}", config.vocab_size)
        } else if longest > Some(config.max_position_embeddings) {
            format!(
                "a sequence of {} tokens is longer than its {} positions",
                longest.unwrap_or(0),
                config.max_position_embeddings
            )
        } else if let Some(segment) = tokens
            .token_type_ids
            .iter()
            .find(|&&s| config.type_vocab_size > 0 && usize::from(s) >= config.type_vocab_size)
        {
            format!("segment {segment} is beyond its {} segments", config.type_vocab_size)
        } else {
            return Ok(());
        };
        Err(ModelError::Tokens(fault))
    }

    /// The floats of a tensor of this model's layout.
    pub fn values(&self, tensor: &TensorView) -> &[f32] {
        &self.parameters[tensor.range()]
    }
}
