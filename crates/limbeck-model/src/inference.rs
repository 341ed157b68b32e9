//! A model that only runs: its weights packed once, all memory kept between batches.

use std::borrow::Cow;

use crate::config::ModelConfig;
use crate::encoder::{self, InferenceBuffers, Mode, PackedWeights, Tokens};
use crate::error::Result;
use crate::heads::classification::{self, ClassLogits};
use crate::heads::span::{self, SpanLogits};
use crate::model::Model;

/// A model ready for inference, with floats or [quantised](Model::save_quantized).
///
/// ```
/// use limbeck_model::encoder::Tokens;
/// use limbeck_model::inference::{InferenceMemory, InferenceModel};
/// # use limbeck_model::{Model, ModelConfig};
/// # let json = serde_json::json!({"model_type": "bert", "vocab_size": 20, "hidden_size": 8,
/// #     "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
/// #     "max_position_embeddings": 16, "type_vocab_size": 2});
/// # let folder = tempfile::tempdir()?;
/// # Model::initialise(ModelConfig::from_json(&json)?, 1).save_quantized(folder.path())?;
/// # let dir = folder.path();
///
/// let (model, _) = InferenceModel::open(dir)?;
/// let mut memory = InferenceMemory::default();
/// // Two sequences end to end, of four and three tokens: no padding, no masks.
/// let tokens = Tokens {
///     input_ids: &[2, 7, 9, 3, 2, 8, 3],
///     token_type_ids: &[0, 0, 1, 1, 0, 1, 1],
///     starts: &[0, 4, 7],
/// };
/// let logits = model.span_logits(tokens, &mut memory)?;
/// assert_eq!(logits.start.len(), 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct InferenceModel<'a> {
    model: Cow<'a, Model>,
    packed: PackedWeights,
}

/// What a forward pass needs. Grows to the largest batch and stays.
#[derive(Debug, Default)]
pub struct InferenceMemory {
    buffers: InferenceBuffers,
    logits: SpanLogits,
    class_logits: ClassLogits,
}

impl<'a> InferenceModel<'a> {
    /// Packs the weights that `model` has now.
    pub fn of(model: &'a Model) -> Self {
        InferenceModel { packed: PackedWeights::new(model), model: Cow::Borrowed(model) }
    }

    /// Packs the weights of a model.
    pub fn new(model: Model) -> InferenceModel<'static> {
        InferenceModel { packed: PackedWeights::new(&model), model: Cow::Owned(model) }
    }

    /// A model of which some weights are in `packed` alone.
    pub(crate) fn with(model: Model, packed: PackedWeights) -> InferenceModel<'static> {
        InferenceModel { model: Cow::Owned(model), packed }
    }

    /// Sizes and options.
    pub fn config(&self) -> &ModelConfig {
        &self.model.config
    }

    /// How many parameters there are.
    pub fn parameters(&self) -> usize {
        self.model.layout.parameters()
    }

    /// The logits of one batch, two a token.
    ///
    /// # Errors
    /// When a token, segment or length is beyond the model's tables, or the model has
    /// another head.
    pub fn span_logits<'m>(
        &self,
        tokens: Tokens<'_>,
        memory: &'m mut InferenceMemory,
    ) -> Result<&'m SpanLogits> {
        self.model.check_tokens(tokens)?;
        let InferenceMemory { buffers, logits, .. } = memory;
        let hidden = encoder::infer(&self.model, &self.packed, tokens, buffers);
        span::forward(&self.model, hidden, Mode::Evaluate, logits)?;
        Ok(logits)
    }

    /// The logits of one batch, one a label for each sequence: `[sequences, labels]`.
    ///
    /// # Errors
    /// When a token, segment or length is beyond the model's tables, a sequence has no
    /// tokens, or the model has another head.
    pub fn class_logits<'m>(
        &self,
        tokens: Tokens<'_>,
        memory: &'m mut InferenceMemory,
    ) -> Result<&'m [f32]> {
        self.model.check_tokens(tokens)?;
        let InferenceMemory { buffers, class_logits, .. } = memory;
        let hidden = encoder::infer(&self.model, &self.packed, tokens, buffers);
        classification::forward(&self.model, tokens.starts, hidden, Mode::Evaluate, class_logits)?;
        Ok(&class_logits.values)
    }
}
