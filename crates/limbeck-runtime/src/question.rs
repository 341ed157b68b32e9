//! Questions made ready for a model, and their answers out of its logits.

use limbeck_data::decode::{DecodeOptions, Decoded, SpanLogits, Window, decode_all, windows_of};
use limbeck_data::squad::{Paragraph, Question};
use limbeck_data::{FeatureOptions, Features, Purpose, SquadData, Tokenizer};

use crate::error::Result;

/// A question and the text that may answer it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The question.
    pub question: &'a str,
    /// The text, of any length.
    pub context: &'a str,
}

/// Questions cut into the windows that a model reads.
#[derive(Debug)]
pub struct Prepared {
    data: SquadData,
    features: Features,
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

impl Prepared {
    /// Tokenises the questions and their texts.
    ///
    /// # Errors
    /// When a question leaves no room for its context.
    pub fn new(
        asked: &[Asked<'_>],
        tokenizer: &Tokenizer,
        options: &FeatureOptions,
    ) -> Result<Prepared> {
        let data = data_of(asked);
        let (features, _) = Features::build(&data, tokenizer, options, Purpose::Predict)?;
        Ok(Prepared { data, features })
    }

    /// The windows of all questions, in order.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The answers, one a question, in order.
    pub fn decode(&self, logits: &SpanLogits, options: &DecodeOptions) -> Vec<Decoded> {
        decode_all(&self.data, &self.features, logits, options)
    }

    /// The logits of the first window of question `number`.
    pub fn first_window(&self, logits: &SpanLogits, number: usize) -> FirstWindow {
        let window = windows_of(&self.features, logits, number).next();
        let context = self.data.context(&self.data.questions[number]);
        window.map_or_else(FirstWindow::none, |window| FirstWindow::of(context, &window))
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
            text: question.to_owned(),
            paragraph: data.paragraphs.len() - 1,
            ..Question::default()
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
