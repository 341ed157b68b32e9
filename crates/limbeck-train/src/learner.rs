//! One optimiser step: forward, losses, backward, update. All memory is kept between
//! steps.

use limbeck_data::Batch;
use limbeck_kernels::random::Key;
use limbeck_model::encoder::{self, Activations, BackwardBuffers, Mode, NoTaps, Route, Taps};
use limbeck_model::heads::Outputs;
use limbeck_model::{Classes, Head, Model, ProblemType};
use limbeck_runtime::logits::tokens;

use crate::error::{Result, TrainError};
use crate::losses::{self, Weighted};
use crate::objective::Objective;
use crate::optimizer::{Optimizer, Trained};
use crate::options::OptimizerOptions;

/// Names the streams of random bits of a step's shortened passes below its key; those of the
/// encoder lie below 2^32.
const PASSES: u64 = 1 << 32;

/// A model being trained, with its gradients, moments and all memory of a step.
pub struct Learner {
    /// The model, changed by [`Learner::update`].
    pub model: Model,
    /// Moments and count of steps.
    pub optimizer: Optimizer,
    /// What is minimised.
    pub objective: Objective,
    /// Whether values are dropped.
    pub dropout: bool,
    gradients: Vec<f32>,
    memory: Memory,
    /// What the head said in the whole pass, while shortened ones learn from it.
    whole: Outputs,
}

/// The memory of one pass.
struct Memory {
    activations: Activations,
    outputs: Outputs,
    buffers: BackwardBuffers,
}

