//! A ragged batch: sequences laid end to end, without padding.

/// Sequences end to end, one row a token. Made to be filled again and again by
/// [`Features::batch`](crate::Features::batch): once the buffers have grown, nothing is
/// allocated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Token ids, `[rows]`.
    pub input_ids: Vec<u32>,
    /// 0 for `[CLS]`, the question and its `[SEP]`, 1 for what follows, `[rows]`.
    pub token_type_ids: Vec<u8>,
    /// The row where each sequence begins, and the number of rows, `[sequences + 1]`.
    pub starts: Vec<usize>,
    /// First token of the answer in its sequence, 0 for none, `[sequences]`.
    pub start_positions: Vec<u32>,
    /// Last token of the answer in its sequence, 0 for none, `[sequences]`.
    pub end_positions: Vec<u32>,
    /// Index of the feature behind each sequence, `[sequences]`; none of
    /// [texts](crate::Sequence).
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
        self.features.clear();
    }
}
