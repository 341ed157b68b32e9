//! The plans worth a name, and their place in the model.

use std::path::Path;

use anyhow::Result;
use limbeck_model::folder::{Limbeck, NamedPlan};
use serde_json::json;

use super::reader::Metric;
use super::results::Results;
use super::search::Candidate;
use crate::cli::length_search::Objective;

/// The cheapest plan whose score is within one per cent, relative, of the teacher's, or of the
/// whole model's when there is none.
pub const WITHIN_1_PERCENT: &str = "within-1-percent";
/// The best plan at half the whole model's cost.
pub const HALF: &str = "half";
/// The cheapest plan of the front.
pub const FASTEST: &str = "fastest";
/// The plan of the highest score.
pub const BEST: &str = "best";

/// All names, in the order in which they are told.
pub const NAMES: [&str; 4] = [WITHIN_1_PERCENT, HALF, FASTEST, BEST];

/// The plan of a front (cheapest first) that a name means; none where no plan is good or
/// cheap enough.
pub fn choose<'a>(
    name: &str,
    front: &'a [Candidate],
    cost: impl Fn(&Candidate) -> f64,
    whole_cost: f64,
    reference: f64,
) -> Option<&'a Candidate> {
    match name {
        WITHIN_1_PERCENT => {
            let least = reference - 0.01 * reference.abs();
            front.iter().find(|plan| plan.measured.score >= least)
        }
        HALF => front.iter().rfind(|plan| cost(plan) <= 0.5 * whole_cost),
        FASTEST => front.first(),
        _ => front.last(),
    }
}

/// Writes the named plans into the model's notes. Plans under other names stay; a name that
/// no plan has earned this time is taken away.
pub fn store(model: &Path, results: &Results) -> Result<()> {
    let mut notes = Limbeck::open(model)?.unwrap_or_default();
    if notes.version.is_empty() {
        env!("CARGO_PKG_VERSION").clone_into(&mut notes.version);
    }
    for name in NAMES {
        notes.length_plans.0.remove(name);
        let Some(plan) = results.named(name) else { continue };
        let measured = &plan.measured;
        let timed = results.objective == Objective::Time;
        let of_texts = matches!(results.metric, Metric::OfTexts(_));
        let named = NamedPlan {
            lengths: plan.plan.clone(),
            f1: (!of_texts).then_some(measured.score),
            score: of_texts.then_some(measured.score),
            metric: of_texts.then(|| results.metric.key().to_owned()),
            macs: Some(measured.macs),
            share_of_macs: Some(measured.macs / results.found.whole.measured.macs),
            milliseconds: timed.then(|| measured.milliseconds()),
            extra: [(results.metric.things().to_owned(), json!(results.found.count))]
                .into_iter()
                .collect(),
        };
        notes.length_plans.0.insert(name.to_owned(), named);
    }
    Ok(notes.save(model)?)
}

#[cfg(test)]
mod tests {
    use limbeck_model::LengthPlan;

    use super::*;
    use crate::commands::lengths::ledger::Measured;

    #[test]
    fn each_name_means_the_plan_that_its_words_say() {
        let plan = |macs: f64, score: f64| Candidate {
            gene: vec![],
            plan: LengthPlan::Fractions(vec![1.0]),
            measured: Measured { score, macs, seconds: 1.0, pieces: 1 },
        };
        let front = [plan(3.0, 70.0), plan(4.0, 79.0), plan(6.0, 79.3), plan(9.0, 80.5)];
        let cost = |plan: &Candidate| plan.measured.macs;
        let chosen = |name, reference| {
            choose(name, &front, cost, 10.0, reference).map(|plan| plan.measured.macs)
        };
        assert_eq!(chosen(WITHIN_1_PERCENT, 80.0), Some(6.0));
        assert_eq!(chosen(WITHIN_1_PERCENT, 90.0), None);
        // Correlations may be below zero.
        assert_eq!(chosen(WITHIN_1_PERCENT, -80.0), Some(3.0));
        assert_eq!(chosen(HALF, 80.0), Some(4.0));
        assert_eq!(choose(HALF, &front, cost, 5.0, 80.0).map(cost), None);
        assert_eq!((chosen(FASTEST, 80.0), chosen(BEST, 80.0)), (Some(3.0), Some(9.0)));
    }
}
