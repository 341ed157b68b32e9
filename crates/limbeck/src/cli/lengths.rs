//! The flags of commands that run a model at a length budget.

use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use limbeck_model::folder::NamedPlans;
use limbeck_model::{LengthPlan, ModelConfig};

use crate::exit::InputError;

/// How many tokens go on from layer to layer.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Length")]
pub struct LengthArgs {
    /// Tokens that go on after each layer: shares of the input (0.9,0.7,...), numbers
    /// (300,240,...), or the name of a plan that `limbeck lengths` left in the model
    #[arg(long, value_name = "LENGTHS")]
    pub lengths: Option<Lengths>,
    /// Let tokens leave from layer to layer until this share of the multiply-adds is left
    #[arg(long, value_name = "SHARE", conflicts_with = "lengths")]
    pub budget: Option<f64>,
}

/// What can stand behind `--lengths`.
#[derive(Debug, Clone, PartialEq)]
pub enum Lengths {
    /// One number a layer.
    Numbers(Vec<f64>),
    /// The name of a plan of the model.
    Name(String),
}

impl FromStr for Lengths {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Lengths, Self::Err> {
        let numbers = text.split(',').map(|part| part.trim().parse());
        match numbers.collect::<Result<Vec<f64>, _>>() {
            Ok(numbers) => Ok(Lengths::Numbers(numbers)),
            Err(_) if text.contains(',') => {
                Err("expected shares or numbers of tokens, one a layer, or the name of a plan")
            }
            Err(_) => Ok(Lengths::Name(text.to_owned())),
        }
    }
}

impl LengthArgs {
    /// The plan for a model that reads windows of `length` tokens and has `plans`; none when
    /// none is asked for.
    pub fn plan(
        &self,
        config: &ModelConfig,
        length: usize,
        plans: &NamedPlans,
    ) -> Result<Option<LengthPlan>> {
        let (plan, flag) = match (&self.lengths, self.budget) {
            (Some(Lengths::Numbers(numbers)), _) => {
                (LengthPlan::from_numbers(numbers), "--lengths")
            }
            (Some(Lengths::Name(name)), _) => (plans.find(name).cloned(), "--lengths"),
            (None, Some(budget)) => (LengthPlan::for_budget(config, length, budget), "--budget"),
            (None, None) => return Ok(None),
        };
        let checked = plan.and_then(|plan| plan.check(config).map(|()| plan));
        Ok(Some(checked.map_err(|error| InputError::new(error.to_string(), flag, ""))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_list_of_numbers_is_a_name() {
        assert_eq!("0.9,0.5".parse(), Ok(Lengths::Numbers(vec![0.9, 0.5])));
        assert_eq!("12".parse(), Ok(Lengths::Numbers(vec![12.0])));
        assert_eq!("within-1-percent".parse(), Ok(Lengths::Name("within-1-percent".to_owned())));
        assert!("0.9,half".parse::<Lengths>().is_err());
    }
}
