//! NSGA-II (Deb et al., 2002) in its steady-state form: every suggestion is a child of the
//! best that is known by then, so that no trial waits for the end of a generation.

use super::{History, Sampler, Sobol};
use crate::error::Result;
use crate::numeric::random::Random;
use crate::pareto;
use crate::space::Axis;

/// Members of the population that may have children: the best third of all, but no fewer and no
/// more than these.
const PARENTS: (usize, usize) = (6, 24);
/// Share of the coordinates in which a child mixes its parents.
const CROSSOVER: f64 = 0.9;
/// How near children stay to their parents in crossover and in mutation; larger is nearer.
const CROSSOVER_INDEX: f64 = 10.0;
const MUTATION_INDEX: f64 = 15.0;
/// Children that may break a constraint or repeat a trial before a point is drawn instead.
const MOST_CHILDREN: usize = 200;

/// Evolution by ranks and crowding, with simulated binary crossover and polynomial mutation.
#[derive(Debug, Clone, Copy)]
pub struct Nsga2;

impl Sampler for Nsga2 {
    fn name(&self) -> &'static str {
        "nsga2"
    }

    fn suggest(&self, history: &History) -> Result<Option<Vec<f64>>> {
        let started = history.observed.len() + history.pending.len() + history.failed.len();
        if started < PARENTS.1.min(history.budget / 4) || history.observed.len() < 2 {
            return Sobol.suggest(history);
        }
        let mut random = history.random();
        let best = history.best_first(by_crowding);
        let parents = best.len().div_ceil(3).clamp(PARENTS.0, PARENTS.1);
        let population: Vec<&[f64]> =
            best.iter().take(parents).map(|observation| observation.point.as_slice()).collect();
        let axes = history.space.axes();
        for _ in 0..MOST_CHILDREN {
            // The population is sorted: the winner of a tournament has the smaller index.
            let mut winner = || random.below(population.len()).min(random.below(population.len()));
            let (a, b) = (winner(), winner());
            let mut child = crossover(population[a], population[b], &axes, &mut random);
            mutate(&mut child, &axes, &mut random);
            let child = history.child(child, &mut random);
            if history.space.allows(&history.space.decode(&child)) && !history.was_tried(&child) {
                return Ok(Some(child));
            }
        }
        history.space.draw(&mut random).map(Some)
    }
}

/// The indices of the members of one rank, those with the most room first.
fn by_crowding(losses: &[&[f64]]) -> Vec<usize> {
    let room = pareto::crowding(losses);
    let mut order: Vec<usize> = (0..losses.len()).collect();
    order.sort_by(|&a, &b| room[b].total_cmp(&room[a]));
    order
}

/// Simulated binary crossover (Deb and Agrawal, 1995), one child.
fn crossover(a: &[f64], b: &[f64], axes: &[Axis], random: &mut Random) -> Vec<f64> {
    let mut child = a.to_vec();
    for (axis, unit) in child.iter_mut().enumerate() {
        if random.uniform() >= CROSSOVER {
            continue;
        }
        if let Axis::Unordered(_) = axes[axis] {
            *unit = if random.uniform() < 0.5 { a[axis] } else { b[axis] };
            continue;
        }
        let u = random.uniform();
        let spread = match u < 0.5 {
            true => (2.0 * u).powf(1.0 / (CROSSOVER_INDEX + 1.0)),
            false => (0.5 / (1.0 - u)).powf(1.0 / (CROSSOVER_INDEX + 1.0)),
        };
        let side = if random.uniform() < 0.5 { 1.0 } else { -1.0 };
        let (middle, half) = (0.5 * (a[axis] + b[axis]), 0.5 * (a[axis] - b[axis]).abs());
        *unit = (middle + side * spread * half).clamp(0.0, 1.0);
    }
    child
}

/// Polynomial mutation (Deb and Goyal, 1996): one coordinate on average.
fn mutate(child: &mut [f64], axes: &[Axis], random: &mut Random) {
    let rate = 1.0 / child.len().max(1) as f64;
    for (unit, axis) in child.iter_mut().zip(axes) {
        if random.uniform() >= rate {
            continue;
        }
        let u = random.uniform();
        *unit = match axis {
            Axis::Unordered(_) => u,
            // Steps may be wider than a mutation: one of them at least.
            Axis::Steps(count) => {
                let step = (random.normal().abs() * 0.1 * *count as f64).max(1.0) / *count as f64;
                if u < 0.5 { *unit - step } else { *unit + step }
            }
            Axis::Continuous if u < 0.5 => *unit * (2.0 * u).powf(1.0 / (MUTATION_INDEX + 1.0)),
            Axis::Continuous => {
                1.0 - (1.0 - *unit) * (2.0 * (1.0 - u)).powf(1.0 / (MUTATION_INDEX + 1.0))
            }
        }
        .clamp(0.0, 1.0);
    }
}
