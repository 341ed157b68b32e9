//! From text to text: the path of `answer` and `bench answer`.

use limbeck_data::decode::{DecodeOptions, Decoded, Window, decode_all, windows_of};
use limbeck_data::squad::{Paragraph, Question};
use limbeck_data::{FeatureOptions, Features, Purpose, SquadData, Tokenizer};
use limbeck_model::inference::InferenceModel;

use crate::error::Result;
use crate::inference::{Memory, span_logits};
use crate::observer::Silent;

/// A model with its tokenizer and all memory that a question needs.
pub struct Answerer {
    model: InferenceModel<'static>,
    tokenizer: Tokenizer,
    memory: Memory,
    features: FeatureOptions,
    decode: DecodeOptions,
}

/// A question and the text that may answer it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The question.
    pub question: &'a str,
    /// The text, of any length.
    pub context: &'a str,
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
        let data = data_of(asked);
        let (features, _) =
            Features::build(&data, &self.tokenizer, &self.features, Purpose::Predict)?;
        let logits = span_logits(&self.model, &features, &mut self.memory, &mut Silent)?;
        let logits = logits.expect("nobody asks this observer to stop");
        let decoded = decode_all(&data, &features, &logits, &self.decode);
        let answers = decoded.into_iter().zip(&data.questions).enumerate();
        let answers = answers.map(|(number, (decoded, question))| {
            let window = windows_of(&features, &logits, number).next();
            let context = data.context(question);
            let first_window =
                window.map_or_else(FirstWindow::none, |window| FirstWindow::of(context, &window));
            Answered { decoded, first_window }
        });
        Ok(answers.collect())
    }
}

/// The questions as a data set. Neighbours with the same context share it, so that it is
/// tokenised once.
fn data_of(asked: &[Asked<'_>]) -> SquadData {
    let mut data = SquadData::default();
    for &Asked { question, context } in asked {
        if data.paragraphs.last().is_none_or(|paragraph| paragraph.context != context) {
            let context = context.to_owned();
            data.paragraphs.push(Paragraph { title: String::new(), context });
        }
        data.questions.push(Question {
            id: String::new(),
            text: question.to_owned(),
            paragraph: data.paragraphs.len() - 1,
            answers: Vec::new(),
            is_impossible: false,
        });
    }
    data
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
