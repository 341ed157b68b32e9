//! Where the tensors of a head lie.

use std::ops::Range;

/// The parts of the head, as ranges of the flat buffer. It lies behind all else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadSlots {
    /// One linear layer over every token.
    Span(SpanSlots),
    /// Two linear layers over the first token of each sequence.
    Classification(ClassificationSlots),
    /// A linear layer and a norm over masked tokens, decoded by the word embeddings.
    MaskedWord(MaskedWordSlots),
}

/// The parts of a span head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanSlots {
    /// `[2, hidden]`: the row that scores a token as start of the answer, then as its end.
    pub weight: Range<usize>,
    /// `[2]`.
    pub bias: Range<usize>,
}

/// The parts of a classification head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassificationSlots {
    /// `[hidden, hidden]`: BERT's pooler, DistilBERT's `pre_classifier`.
    pub dense_weight: Range<usize>,
    /// `[hidden]`.
    pub dense_bias: Range<usize>,
    /// `[labels, hidden]`.
    pub weight: Range<usize>,
    /// `[labels]`.
    pub bias: Range<usize>,
}

/// The parts of a masked-word head. Its decoder's weight are the word embeddings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedWordSlots {
    /// `[hidden, hidden]`: the transform, DistilBERT's `vocab_transform`.
    pub dense_weight: Range<usize>,
    /// `[hidden]`.
    pub dense_bias: Range<usize>,
    /// `[hidden]`, of the norm after its activation.
    pub norm_weight: Range<usize>,
    /// `[hidden]`.
    pub norm_bias: Range<usize>,
    /// `[vocab]`: one number a word, added to its logit.
    pub bias: Range<usize>,
}

impl HeadSlots {
    /// All floats of the head, from its first tensor to its last.
    pub fn range(&self) -> Range<usize> {
        match self {
            HeadSlots::Span(slots) => slots.weight.start..slots.bias.end,
            HeadSlots::Classification(slots) => slots.dense_weight.start..slots.bias.end,
            HeadSlots::MaskedWord(slots) => slots.dense_weight.start..slots.bias.end,
        }
    }
}
