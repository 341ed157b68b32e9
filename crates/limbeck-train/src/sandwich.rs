//! Passes in which tokens leave from layer to layer, trained beside the whole one: sandwich
//! rule and in-place distillation (Length-Adaptive Transformer; Kim and Cho, 2021, §3.3).
//!
//! A step has one whole pass with the run's losses, the shortest pass, and some of random
//! lengths; the shortened ones learn from the whole one's logits. All weigh the same.

use limbeck_data::Batch;
use limbeck_kernels::loss::{divergence, reverse_divergence, squared_error};
use limbeck_kernels::random::Key;
use limbeck_model::LengthPlan;
use limbeck_model::encoder::Route;
use limbeck_model::heads::{Outputs, Part};

use crate::options::{CountFrom, Direction, LengthOptions, Sampling};

/// Names of the streams of random bits below a pass's key.
mod stream {
    pub const LENGTHS: u64 = 0;
    pub const LAYERS: u64 = 1;
}

/// Draws the passes of a step and compares them with the whole one.
#[derive(Debug)]
pub struct Sandwich {
    options: LengthOptions,
    layers: usize,
    /// Tokens of the longest input.
    max_length: usize,
    /// What was drawn last: whether it is the whole pass, its lengths, the layers passed over.
    whole: bool,
    plan: LengthPlan,
    skipped: Vec<bool>,
}

impl Sandwich {
    /// For a model of so many layers.
    pub fn new(options: &LengthOptions, layers: usize) -> Sandwich {
        Sandwich {
            options: options.clone(),
            layers,
            max_length: 0,
            whole: true,
            plan: LengthPlan::Fractions(vec![1.0; layers]),
            skipped: vec![false; layers],
        }
    }

    /// For inputs of so many tokens at most, from which lengths are counted where that is asked for.
    #[must_use]
    pub fn of_inputs(mut self, max_length: usize) -> Sandwich {
        self.max_length = max_length;
        if self.options.count_from == CountFrom::MaxLength {
            self.plan = LengthPlan::Tokens(vec![max_length; self.layers]);
        }
        self
    }

    /// Passes of a step, the whole one included.
    pub fn passes(&self) -> usize {
        self.options.num_sandwich + 2
    }

    /// Draws pass number `pass`: 0 is the whole one, 1 the shortest. `tokens` is the length of
    /// the batch's longest sequence.
    pub fn draw(&mut self, pass: usize, tokens: usize, key: Key) -> &Self {
        self.whole = pass == 0;
        self.draw_layers(pass, key.child(stream::LAYERS));
        let options = &self.options;
        let key = key.child(stream::LENGTHS);
        if let LengthPlan::Tokens(lengths) = &mut self.plan {
            let mut length = self.max_length;
            for (layer, kept) in lengths.iter_mut().enumerate() {
                if !self.skipped[layer] {
                    let sampling = if pass <= 1 { Sampling::Fixed } else { options.sampling };
                    length = shorter(length, options.drop_ratio_bound, sampling, key, layer as u64);
                }
                *kept = length;
            }
        }
        if let LengthPlan::Fractions(shares) = &mut self.plan {
            let mut share = 1.0;
            for (layer, kept) in shares.iter_mut().enumerate() {
                let bound = options.drop_ratio_bound;
                let leaves = match options.sampling {
                    _ if pass <= 1 => bound,
                    Sampling::Fixed => bound,
                    Sampling::Uniform => bound * key.uniform(layer as u64),
                    Sampling::Binomial => binomial(tokens, bound, key.child(layer as u64)),
                };
                // A layer that is passed over shortens nothing.
                if !self.skipped[layer] {
                    share *= 1.0 - leaves;
                }
                *kept = share;
            }
        }
        self
    }

