//! The volume that a set of points dominates, exactly, for any number of objectives; and the
//! space that it does not dominate, cut into boxes.

use std::collections::BTreeMap;

use crate::pareto;

/// The volume between the points and `reference`, all coordinates to be small. Points that are
/// not better than the reference in every coordinate add nothing.
pub fn hypervolume(points: &[Vec<f64>], reference: &[f64]) -> f64 {
    let inside = |point: &&Vec<f64>| point.iter().zip(reference).all(|(p, r)| p < r);
    let points: Vec<Vec<f64>> = points.iter().filter(inside).cloned().collect();
    let front: Vec<Vec<f64>> =
        pareto::front(&points).into_iter().map(|i| points[i].clone()).collect();
    volume(front, reference)
}

/// The volume of mutually non-dominated points inside the reference.
fn volume(mut front: Vec<Vec<f64>>, reference: &[f64]) -> f64 {
    match reference.len() {
        0 => 0.0,
        1 => front.iter().map(|p| reference[0] - p[0]).fold(0.0, f64::max),
        2 => {
            front.sort_by(|a, b| a[0].total_cmp(&b[0]));
            let mut above = reference[1];
            let mut sum = 0.0;
            for point in &front {
                sum += (reference[0] - point[0]) * (above - point[1]).max(0.0);
                above = above.min(point[1]);
            }
            sum
        }
        // What each point adds to those after it: the WFG algorithm (While et al., 2012).
        _ => {
            let last = reference.len() - 1;
            front.sort_by(|a, b| b[last].total_cmp(&a[last]));
            // Not `sum`, which is -0.0 without any, and is printed so.
            (0..front.len())
                .map(|i| exclusive(&front[i], &front[i + 1..], reference))
                .fold(0.0, |sum, volume| sum + volume)
        }
    }
}

/// The volume that `point` dominates and `others` do not.
fn exclusive(point: &[f64], others: &[Vec<f64>], reference: &[f64]) -> f64 {
    let whole: f64 = point.iter().zip(reference).map(|(p, r)| r - p).product();
    let limited: Vec<Vec<f64>> = others
        .iter()
        .map(|other| other.iter().zip(point).map(|(o, p)| o.max(*p)).collect())
        .collect();
    let front = pareto::front(&limited).into_iter().map(|i| limited[i].clone()).collect();
    whole - volume(front, reference)
}

/// What each point alone adds to the volume of all.
pub fn contributions(points: &[Vec<f64>], reference: &[f64]) -> Vec<f64> {
    (0..points.len())
        .map(|i| {
            if points[i].iter().zip(reference).any(|(p, r)| p >= r) {
                return 0.0;
            }
            let others: Vec<Vec<f64>> = points
                .iter()
                .enumerate()
                .filter(|(j, _)| *j != i)
                .map(|(_, p)| p.clone())
                .collect();
            exclusive(&points[i], &others, reference).max(0.0)
        })
        .collect()
}

/// A box of the space that a front does not dominate. Bounds are indices into the
/// [`Decomposition`]'s levels.
pub type Cell = Vec<(u32, u32)>;

/// The part of the space below a reference that a front does not dominate, as disjoint boxes
/// whose sides lie at the front's coordinates.
#[derive(Debug, Clone)]
pub struct Decomposition {
    /// For every objective the places of sides, rising; the first is minus infinity, the last
    /// the reference.
    pub levels: Vec<Vec<f64>>,
    /// The boxes.
    pub cells: Vec<Cell>,
}

impl Decomposition {
    /// Of the space that `points` leave below `reference`.
    pub fn new(points: &[Vec<f64>], reference: &[f64]) -> Self {
        let inside = |point: &&Vec<f64>| point.iter().zip(reference).all(|(p, r)| p < r);
        let points: Vec<Vec<f64>> = points.iter().filter(inside).cloned().collect();
        let front: Vec<&Vec<f64>> =
            pareto::front(&points).into_iter().map(|i| &points[i]).collect();
        let levels: Vec<Vec<f64>> = (0..reference.len())
            .map(|axis| {
                let mut level: Vec<f64> = front.iter().map(|point| point[axis]).collect();
                level.sort_by(f64::total_cmp);
                level.dedup();
                level.insert(0, f64::NEG_INFINITY);
                level.push(reference[axis]);
                level
            })
            .collect();
        let place = |axis: usize, x: f64| levels[axis].partition_point(|level| *level < x) as u32;
        let places: Vec<Vec<u32>> = front
            .iter()
            .map(|point| point.iter().enumerate().map(|(axis, x)| place(axis, *x)).collect())
            .collect();
        let ends: Vec<u32> = levels.iter().map(|level| level.len() as u32 - 1).collect();
        Self { cells: cut(&places, &ends), levels }
    }
}

