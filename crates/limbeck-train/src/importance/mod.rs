//! How much the parts of a model matter: attention heads, feed-forward neurons, layers.
//!
//! # Layout
//! - [`Importance`]: a number for each head and each neuron, by gradient, by magnitude or at
//!   random
//! - [`layers`]: which layers the loss can spare
//! - [`select`]: from numbers to parts that stay

pub mod layers;
pub mod select;

use limbeck_data::random::SplitMix64;
use limbeck_data::{Batch, Examples};
use limbeck_kernels::random::Key;
use limbeck_model::{LayerSlots, Model};

use crate::error::Result;
use crate::learner::{Learner, Portion};
use crate::losses::{HardLoss, Weighted};
use crate::observer::Observer;
use crate::options::OptimizerOptions;

/// What each part of a model is worth; the least can go first.
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    /// For each layer one number a head that is there, in order.
    pub heads: Vec<Vec<f64>>,
    /// For each layer one number a neuron of its feed-forward part.
    pub neurons: Vec<Vec<f64>>,
}

impl Importance {
    /// By the loss against the labels (the head importance score of Michel, Levy and Neubig,
    /// 2019; for neurons the first-order term of Molchanov et al., 2017): a gate of 1 is thought
    /// on what a part gives, and the size of the loss's gradient to the gate is averaged over
    /// the examples. The absolute value is taken example by example. There is no dropout.
    ///
    /// `None` when the observer asked to stop. `model` is given back unchanged.
    ///
    /// # Errors
    /// When the examples do not fit the model, or their labels its head.
    pub fn by_gradient(
        model: Model,
        examples: &dyn Examples,
        observer: &mut dyn Observer,
    ) -> Result<Option<(Importance, Model)>> {
        observer.stage("weighing heads and neurons", Some(examples.len() as u64));
        let mut importance = Importance::of_each(&model, |_| 0.0);
        // The optimiser of the learner is never used.
        let losses = vec![Weighted::new(1.0, HardLoss)];
        let mut learner = Learner::new(model, &OptimizerOptions::default(), losses);
        learner.dropout = false;
        let mut batch = Batch::default();
        for example in 0..examples.len() {
            if observer.should_stop() {
                return Ok(None);
            }
            examples.batch(&[example], &mut batch);
            learner.clear_gradients();
            learner.accumulate(&batch, Portion::whole(Key::new(0), 1.0), &mut [0.0])?;
            importance.add_example(&learner.model, learner.gradients());
            observer.advance(1);
        }
        let count = examples.len().max(1) as f64;
        importance.parts_mut().for_each(|part| *part /= count);
        Ok(Some((importance, learner.model)))
    }

    /// By the Euclidean norm of a part's own weights: rows of what makes it, columns of what
    /// it is read by.
    pub fn by_magnitude(model: &Model) -> Importance {
        let parameters = &model.parameters;
        let squared =
            |values: &[f32]| values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
        let mut importance = Importance::of_each(model, |_| 0.0);
        for (layer, slots) in model.layout.slots.layers.iter().enumerate() {
            let (heads, neurons) = (&mut importance.heads[layer], &mut importance.neurons[layer]);
            let output = &parameters[slots.attention_output_weight.clone()];
            *heads = per_head(slots, &column_products(output, output, width(slots)));
            let rows = &parameters[slots.qkv_weight.clone()];
            for (place, rows) in rows.chunks_exact(rows.len() / (3 * slots.heads)).enumerate() {
                heads[place % slots.heads] += squared(rows);
            }
            let output = &parameters[slots.output_weight.clone()];
            *neurons = column_products(output, output, slots.intermediate_size);
            let rows = &parameters[slots.intermediate_weight.clone()];
            for (neuron, rows) in
                neurons.iter_mut().zip(rows.chunks_exact(rows.len() / slots.intermediate_size))
            {
                *neuron += squared(rows);
            }
        }
        importance.parts_mut().for_each(|part| *part = part.sqrt());
        importance
    }

    /// By chance: the seed decides.
    pub fn at_random(model: &Model, seed: u64) -> Importance {
        const STREAM: u64 = 0x9e1d_77a3;
        let mut random = SplitMix64::new(seed, STREAM);
        Importance::of_each(model, |_| random.next_u64() as f64)
    }

    /// Numbers for the parts of a model, each from `value`.
    fn of_each(model: &Model, mut value: impl FnMut(usize) -> f64) -> Importance {
        let layers = &model.layout.slots.layers;
        let mut numbers = |count: usize| (0..count).map(&mut value).collect::<Vec<f64>>();
        Importance {
            heads: layers.iter().map(|slots| numbers(slots.heads)).collect(),
            neurons: layers.iter().map(|slots| numbers(slots.intermediate_size)).collect(),
        }
    }

    /// Adds the sizes of the gates' gradients. A gate scales what a part gives, which enters
    /// the network through the part's columns of one weight and nowhere else; so its gradient
    /// is the sum over those columns of weight times gradient of the weight.
    fn add_example(&mut self, model: &Model, gradients: &[f32]) {
        let add = |sums: &mut [f64], gates: Vec<f64>| {
            sums.iter_mut().zip(gates).for_each(|(sum, gate)| *sum += gate.abs());
        };
        for (layer, slots) in model.layout.slots.layers.iter().enumerate() {
            let gates = |range: &std::ops::Range<usize>, columns: usize| {
                let weight = &model.parameters[range.clone()];
                column_products(weight, &gradients[range.clone()], columns)
            };
            let of_columns = gates(&slots.attention_output_weight, width(slots));
            add(&mut self.heads[layer], per_head(slots, &of_columns));
            let of_neurons = gates(&slots.output_weight, slots.intermediate_size);
            add(&mut self.neurons[layer], of_neurons);
        }
    }

    fn parts_mut(&mut self) -> impl Iterator<Item = &mut f64> {
        self.heads.iter_mut().chain(&mut self.neurons).flatten()
    }
}

fn width(slots: &LayerSlots) -> usize {
    slots.heads * slots.head_size
}

/// Sums over the columns of each head.
fn per_head(slots: &LayerSlots, of_columns: &[f64]) -> Vec<f64> {
    of_columns.chunks_exact(slots.head_size).map(|columns| columns.iter().sum()).collect()
}

/// For each column of two matrices, the sum of the products of its elements.
fn column_products(a: &[f32], b: &[f32], columns: usize) -> Vec<f64> {
    let mut sums = vec![0.0; columns];
    for (a, b) in a.chunks_exact(columns).zip(b.chunks_exact(columns)) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f64::from(a) * f64::from(b);
        }
    }
    sums
}

#[cfg(test)]
mod tests;
