//! A model that only runs: its weights packed once, all memory kept between batches.

use std::borrow::Cow;
use std::ops::Range;

use crate::config::ModelConfig;
use crate::encoder::{self, InferenceBuffers, Mode, PackedWeights, Tokens};
use crate::error::{ModelError, Result};
use crate::heads::classification::{self, ClassLogits};
use crate::heads::masked_word::{self, WordVectors};
use crate::heads::span::{self, SpanLogits};
use crate::lengths::LengthPlan;
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
    lengths: Option<LengthPlan>,
}

/// What a forward pass needs. Grows to the largest batch and stays.
#[derive(Debug, Default)]
pub struct InferenceMemory {
    buffers: InferenceBuffers,
    logits: SpanLogits,
    class_logits: ClassLogits,
    words: WordVectors,
    /// The masked rows.
    read: Vec<usize>,
    word_logits: Vec<f32>,
}

impl<'a> InferenceModel<'a> {
    /// Packs the weights that `model` has now.
    pub fn of(model: &'a Model) -> Self {
        Self::with_packed(Cow::Borrowed(model), PackedWeights::new(model))
    }

    /// Packs the weights of a model.
    pub fn new(model: Model) -> InferenceModel<'static> {
        let packed = PackedWeights::new(&model);
        InferenceModel::with_packed(Cow::Owned(model), packed)
    }

    /// A model of which some weights are in `packed` alone.
    pub(crate) fn with(model: Model, packed: PackedWeights) -> InferenceModel<'static> {
        InferenceModel::with_packed(Cow::Owned(model), packed)
    }

    fn with_packed(model: Cow<'a, Model>, packed: PackedWeights) -> Self {
        InferenceModel { model, packed, lengths: None }
    }

    /// The same model, from which tokens leave on the way as the plan says; with none, all
    /// stay.
    ///
    /// # Errors
    /// When the plan does not fit the model.
    pub fn with_lengths(self, lengths: Option<LengthPlan>) -> Result<Self> {
        if let Some(plan) = &lengths {
            plan.check(&self.model.config)?;
        }
        Ok(InferenceModel { lengths, ..self })
    }

    /// The plan by which tokens leave, if any.
    pub fn lengths(&self) -> Option<&LengthPlan> {
        self.lengths.as_ref()
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
        self.span_logits_within(tokens, self.lengths(), memory)
    }

    /// The same with another plan than the model's own, which must
    /// [fit](LengthPlan::check) it.
    ///
    /// # Errors
    /// As [`InferenceModel::span_logits`].
    pub fn span_logits_within<'m>(
        &self,
        tokens: Tokens<'_>,
        plan: Option<&LengthPlan>,
        memory: &'m mut InferenceMemory,
    ) -> Result<&'m SpanLogits> {
        self.model.check_tokens(tokens)?;
        let InferenceMemory { buffers, logits, .. } = memory;
        let hidden = encoder::infer(&self.model, &self.packed, tokens, plan, None, buffers);
        span::forward(&self.model, hidden, Mode::Evaluate, logits)?;
        all_finite(&logits.start)?;
        all_finite(&logits.end)?;
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
        self.class_logits_within(tokens, self.lengths(), memory)
    }

    /// The same with another plan than the model's own, which must
    /// [fit](LengthPlan::check) it.
    ///
    /// # Errors
    /// As [`InferenceModel::class_logits`].
    pub fn class_logits_within<'m>(
        &self,
        tokens: Tokens<'_>,
        plan: Option<&LengthPlan>,
        memory: &'m mut InferenceMemory,
    ) -> Result<&'m [f32]> {
        self.model.check_tokens(tokens)?;
        let InferenceMemory { buffers, class_logits, .. } = memory;
        let (_, first) = tokens.starts.split_last().unwrap_or((&0, &[]));
        let hidden = encoder::infer(&self.model, &self.packed, tokens, plan, Some(first), buffers);
        classification::forward(&self.model, tokens.starts, hidden, Mode::Evaluate, class_logits)?;
        all_finite(&class_logits.values)?;
        Ok(&class_logits.values)
    }

    /// Reads one batch, whose rows `masked` are masked. [`InferenceModel::word_logits`] then
    /// tells of them, with the same memory.
    ///
    /// # Errors
    /// When a token, segment or length is beyond the model's tables, there is no such row, or
    /// the model has another head.
    pub fn read_words(
        &self,
        tokens: Tokens<'_>,
        masked: &[u32],
        memory: &mut InferenceMemory,
    ) -> Result<()> {
        self.model.check_tokens(tokens)?;
        let InferenceMemory { buffers, words, read, .. } = memory;
        read.clear();
        read.extend(masked.iter().map(|&row| row as usize));
        let (plan, read) = (self.lengths(), Some(read.as_slice()));
        let hidden = encoder::infer(&self.model, &self.packed, tokens, plan, read, buffers);
        masked_word::forward(&self.model, masked, hidden, words)
    }

    /// The logits of some of the masked rows that were read last, one a word of the vocabulary:
    /// `[rows, vocabulary]`. Many rows make a large matrix, see [`masked_word::chunks`].
    ///
    /// # Errors
    /// When the model has another head.
    ///
    /// # Panics
    /// When fewer rows were masked.
    pub fn word_logits<'m>(
        &self,
        rows: Range<usize>,
        memory: &'m mut InferenceMemory,
    ) -> Result<&'m [f32]> {
        let InferenceMemory { words, word_logits, .. } = memory;
        Ok(masked_word::logits(&self.model, words, rows, word_logits)?)
    }
}
/// Refuses logits that would look like an answer and mean nothing.
fn all_finite(logits: &[f32]) -> Result<()> {
    match logits.iter().all(|logit| logit.is_finite()) {
        true => Ok(()),
        false => Err(ModelError::NotFinite),
    }
}