/// Cuts slabs along the last objective; below the height of a point it does not count, above
/// it the slab is cut as a space of one objective less. A box that comes again in the next slab
/// is one box through both, so that their number grows little faster than that of the points.
fn cut(front: &[Vec<u32>], ends: &[u32]) -> Vec<Cell> {
    let Some((&end, inner_ends)) = ends.split_last() else { return Vec::new() };
    if inner_ends.is_empty() {
        let lowest = front.iter().map(|point| point[0]).min().unwrap_or(end);
        return if lowest > 0 { vec![vec![(0, lowest)]] } else { Vec::new() };
    }
    let axis = inner_ends.len();
    let mut heights: Vec<u32> = front.iter().map(|point| point[axis]).collect();
    heights.extend([0, end]);
    heights.sort_unstable();
    heights.dedup();
    let mut cells = Vec::new();
    // Boxes of the slab below that may go on, and where they began.
    let mut open: BTreeMap<Cell, u32> = BTreeMap::new();
    for slab in heights.windows(2) {
        let below = front.iter().filter(|point| point[axis] <= slab[0]);
        let below: Vec<Vec<u32>> = below.map(|point| point[..axis].to_vec()).collect();
        let inner = cut(&not_dominated(&below), inner_ends);
        let still: BTreeMap<Cell, u32> = inner
            .into_iter()
            .map(|cell| {
                let began = open.remove(&cell).unwrap_or(slab[0]);
                (cell, began)
            })
            .collect();
        close(&mut cells, std::mem::replace(&mut open, still), slab[0]);
    }
    close(&mut cells, open, end);
    cells
}

fn close(cells: &mut Vec<Cell>, open: BTreeMap<Cell, u32>, height: u32) {
    cells.extend(open.into_iter().map(|(mut cell, began)| {
        cell.push((began, height));
        cell
    }));
}

/// The points that no other dominates, each once.
fn not_dominated(points: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let beats = |a: &[u32], b: &[u32]| a.iter().zip(b).all(|(a, b)| a <= b);
    let is_needed = |i: &usize| {
        !points.iter().enumerate().any(|(j, other)| {
            j != *i && beats(other, &points[*i]) && (j < *i || *other != points[*i])
        })
    };
    (0..points.len()).filter(is_needed).map(|i| points[i].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::random::Random;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{a} {b}");
    }

    #[test]
    fn known_volumes_come_out() {
        let staircase = [[1.0, 3.0], [2.0, 2.0], [3.0, 1.0], [2.5, 2.5]].map(|p| p.to_vec());
        close(hypervolume(&staircase, &[4.0, 4.0]), 6.0);
        close(hypervolume(&staircase, &[2.0, 4.0]), 1.0);
        for dimensions in 0..=4 {
            let nothing = hypervolume(&[], &vec![4.0; dimensions]);
            assert_eq!(format!("{nothing}"), "0", "in {dimensions} objectives");
        }
        close(hypervolume(&[vec![1.0]], &[4.0]), 3.0);
        let corners = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].map(|p| p.to_vec());
        close(hypervolume(&corners, &[2.0, 2.0, 2.0]), 7.0);
        let four = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0]].map(|p| p.to_vec());
        close(hypervolume(&four, &[2.0; 4]), 8.0 + 2.0 - 1.0);
    }

    /// Points on a sphere, where none dominates another, and some behind it.
    fn sphere(count: usize, dimensions: usize, seed: u64) -> Vec<Vec<f64>> {
        let mut random = Random::new(&[seed]);
        (0..count)
            .map(|i| {
                let point: Vec<f64> = (0..dimensions).map(|_| random.uniform()).collect();
                let norm = point.iter().map(|x| x * x).sum::<f64>().sqrt();
                let radius = if i % 4 == 0 { 1.3 } else { 1.0 };
                point.iter().map(|x| radius * x / norm).collect()
            })
            .collect()
    }

    #[test]
    fn the_volume_agrees_with_counting_random_points() {
        for dimensions in 2..=4 {
            let points = sphere(20, dimensions, 5);
            let reference = vec![1.2; dimensions];
            let mut random = Random::new(&[9]);
            let draws = 100_000;
            let hits = (0..draws)
                .filter(|_| {
                    let x: Vec<f64> = (0..dimensions).map(|_| 1.2 * random.uniform()).collect();
                    points.iter().any(|p| p.iter().zip(&x).all(|(p, x)| p <= x))
                })
                .count();
            let share = hits as f64 / f64::from(draws);
            let exact = hypervolume(&points, &reference) / 1.2_f64.powi(dimensions as i32);
            assert!((share - exact).abs() < 6e-3, "{dimensions}: {share} {exact}");
        }
    }

    #[test]
    fn a_contribution_is_what_is_lost_without_the_point() {
        let points = sphere(12, 3, 2);
        let whole = hypervolume(&points, &[1.2; 3]);
        for (i, contribution) in contributions(&points, &[1.2; 3]).into_iter().enumerate() {
            let mut rest = points.clone();
            rest.remove(i);
            close(contribution, whole - hypervolume(&rest, &[1.2; 3]));
        }
    }

    #[test]
    fn there_are_few_boxes_in_three_objectives() {
        let points = sphere(80, 3, 4);
        let count = Decomposition::new(&points, &[1.1; 3]).cells.len();
        assert!(count < 80 * 5, "{count}");
    }

    #[test]
    fn boxes_are_disjoint_and_fill_what_is_not_dominated() {
        for dimensions in 1..=4 {
            let points = sphere(15, dimensions, 3);
            let reference = vec![1.1; dimensions];
            let boxes = Decomposition::new(&points, &reference);
            // Seen from zero, below which no point lies.
            let side = |axis: usize, i: u32| boxes.levels[axis][i as usize].max(0.0);
            let free: f64 = boxes
                .cells
                .iter()
                .map(|cell| {
                    let sides = cell.iter().enumerate();
                    sides.map(|(axis, (l, u))| side(axis, *u) - side(axis, *l)).product::<f64>()
                })
                .sum();
            let all = 1.1_f64.powi(dimensions as i32);
            close(free + hypervolume(&points, &reference), all);
        }
    }
}
