//! The flags of commands that run a model at a length budget.

use anyhow::Result;
use clap::Args;
use limbeck_model::{LengthPlan, ModelConfig};

use crate::exit::InputError;

/// How many tokens go on from layer to layer.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Length")]
pub struct LengthArgs {
    /// Tokens that go on after each layer: shares of the input (0.9,0.7,...) or numbers
    /// (300,240,...)
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    pub lengths: Option<Vec<f64>>,
    /// Let tokens leave from layer to layer until this share of the multiply-adds is left
    #[arg(long, value_name = "SHARE", conflicts_with = "lengths")]
    pub budget: Option<f64>,
}

impl LengthArgs {
    /// The plan for a model that reads windows of `length` tokens; none when none is asked
    /// for.
    pub fn plan(&self, config: &ModelConfig, length: usize) -> Result<Option<LengthPlan>> {
        let (plan, flag) = match (&self.lengths, self.budget) {
            (Some(numbers), _) => (LengthPlan::from_numbers(numbers), "--lengths"),
            (None, Some(budget)) => (LengthPlan::for_budget(config, length, budget), "--budget"),
            (None, None) => return Ok(None),
        };
        let checked = plan.and_then(|plan| plan.check(config).map(|()| plan));
        Ok(Some(checked.map_err(|error| InputError::new(error.to_string(), flag, ""))?))
    }
}
