//! One optimiser step: forward, losses, backward, update. All memory is kept between
//! steps.

use limbeck_data::Batch;
use limbeck_kernels::random::Key;
use limbeck_model::encoder::{
    self, Activations, BackwardBuffers, Mode, NoTaps, Place, Route, Taps,
};
use limbeck_model::heads::{Outputs, Places};
use limbeck_model::layout::LayerSlots;
use limbeck_model::{Classes, Head, Model, ProblemType};
use limbeck_runtime::logits::tokens;

use crate::error::{Result, TrainError};
use crate::losses::{self, Weighted};
use crate::objective::Objective;
use crate::optimizer::{Optimizer, Trained};
use crate::options::OptimizerOptions;
use crate::ranks::division::Shares;
use crate::ranks::{Exchange, Ranks};
use crate::sparsity::{Masks, Sparsity};

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
    /// The processes that train the same model.
    pub exchange: Exchange,
    sparsity: Option<Sparsity>,
    gradients: Vec<f32>,
    memory: Memory,
    /// What the head said in the whole pass, while shortened ones learn from it.
    whole: Outputs,
}

/// How a batch enters a step.
#[derive(Debug, Clone, Copy)]
pub struct Portion {
    /// Of its random bits.
    pub key: Key,
    /// Where it lies in the batch that it is a part of.
    pub place: Place,
    /// Its weight in the step, by what a loss is a mean over.
    pub shares: Shares,
    /// Tokens of the longest sequence of the batch that it is a part of; 0: it is the whole.
    pub longest: usize,
    /// Whether it is the last of the step, so that gradients may go to the other processes.
    pub last: bool,
}

impl Portion {
    /// A whole batch, with its share of the step.
    pub fn whole(key: Key, share: f64) -> Portion {
        let shares = Shares::WHOLE.times(share);
        Portion { key, place: Place::default(), shares, longest: 0, last: false }
    }

    /// The random bits of pass `pass`; those of the whole one are the portion's own.
    fn mode(&self, pass: usize, dropout: bool) -> (Key, Mode) {
        let key = if pass == 0 { self.key } else { self.key.child(PASSES + pass as u64) };
        (key, if dropout { Mode::Train(key, self.place) } else { Mode::Evaluate })
    }
}

/// The memory of one pass.
struct Memory {
    activations: Activations,
    outputs: Outputs,
    buffers: BackwardBuffers,
    /// The rows that the head reads.
    read: Vec<usize>,
}

