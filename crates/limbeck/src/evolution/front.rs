//! What the best of many points are, when less cost and more score are wanted.

/// What was measured of one candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Less is better.
    pub cost: f64,
    /// More is better.
    pub score: f64,
}

/// The points that no other beats or equals in both, by rising cost, as indices. So their
/// scores rise too. Points that are not finite take no part.
pub fn front(points: &[Point]) -> Vec<usize> {
    let finite = |&i: &usize| points[i].cost.is_finite() && points[i].score.is_finite();
    let mut order: Vec<usize> = (0..points.len()).filter(finite).collect();
    order.sort_by(|&a, &b| {
        let by_cost = points[a].cost.total_cmp(&points[b].cost);
        by_cost.then(points[b].score.total_cmp(&points[a].score))
    });
    let mut best = f64::NEG_INFINITY;
    order.retain(|&i| {
        let better = points[i].score > best;
        best = best.max(points[i].score);
        better
    });
    order
}

/// The corners of the upper convex hull of a [front], as indices into it: where the score
/// that a little more cost buys begins to fall.
pub fn hull(front: &[Point]) -> Vec<usize> {
    let mut corners: Vec<usize> = Vec::new();
    for (index, point) in front.iter().enumerate() {
        while let [.., a, b] = corners[..] {
            let (a, b) = (front[a], front[b]);
            let below = (b.score - a.score) * (point.cost - a.cost)
                <= (point.score - a.score) * (b.cost - a.cost);
            if !below {
                break;
            }
            corners.pop();
        }
        corners.push(index);
    }
    corners
}

/// The best score that a [front] has within a budget, averaged over all budgets from its
/// least cost to `most`: the area under it over the range of costs.
pub fn area(front: &[Point], most: f64) -> f64 {
    let (Some(first), Some(last)) = (front.first(), front.last()) else { return 0.0 };
    let range = most - first.cost;
    if range <= 0.0 {
        return last.score;
    }
    let ends = front.iter().skip(1).map(|point| point.cost).chain([most]);
    let steps = front.iter().zip(ends).map(|(point, end)| point.score * (end - point.cost));
    steps.sum::<f64>() / range
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(pairs: &[(f64, f64)]) -> Vec<Point> {
        pairs.iter().map(|&(cost, score)| Point { cost, score }).collect()
    }

    #[test]
    fn only_what_nothing_beats_is_on_the_front_cheapest_first() {
        let all = points(&[
            (3.0, 9.0),
            (1.0, 5.0),
            (2.0, 5.0), // dearer, not better
            (2.0, 7.0),
            (2.0, 6.0), // as dear, worse
            (4.0, 8.0), // dearer, worse
            (f64::NAN, 99.0),
            (0.5, f64::NAN),
        ]);
        assert_eq!(front(&all), [1, 3, 0]);
        assert_eq!(front(&[]), [0_usize; 0]);
    }

    #[test]
    fn of_equal_points_one_is_on_the_front() {
        assert_eq!(front(&points(&[(1.0, 2.0), (1.0, 2.0)])), [0]);
    }

    #[test]
    fn the_hull_leaves_out_what_lies_below_the_line_of_its_neighbours() {
        let front = points(&[(0.0, 0.0), (1.0, 5.0), (2.0, 6.0), (3.0, 9.0), (4.0, 9.5)]);
        assert_eq!(hull(&front), [0, 1, 3, 4]);
        // Points on the line itself are no corners.
        assert_eq!(hull(&points(&[(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)])), [0, 2]);
        assert_eq!(hull(&points(&[(1.0, 1.0)])), [0]);
    }

    #[test]
    fn the_area_is_the_mean_of_the_best_score_within_a_budget() {
        let front = points(&[(1.0, 10.0), (3.0, 20.0), (4.0, 30.0)]);
        // 10 for two units of cost, 20 for one, 30 for one.
        assert_eq!(area(&front, 5.0), 70.0 / 4.0);
        assert_eq!(area(&front[..1], 1.0), 10.0);
        assert_eq!(area(&[], 1.0), 0.0);
    }
}
