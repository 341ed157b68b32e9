//! What stands on the encoder and turns hidden states into logits.
//!
//! # Layout
//! - [`span`]: two logits a token, for questions and their contexts.
//! - [`classification`]: one logit a label for each sequence.
//! - [`masked_word`]: one logit a word of the vocabulary for each masked token.
//! - [`Outputs`]: the logits of any head with their gradients, for training.
//!
//! Each refuses a model with another head.

pub mod classification;
pub mod masked_word;
mod outputs;
pub mod span;

use crate::config::HeadKind;
use crate::error::{ModelError, Result};
use crate::layout::{ClassificationSlots, HeadSlots, MaskedWordSlots, SpanSlots};
use crate::model::Model;

pub use outputs::{Outputs, Part, Places, Words};

fn span_slots(model: &Model) -> Result<&SpanSlots> {
    match &model.layout.slots.head {
        HeadSlots::Span(slots) => Ok(slots),
        _ => Err(another(HeadKind::Span, model)),
    }
}

fn classification_slots(model: &Model) -> Result<&ClassificationSlots> {
    match &model.layout.slots.head {
        HeadSlots::Classification(slots) => Ok(slots),
        _ => Err(another(HeadKind::Classification, model)),
    }
}

fn masked_word_slots(model: &Model) -> Result<&MaskedWordSlots> {
    match &model.layout.slots.head {
        HeadSlots::MaskedWord(slots) => Ok(slots),
        _ => Err(another(HeadKind::MaskedWord, model)),
    }
}

/// The error of a model that has another head than the one that is `needed`.
fn another(needed: HeadKind, model: &Model) -> ModelError {
    ModelError::Head { needed, found: model.config.head.kind() }
}