/// The tensors of a learner's state, by name.
type State<T> = Vec<(&'static str, T)>;

impl Learner {
    /// Prepares `model` for training, with dropout.
    pub fn new(model: Model, options: &OptimizerOptions, objective: impl Into<Objective>) -> Self {
        let objective = objective.into();
        let layers = model.layout.slots.layers.iter().map(LayerSlots::all).collect();
        Learner {
            exchange: Exchange::new(Ranks::alone(), layers),
            optimizer: Optimizer::new(options, &model.layout, objective.projection()),
            gradients: vec![0.0; model.layout.len],
            memory: Memory {
                activations: Activations::default(),
                outputs: Outputs::of(&model.config.head),
                buffers: BackwardBuffers::default(),
                read: Vec::new(),
            },
            whole: Outputs::of(&model.config.head),
            dropout: true,
            sparsity: None,
            objective,
            model,
        }
    }

    /// Whether backward computes again what lies inside of layers, instead of keeping it: see
    /// [`Activations::recompute`].
    pub fn recompute(&mut self, recompute: bool) {
        self.memory.activations.recompute = recompute;
    }

    /// Masks weights from now on; what is off is zero at once.
    pub fn sparsify(&mut self, sparsity: Option<Sparsity>) {
        if let Some(sparsity) = &sparsity {
            sparsity.apply(&mut self.model.parameters);
        }
        self.sparsity = sparsity;
    }

    /// The masks, if there are any.
    pub fn sparsity(&self) -> Option<&Sparsity> {
        self.sparsity.as_ref()
    }

    /// To be called before the first batch of `step`, counted from 0. Returns whether masks
    /// change in this step: then its state between here and [`Learner::update`] is not one to
    /// go on from.
    pub fn begin_step(&mut self, step: usize) -> bool {
        let parameters = &mut self.model.parameters;
        self.sparsity.as_mut().is_some_and(|sparsity| sparsity.begin_step(step, parameters))
    }

    /// Adds the gradient of the objective over one batch, times its share of the step, to the
    /// gradients. Returns the objective times that share; each of its parts
    /// ([`Objective::names`]) is added to `parts`.
    ///
    /// # Errors
    /// When a token, segment or length is beyond the model's tables, or the labels are not of
    /// the model's head.
    pub fn accumulate(
        &mut self,
        batch: &Batch,
        portion: Portion,
        parts: &mut [f64],
    ) -> Result<f64> {
        self.model.check_tokens(tokens(batch))?;
        check_labels(&self.model.config.head, batch)?;
        let Objective { words, sandwich, .. } = &self.objective;
        if self.model.config.head == Head::MaskedWord && (words.is_none() || sandwich.is_some()) {
            let reason = "a masked-word head learns masked words, in whole passes".to_owned();
            return Err(TrainError::Option { option: "task", reason });
        }
        let passes = self.objective.sandwich.as_ref().map_or(1, |sandwich| sandwich.passes());
        let mut total = self.whole_pass(batch, portion, passes, parts)?;
        if passes > 1 {
            std::mem::swap(&mut self.whole, &mut self.memory.outputs);
        }
        for pass in 1..passes {
            let value = self.shortened_pass((pass, passes), batch, portion)?;
            total += value;
            if let Some(part) = parts.last_mut() {
                *part += value / (passes - 1) as f64;
            }
        }
        Ok(total / passes as f64)
    }

    /// The pass with the run's own losses. Returns the objective times the portion's share.
    fn whole_pass(
        &mut self,
        batch: &Batch,
        portion: Portion,
        passes: usize,
        parts: &mut [f64],
    ) -> Result<f64> {
        let (key, mode) = portion.mode(0, self.dropout);
        let Shares { sequences, rows, masked, .. } = portion.shares;
        let shares = portion.shares.times(1.0 / passes as f64);
        let exchange = (portion.last && passes == 1).then_some(&mut self.exchange);
        let step = self.optimizer.steps;
        let Objective { losses, words, intermediate, sandwich, .. } = &mut self.objective;
        let longest = portion.longest.max(longest(batch));
        let route = match sandwich {
            Some(sandwich) => sandwich.draw(0, longest, key.child(PASSES)).route(),
            None => Route::default(),
        };
        let mut look = match intermediate {
            Some(intermediate) => Some(intermediate.look(batch, shares)?),
            None => None,
        };
        let taps: &mut dyn Taps = match &mut look {
            Some(look) => look,
            None => &mut NoTaps,
        };
        let mut total = 0.0;
        let over_logits = losses.len() + words.as_ref().map_or(0, |words| words.names().len());
        let (of_losses, of_others) = parts.split_at_mut(over_logits);
        let pass = Pass {
            model: &self.model,
            memory: &mut self.memory,
            gradients: &mut self.gradients,
            exchange,
        };
        pass.run(batch, mode, route, taps, |outputs, decoder| {
            if let (Some(words), Outputs::MaskedWord(outputs)) = (words, &mut *outputs) {
                total += masked * words.add(batch, step, outputs, decoder, masked, of_losses)?;
                return Ok(());
            }
            for (Weighted { weight, loss }, part) in losses.iter().zip(of_losses) {
                let value = losses::add(&**loss, batch, outputs, *weight * shares.sequences);
                *part += value * sequences;
                total += *weight * value * sequences;
            }
            Ok(())
        })?;
        if let Some(sums) = look.map(|look| look.sums) {
            let weights = intermediate.as_ref().map_or([0.0; 2], |losses| losses.weights());
            let of_maps =
                intermediate.as_ref().map_or(0.0, |losses| losses.attention_share(portion.shares));
            let terms = sums.into_iter().zip(weights).zip([rows, of_maps]);
            for (((sum, weight), share), part) in terms.zip(of_others) {
                *part += sum * share;
                total += weight * sum * share;
            }
        }
        Ok(total)
    }

    /// A pass on which tokens leave. Returns its divergence times the portion's share.
    fn shortened_pass(
        &mut self,
        (pass, passes): (usize, usize),
        batch: &Batch,
        portion: Portion,
    ) -> Result<f64> {
        let Some(sandwich) = &mut self.objective.sandwich else { return Ok(0.0) };
        let (key, mode) = portion.mode(pass, self.dropout);
        let longest = portion.longest.max(longest(batch));
        let drawn = sandwich.draw(pass, longest, key.child(PASSES));
        let share = portion.shares.sequences;
        let mut value = 0.0;
        let whole = &self.whole;
        let exchange = (portion.last && pass + 1 == passes).then_some(&mut self.exchange);
        let pass = Pass {
            model: &self.model,
            memory: &mut self.memory,
            gradients: &mut self.gradients,
            exchange,
        };
        pass.run(batch, mode, drawn.route(), &mut NoTaps, |outputs, _| {
            value = drawn.add(batch, whole, outputs, share / passes as f64) * share;
            Ok(())
        })?;
        Ok(value)
    }

    /// Adds up gradients, and some sums of a step, over all processes.
    ///
    /// # Errors
    /// When another process cannot be reached.
    pub fn exchange(&mut self, sums: &mut [f32]) -> Result<()> {
        if self.exchange.ranks.count() > 1 {
            self.exchange.finish(&mut self.gradients)?;
            if let Some(projection) = self.objective.projection_mut() {
                self.exchange.ranks.sum(&mut projection.gradients)?;
            }
            self.exchange.ranks.sum(sums)?;
        }
        Ok(())
    }

    /// Takes over the first process's state.
    ///
    /// # Errors
    /// When another process cannot be reached.
    pub fn copy_from_first(&mut self) -> Result<()> {
        let mut ranks = std::mem::take(&mut self.exchange.ranks);
        for (_, values) in self.state_mut() {
            ranks.copy_from_first(values)?;
        }
        if let Some(masks) = self.masks_mut() {
            // What goes around are floats: a quarter of a word is one, exactly.
            let quarters = |word: &u64| [0, 16, 32, 48].map(|at| f32::from((word >> at) as u16));
            let mut numbers: Vec<f32> = masks.bits().iter().flat_map(quarters).collect();
            ranks.copy_from_first(&mut numbers)?;
            for (word, quarters) in masks.bits_mut().iter_mut().zip(numbers.as_chunks::<4>().0) {
                *word = quarters.iter().rev().fold(0, |word, &part| word << 16 | part as u64);
            }
        }
        self.exchange.ranks = ranks;
        Ok(())
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
        if let Some(sparsity) = &mut self.sparsity {
            sparsity.before_update(&self.gradients, &mut self.optimizer.model);
        }
        let model =
            Trained { parameters: &mut self.model.parameters, gradients: &mut self.gradients };
        let projection = self.objective.projection_mut().map(|projection| Trained {
            parameters: &mut projection.parameters,
            gradients: &mut projection.gradients,
        });
        let norm = self.optimizer.step(learning_rate, model, projection);
        if let Some(sparsity) = &self.sparsity {
            sparsity.apply(&mut self.model.parameters);
        }
        norm
    }

    pub(crate) fn masks_mut(&mut self) -> Option<&mut Masks> {
        self.sparsity.as_mut().map(Sparsity::masks_mut)
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
pub(crate) fn check_labels(head: &Head, batch: &Batch) -> Result<()> {
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
        Head::MaskedWord => batch.masked_rows.len() == batch.masked_ids.len(),
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

/// What a loss needs that turns logits into gradients of parameters at once.
pub struct Decoder<'a> {
    /// The model.
    pub model: &'a Model,
    /// The memory of its backward pass.
    pub buffers: &'a mut BackwardBuffers,
    /// Laid out as its parameters.
    pub gradients: &'a mut [f32],
}

/// What a pass works on.
struct Pass<'a> {
    model: &'a Model,
    memory: &'a mut Memory,
    gradients: &'a mut [f32],
    /// In the last pass of a step: where gradients go.
    exchange: Option<&'a mut Exchange>,
}

impl Pass<'_> {
    /// Forward along `route`, `losses(outputs, decoder)`, backward.
    fn run(
        self,
        batch: &Batch,
        mode: Mode,
        route: Route<'_>,
        taps: &mut dyn Taps,
        losses: impl FnOnce(&mut Outputs, Decoder<'_>) -> Result<()>,
    ) -> Result<()> {
        let Pass { model, memory, gradients, exchange } = self;
        let Memory { activations, outputs, buffers, read } = memory;
        let places = Places { starts: &batch.starts, masked: &batch.masked_rows };
        let read = outputs.read(places, read).filter(|_| !taps.needs_all_rows());
        let route = Route { read, ..route };
        encoder::forward_along(model, tokens(batch), mode, route, activations);
        let hidden = activations.last_hidden_state();
        outputs.forward(model, places, hidden, mode)?;
        losses(outputs, Decoder { model, buffers, gradients })?;
        outputs.backward(model, places, hidden, mode, buffers, gradients)?;
        let mut departing;
        let taps: &mut dyn Taps = match exchange {
            Some(exchange) => {
                departing = exchange.listening(taps);
                &mut departing
            }
            None => taps,
        };
        encoder::backward(model, tokens(batch), mode, activations, taps, buffers, gradients);
        Ok(())
    }
}
