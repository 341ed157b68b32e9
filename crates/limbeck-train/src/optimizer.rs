//! AdamW over the flat buffer of a model's parameters.

use std::ops::Range;

use limbeck_kernels::optimizer::AdamW;
use limbeck_kernels::reduce::square_sum;
use limbeck_model::Layout;

use crate::losses::Projection;
use crate::options::OptimizerOptions;

/// The moments of one flat buffer of parameters, laid out as they are.
#[derive(Debug)]
pub struct Moments {
    /// Stretches of the buffer, and whether weight decay applies to them.
    groups: Vec<(Range<usize>, bool)>,
    /// First moments.
    pub first: Vec<f32>,
    /// Second moments.
    pub second: Vec<f32>,
}

impl Moments {
    fn new(groups: Vec<(Range<usize>, bool)>, len: usize) -> Moments {
        Moments { groups, first: vec![0.0; len], second: vec![0.0; len] }
    }

    /// Of a model. Weight decay goes by a tensor's role: weights and embeddings decay, biases
    /// and layer norms do not.
    fn of_model(layout: &Layout) -> Moments {
        let mut groups: Vec<(Range<usize>, bool)> = Vec::new();
        for tensor in &layout.tensors {
            let decays = tensor.role.decays();
            match groups.last_mut() {
                // The padding between tensors is zero and stays so: groups run over it.
                Some((range, same)) if *same == decays => range.end = tensor.range().end,
                _ => groups.push((tensor.range(), decays)),
            }
        }
        Moments::new(groups, layout.len)
    }
}

/// One buffer of parameters with its gradients.
pub struct Trained<'a> {
    /// What is changed.
    pub parameters: &'a mut [f32],
    /// What is used up.
    pub gradients: &'a mut [f32],
}

/// AdamW and its state: moments of the model, and of a projection where one is learned.
#[derive(Debug)]
pub struct Optimizer {
    options: OptimizerOptions,
    /// Of the model.
    pub model: Moments,
    /// Of the projection of hidden states.
    pub projection: Option<Moments>,
    /// Steps taken.
    pub steps: usize,
}

impl Optimizer {
    /// Moments of zero for the parameters of `layout` and of `projection`.
    pub fn new(
        options: &OptimizerOptions,
        layout: &Layout,
        projection: Option<&Projection>,
    ) -> Self {
        let of_projection = |p: &Projection| Moments::new(p.groups().to_vec(), p.parameters.len());
        Optimizer {
            options: options.clone(),
            model: Moments::of_model(layout),
            projection: projection.map(of_projection),
            steps: 0,
        }
    }

    /// Another decay of the first moment from now on, for schedules that change it.
    pub fn set_beta_1(&mut self, beta_1: f64) {
        self.options.beta_1 = beta_1;
    }

    /// Clips the gradients by their global norm, takes one step, and sets the gradients
    /// to zero. Returns the norm before clipping; when it is not a number nothing
    /// changes.
    pub fn step(
        &mut self,
        learning_rate: f64,
        model: Trained<'_>,
        projection: Option<Trained<'_>>,
    ) -> f64 {
        let options = &self.options;
        let squares = |trained: &Trained<'_>| square_sum(trained.gradients);
        let norm = (squares(&model) + projection.as_ref().map_or(0.0, squares)).sqrt();
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
        let buffers = [Some(model), projection];
        let moments = [Some(&mut self.model), self.projection.as_mut()];
        for (buffer, moments) in buffers.into_iter().zip(moments) {
            let (Some(Trained { parameters, gradients }), Some(moments)) = (buffer, moments) else {
                continue;
            };
            for (range, decays) in &moments.groups {
                step.step(
                    if *decays { options.weight_decay as f32 } else { 0.0 },
                    &mut parameters[range.clone()],
                    &mut gradients[range.clone()],
                    &mut moments.first[range.clone()],
                    &mut moments.second[range.clone()],
                );
            }
        }
        norm
    }
}
