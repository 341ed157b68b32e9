//! Points that fill the space evenly: Sobol's sequence with Owen's scrambling.

use super::{History, Sampler};
use crate::error::{Result, SearchError};
use crate::numeric::random::Random;

/// Members of the sequence; after them it begins anew, or where there are constraints, points are
/// drawn.
const SEQUENCE: usize = 1 << 16;

/// A scrambled Sobol sequence; members that break a constraint are left out.
#[derive(Debug, Clone, Copy)]
pub struct Sobol;

impl Sampler for Sobol {
    fn name(&self) -> &'static str {
        "sobol"
    }

    fn suggest(&self, history: &History) -> Result<Option<Vec<f64>>> {
        let (space, number) = (history.space, history.number);
        let dimensions = space.dimensions();
        if dimensions > sobol_burley::NUM_DIMENSIONS as usize {
            let reason = format!(
                "Sobol's sequence reaches {} coordinates, this space has {dimensions}",
                sobol_burley::NUM_DIMENSIONS
            );
            return Err(SearchError::space("parameters", reason));
        }
        let scramble = Random::new(&[history.seed]).bits() as u32;
        let member = |index: usize| -> Vec<f64> {
            let index = (index % SEQUENCE) as u32;
            (0..dimensions as u32)
                .map(|axis| f64::from(sobol_burley::sample(index, axis, scramble)))
                .collect()
        };
        if !space.is_constrained() {
            return Ok(Some(space.canonical(&member(number))));
        }
        let members = (0..SEQUENCE).map(member);
        let mut allowed = members.filter(|point| space.allows(&space.decode(point)));
        match allowed.nth(number) {
            Some(point) => Ok(Some(space.canonical(&point))),
            None => space.draw(&mut history.random()).map(Some),
        }
    }
}
