//! Length plans: how many tokens of a sequence go on from layer to layer.
//!
//! After a layer's attention, the tokens that were looked at least leave (Length-Adaptive
//! Transformer; Kim and Cho, 2021, §3): the significance of a token is the sum of the
//! probabilities that all queries of all heads give to it. Those that stay keep their order in
//! the text. A token that has left keeps the state of the last layer it went through, so that
//! a span head sees every token.

use serde::{Deserialize, Serialize};

use crate::config::ModelConfig;
use crate::error::{ModelError, Result};
use crate::inspect;

/// Fewest tokens of a sequence that go on.
const FEWEST: usize = 2;

/// How many tokens of a sequence go on after each layer's attention.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Vec<f64>")]
pub enum LengthPlan {
    /// So many tokens, one number a layer; shorter sequences stay whole.
    Tokens(Vec<usize>),
    /// Shares of the sequence's own length, one a layer, rounded up.
    Fractions(Vec<f64>),
}

impl TryFrom<Vec<f64>> for LengthPlan {
    type Error = ModelError;

    /// As [`LengthPlan::from_numbers`], so that files mean what people write in them.
    fn try_from(numbers: Vec<f64>) -> Result<LengthPlan> {
        LengthPlan::from_numbers(&numbers)
    }
}

impl LengthPlan {
    /// A plan from the numbers that people write: shares where all are 1 or less, else
    /// tokens.
    ///
    /// # Errors
    /// Names the number that makes no sense.
    pub fn from_numbers(numbers: &[f64]) -> Result<LengthPlan> {
        let wrong =
            |number: f64, reason: &str| Err(ModelError::Lengths(format!("{number} {reason}")));
        if let Some(&number) = numbers.iter().find(|&&n| n.is_nan() || n <= 0.0) {
            return wrong(number, "is no length: give shares above 0 or numbers of tokens");
        }
        if numbers.iter().all(|&number| number <= 1.0) {
            return Ok(LengthPlan::Fractions(numbers.to_vec()));
        }
        match numbers.iter().find(|&&number| number.fract() != 0.0 || number > 1e9) {
            Some(&number) => wrong(number, "is neither a share nor a number of tokens"),
            None => Ok(LengthPlan::Tokens(numbers.iter().map(|&number| number as usize).collect())),
        }
    }

    /// The plan in which every layer drops the same share of what reaches it, and that takes
    /// at most the share `budget` of a model's multiply-adds for a sequence of `length`
    /// tokens.
    ///
    /// # Errors
    /// When the budget is not above 0 and at most 1, or so small that no plan keeps to it.
    pub fn for_budget(config: &ModelConfig, length: usize, budget: f64) -> Result<LengthPlan> {
        if !(budget > 0.0 && budget <= 1.0) {
            let reason = format!("a budget of {budget} is no share: give a number from 0 to 1");
            return Err(ModelError::Lengths(reason));
        }
        let layers = config.num_hidden_layers;
        let plan = |kept: f64| {
            LengthPlan::Fractions((1..=layers).map(|layer| kept.powi(layer as i32)).collect())
        };
        let whole = inspect::macs(config, length) as f64;
        let share = |kept: f64| plan(kept).macs(config, length) as f64 / whole;
        let (mut least, mut most) = (0.0, 1.0);
        if share(least) > budget {
            let reason = format!(
                "a budget of {budget} is below what the first layer takes; the least is {:.2}",
                share(least)
            );
            return Err(ModelError::Lengths(reason));
        }
        // The cost rises with what is kept: halve until it is as near as lengths allow.
        for _ in 0..40 {
            let middle = 0.5 * (least + most);
            if share(middle) <= budget { least = middle } else { most = middle }
        }
        Ok(plan(if budget >= 1.0 { 1.0 } else { least }))
    }

    /// How many layers it speaks of.
    pub fn layers(&self) -> usize {
        match self {
            LengthPlan::Tokens(tokens) => tokens.len(),
            LengthPlan::Fractions(fractions) => fractions.len(),
        }
    }

