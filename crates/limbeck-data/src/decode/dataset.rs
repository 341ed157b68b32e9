//! Decodes all questions of a data set.

use rayon::prelude::*;

use super::{DecodeOptions, Decoded, Window, decode_question};
use crate::{Features, SquadData};

/// The logits of all features of a data set, one buffer each for starts and ends. Features
/// may be filled in any order.
#[derive(Clone, Debug)]
pub struct SpanLogits {
    starts: Vec<usize>,
    start: Vec<f32>,
    end: Vec<f32>,
}

impl SpanLogits {
    /// Room for the logits of `features`, all 0.
    pub fn new(features: &Features) -> SpanLogits {
        let mut starts = Vec::with_capacity(features.len() + 1);
        let mut rows = 0;
        starts.push(rows);
        for index in 0..features.len() {
            rows += features.rows_of(index);
            starts.push(rows);
        }
        SpanLogits { starts, start: vec![0.0; rows], end: vec![0.0; rows] }
    }

    /// Start and end logits of a feature, one a row.
    pub fn feature(&self, index: usize) -> (&[f32], &[f32]) {
        let rows = self.starts[index]..self.starts[index + 1];
        (&self.start[rows.clone()], &self.end[rows])
    }

    /// The start logits of all features, and the end logits, one a row.
    pub fn values_mut(&mut self) -> [&mut [f32]; 2] {
        [&mut self.start, &mut self.end]
    }

    /// Sets the logits of a feature.
    ///
    /// # Panics
    /// When there are not as many as the feature has rows.
    pub fn set(&mut self, index: usize, start: &[f32], end: &[f32]) {
        let rows = self.starts[index]..self.starts[index + 1];
        self.start[rows.clone()].copy_from_slice(start);
        self.end[rows].copy_from_slice(end);
    }
}

/// The windows of a question, by its index in the data, with their logits.
pub fn windows_of<'a>(
    features: &'a Features,
    logits: &'a SpanLogits,
    question: usize,
) -> impl Iterator<Item = Window<'a>> {
    features.features_of(question).map(|index| {
        let feature = features.feature(index);
        let (start_logits, end_logits) = logits.feature(index);
        Window {
            start_logits,
            end_logits,
            first_row: feature.first_context_row(),
            window_start: feature.window_start,
            offsets: &features.offsets(feature.paragraph)[feature.window()],
        }
    })
}

/// Decodes every question of `data`, in its order. `features` must have been built of it.
pub fn decode_all(
    data: &SquadData,
    features: &Features,
    logits: &SpanLogits,
    options: &DecodeOptions,
) -> Vec<Decoded> {
    data.questions
        .par_iter()
        .enumerate()
        .map(|(index, question)| {
            let windows: Vec<_> = windows_of(features, logits, index).collect();
            decode_question(data.context(question), &windows, options)
        })
        .collect()
}
