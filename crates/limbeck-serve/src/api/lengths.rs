//! The part of a request that says how many tokens go on from layer to layer.

use limbeck_model::LengthPlan;

use crate::error::Refusal;
use crate::student::{Skill, Student};

/// The plan that a request asks for, by lengths or by a budget; none when it asks for none.
///
/// # Errors
/// When both are given, or they make no sense for this model.
pub fn plan(
    student: &Student,
    lengths: Option<&[f64]>,
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
        (Some(numbers), None) => LengthPlan::from_numbers(numbers),
        // Rounded, so that requests of nearly one budget share batches.
        (None, Some(budget)) => {
            LengthPlan::for_budget(config, window, (budget * 100.0).round() / 100.0)
        }
    };
    let checked = plan.and_then(|plan| plan.check(config).map(|()| plan));
    checked.map(Some).map_err(|error| Refusal::invalid(error.to_string()))
}