    /// Checks that the plan fits a model: a length for every layer, none longer than the one
    /// before.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn check(&self, config: &ModelConfig) -> Result<()> {
        let layers = config.num_hidden_layers;
        if self.layers() != layers {
            let reason = format!("{} lengths for a model of {layers} layers", self.layers());
            return Err(ModelError::Lengths(reason));
        }
        let falls = match self {
            LengthPlan::Tokens(tokens) => tokens.is_sorted_by(|a, b| a >= b),
            LengthPlan::Fractions(shares) => shares.is_sorted_by(|a, b| a >= b),
        };
        if !falls {
            let reason = "a layer cannot keep more tokens than the one before".to_owned();
            return Err(ModelError::Lengths(reason));
        }
        Ok(())
    }

    /// How many of the `present` tokens of a sequence that began with `length` go on after
    /// the attention of layer `layer`.
    pub fn kept(&self, layer: usize, length: usize, present: usize) -> usize {
        let wanted = match self {
            LengthPlan::Tokens(tokens) => tokens.get(layer).copied().unwrap_or(present),
            LengthPlan::Fractions(shares) => {
                // Rounded first, so that 0.9 of 10 are 9 and not 10.
                let share = shares.get(layer).copied().unwrap_or(1.0) * length as f64;
                ((share * 1e9).round() / 1e9).ceil() as usize
            }
        };
        wanted.max(FEWEST).min(present)
    }

    /// Multiply-adds of one sequence of `length` tokens under the plan; see
    /// [`inspect::macs`].
    pub fn macs(&self, config: &ModelConfig, length: usize) -> u64 {
        let mut present = length;
        let layers = (0..config.num_hidden_layers).map(|layer| {
            let kept = self.kept(layer, length, present);
            let macs = inspect::layer_macs(config, layer, present, kept);
            present = kept;
            macs
        });
        layers.sum::<u64>().saturating_add(inspect::head_macs(config, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn numbers_are_shares_or_tokens() {
        let shares = LengthPlan::from_numbers(&[1.0, 0.5]).unwrap();
        assert_eq!(shares, LengthPlan::Fractions(vec![1.0, 0.5]));
        let tokens = LengthPlan::from_numbers(&[300.0, 1.0]).unwrap();
        assert_eq!(tokens, LengthPlan::Tokens(vec![300, 1]));
        for wrong in [&[0.0][..], &[-1.0], &[f64::NAN], &[300.5, 2.0], &[f64::INFINITY]] {
            assert!(LengthPlan::from_numbers(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_plan_fits_a_model_if_it_never_rises() {
        let config = testing::bert();
        let check = |plan: LengthPlan| plan.check(&config).is_ok();
        assert!(check(LengthPlan::Tokens(vec![5; config.num_hidden_layers])));
        assert!(!check(LengthPlan::Tokens(vec![5; config.num_hidden_layers + 1])));
        let mut rising = vec![0.5; config.num_hidden_layers];
        rising[config.num_hidden_layers - 1] = 0.6;
        assert!(!check(LengthPlan::Fractions(rising)));
    }

    #[test]
    fn what_is_kept_never_exceeds_what_is_there_nor_falls_below_two() {
        let plan = LengthPlan::Fractions(vec![0.9, 0.1]);
        assert_eq!((plan.kept(0, 10, 10), plan.kept(1, 10, 9), plan.kept(1, 30, 27)), (9, 2, 3));
        assert_eq!(plan.kept(0, 1, 1), 1);
        let plan = LengthPlan::Tokens(vec![7, 4]);
        assert_eq!((plan.kept(0, 5, 5), plan.kept(1, 5, 5)), (5, 4));
    }

    #[test]
    fn a_whole_plan_costs_what_the_model_costs_and_a_budget_is_kept_to() {
        for config in testing::all() {
            let whole = LengthPlan::Fractions(vec![1.0; config.num_hidden_layers]);
            assert_eq!(whole.macs(&config, 40), inspect::macs(&config, 40));
            let plan = LengthPlan::for_budget(&config, 40, 1.0).unwrap();
            assert_eq!(plan.macs(&config, 40), inspect::macs(&config, 40));
            let plan = LengthPlan::for_budget(&config, 40, 0.7).unwrap();
            let share = plan.macs(&config, 40) as f64 / inspect::macs(&config, 40) as f64;
            assert!((0.6..=0.7).contains(&share), "{share}");
            assert!(plan.check(&config).is_ok());
            for wrong in [0.0, -1.0, 1.1, f64::NAN, 1e-3] {
                assert!(LengthPlan::for_budget(&config, 40, wrong).is_err(), "{wrong}");
            }
        }
    }
}
