//! A ragged batch: sequences laid end to end, without padding.

/// Sequences end to end, one row a token. Made to be filled again and again by
/// [`Examples::batch`](crate::Examples::batch): once the buffers have grown, nothing is
/// allocated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Token ids, `[rows]`.
    pub input_ids: Vec<u32>,
    /// 0 for `[CLS]`, the question and its `[SEP]`, 1 for what follows, `[rows]`.
    pub token_type_ids: Vec<u8>,
    /// The row where each sequence begins, and the number of rows, `[sequences + 1]`.
    pub starts: Vec<usize>,
    /// First token of the answer in its sequence, 0 for none, `[sequences]`; none of texts.
    pub start_positions: Vec<u32>,
    /// Last token of the answer in its sequence, 0 for none, `[sequences]`; none of texts.
    pub end_positions: Vec<u32>,
    /// The number of each text's label, or its value in a regression, `[sequences]`; none of
    /// questions.
    pub labels: Vec<f32>,
    /// The rows of tokens that are to be guessed, in rising order, `[masked]`; of windows of plain
    /// text only.
    pub masked_rows: Vec<u32>,
    /// The token that was in each of these rows, `[masked]`.
    pub masked_ids: Vec<u32>,
    /// Index of the example behind each sequence, `[sequences]`; none of a bare
    /// [`Sequence`](crate::Sequence).
    pub features: Vec<usize>,
}

impl Batch {
    /// How many sequences there are.
    pub fn sequences(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.input_ids.len()
    }

    /// Empties the batch and keeps its buffers.
    pub fn clear(&mut self) {
        self.input_ids.clear();
        self.token_type_ids.clear();
        self.starts.clear();
        self.starts.push(0);
        self.start_positions.clear();
        self.end_positions.clear();
        self.labels.clear();
        self.masked_rows.clear();
        self.masked_ids.clear();
        self.features.clear();
    }
}
