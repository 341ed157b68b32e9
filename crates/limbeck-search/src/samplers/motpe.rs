//! A tree-structured Parzen estimator for several objectives: MOTPE (Ozaki et al., 2022) with
//! the multivariate kernels of Falkner et al. (2018).

use super::{History, Sampler, Sobol};
use crate::error::Result;
use crate::hypervolume::contributions;
use crate::numeric::normal;
use crate::numeric::random::Random;
use crate::space::Axis;

/// Trials before the model is asked.
const FIRST: usize = 11;
/// Share of the observations that count as good, and how many at most.
const GOOD: f64 = 0.1;
const MOST_GOOD: usize = 25;
/// Points drawn from the good density, of which the best goes.
const CANDIDATES: usize = 96;
/// Weight of the broad kernel that stands for what is not known.
const PRIOR: f64 = 1.0;

/// Points that are likely among the good and unlikely among the others.
#[derive(Debug, Clone, Copy)]
pub struct Motpe;

impl Sampler for Motpe {
    fn name(&self) -> &'static str {
        "motpe"
    }

    fn suggest(&self, history: &History) -> Result<Option<Vec<f64>>> {
        let started = history.observed.len() + history.failed.len() + history.pending.len();
        if started < FIRST || history.observed.is_empty() {
            return Sobol.suggest(history);
        }
        let mut random = history.random();
        let order = history.best_first(by_contribution);
        let count = ((GOOD * order.len() as f64).ceil() as usize).clamp(1, MOST_GOOD);
        let axes = history.space.axes();
        let good: Vec<&[f64]> = order[..count].iter().map(|o| o.point.as_slice()).collect();
        // Where trials run or failed is no place to go to.
        let rest = order[count..].iter().map(|o| o.point.as_slice());
        let aside = history.failed.iter().chain(&history.pending).map(Vec::as_slice);
        let rest: Vec<&[f64]> = rest.chain(aside).collect();
        let (good, rest) = (Parzen::new(good, &axes), Parzen::new(rest, &axes));
        let mut best: Option<(f64, Vec<f64>)> = None;
        for _ in 0..CANDIDATES {
            let point = history.child(good.draw(&mut random), &mut random);
            if !history.space.allows(&history.space.decode(&point)) || history.was_tried(&point) {
                continue;
            }
            let score = good.log_density(&point) - rest.log_density(&point);
            if best.as_ref().is_none_or(|(known, _)| score > *known) {
                best = Some((score, point));
            }
        }
        match best {
            Some((_, point)) => Ok(Some(point)),
            None => history.space.draw(&mut random).map(Some),
        }
    }
}

/// The indices of the members of one rank: again and again the one without which the rest of
/// the front would lose the most volume, found from behind.
fn by_contribution(losses: &[&[f64]]) -> Vec<usize> {
    // Exact contributions are dear in many dimensions and need a reference; beyond some size
    // the order within a rank matters little.
    const MOST: usize = 64;
    let axes = losses.first().map_or(0, |point| point.len());
    let bounds: Vec<(f64, f64)> = (0..axes)
        .map(|axis| {
            let values = losses.iter().map(|point| point[axis]);
            (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max))
        })
        .collect();
    let scaled = |point: &[f64]| -> Vec<f64> {
        let each = point.iter().zip(&bounds);
        each.map(|(x, (low, high))| (x - low) / (high - low).max(f64::MIN_POSITIVE)).collect()
    };
    let points: Vec<Vec<f64>> = losses.iter().take(MOST).map(|point| scaled(point)).collect();
    let mut left: Vec<usize> = (0..points.len()).collect();
    let mut order = Vec::with_capacity(losses.len());
    while !left.is_empty() {
        let rest: Vec<Vec<f64>> = left.iter().map(|&i| points[i].clone()).collect();
        let worth = contributions(&rest, &vec![1.1; axes]);
        let least = (0..left.len()).min_by(|&a, &b| worth[a].total_cmp(&worth[b])).unwrap_or(0);
        order.push(left.remove(least));
    }
    order.reverse();
    order.extend(points.len()..losses.len());
    order
}

/// A density over the unit cube: a kernel around every point, and a broad one in the middle.
struct Parzen<'a> {
    points: Vec<&'a [f64]>,
    axes: &'a [Axis],
    /// The kernels' width.
    width: f64,
}

impl<'a> Parzen<'a> {
    fn new(points: Vec<&'a [f64]>, axes: &'a [Axis]) -> Self {
        let (count, dimensions) = (points.len().max(1) as f64, axes.len() as f64);
        let width = 0.2 * count.powf(-1.0 / (dimensions + 4.0));
        Self { points, axes, width: width.max(1.0 / (1.0 + count).min(100.0)).min(0.5) }
    }

    fn draw(&self, random: &mut Random) -> Vec<f64> {
        let total = PRIOR + self.points.len() as f64;
        let pick = random.uniform() * total;
        let kernel = (pick >= PRIOR).then(|| self.points[random.below(self.points.len())]);
        let each = self.axes.iter().enumerate().map(|(axis, kind)| match (kernel, kind) {
            (None, _) => random.uniform(),
            (Some(point), Axis::Unordered(count)) => {
                if random.uniform() < self.kept(*count) {
                    point[axis]
                } else {
                    random.uniform()
                }
            }
            (Some(point), _) => {
                let (low, high) = self.shares(point[axis]);
                let share = low + random.uniform() * (high - low);
                let z = normal::quantile(share.clamp(1e-12, 1.0 - 1e-12));
                (point[axis] + self.width * z).clamp(0.0, 1.0)
            }
        });
        each.collect()
    }

    fn log_density(&self, at: &[f64]) -> f64 {
        let kernels = self.points.iter().map(|point| {
            let each = self.axes.iter().enumerate().map(|(axis, kind)| match kind {
                Axis::Unordered(count) => {
                    let (kept, count) = (self.kept(*count), *count as f64);
                    let is_same = (at[axis] - point[axis]).abs() < 0.25 / count;
                    ((1.0 - kept) + if is_same { kept * count } else { 0.0 }).ln()
                }
                _ => {
                    let z = (at[axis] - point[axis]) / self.width;
                    let (low, high) = self.shares(point[axis]);
                    normal::log_density(z) - (self.width * (high - low)).ln()
                }
            });
            each.sum::<f64>()
        });
        let logs: Vec<f64> = kernels.chain(std::iter::once(PRIOR.ln())).collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|log| (log - largest).exp()).sum();
        largest + sum.ln() - (PRIOR + self.points.len() as f64).ln()
    }

    /// Shares of a kernel around `middle` below 0 and below 1.
    fn shares(&self, middle: f64) -> (f64, f64) {
        let share = |edge: f64| normal::cumulative((edge - middle) / self.width);
        (share(0.0), share(1.0))
    }

    /// How probably a choice stays what it is in a kernel.
    fn kept(&self, choices: usize) -> f64 {
        let points = self.points.len() as f64;
        points / (points + choices as f64)
    }
}
