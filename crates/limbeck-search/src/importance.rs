//! Which parameters decide a metric: functional analysis of variance over a forest of
//! regression trees (fANOVA; Hutter et al., 2014).

use std::ops::Range;

use crate::numeric::random::Random;
use crate::space::Space;
use crate::study::{State, Study};

/// Trees of the forest, and points that a leaf holds at least.
const TREES: usize = 32;
const LEAST_IN_LEAF: usize = 2;

/// Draws that stand for the places of an ordered tuple.
const DRAWS: usize = 512;

/// Complete trials below which nothing can be said.
const FEWEST_TRIALS: usize = 8;

/// For each parameter, in the space's order, the share of a metric's variance over the whole
/// space that it explains alone. The rest lies in what parameters do together. None when too
/// few trials have the metric, or it is the same in all.
pub fn importance(study: &Study, metric: &str) -> Option<Vec<f64>> {
    let space = &study.description().space;
    let complete = study.trials().iter().filter(|trial| trial.state == State::Complete);
    let (points, values): (Vec<Vec<f64>>, Vec<f64>) = complete
        .filter_map(|trial| Some((space.encode(&trial.params)?, *trial.metrics.get(metric)?)))
        .unzip();
    if points.len() < FEWEST_TRIALS {
        return None;
    }
    shares(&points, &values, &Group::all_of(space))
}

/// The coordinates of a parameter.
struct Group {
    coordinates: Range<usize>,
    /// Of an ordered tuple, which fills its coordinates unevenly, draws; of others none.
    draws: Vec<Vec<f64>>,
}

impl Group {
    fn all_of(space: &Space) -> Vec<Self> {
        let mut random = Random::new(&[0xfa_1107b]);
        let mut draw = || {
            let point: Vec<f64> = (0..space.dimensions()).map(|_| random.uniform()).collect();
            space.canonical(&point)
        };
        let draws: Vec<Vec<f64>> = (0..DRAWS).map(|_| draw()).collect();
        let mut first = 0;
        let each = space.parameters().iter().map(|parameter| {
            let coordinates = first..first + parameter.domain.width();
            first = coordinates.end;
            let own = |point: &Vec<f64>| point[coordinates.clone()].to_vec();
            let draws =
                if coordinates.len() > 1 { draws.iter().map(own).collect() } else { vec![] };
            Self { coordinates, draws }
        });
        each.collect()
    }

    /// The part of the parameter's range that lies in a box.
    fn part(&self, sides: &[(f64, f64)]) -> f64 {
        let sides = &sides[self.coordinates.clone()];
        match self.draws.len() {
            0 => sides.iter().map(|(low, high)| high - low).product(),
            count => {
                self.draws.iter().filter(|draw| is_inside(draw, sides)).count() as f64
                    / count as f64
            }
        }
    }
}

fn is_inside(place: &[f64], sides: &[(f64, f64)]) -> bool {
    place.iter().zip(sides).all(|(x, (low, high))| low <= x && x < high)
}

/// The share of each group, averaged over the trees.
fn shares(points: &[Vec<f64>], values: &[f64], groups: &[Group]) -> Option<Vec<f64>> {
    let dimensions = points.first()?.len();
    let mut shares = vec![0.0; groups.len()];
    let mut trees = 0;
    for tree in 0..TREES {
        let mut random = Random::new(&[0xfa_1107a, tree as u64]);
        let sample: Vec<usize> = (0..points.len()).map(|_| random.below(points.len())).collect();
        let mut leaves = Vec::new();
        let whole = vec![(0.0, 1.0); dimensions];
        grow(points, values, sample, whole, &mut leaves, &mut random);
        for leaf in &mut leaves {
            leaf.parts = groups.iter().map(|group| group.part(&leaf.sides)).collect();
        }
        let mean: f64 = leaves.iter().map(|leaf| leaf.volume() * leaf.value).sum();
        let total: f64 =
            leaves.iter().map(|leaf| leaf.volume() * (leaf.value - mean).powi(2)).sum();
        if total <= 1e-12 * (1.0 + mean * mean) {
            continue;
        }
        trees += 1;
        for (number, share) in shares.iter_mut().enumerate() {
            *share += alone(&leaves, groups, number, mean) / total;
        }
    }
    (trees > 0).then(|| shares.into_iter().map(|share| share / f64::from(trees)).collect())
}

/// A box of the unit cube with the mean of the points in it.
struct Leaf {
    sides: Vec<(f64, f64)>,
    value: f64,
    /// The part of each group's range.
    parts: Vec<f64>,
}

impl Leaf {
    fn volume(&self) -> f64 {
        self.parts.iter().product()
    }

    /// What it adds to the mean over all groups but one, where that one is inside.
    fn without(&self, group: usize) -> f64 {
        let others = self.parts.iter().enumerate().filter(|(other, _)| *other != group);
        self.value * others.map(|(_, part)| part).product::<f64>()
    }
}