    /// The way of the pass that was drawn last.
    pub fn route(&self) -> Route<'_> {
        Route {
            lengths: (!self.whole).then_some(&self.plan),
            skipped: &self.skipped,
            first_may_leave: self.options.drop_first,
            read: None,
        }
    }

    fn draw_layers(&mut self, pass: usize, key: Key) {
        let LengthOptions { layer_dropout_prob, layer_dropout_bound, layer_dropout_whole, .. } =
            self.options;
        self.skipped.fill(false);
        if pass == 0 && !layer_dropout_whole {
            return;
        }
        if layer_dropout_prob > 0.0 {
            for (layer, skipped) in self.skipped.iter_mut().enumerate() {
                *skipped = key.uniform(layer as u64) < layer_dropout_prob;
            }
        } else if pass > 0 {
            let bound = layer_dropout_bound.min(self.layers.saturating_sub(1));
            let drawn = (key.uniform(0) * (bound + 1) as f64) as usize;
            let count = if pass == 1 { bound } else { drawn.min(bound) };
            self.skipped[self.layers - count..].fill(true);
        }
        // Some layer has to do the work.
        let all = self.skipped.iter().all(|&skipped| skipped);
        if let Some(first) = self.skipped.first_mut().filter(|_| all) {
            *first = false;
        }
    }

    /// The divergence of a shortened pass from the whole one, in a regression the squared error:
    /// the mean over sequences of that of their parts. Adds `weight` times its gradient to those
    /// of `outputs`.
    pub fn add(&self, batch: &Batch, whole: &Outputs, outputs: &mut Outputs, weight: f64) -> f64 {
        let scale = weight * outputs.share() / batch.sequences() as f64;
        let direction = self.options.divergence;
        let sum = outputs.sum_over_parts(&batch.starts, |sequence, part, logits, gradient| {
            let whole = whole.part(&batch.starts, sequence, part);
            match (part, direction) {
                (Part::Value, _) => squared_error(logits, whole, scale, gradient),
                (_, Direction::Forward) => divergence(logits, whole, 1.0, scale, gradient),
                (_, Direction::Reverse) => reverse_divergence(logits, whole, scale, gradient),
            }
        });
        sum / weight
    }
}

/// Fewest tokens that go on.
const FEWEST: usize = 2;

/// Of `length` tokens that enter a layer those that go on, in the numbers of the Length-Adaptive
/// Transformer's `sample_length_configuration`.
fn shorter(length: usize, bound: f64, sampling: Sampling, key: Key, layer: u64) -> usize {
    let least = (length as f64 * (1.0 - bound)).ceil() as usize;
    let drawn = match sampling {
        Sampling::Fixed => least,
        Sampling::Uniform => {
            let among = (length - least + 1) as f64;
            (least + (among * key.uniform(layer)) as usize).min(length)
        }
        Sampling::Binomial => {
            let key = key.child(layer);
            length - (0..length as u64).filter(|&token| key.uniform(token) < bound).count()
        }
    };
    drawn.max(FEWEST)
}

