//! What a search leaves for other programs: `lengths.csv` and `front.json`.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use limbeck_data::files;
use limbeck_model::LengthPlan;
use limbeck_train::folder::write_json;
use serde_json::{Map, Value, json};

use super::Teacher;
use super::named::{self, NAMES};
use super::reader::Metric;
use super::search::{Candidate, Found};
use crate::cli::length_search::{LengthSearchArgs, Objective};
use crate::console::columns;

/// All that a search has come to.
pub struct Results {
    /// The plans.
    pub found: Found,
    /// What they are compared with.
    pub teacher: Teacher,
    /// What a plan costs.
    pub objective: Objective,
    /// By what plans are compared.
    pub metric: Metric,
}

impl Results {
    /// Brings together what was found.
    pub fn new(args: &LengthSearchArgs, metric: Metric, found: Found, teacher: Teacher) -> Self {
        Results { found, teacher, objective: args.cost.objective, metric }
    }

    /// What a plan costs: multiply-adds, or milliseconds, of a window or text.
    pub fn cost(&self, plan: &Candidate) -> f64 {
        self.objective.cost(&plan.measured)
    }

    /// The same as a share of what the model costs with all tokens.
    pub fn share(&self, plan: &Candidate) -> f64 {
        self.cost(plan) / self.cost(&self.found.whole)
    }

    /// The score that a plan is to come near: the teacher's, or the whole model's.
    pub fn reference(&self) -> f64 {
        self.teacher.score().unwrap_or(self.found.whole.measured.score)
    }

    /// The plan that a name means, if there is one.
    pub fn named(&self, name: &str) -> Option<&Candidate> {
        let whole_cost = self.cost(&self.found.whole);
        let cost = |plan: &Candidate| self.cost(plan);
        named::choose(name, &self.found.front, cost, whole_cost, self.reference())
    }

    /// Writes both files.
    pub fn write(&self, out: &Path) -> Result<()> {
        files::replace(&out.join("lengths.csv"), self.as_csv().as_bytes())?;
        let Found { front, hull, generations, count, sampled, .. } = &self.found;
        let (key, things) = (self.metric.key(), self.metric.things());
        let front: Vec<Value> = front
            .iter()
            .enumerate()
            .map(|(place, plan)| {
                let mut value = self.plan_as_json(plan);
                value["on_hull"] = json!(hull.contains(&place));
                value
            })
            .collect();
        let teacher = match &self.teacher {
            Teacher::None => Value::Null,
            Teacher::Score(score) => json!({ key: score }),
            Teacher::Model(name, measured) => json!({ "model": name, "measured": measured }),
        };
        let value = json!({
            things: count,
            format!("sampled_{things}"): sampled,
            "teacher": teacher,
            "whole": self.plan_as_json(&self.found.whole),
            "front": front,
            "plans": self.plans_as_json(),
            "generations": generations,
        });
        write_json(&out.join("front.json"), &value)?;
        Ok(())
    }

    /// What the command says with `--json`.
    pub fn summary(&self, out: &Path) -> Value {
        let Found { front, generations, count, .. } = &self.found;
        json!({
            "out": out,
            self.metric.things(): count,
            "tried": generations.last().map_or(0, |last| last.tried),
            "on_front": front.len(),
            format!("reference_{}", self.metric.key()): self.reference(),
            "whole": self.plan_as_json(&self.found.whole),
            "plans": self.plans_as_json(),
        })
    }

    /// The named plans and where the rest is.
    pub fn as_text(&self, out: &Path) -> String {
        let scored = |score| format!("{} {}", self.metric.name(), self.metric.text(score));
        let row = |plan: Option<&Candidate>| match plan {
            None => "none is good or cheap enough".to_owned(),
            Some(plan) => {
                let (score, share) = (scored(plan.measured.score), 100.0 * self.share(plan));
                format!("{score} at {share:.1} % of the cost: {}", as_text(&plan.plan))
            }
        };
        let mut rows = vec![("all tokens", scored(self.found.whole.measured.score))];
        if let Some(score) = self.teacher.score() {
            rows.push(("teacher", scored(score)));
        }
        rows.extend(NAMES.map(|name| (name, row(self.named(name)))));
        let front = self.found.front.len();
        columns(&rows)
            + &format!("{front} plans on the front; {}", out.join("report.html").display())
    }

    /// The front with the columns of Dynamic-TinyBERT's logs, and the multiply-adds.
    fn as_csv(&self) -> String {
        let layers = self.found.whole.gene.len();
        let mut csv: String = (0..layers).map(|layer| format!("x{layer},")).collect();
        csv += &format!("{},evalTime,macs\n", self.metric.key());
        for Candidate { plan, measured, .. } in &self.found.front {
            // Writing to a string cannot fail.
            let _ = writeln!(
                csv,
                "{},{},{},{}",
                as_text(plan),
                measured.score,
                measured.seconds,
                measured.macs
            );
        }
        csv
    }

    fn plan_as_json(&self, plan: &Candidate) -> Value {
        let mut value = json!({
            "lengths": plan.plan,
            self.metric.key(): plan.measured.score,
            "macs": plan.measured.macs,
            "share_of_macs": plan.measured.macs / self.found.whole.measured.macs,
            "seconds": plan.measured.seconds,
        });
        if self.objective == Objective::Time {
            value["milliseconds"] = json!(plan.measured.milliseconds());
            value["share_of_time"] = json!(self.share(plan));
        }
        value
    }

    fn plans_as_json(&self) -> Map<String, Value> {
        let named = |name: &str| {
            let plan = self.named(name)?;
            Some((name.to_owned(), self.plan_as_json(plan)))
        };
        NAMES.into_iter().filter_map(named).collect()
    }
}

/// A plan as it is typed: `0.9,0.7,0.5`.
pub fn as_text(plan: &LengthPlan) -> String {
    match plan {
        LengthPlan::Tokens(tokens) => joined(tokens),
        LengthPlan::Fractions(shares) => joined(shares),
    }
}

fn joined(numbers: &[impl ToString]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
