//! From text to text, one question at a time: the path of `answer` and `bench answer`.

use limbeck_data::decode::{DecodeOptions, Decoded, Window, decode_question};
use limbeck_data::squad::{Paragraph, Question};
use limbeck_data::{Batch, FeatureOptions, Features, Purpose, SquadData, Tokenizer};
use limbeck_model::inference::{InferenceMemory, InferenceModel};

use crate::error::Result;
use crate::learner::tokens;

/// A model with its tokenizer and all memory that a question needs.
pub struct Answerer {
    model: InferenceModel<'static>,
    tokenizer: Tokenizer,
    memory: InferenceMemory,
    batch: Batch,
    features: FeatureOptions,
    decode: DecodeOptions,
}

/// The answer to one question.
#[derive(Debug)]
pub struct Answered {
    /// The answer and its rivals.
    pub decoded: Decoded,
    /// The logits of the first window.
    pub first_window: FirstWindow,
}

/// The logits of a question's first window, one a token.
#[derive(Debug)]
pub struct FirstWindow {
    /// Logits of the answer's start.
    pub start_logits: Vec<f32>,
    /// Logits of the answer's end.
    pub end_logits: Vec<f32>,
    /// Code points of the context that a token covers; `None` for tokens of the
    /// question and special tokens.
    pub offsets: Vec<Option<[usize; 2]>>,
}

impl Answerer {
    /// Takes a model and its tokenizer.
    pub fn new(
        model: InferenceModel<'static>,
        tokenizer: Tokenizer,
        features: FeatureOptions,
        decode: DecodeOptions,
    ) -> Self {
        Answerer {
            model,
            tokenizer,
            memory: InferenceMemory::default(),
            batch: Batch::default(),
            features,
            decode,
        }
    }

    /// The model that answers.
    pub fn model(&self) -> &InferenceModel<'static> {
        &self.model
    }

    /// Answers a question from a context of any length: its windows are one ragged
    /// batch.
    ///
    /// # Errors
    /// When the question leaves no room for the context, or the tokenizer is not the
    /// model's.
    pub fn answer(&mut self, question: &str, context: &str) -> Result<Answered> {
        let data = SquadData {
            version: String::new(),
            paragraphs: vec![Paragraph { title: String::new(), context: context.to_owned() }],
            questions: vec![Question {
                id: String::new(),
                text: question.to_owned(),
                paragraph: 0,
                answers: Vec::new(),
                is_impossible: false,
            }],
        };
        let (features, _) =
            Features::build(&data, &self.tokenizer, &self.features, Purpose::Predict)?;
        let indices: Vec<usize> = features.features_of(0).collect();
        let mut logits = limbeck_data::decode::SpanLogits::new(&features);
        // A long document's windows go through in a few batches of bounded size.
        for indices in indices.chunks(16) {
            features.batch(indices, &mut self.batch);
            let found = self.model.span_logits(tokens(&self.batch), &mut self.memory)?;
            for (&feature, rows) in indices.iter().zip(self.batch.starts.windows(2)) {
                let (start, end) = logits.feature_mut(feature);
                start.copy_from_slice(&found.start[rows[0]..rows[1]]);
                end.copy_from_slice(&found.end[rows[0]..rows[1]]);
            }
        }
        let windows: Vec<Window<'_>> = indices
            .iter()
            .map(|&index| {
                let feature = features.feature(index);
                let (start_logits, end_logits) = logits.feature(index);
                Window {
                    start_logits,
                    end_logits,
                    first_row: feature.first_context_row(),
                    window_start: feature.window_start,
                    offsets: &features.offsets(0)[feature.window()],
                }
            })
            .collect();
        let decoded = decode_question(context, &windows, &self.decode);
        let first_window = windows
            .first()
            .map_or_else(FirstWindow::none, |window| FirstWindow::of(context, window));
        Ok(Answered { decoded, first_window })
    }
}

impl FirstWindow {
    fn none() -> Self {
        FirstWindow { start_logits: Vec::new(), end_logits: Vec::new(), offsets: Vec::new() }
    }

    fn of(context: &str, window: &Window<'_>) -> Self {
        let mut offsets = vec![None; window.start_logits.len()];
        // Tokens are in order, so one walk over the context counts its code points.
        let (mut byte, mut point) = (0, 0);
        let mut points_at = |to: usize| {
            if to >= byte {
                point += context.get(byte..to).map_or(0, |text| text.chars().count());
            } else {
                point = context.get(..to).map_or(0, |text| text.chars().count());
            }
            byte = to;
            point
        };
        for (i, offset) in window.offsets.iter().enumerate() {
            let [start, end] = offset.map(|byte| byte as usize);
            if let Some(slot) = offsets.get_mut(window.first_row + i) {
                *slot = Some([points_at(start), points_at(end)]);
            }
        }
        FirstWindow {
            start_logits: window.start_logits.to_vec(),
            end_logits: window.end_logits.to_vec(),
            offsets,
        }
    }
}
