//! Elementary functions written so that loops over them vectorise.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

/// `a * b + c`, fused where `FMA` says that the machine can.
#[inline(always)]
pub fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `e^x`. Relative error below 2e-7 between -87 and 88; beyond, the value at that
/// bound. NaN stays NaN.
#[inline(always)]
pub fn exp<const FMA: bool>(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits, which
    // avoids a conversion that would keep the loop from vectorising.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let rounded = mul_add::<FMA>(x, LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = mul_add::<FMA>(n, -LN_2_HIGH, x);
    let r = mul_add::<FMA>(n, -LN_2_LOW, r);
    // Taylor's terms up to r^6: r lies within ±ln(2)/2, where the next is 1e-7.
    let p = mul_add::<FMA>(r, 1.0 / 720.0, 1.0 / 120.0);
    let p = mul_add::<FMA>(p, r, 1.0 / 24.0);
    let p = mul_add::<FMA>(p, r, 1.0 / 6.0);
    let p = mul_add::<FMA>(p, r, 0.5);
    let p = mul_add::<FMA>(p, r, 1.0);
    let p = mul_add::<FMA>(p, r, 1.0);
    let power = (rounded.to_bits() << 23).wrapping_add(127 << 23);
    p * f32::from_bits(power)
}

/// The normal distribution at `x`: `(Φ(x), φ(x))`.
///
/// `Φ` by formula 7.1.26 of Abramowitz and Stegun, absolute error below 4e-7.
#[inline(always)]
pub fn normal<const FMA: bool>(x: f32) -> (f32, f32) {
    const FRAC_1_SQRT_TAU: f32 = 0.398_942_3;
    let z = x.abs() * FRAC_1_SQRT_2;
    // Beyond, all is 0 or 1 anyhow, and the tail would become subnormal, which is a hundred
    // times as slow. Not `min`, which would hide a NaN.
    let z = if z > 8.5 { 8.5 } else { z };
    let t = 1.0 / mul_add::<FMA>(z, 0.327_591_1, 1.0);
    let p = mul_add::<FMA>(t, 1.061_405_4, -1.453_152_1);
    let p = mul_add::<FMA>(p, t, 1.421_413_8);
    let p = mul_add::<FMA>(p, t, -0.284_496_72);
    let p = mul_add::<FMA>(p, t, 0.254_829_6);
    let bell = exp::<FMA>(-z * z);
    let tail = 0.5 * p * t * bell;
    (if x < 0.0 { tail } else { 1.0 - tail }, FRAC_1_SQRT_TAU * bell)
}

/// The hyperbolic tangent, absolute error below 3e-7.
#[inline(always)]
pub fn tanh<const FMA: bool>(x: f32) -> f32 {
    1.0 - 2.0 / (exp::<FMA>(2.0 * x) + 1.0)
}

/// Lanes of the accumulators in sums: a multiple of every vector width in use.
pub const LANES: usize = 16;

/// Sums `term(i)` for `i` in `0..length`, in an order that is fixed and vectorises.
#[inline(always)]
pub fn sum_by(length: usize, mut term: impl FnMut(usize) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let whole = length / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(start + lane);
        }
    }
    let mut total = across(lanes, |a, b| a + b);
    for i in whole..length {
        total += term(i);
    }
    total
}

/// The largest value of a slice. NaN counts as smaller than all others.
#[inline(always)]
pub fn maximum(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, value);
        }
    }
    rest.iter().fold(across(lanes, larger), |a, &b| larger(a, b))
}

/// The largest magnitude in a slice; 0 for an empty one, NaN if one of them is.
#[inline(always)]
pub fn largest_magnitude(values: &[f32]) -> f32 {
    // Without their sign, floats are in the order of their bits, and NaN comes last.
    let bits = |value: f32| value.abs().to_bits();
    let mut lanes = [0u32; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = bits(value).max(*lane);
        }
    }
    let largest = across(lanes, u32::max);
    f32::from_bits(rest.iter().fold(largest, |largest, &value| bits(value).max(largest)))
}

/// Joins all lanes: halves of a vector with each other, so that few steps wait for one
/// another.
#[inline(always)]
pub fn across<T: Copy>(mut lanes: [T; LANES], join: impl Fn(T, T) -> T) -> T {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] = join(lanes[i], lanes[i + half]);
        }
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(low: f32, high: f32) -> impl Iterator<Item = f32> {
        (0..=40_000).map(move |i| low + (high - low) * i as f32 / 40_000.0)
    }

    #[test]
    fn exp_is_accurate_over_its_whole_range() {
        for x in grid(-87.0, 88.0) {
            let exact = f64::from(x).exp();
            for got in [exp::<true>(x), exp::<false>(x)] {
                assert!(((f64::from(got) - exact) / exact).abs() < 3e-7, "exp({x}) = {got}");
            }
        }
        assert!(exp::<true>(f32::NAN).is_nan());
        assert!(exp::<true>(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn the_normal_distribution_is_accurate() {
        // erf by its Taylor series near zero and by the continued fraction of erfc
        // beyond, in f64.
        fn phi(x: f64) -> f64 {
            let z = x.abs() / 2f64.sqrt();
            let erfc = if z < 2.5 {
                let (mut term, mut sum) = (z, z);
                for n in 1..80 {
                    term *= -z * z / n as f64;
                    sum += term / (2 * n + 1) as f64;
                }
                1.0 - 2.0 / std::f64::consts::PI.sqrt() * sum
            } else {
                let mut fraction = 0.0;
                for n in (1..80).rev() {
                    fraction = n as f64 / 2.0 / (z + fraction);
                }
                (-z * z).exp() / std::f64::consts::PI.sqrt() / (z + fraction)
            };
            if x < 0.0 { 0.5 * erfc } else { 1.0 - 0.5 * erfc }
        }
        for x in grid(-8.0, 8.0) {
            let (cumulative, density) = normal::<true>(x);
            assert!((f64::from(cumulative) - phi(f64::from(x))).abs() < 4e-7, "Φ({x})");
            let exact = (-f64::from(x).powi(2) / 2.0).exp() / std::f64::consts::TAU.sqrt();
            assert!((f64::from(density) - exact).abs() < 2e-7, "φ({x})");
        }
    }

    #[test]
    fn tanh_is_accurate_and_saturates() {
        for x in grid(-20.0, 20.0) {
            assert!((f64::from(tanh::<true>(x)) - f64::from(x).tanh()).abs() < 4e-7, "tanh({x})");
        }
        assert_eq!(tanh::<true>(1000.0), 1.0);
        assert_eq!(tanh::<true>(-1000.0), -1.0);
    }

    #[test]
    fn the_maximum_is_found_wherever_it_lies() {
        for place in 0..40 {
            let mut values = vec![-1.0; 40];
            values[place] = 7.0;
            values[(place + 1) % 40] = f32::NAN;
            assert_eq!(maximum(&values), 7.0);
        }
        assert_eq!(maximum(&[]), f32::NEG_INFINITY);
    }
}