/// The tensors of a learner's state, by name.
type State<T> = Vec<(&'static str, T)>;

impl Learner {
    /// Prepares `model` for training, with dropout.
    pub fn new(model: Model, options: &OptimizerOptions, objective: impl Into<Objective>) -> Self {
        let objective = objective.into();
        Learner {
            optimizer: Optimizer::new(options, &model.layout, objective.projection()),
            gradients: vec![0.0; model.layout.len],
            memory: Memory {
                activations: Activations::default(),
                outputs: Outputs::of(&model.config.head),
                buffers: BackwardBuffers::default(),
            },
            whole: Outputs::of(&model.config.head),
            dropout: true,
            objective,
            model,
        }
    }

    /// Whether backward computes again what lies inside of layers, instead of keeping it: see
    /// [`Activations::recompute`].
    pub fn recompute(&mut self, recompute: bool) {
        self.memory.activations.recompute = recompute;
    }

    /// Adds `share` times the gradient of the objective over one batch to the gradients. Returns
    /// the objective, whatever the share; each of its parts ([`Objective::names`]) is added to
    /// `parts`.
    ///
    /// `key` is that of this batch's random bits.
    ///
    /// # Errors
    /// When a token, segment or length is beyond the model's tables, or the labels are not of
    /// the model's head.
    pub fn accumulate(
        &mut self,
        batch: &Batch,
        key: Key,
        share: f64,
        parts: &mut [f64],
    ) -> Result<f64> {
        self.model.check_tokens(tokens(batch))?;
        check_labels(&self.model.config.head, batch)?;
        let passes = self.objective.sandwich.as_ref().map_or(1, |sandwich| sandwich.passes());
        let share_of_pass = share / passes as f64;
        let mut total = self.whole_pass(batch, key, (share, share_of_pass), parts)?;
        if passes > 1 {
            std::mem::swap(&mut self.whole, &mut self.memory.outputs);
        }
        for pass in 1..passes {
            let value = self.shortened_pass(pass, batch, key, share_of_pass)?;
            total += value;
            if let Some(part) = parts.last_mut() {
                *part += value * share / (passes - 1) as f64;
            }
        }
        Ok(total / passes as f64)
    }

    fn whole_pass(
        &mut self,
        batch: &Batch,
        key: Key,
        (share, share_of_pass): (f64, f64),
        parts: &mut [f64],
    ) -> Result<f64> {
        let mode = if self.dropout { Mode::Train(key) } else { Mode::Evaluate };
        let Objective { losses, intermediate, sandwich, .. } = &mut self.objective;
        let longest = longest(batch);
        let key = key.child(PASSES);
        let route = match sandwich {
            Some(sandwich) => sandwich.draw(0, longest, key).route(),
            None => Route::default(),
        };
        let mut look = match intermediate {
            Some(intermediate) => Some(intermediate.look(batch, share_of_pass)?),
            None => None,
        };
        let taps: &mut dyn Taps = match &mut look {
            Some(look) => look,
            None => &mut NoTaps,
        };
        let mut total = 0.0;
        let (of_losses, of_others) = parts.split_at_mut(losses.len());
        let pass = (&self.model, &mut self.memory, self.gradients.as_mut_slice());
        run(pass, batch, mode, route, taps, |outputs| {
            for (Weighted { weight, loss }, part) in losses.iter().zip(of_losses) {
                let value = losses::add(&**loss, batch, outputs, *weight * share_of_pass);
                *part += value * share;
                total += *weight * value;
            }
        })?;
        if let Some(sums) = look.map(|look| look.sums) {
            let weights = intermediate.as_ref().map_or([0.0; 2], |losses| losses.weights());
            for ((sum, weight), part) in sums.into_iter().zip(weights).zip(of_others) {
                *part += sum * share;
                total += weight * sum;
            }
        }
        Ok(total)
    }

    fn shortened_pass(&mut self, pass: usize, batch: &Batch, key: Key, share: f64) -> Result<f64> {
        let Some(sandwich) = &mut self.objective.sandwich else { return Ok(0.0) };
        let key = key.child(PASSES + pass as u64);
        let mode = if self.dropout { Mode::Train(key) } else { Mode::Evaluate };
        let drawn = sandwich.draw(pass, longest(batch), key.child(PASSES));
        let mut value = 0.0;
        let whole = &self.whole;
        let pass = (&self.model, &mut self.memory, self.gradients.as_mut_slice());
        run(pass, batch, mode, drawn.route(), &mut NoTaps, |outputs| {
            value = drawn.add(batch, whole, outputs, share);
        })?;
        Ok(value)
    }

    /// What [`Learner::accumulate`] has added up, laid out as the parameters.
    pub fn gradients(&self) -> &[f32] {
        &self.gradients
    }

    /// Forgets what has been added up.
    pub fn clear_gradients(&mut self) {
        self.gradients.fill(0.0);
        if let Some(projection) = self.objective.projection_mut() {
            projection.gradients.fill(0.0);
        }
    }

    /// Clips, updates the parameters and clears the gradients. Returns the gradients'
    /// norm before clipping; when it is not a number nothing changed.
    pub fn update(&mut self, learning_rate: f64) -> f64 {
        let model =
            Trained { parameters: &mut self.model.parameters, gradients: &mut self.gradients };
        let projection = self.objective.projection_mut().map(|projection| Trained {
            parameters: &mut projection.parameters,
            gradients: &mut projection.gradients,
        });
        self.optimizer.step(learning_rate, model, projection)
    }

    /// Everything that a checkpoint holds of the learner.
    pub(crate) fn state(&self) -> State<&[f32]> {
        let moments = &self.optimizer.model;
        let mut state: State<&[f32]> = vec![
            ("parameters", &self.model.parameters),
            ("first_moments", &moments.first),
            ("second_moments", &moments.second),
        ];
        let projection = self.objective.projection().zip(self.optimizer.projection.as_ref());
        if let Some((projection, moments)) = projection {
            state.extend([
                ("projection", projection.parameters.as_slice()),
                ("projection_first_moments", &moments.first),
                ("projection_second_moments", &moments.second),
            ]);
        }
        state
    }

    /// The same, to be read into.
    pub(crate) fn state_mut(&mut self) -> State<&mut [f32]> {
        let moments = &mut self.optimizer.model;
        let mut state: State<&mut [f32]> = vec![
            ("parameters", &mut self.model.parameters),
            ("first_moments", &mut moments.first),
            ("second_moments", &mut moments.second),
        ];
        let projection = self.objective.projection_mut().zip(self.optimizer.projection.as_mut());
        if let Some((projection, moments)) = projection {
            state.extend([
                ("projection", projection.parameters.as_mut_slice()),
                ("projection_first_moments", &mut moments.first),
                ("projection_second_moments", &mut moments.second),
            ]);
        }
        state
    }
}

/// Tokens of the longest sequence.
fn longest(batch: &Batch) -> usize {
    batch.starts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
}

/// Refuses labels that are not for a model of this head, or that it has no logit for.
fn check_labels(head: &Head, batch: &Batch) -> Result<()> {
    let sequences = batch.sequences();
    let fit = match head {
        Head::Span => {
            let within = |positions: &[u32]| {
                let lengths = batch.starts.windows(2).map(|pair| pair[1] - pair[0]);
                let mut pairs = positions.iter().zip(lengths);
                positions.len() == sequences && pairs.all(|(&at, length)| (at as usize) < length)
            };
            within(&batch.start_positions) && within(&batch.end_positions)
        }
        Head::Classification(classes) => {
            batch.labels.len() == sequences
                && batch.labels.iter().all(|&label| has_logit(classes, label))
        }
    };
    let reason = || format!("the labels are not for a {}", head.kind());
    if fit { Ok(()) } else { Err(TrainError::Option { option: "data.train", reason: reason() }) }
}

/// Whether a label can be learnt: one of several, or the value of a regression.
fn has_logit(classes: &Classes, label: f32) -> bool {
    match classes.problem() {
        ProblemType::Regression => classes.labels.len() == 1 && label.is_finite(),
        ProblemType::SingleLabelClassification => {
            (0.0..classes.labels.len() as f32).contains(&label)
        }
        // A label alone does not say which of the others are right too.
        ProblemType::MultiLabelClassification => false,
    }
}

/// One pass: forward along `route`, `losses(outputs)`, backward.
fn run(
    (model, memory, gradients): (&Model, &mut Memory, &mut [f32]),
    batch: &Batch,
    mode: Mode,
    route: Route<'_>,
    taps: &mut dyn Taps,
    losses: impl FnOnce(&mut Outputs),
) -> Result<()> {
    let Memory { activations, outputs, buffers } = memory;
    encoder::forward_along(model, tokens(batch), mode, route, activations);
    let hidden = activations.last_hidden_state();
    outputs.forward(model, &batch.starts, hidden, mode)?;
    losses(outputs);
    outputs.backward(model, &batch.starts, hidden, mode, buffers, gradients)?;
    encoder::backward(model, tokens(batch), mode, activations, taps, buffers, gradients);
    Ok(())
}
