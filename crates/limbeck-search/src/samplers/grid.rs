//! Every combination of a few values of each parameter.

use super::{History, Sampler};
use crate::error::Result;
use crate::space::Axis;

/// Combinations that may break the constraints, or repeat another, for each trial there is.
const MOST_MISSES: u64 = 20_000;

/// A full grid, as coarse as the search's budget asks for, walked in long strides so that it
/// is covered evenly at any time; what was tried already, here or in a study before, is passed over. Choices without order come all; of ordered values and of
/// ranges as many as are needed.
#[derive(Debug, Clone, Copy)]
pub struct Grid;

impl Sampler for Grid {
    fn name(&self) -> &'static str {
        "grid"
    }

    fn suggest(&self, history: &History) -> Result<Option<Vec<f64>>> {
        let space = history.space;
        let sizes = sizes(&space.axes(), history.budget);
        let total = sizes.iter().fold(1_u64, |product, &size| product.saturating_mul(size as u64));
        let stride = stride(total);
        let tried = history.observed.len() + history.failed.len() + history.pending.len();
        let mut place = 0;
        for _ in 0..total.min((tried as u64 + 1).saturating_mul(MOST_MISSES)) {
            let point = space.canonical(&cell(place, &sizes));
            place = ((u128::from(place) + u128::from(stride)) % u128::from(total)) as u64;
            if !history.was_tried(&point) && space.allows(&space.decode(&point)) {
                return Ok(Some(point));
            }
        }
        Ok(None)
    }
}

/// Values of each coordinate: the fewest that give `budget` combinations.
fn sizes(axes: &[Axis], budget: usize) -> Vec<usize> {
    let of = |most: usize| -> Vec<usize> {
        axes.iter()
            .map(|axis| match *axis {
                Axis::Continuous => most,
                Axis::Steps(count) => count.min(most),
                Axis::Unordered(count) => count,
            })
            .collect()
    };
    let combinations =
        |sizes: &[usize]| sizes.iter().fold(1_usize, |product, &size| product.saturating_mul(size));
    let largest = axes.iter().map(|axis| match *axis {
        Axis::Continuous => budget,
        Axis::Steps(count) | Axis::Unordered(count) => count,
    });
    let largest = largest.max().unwrap_or(1).max(1);
    // The fewest that are enough, by halves, since a range may have very many.
    let (mut few, mut enough) = (0, largest);
    while few + 1 < enough {
        let middle = few + (enough - few) / 2;
        match combinations(&of(middle)) >= budget {
            true => enough = middle,
            false => few = middle,
        }
    }
    of(enough)
}

/// A step near the golden section of `total` that reaches every place.
fn stride(total: u64) -> u64 {
    let gcd = |mut a: u64, mut b: u64| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let golden = (total as f64 * 0.618_033_988_75) as u64;
    (golden.max(1)..).find(|&step| gcd(step, total) == 1).unwrap_or(1)
}

/// The middle of a cell of the grid.
fn cell(mut place: u64, sizes: &[usize]) -> Vec<f64> {
    let each = sizes.iter().map(|&size| {
        let index = place % size as u64;
        place /= size as u64;
        (index as f64 + 0.5) / size as f64
    });
    each.collect()
}
