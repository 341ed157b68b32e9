//! What lies before the logits: hidden states and attention maps against a teacher's
//! (TinyBERT; Jiao et al., 2020, §3.1).

use limbeck_data::Batch;
use limbeck_kernels::attention::{MapLoss, Queries};
use limbeck_kernels::distance::Distance;
use limbeck_model::encoder::{States, Taps, Wanted, observe};
use limbeck_model::{Model, ModelConfig};
use limbeck_runtime::logits::tokens;

use super::Projection;
use crate::error::{Result, TrainError};
use crate::options::{DistillOptions, HiddenStates, Projection as When};
use crate::ranks::division::Shares;

/// The distances between a student's and a teacher's states and attention. The teacher reads
/// every batch anew: its states would not fit on a disk.
#[derive(Debug)]
pub struct Intermediate {
    teacher: Model,
    /// By number of student layers done: as many of the teacher's, where they are compared.
    hidden: Vec<Option<usize>>,
    /// By student layer: the teacher's.
    attention: Vec<Option<usize>>,
    wanted: Wanted,
    alpha_hidden: f64,
    alpha_attention: f64,
    distance: Distance,
    map_loss: MapLoss,
    /// Where hidden states are projected before they are compared.
    pub projection: Option<Projection>,
    states: States,
    sums: Vec<f64>,
}

impl Intermediate {
    /// The losses of a student of this configuration; `seed` draws a projection's weights.
    ///
    /// # Errors
    /// When the layer map does not fit the two models.
    pub fn new(
        student: &ModelConfig,
        teacher: Model,
        options: &DistillOptions,
        seed: u64,
    ) -> Result<Intermediate> {
        let (own, others) = (student.num_hidden_layers, teacher.config.num_hidden_layers);
        let map = layer_map(&options.layer_map, own, others)?;
        let mut hidden = vec![None; own + 1];
        if options.alpha_hidden > 0.0 {
            hidden[0] = Some(0);
            hidden[own] = Some(map[own - 1] + 1);
            if options.hidden_states == HiddenStates::All {
                hidden.iter_mut().skip(1).zip(&map).for_each(|(slot, &layer)| {
                    *slot = Some(layer + 1);
                });
            }
        }
        let compared = |&layer: &usize| (options.alpha_attention > 0.0).then_some(layer);
        let attention: Vec<Option<usize>> = map.iter().map(compared).collect();
        let among = |slots: &[Option<usize>], count: usize| -> Vec<bool> {
            (0..count).map(|number| slots.contains(&Some(number))).collect()
        };
        let wanted =
            Wanted { hidden: among(&hidden, others + 1), attention: among(&attention, others) };
        let widths = (student.hidden_size, teacher.config.hidden_size);
        let projects = options.projection == When::Always || widths.0 != widths.1;
        let projection = (options.alpha_hidden > 0.0 && projects)
            .then(|| Projection::new(widths.0, widths.1, seed));
        Ok(Intermediate {
            teacher,
            hidden,
            attention,
            wanted,
            alpha_hidden: options.alpha_hidden,
            alpha_attention: options.alpha_attention,
            distance: options.hidden_loss.distance(),
            map_loss: options.map_loss(),
            projection,
            states: States::default(),
            sums: Vec::new(),
        })
    }

    /// The weights of the two sums, of hidden states and of attention.
    pub fn weights(&self) -> [f64; 2] {
        [self.alpha_hidden, self.alpha_attention]
    }

    /// What a part of a batch is of it for the losses over attention: those by cosine are means over
    /// queries, others over pairs of a query and a key.
    pub(crate) fn attention_share(&self, shares: Shares) -> f64 {
        match self.map_loss.distance {
            Distance::Cosine => shares.rows,
            Distance::SquaredError => shares.pairs,
        }
    }

    /// Lets the teacher read a batch. What is returned compares the student with it on the way
    /// back, adding the weighted gradients times its share, of rows or of pairs of them.
    ///
    /// # Errors
    /// When a token, segment or length is beyond the teacher's tables.
    pub(crate) fn look<'a>(&'a mut self, batch: &'a Batch, shares: Shares) -> Result<Look<'a>> {
        self.teacher.check_tokens(tokens(batch))?;
        observe(&self.teacher, tokens(batch), &self.wanted, &mut self.states);
        Ok(Look { losses: self, starts: &batch.starts, shares, sums: [0.0; 2] })
    }
}

/// One batch being compared.
pub(crate) struct Look<'a> {
    losses: &'a mut Intermediate,
    starts: &'a [usize],
    shares: Shares,
    /// The distances so far, of hidden states and of attention.
    pub sums: [f64; 2],
}

impl Taps for Look<'_> {
    fn hidden_state(&mut self, layers: usize, hidden: &[f32], gradient: &mut [f32]) {
        let Intermediate { states, sums, projection, distance, alpha_hidden, .. } = self.losses;
        let Some(layer) = self.losses.hidden[layers] else { return };
        let (wanted, width) = (states.hidden_state(layer), states.hidden_size());
        let weight = *alpha_hidden * self.shares.rows;
        let mut compare = |own: &[f32], gradient: &mut [f32]| {
            distance.add(own, wanted, width, weight, gradient, sums)
        };
        self.sums[0] += match projection {
            None => compare(hidden, gradient),
            Some(projection) => projection.compare(hidden, gradient, compare),
        };
    }

    fn attention(&mut self, layer: usize, queries: Queries<'_>, gradient: &mut [f32]) {
        let share = self.losses.attention_share(self.shares);
        let Intermediate { states, sums, map_loss, alpha_attention, .. } = self.losses;
        let Some(teachers) = self.losses.attention[layer] else { return };
        let (wanted, weight) = (states.queries(teachers), *alpha_attention * share);
        self.sums[1] += map_loss.add(queries, wanted, self.starts, weight, gradient, sums);
    }
}

/// For each of `own` layers the one of `others` that it learns from.
fn layer_map(given: &[usize], own: usize, others: usize) -> Result<Vec<usize>> {
    let refuse = |reason| Err(TrainError::Option { option: "distill.layer_map", reason });
    if given.is_empty() {
        // The last of each equal stretch of the teacher's layers.
        return Ok((1..=own).map(|layer| (layer * others).div_ceil(own) - 1).collect());
    }
    if given.len() != own {
        let count = given.len();
        return refuse(format!("{count} layers are given for a student of {own}"));
    }
    if let Some(layer) = given.iter().find(|&&layer| layer >= others) {
        return refuse(format!("there is no layer {layer}: the teacher has {others}, from 0 on"));
    }
    Ok(given.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_spread_evenly_and_the_last_learns_from_the_last() {
        let map = |own, others| layer_map(&[], own, others).unwrap();
        assert_eq!(map(6, 12), [1, 3, 5, 7, 9, 11]);
        assert_eq!(map(3, 6), [1, 3, 5]);
        assert_eq!(map(4, 6), [1, 2, 4, 5]);
        assert_eq!(map(1, 6), [5]);
        assert_eq!(map(3, 3), [0, 1, 2]);
        assert_eq!(map(4, 2), [0, 0, 1, 1]);
    }

    #[test]
    fn a_map_has_a_layer_for_each_and_none_that_is_not_there() {
        assert_eq!(layer_map(&[2, 0], 2, 3).unwrap(), [2, 0]);
        let refusal = |given: &[usize]| layer_map(given, 2, 3).unwrap_err().to_string();
        assert!(refusal(&[1]).contains("1 layers are given for a student of 2"));
        assert!(refusal(&[0, 3]).contains("there is no layer 3"));
    }
}