/// The share of `tokens` that leave when each does with this probability.
fn binomial(tokens: usize, probability: f64, key: Key) -> f64 {
    let leaving = (0..tokens as u64).filter(|&token| key.uniform(token) < probability).count();
    leaving as f64 / tokens.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(route: Route<'_>) -> Vec<f64> {
        match route.lengths {
            Some(LengthPlan::Fractions(shares)) => shares.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_pass_is_whole_the_second_the_shortest_and_others_lie_between() {
        for sampling in [Sampling::Uniform, Sampling::Binomial, Sampling::Fixed] {
            let options = LengthOptions { sampling, num_sandwich: 3, ..LengthOptions::default() };
            let mut sandwich = Sandwich::new(&options, 4);
            assert_eq!(sandwich.passes(), 5);
            assert!(sandwich.draw(0, 300, Key::new(1)).route().lengths.is_none());
            let shortest = shares(sandwich.draw(1, 300, Key::new(1)).route());
            assert!((shortest[3] - 0.8f64.powi(4)).abs() < 1e-12);
            for seed in 0..20 {
                let drawn = shares(sandwich.draw(2, 300, Key::new(seed)).route());
                assert!(drawn.is_sorted_by(|a, b| a >= b), "{drawn:?}");
                let least = if sampling == Sampling::Binomial { 0.5 } else { 1.0 };
                assert!(drawn[3] >= least * shortest[3] - 1e-12 && drawn[3] <= 1.0, "{drawn:?}");
            }
        }
    }

    #[test]
    fn counted_from_the_longest_input_lengths_are_those_of_the_paper() {
        let of = |sampling| {
            let count_from = CountFrom::MaxLength;
            let options = LengthOptions { sampling, count_from, ..LengthOptions::default() };
            Sandwich::new(&options, 6).of_inputs(384)
        };
        let tokens = |route: Route<'_>| match route.lengths {
            Some(LengthPlan::Tokens(tokens)) => tokens.clone(),
            other => panic!("{other:?}"),
        };
        let shortest = [308, 247, 198, 159, 128, 103];
        for sampling in [Sampling::Uniform, Sampling::Binomial, Sampling::Fixed] {
            let mut sandwich = of(sampling);
            assert!(sandwich.draw(0, 90, Key::new(1)).route().lengths.is_none());
            assert_eq!(tokens(sandwich.draw(1, 90, Key::new(1)).route()), shortest);
            let mut last = 0;
            for seed in 0..50 {
                let drawn = tokens(sandwich.draw(2, 90, Key::new(seed)).route());
                assert!(drawn.is_sorted_by(|a, b| a >= b) && drawn[0] <= 384, "{drawn:?}");
                // Six draws in turn: a deviation of 8 % after the last.
                let least = if sampling == Sampling::Binomial { 0.6 } else { 1.0 };
                let in_bounds = |(&l, &s): (&usize, &usize)| l as f64 >= least * s as f64;
                assert!(drawn.iter().zip(&shortest).all(in_bounds), "{drawn:?}");
                last += drawn[5];
            }
            if sampling == Sampling::Binomial {
                // 384 * 0.8^6 tokens on average.
                assert!((last as f64 / 50.0 - 100.66).abs() < 5.0, "{last}");
            }
        }
        // Padding leaves first: a sequence of 120 tokens loses the first ones in the last layer.
        let plan = LengthPlan::Tokens(shortest.to_vec());
        let kept = (0..6).fold((120, Vec::new()), |(present, mut all), layer| {
            let kept = plan.kept(layer, 120, present);
            all.push(kept);
            (kept, all)
        });
        assert_eq!(kept.1, [120, 120, 120, 120, 120, 103]);
    }

    #[test]
    fn the_same_key_draws_the_same_route() {
        let options = LengthOptions { layer_dropout_prob: 0.5, ..LengthOptions::default() };
        let mut sandwich = Sandwich::new(&options, 6);
        let mut drawn = |seed| {
            let route = sandwich.draw(2, 100, Key::new(seed)).route();
            (shares(route), route.skipped.to_vec())
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    #[test]
    fn layers_are_passed_over_but_never_all_and_not_in_the_whole_pass_unless_asked() {
        let options = LengthOptions { layer_dropout_prob: 0.9, ..LengthOptions::default() };
        let whole = LengthOptions { layer_dropout_whole: true, ..options.clone() };
        let (mut sandwich, mut whole) = (Sandwich::new(&options, 3), Sandwich::new(&whole, 3));
        let skips = |route: Route<'_>| route.skipped.iter().filter(|&&s| s).count();
        let keys = || (0..50).map(Key::new);
        assert!(keys().all(|key| skips(sandwich.draw(0, 9, key).route()) == 0));
        assert!(keys().any(|key| skips(whole.draw(0, 9, key).route()) > 0));
        assert!(keys().all(|key| skips(sandwich.draw(1, 9, key).route()) < 3));
        let bound = LengthOptions { layer_dropout_bound: 9, ..LengthOptions::default() };
        let mut sandwich = Sandwich::new(&bound, 3);
        assert_eq!(sandwich.draw(1, 9, Key::new(1)).route().skipped, [false, true, true]);
        assert!(keys().any(|key| skips(sandwich.draw(2, 9, key).route()) == 1));
    }
}
