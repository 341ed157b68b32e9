//! Points drawn evenly.

use super::{History, Sampler};
use crate::error::Result;

/// Independent, evenly distributed points.
#[derive(Debug, Clone, Copy)]
pub struct Uniform;

impl Sampler for Uniform {
    fn name(&self) -> &'static str {
        "random"
    }

    fn suggest(&self, history: &History) -> Result<Option<Vec<f64>>> {
        history.space.draw(&mut history.random()).map(Some)
    }
}
