//! Minimising a smooth function in a box: L-BFGS on the coordinates that no bound holds,
//! steps projected into the box (after Bertsekas, 1982).

use super::linalg::dot;

/// Pairs of steps and gradient changes that are kept.
const MEMORY: usize = 10;
/// Share of the promised decrease that a step must keep.
const SUFFICIENT: f64 = 1e-4;

/// Minimises `function`, which returns its value and writes its gradient, from `x`, inside
/// `[low, high]` in every coordinate. Returns the best value and leaves its place in `x`.
///
/// A value that is no finite number is never stepped to: that is how further constraints come
/// in. Stops after `iterations`, or when neither value nor gradient change.
pub fn minimise(
    x: &mut Vec<f64>,
    low: f64,
    high: f64,
    iterations: usize,
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> f64 {
    let n = x.len();
    let mut gradient = vec![0.0; n];
    let mut value = function(x, &mut gradient);
    let mut pairs: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
    for _ in 0..iterations {
        let held: Vec<bool> = (0..n)
            .map(|i| (x[i] <= low && gradient[i] > 0.0) || (x[i] >= high && gradient[i] < 0.0))
            .collect();
        let mut direction = descent(&gradient, &held, &pairs);
        // Also when it is no number.
        let descends = dot(&direction, &gradient) < 0.0;
        if !descends {
            pairs.clear();
            direction = descent(&gradient, &held, &pairs);
        }
        let size = direction.iter().fold(0.0, |m: f64, d| m.max(d.abs()));
        if !(size > 1e-12 && size.is_finite()) {
            break;
        }
        // The first step has no scale of its own.
        let mut step =
            if pairs.is_empty() { (0.1 * (high - low).min(10.0) / size).min(1.0) } else { 1.0 };
        let mut next_gradient = vec![0.0; n];
        let mut accepted = None;
        for _ in 0..20 {
            let next: Vec<f64> =
                x.iter().zip(&direction).map(|(x, d)| (x + step * d).clamp(low, high)).collect();
            let promised: f64 =
                gradient.iter().zip(next.iter().zip(x.iter())).map(|(g, (a, b))| g * (a - b)).sum();
            let next_value = function(&next, &mut next_gradient);
            if next_value <= value + SUFFICIENT * promised {
                accepted = Some((next, next_value));
                break;
            }
            step *= 0.4;
        }
        let Some((next, next_value)) = accepted else { break };
        let s: Vec<f64> = next.iter().zip(x.iter()).map(|(a, b)| a - b).collect();
        let y: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let decrease = value - next_value;
        (*x, value, gradient) = (next, next_value, next_gradient);
        if dot(&s, &y) > 1e-12 * dot(&y, &y) {
            if pairs.len() == MEMORY {
                pairs.remove(0);
            }
            pairs.push((s, y));
        }
        if decrease <= 1e-7 * value.abs().max(1e-2) {
            break;
        }
    }
    value
}

/// `-H g` by the two-loop recursion, in the coordinates that are not held.
fn descent(gradient: &[f64], held: &[bool], pairs: &[(Vec<f64>, Vec<f64>)]) -> Vec<f64> {
    let free = |vector: &mut Vec<f64>| {
        vector.iter_mut().zip(held).filter(|(_, held)| **held).for_each(|(v, _)| *v = 0.0);
    };
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    free(&mut direction);
    let mut weights = Vec::with_capacity(pairs.len());
    for (s, y) in pairs.iter().rev() {
        let weight = dot(s, &direction) / dot(s, y);
        direction.iter_mut().zip(y).for_each(|(d, y)| *d -= weight * y);
        weights.push(weight);
    }
    if let Some((s, y)) = pairs.last() {
        let scale = dot(s, y) / dot(y, y);
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for ((s, y), weight) in pairs.iter().zip(weights.iter().rev()) {
        let correction = weight - dot(y, &direction) / dot(s, y);
        direction.iter_mut().zip(s).for_each(|(d, s)| *d += correction * s);
    }
    free(&mut direction);
    direction
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rosenbrock(x: &[f64], gradient: &mut [f64]) -> f64 {
        let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
        gradient[0] = -2.0 * a - 400.0 * x[0] * b;
        gradient[1] = 200.0 * b;
        a * a + 100.0 * b * b
    }

    #[test]
    fn a_curved_valley_is_followed_to_its_end() {
        let mut x = vec![-1.2, 1.0];
        let value = minimise(&mut x, -5.0, 5.0, 200, rosenbrock);
        assert!(value < 1e-8, "{value} at {x:?}");
    }

    #[test]
    fn a_minimum_outside_the_box_is_met_at_its_wall() {
        let mut x = vec![0.0, 0.0];
        minimise(&mut x, -0.5, 0.5, 200, rosenbrock);
        assert!((x[0] - 0.5).abs() < 1e-6 && (x[1] - 0.25).abs() < 1e-5, "{x:?}");
    }

    #[test]
    fn a_region_without_values_is_never_entered() {
        let mut x = vec![0.9];
        let value = minimise(&mut x, 0.0, 1.0, 50, |x, g| {
            g[0] = 1.0;
            if x[0] < 0.5 { f64::INFINITY } else { x[0] }
        });
        assert!(x[0] >= 0.5 && value == x[0], "{x:?}");
    }
}
