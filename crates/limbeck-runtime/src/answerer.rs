//! From text to text: the path of `answer` and `bench answer`, and of programs that embed a
//! student.

use std::ops::ControlFlow;
use std::path::Path;

use limbeck_data::{DecodeOptions, FeatureOptions, Tokenizer};
use limbeck_model::inference::InferenceModel;

use crate::error::Result;
use crate::folder::OpenModel;
use crate::logits::{Memory, span_logits};
use crate::question::{Answered, Asked, Prepared};

/// A model with its tokenizer and all memory that a question needs.
pub struct Answerer {
    model: InferenceModel<'static>,
    tokenizer: Tokenizer,
    memory: Memory,
    features: FeatureOptions,
    decode: DecodeOptions,
}

impl Answerer {
    /// Opens a model folder; questions are put to it as its notes say.
    ///
    /// # Errors
    /// As [`OpenModel::open`].
    pub fn open(dir: &Path) -> Result<Self> {
        let OpenModel { model, tokenizer, features, decode, .. } = OpenModel::open(dir)?;
        Ok(Answerer::new(model, tokenizer, features, decode))
    }

    /// Takes a model and its tokenizer.
    pub fn new(
        model: InferenceModel<'static>,
        tokenizer: Tokenizer,
        features: FeatureOptions,
        decode: DecodeOptions,
    ) -> Self {
        Answerer { model, tokenizer, memory: Memory::default(), features, decode }
    }

    /// The model that answers.
    pub fn model(&self) -> &InferenceModel<'static> {
        &self.model
    }

    /// Answers a question from a context of any length.
    ///
    /// # Errors
    /// When the question leaves no room for the context, or the tokenizer is not the
    /// model's.
    pub fn answer(&mut self, question: &str, context: &str) -> Result<Answered> {
        let answered = self.answer_all(&[Asked { question, context }])?;
        Ok(answered.into_iter().next().expect("one answer for one question"))
    }

    /// Answers several questions, in order. All windows of all contexts go through in
    /// ragged batches of a bounded size.
    ///
    /// # Errors
    /// As [`Answerer::answer`], for any of the questions.
    pub fn answer_all(&mut self, asked: &[Asked<'_>]) -> Result<Vec<Answered>> {
        let prepared = Prepared::new(asked, &self.tokenizer, &self.features)?;
        let never = |_| ControlFlow::Continue(());
        let features = prepared.features();
        let all = 0..features.len();
        let logits = span_logits(&self.model, features, all, &mut self.memory, never)?;
        let logits = logits.expect("nobody asks to stop");
        let decoded = prepared.decode(&logits, &self.decode).into_iter().enumerate();
        let answers = decoded.map(|(number, decoded)| Answered {
            decoded,
            first_window: prepared.first_window(&logits, number),
        });
        Ok(answers.collect())
    }
}
