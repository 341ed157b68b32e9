//! Dominance between points of which every coordinate is to be small.

/// Whether `a` is nowhere worse than `b` and somewhere better.
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    let mut better = false;
    for (a, b) in a.iter().zip(b) {
        if a > b {
            return false;
        }
        better |= a < b;
    }
    better
}

/// The indices of the points that no other dominates, in their order; of equal points the
/// first.
pub fn front(points: &[Vec<f64>]) -> Vec<usize> {
    (0..points.len())
        .filter(|&i| {
            !points
                .iter()
                .enumerate()
                .any(|(j, other)| dominates(other, &points[i]) || (j < i && *other == points[i]))
        })
        .collect()
}

/// The rank of every point: 0 on the front, 1 on the front of the rest, and so on.
pub fn ranks(points: &[Vec<f64>]) -> Vec<usize> {
    let mut ranks = vec![usize::MAX; points.len()];
    let mut rest: Vec<usize> = (0..points.len()).collect();
    let mut rank = 0;
    while !rest.is_empty() {
        let is_free = |&i: &usize| !rest.iter().any(|&j| dominates(&points[j], &points[i]));
        let (layer, others): (Vec<usize>, Vec<usize>) = rest.iter().partition(|i| is_free(i));
        layer.into_iter().for_each(|i| ranks[i] = rank);
        rest = others;
        rank += 1;
    }
    ranks
}

/// How much room each point has among its neighbours along every coordinate (Deb et al., 2002,
/// section III-B); endless at the ends.
pub fn crowding(points: &[&[f64]]) -> Vec<f64> {
    let mut distances = vec![0.0; points.len()];
    let dimensions = points.first().map_or(0, |point| point.len());
    for axis in 0..dimensions {
        let mut order: Vec<usize> = (0..points.len()).collect();
        order.sort_by(|&a, &b| points[a][axis].total_cmp(&points[b][axis]));
        let (first, last) = (order[0], order[order.len() - 1]);
        let width = points[last][axis] - points[first][axis];
        distances[first] = f64::INFINITY;
        distances[last] = f64::INFINITY;
        for window in order.windows(3) {
            if width > 0.0 {
                distances[window[1]] += (points[window[2]][axis] - points[window[0]][axis]) / width;
            }
        }
    }
    distances
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points() -> Vec<Vec<f64>> {
        [[1.0, 5.0], [2.0, 2.0], [5.0, 1.0], [3.0, 3.0], [4.0, 4.0], [2.0, 2.0]]
            .map(|p| p.to_vec())
            .to_vec()
    }

    #[test]
    fn a_point_dominates_what_is_nowhere_better() {
        assert!(dominates(&[1.0, 2.0], &[1.0, 3.0]));
        assert!(!dominates(&[1.0, 2.0], &[1.0, 2.0]));
        assert!(!dominates(&[1.0, 2.0], &[2.0, 1.0]));
    }

    #[test]
    fn the_front_is_what_nothing_dominates() {
        assert_eq!(front(&points()), [0, 1, 2]);
        assert_eq!(ranks(&points()), [0, 0, 0, 1, 2, 0]);
        assert!(front(&[]).is_empty());
    }

    #[test]
    fn the_ends_of_a_front_are_never_crowded() {
        let points = [[0.0, 4.0], [1.0, 3.0], [3.0, 1.0], [4.0, 0.0]];
        let points: Vec<&[f64]> = points.iter().map(|p| p.as_slice()).collect();
        assert_eq!(crowding(&points), [f64::INFINITY, 1.5, 1.5, f64::INFINITY]);
    }
}