/// The variance of the mean over all other groups.
fn alone(leaves: &[Leaf], groups: &[Group], number: usize, mean: f64) -> f64 {
    let Group { coordinates, draws } = &groups[number];
    let squared_at = |place: &[f64]| {
        let there = leaves.iter().filter(|leaf| is_inside(place, &leaf.sides[coordinates.clone()]));
        (there.map(|leaf| leaf.without(number)).sum::<f64>() - mean).powi(2)
    };
    if !draws.is_empty() {
        return draws.iter().map(|draw| squared_at(draw)).sum::<f64>() / draws.len() as f64;
    }
    let axis = coordinates.start;
    let mut edges: Vec<f64> =
        leaves.iter().flat_map(|leaf| [leaf.sides[axis].0, leaf.sides[axis].1]).collect();
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let each = edges.windows(2).map(|edge| {
        let middle = 0.5 * (edge[0] + edge[1]);
        (edge[1] - edge[0]) * squared_at(&[middle])
    });
    each.sum()
}

/// Splits where the squared errors shrink most, along one of the coordinates drawn for it.
fn grow(
    points: &[Vec<f64>],
    values: &[f64],
    members: Vec<usize>,
    sides: Vec<(f64, f64)>,
    leaves: &mut Vec<Leaf>,
    random: &mut Random,
) {
    let mean = members.iter().map(|&i| values[i]).sum::<f64>() / members.len().max(1) as f64;
    let Some((axis, place)) = best_split(points, values, &members, random) else {
        leaves.push(Leaf { sides, value: mean, parts: Vec::new() });
        return;
    };
    let (below, above): (Vec<usize>, Vec<usize>) =
        members.into_iter().partition(|&i| points[i][axis] < place);
    let (mut left, mut right) = (sides.clone(), sides);
    left[axis].1 = place;
    right[axis].0 = place;
    grow(points, values, below, left, leaves, random);
    grow(points, values, above, right, leaves, random);
}

fn best_split(
    points: &[Vec<f64>],
    values: &[f64],
    members: &[usize],
    random: &mut Random,
) -> Option<(usize, f64)> {
    if members.len() < 2 * LEAST_IN_LEAF {
        return None;
    }
    let dimensions = points[members[0]].len();
    let mut axes: Vec<usize> = (0..dimensions).collect();
    random.shuffle(&mut axes);
    // Some coordinates at each split, as in a random forest, but never too few.
    axes.truncate((2 * dimensions).div_ceil(3).max(2));
    let total: f64 = members.iter().map(|&i| values[i]).sum();
    let count = members.len() as f64;
    let mut best: Option<(f64, usize, f64)> = None;
    for axis in axes {
        let mut order = members.to_vec();
        order.sort_by(|&a, &b| points[a][axis].total_cmp(&points[b][axis]));
        let mut left = 0.0;
        for cut in 1..order.len() {
            left += values[order[cut - 1]];
            let (a, b) = (points[order[cut - 1]][axis], points[order[cut]][axis]);
            if b - a < 1e-12 || cut < LEAST_IN_LEAF || order.len() - cut < LEAST_IN_LEAF {
                continue;
            }
            let share = cut as f64;
            let gain = left * left / share + (total - left).powi(2) / (count - share);
            if best.is_none_or(|(known, _, _)| gain > known) {
                best = Some((gain, axis, 0.5 * (a + b)));
            }
        }
    }
    let (gain, axis, place) = best?;
    (gain > total * total / count * (1.0 + 1e-12) + 1e-300).then_some((axis, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: &str = "
        parameters.a = { type = 'real', low = 0, high = 1 }
        parameters.b = { type = 'real', low = 0, high = 1 }
        parameters.c = { type = 'real', low = 0, high = 1 }";

    fn shares_in(space: &str, function: impl Fn(&[f64]) -> f64) -> Option<Vec<f64>> {
        let space = Space::from_toml(&space.parse().unwrap()).unwrap();
        let mut random = Random::new(&[1]);
        let points: Vec<Vec<f64>> = (0..300).map(|_| space.draw(&mut random).unwrap()).collect();
        let values: Vec<f64> = points.iter().map(|x| function(x)).collect();
        super::shares(&points, &values, &Group::all_of(&space))
    }

    fn shares(function: impl Fn(&[f64]) -> f64) -> Option<Vec<f64>> {
        shares_in(NUMBERS, function)
    }

    #[test]
    fn what_the_members_of_a_tuple_do_together_belongs_to_it() {
        let tuple = "parameters.t = { type = 'falling_reals', size = 3, low = 0, high = 1 }";
        let alone = shares_in(tuple, |x| x[0] * x[2]).unwrap();
        assert!((alone[0] - 1.0).abs() < 1e-9, "{alone:?}");
        let with_another =
            format!("{tuple}\nparameters.a = {{ type = 'real', low = 0, high = 1 }}");
        // The tuple comes behind: a parameter's place is that of its name.
        let both = shares_in(&with_another, |x| x[0] + x[1] * x[3]).unwrap();
        assert!((both[0] + both[1] - 1.0).abs() < 0.1, "{both:?}");
    }

    #[test]
    fn shares_are_those_of_an_additive_function() {
        // Variances 4/12 and 1/12 of the two terms.
        let found = shares(|x| 2.0 * x[0] + x[1]).unwrap();
        assert!((found[0] - 0.8).abs() < 0.06 && (found[1] - 0.2).abs() < 0.06, "{found:?}");
        assert!(found[2] < 0.02);
    }

    #[test]
    fn what_two_parameters_do_together_belongs_to_neither() {
        let found = shares(|x| f64::from(u8::from((x[0] < 0.5) == (x[1] < 0.5)))).unwrap();
        assert!(found.iter().sum::<f64>() < 0.3, "{found:?}");
    }

    #[test]
    fn a_constant_has_no_shares() {
        assert!(shares(|_| 3.0).is_none());
    }
}
