//! The part of a request that says how many tokens go on from layer to layer.

use limbeck_model::LengthPlan;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::Refusal;
use crate::student::{Skill, Student};

/// Tokens that go on after each layer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "`lengths` must be a list of numbers or the name of a plan")]
pub enum Lengths {
    /// Shares of the input, or numbers; one a layer.
    Numbers(Vec<f64>),
    /// The name of a plan that `/info` lists for the model.
    Name(String),
}

/// The plan that a request asks for, by lengths or by a budget; none when it asks for none.
///
/// # Errors
/// When both are given, or they make no sense for this model.
pub fn plan(
    student: &Student,
    lengths: Option<&Lengths>,
    budget: Option<f64>,
) -> Result<Option<LengthPlan>, Refusal> {
    let config = student.model.config();
    let window = match &student.skill {
        Skill::Answer { features, .. } => features.max_length,
        Skill::Classify { max_length, .. } => *max_length,
    };
    let plan = match (lengths, budget) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(Refusal::invalid("give `lengths` or `budget`, not both")),
        (Some(Lengths::Numbers(numbers)), None) => LengthPlan::from_numbers(numbers),
        (Some(Lengths::Name(name)), None) => student.plans.find(name).cloned(),
        // Rounded, so that requests of nearly one budget share batches.
        (None, Some(budget)) => {
            LengthPlan::for_budget(config, window, (budget * 100.0).round() / 100.0)
        }
    };
    let checked = plan.and_then(|plan| plan.check(config).map(|()| plan));
    checked.map(Some).map_err(|error| Refusal::invalid(error.to_string()))
}
