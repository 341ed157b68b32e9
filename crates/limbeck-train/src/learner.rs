//! One optimiser step: forward, losses, backward, update. All memory is kept between
//! steps.

use limbeck_data::Batch;
use limbeck_kernels::random::Key;
use limbeck_model::Model;
use limbeck_model::encoder::{self, Activations, BackwardBuffers, Mode};
use limbeck_model::heads::span::{self, SpanGradients, SpanLogits};
use limbeck_runtime::logits::tokens;

use crate::error::Result;
use crate::losses::Weighted;
use crate::optimizer::Optimizer;
use crate::options::OptimizerOptions;

/// A model being trained, with its gradients, moments and all memory of a step.
pub struct Learner {
    /// The model, changed by [`Learner::update`].
    pub model: Model,
    /// Moments and count of steps.
    pub optimizer: Optimizer,
    gradients: Vec<f32>,
    activations: Activations,
    logits: SpanLogits,
    logit_gradients: SpanGradients,
    buffers: BackwardBuffers,
}

impl Learner {
    /// Prepares `model` for training.
    pub fn new(model: Model, options: &OptimizerOptions) -> Self {
        Learner {
            optimizer: Optimizer::new(options, &model.layout),
            gradients: vec![0.0; model.layout.len],
            activations: Activations::default(),
            logits: SpanLogits::default(),
            logit_gradients: SpanGradients::default(),
            buffers: BackwardBuffers::default(),
            model,
        }
    }

    /// Adds `share` times the gradient of the weighted losses over one batch to the
    /// gradients. Returns the weighted sum of the losses, whatever the share; each
    /// loss by itself is added to `parts`.
    ///
    /// `key` is that of this batch's dropout; without one nothing is dropped.
    ///
    /// # Errors
    /// When a token, segment or length is beyond the model's tables, or the model has no
    /// span head.
    pub fn accumulate(
        &mut self,
        batch: &Batch,
        losses: &mut [Weighted],
        key: Option<Key>,
        share: f64,
        parts: &mut [f64],
    ) -> Result<f64> {
        self.model.check_tokens(tokens(batch))?;
        let mode = key.map_or(Mode::Evaluate, Mode::Train);
        let Learner { model, activations, logits, logit_gradients, buffers, gradients, .. } = self;
        encoder::forward(model, tokens(batch), mode, activations);
        span::forward(model, activations.last_hidden_state(), mode, logits)?;
        logit_gradients.clear(batch.rows());
        let mut total = 0.0;
        for (Weighted { weight, loss }, part) in losses.iter_mut().zip(parts) {
            let value = loss.add(batch, logits, *weight * share, logit_gradients);
            *part += value * share;
            total += *weight * value;
        }
        let hidden = activations.last_hidden_state();
        span::backward(model, hidden, mode, logits, logit_gradients, buffers, gradients)?;
        encoder::backward(model, tokens(batch), mode, activations, buffers, gradients);
        Ok(total)
    }

    /// What [`Learner::accumulate`] has added up, laid out as the parameters.
    pub fn gradients(&self) -> &[f32] {
        &self.gradients
    }

    /// Forgets what has been added up.
    pub fn clear_gradients(&mut self) {
        self.gradients.fill(0.0);
    }

    /// Clips, updates the parameters and clears the gradients. Returns the gradients'
    /// norm before clipping; when it is not a number nothing changed.
    pub fn update(&mut self, learning_rate: f64) -> f64 {
        self.optimizer.step(learning_rate, &mut self.model.parameters, &mut self.gradients)
    }
}
