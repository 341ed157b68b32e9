//! AdamW (Loshchilov and Hutter, 2019) in one sweep over flat memory.

use crate::isa::for_each_isa;
use crate::profile;
use crate::threads::{self, Shared};

/// Values that one task updates.
const TASK_VALUES: usize = 1 << 15;

/// The numbers of one step, worked out once.
#[derive(Debug, Clone, Copy)]
pub struct AdamW {
    /// Learning rate of this step.
    pub learning_rate: f32,
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Added to the second moment under the root.
    pub epsilon_inside: f32,
    /// `1 / (1 - beta_1^t)`, or 1 without bias correction.
    pub correction_1: f32,
    /// `1 / (1 - beta_2^t)`, or 1 without bias correction.
    pub correction_2: f32,
    /// Gradients are multiplied by this first: clipping.
    pub gradient_scale: f32,
}

for_each_isa! {
    fn update<FMA>(
        step: AdamW, weight_decay: f32,
        parameters: &mut [f32], gradients: &mut [f32], first: &mut [f32], second: &mut [f32],
    ) {
        let keep = 1.0 - step.learning_rate * weight_decay;
        for (((parameter, gradient), first), second) in
            parameters.iter_mut().zip(gradients).zip(first).zip(second)
        {
            let g = *gradient * step.gradient_scale;
            *gradient = 0.0;
            *first += (1.0 - step.beta_1) * (g - *first);
            *second += (1.0 - step.beta_2) * (g * g - *second);
            let root = (*second * step.correction_2 + step.epsilon_inside).sqrt() + step.epsilon;
            let change = step.learning_rate * step.correction_1 * *first / root;
            *parameter = *parameter * keep - change;
        }
    }
}

impl AdamW {
    /// Updates `parameters` and both moments with `gradients`, and sets the gradients
    /// to zero for the next step, in one sweep. All four have the same length.
    pub fn step(
        &self,
        weight_decay: f32,
        parameters: &mut [f32],
        gradients: &mut [f32],
        first_moments: &mut [f32],
        second_moments: &mut [f32],
    ) {
        let _timer = profile::timer("optimiser", || 0.0);
        let len = parameters.len();
        assert!([gradients.len(), first_moments.len(), second_moments.len()] == [len; 3]);
        let buffers = [parameters, gradients, first_moments, second_moments].map(Shared::new);
        threads::run(len.div_ceil(TASK_VALUES), |task| {
            let range = task * TASK_VALUES..((task + 1) * TASK_VALUES).min(len);
            // SAFETY: the tasks' ranges do not overlap.
            let [parameters, gradients, first, second] =
                std::array::from_fn(|i| unsafe { buffers[i].range(range.clone()) });
            update(*self, weight_decay, parameters, gradients, first, second);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, numbers};

    #[test]
    fn a_step_follows_the_formula_and_clears_the_gradient() {
        let n = 40_000;
        let step = AdamW {
            learning_rate: 0.01,
            beta_1: 0.9,
            beta_2: 0.99,
            epsilon: 1e-3,
            epsilon_inside: 0.0,
            correction_1: 1.0 / (1.0 - 0.9f32.powi(3)),
            correction_2: 1.0 / (1.0 - 0.99f32.powi(3)),
            gradient_scale: 0.5,
        };
        let (p, g, m) = (numbers(n, 1), numbers(n, 2), numbers(n, 3));
        let v: Vec<f32> = numbers(n, 4).iter().map(|v| v * v).collect();
        let want: Vec<f32> = (0..n)
            .map(|i| {
                let g = 0.5 * g[i];
                let m = 0.9 * m[i] + 0.1 * g;
                let v = 0.99 * v[i] + 0.01 * g * g;
                let (m, v) = (m / (1.0 - 0.9f32.powi(3)), v / (1.0 - 0.99f32.powi(3)));
                p[i] * (1.0 - 0.01 * 0.1) - 0.01 * m / (v.sqrt() + 1e-3)
            })
            .collect();
        let (mut p, mut g, mut m, mut v) = (p, g, m, v);
        step.step(0.1, &mut p, &mut g, &mut m, &mut v);
        assert_close(&p, &want, 1e-5, "parameters");
        assert!(g.iter().all(|&g| g == 0.0));
    }
}
