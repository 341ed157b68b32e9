//! What stands on the encoder and turns hidden states into logits.

pub mod span;
