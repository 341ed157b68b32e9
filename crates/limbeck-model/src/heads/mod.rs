//! What stands on the encoder and turns hidden states into logits.
//!
//! # Layout
//! - [`span`]: two logits a token, for questions and their contexts.
//! - [`classification`]: one logit a label for each sequence.
//! - [`Outputs`]: the logits of either head with their gradients, for training.
//!
//! Each refuses a model with the other head.

pub mod classification;
mod outputs;
pub mod span;

use crate::config::HeadKind;
use crate::error::{ModelError, Result};
use crate::layout::{ClassificationSlots, HeadSlots, SpanSlots};
use crate::model::Model;

pub use outputs::{Outputs, Part};

fn span_slots(model: &Model) -> Result<&SpanSlots> {
    match &model.layout.slots.head {
        HeadSlots::Span(slots) => Ok(slots),
        HeadSlots::Classification(_) => {
            Err(ModelError::Head { needed: HeadKind::Span, found: HeadKind::Classification })
        }
    }
}

fn classification_slots(model: &Model) -> Result<&ClassificationSlots> {
    match &model.layout.slots.head {
        HeadSlots::Classification(slots) => Ok(slots),
        HeadSlots::Span(_) => {
            Err(ModelError::Head { needed: HeadKind::Classification, found: HeadKind::Span })
        }
    }
}
