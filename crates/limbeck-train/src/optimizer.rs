//! AdamW over the flat buffer of a model's parameters.

use std::ops::Range;

use limbeck_kernels::optimizer::AdamW;
use limbeck_kernels::reduce::square_sum;
use limbeck_model::Layout;

use crate::options::OptimizerOptions;

/// The moments of all parameters, laid out as they are, and the groups of weight decay.
#[derive(Debug)]
pub struct Optimizer {
    options: OptimizerOptions,
    groups: Vec<(Range<usize>, bool)>,
    /// First moments.
    pub first_moments: Vec<f32>,
    /// Second moments.
    pub second_moments: Vec<f32>,
    /// Steps taken.
    pub steps: usize,
}

impl Optimizer {
    /// Moments of zero for the parameters of `layout`. Weight decay goes by a tensor's
    /// role: weights and embeddings decay, biases and layer norms do not.
    pub fn new(options: &OptimizerOptions, layout: &Layout) -> Self {
        let mut groups: Vec<(Range<usize>, bool)> = Vec::new();
        for tensor in &layout.tensors {
            let decays = tensor.role.decays();
            match groups.last_mut() {
                // The padding between tensors is zero and stays so: groups run over it.
                Some((range, same)) if *same == decays => range.end = tensor.range().end,
                _ => groups.push((tensor.range(), decays)),
            }
        }
        Optimizer {
            options: options.clone(),
            groups,
            first_moments: vec![0.0; layout.len],
            second_moments: vec![0.0; layout.len],
            steps: 0,
        }
    }

    /// Clips the gradients by their global norm, takes one step, and sets the gradients
    /// to zero. Returns the norm before clipping; when it is not a number nothing
    /// changes.
    pub fn step(
        &mut self,
        learning_rate: f64,
        parameters: &mut [f32],
        gradients: &mut [f32],
    ) -> f64 {
        let options = &self.options;
        let norm = square_sum(gradients).sqrt();
        if !norm.is_finite() {
            return norm;
        }
        self.steps += 1;
        // The constant is that of torch.nn.utils.clip_grad_norm_.
        let clip = if options.max_grad_norm > 0.0 {
            (options.max_grad_norm / (norm + 1e-6)).min(1.0)
        } else {
            1.0
        };
        let correction = |beta: f64| {
            if options.bias_correction { 1.0 / (1.0 - beta.powf(self.steps as f64)) } else { 1.0 }
        };
        let inside = options.epsilon_inside_root;
        let step = AdamW {
            learning_rate: learning_rate as f32,
            beta_1: options.beta_1 as f32,
            beta_2: options.beta_2 as f32,
            epsilon: if inside { 0.0 } else { options.epsilon as f32 },
            epsilon_inside: if inside { (options.epsilon * options.epsilon) as f32 } else { 0.0 },
            correction_1: correction(options.beta_1) as f32,
            correction_2: correction(options.beta_2) as f32,
            gradient_scale: clip as f32,
        };
        for (range, decays) in &self.groups {
            step.step(
                if *decays { options.weight_decay as f32 } else { 0.0 },
                &mut parameters[range.clone()],
                &mut gradients[range.clone()],
                &mut self.first_moments[range.clone()],
                &mut self.second_moments[range.clone()],
            );
        }
        norm
    }
}
