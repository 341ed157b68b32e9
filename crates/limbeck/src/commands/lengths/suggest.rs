//! Plans that a Gaussian process suggests: each where, after all that is known, the largest gain of
//! hypervolume is to be expected.

use anyhow::{Context, Result};
use limbeck_data::random::SplitMix64;
use limbeck_search::metric::Metric;
use limbeck_search::samplers::{GaussianProcess, History, Observation, Sampler};
use limbeck_search::space::{Params, Space, Value};
use limbeck_train::observer::Observer;

use super::search::{Candidate, Generation, Search, Searched};
use super::trial::Tester;
use crate::evolution::{Breeding, Gene, Origin};
use crate::progress::Progress;

/// Plans when no number is asked for, as in Dynamic-TinyBERT's search.
const TRIALS: usize = 150;

/// Plans after which a line is written of how the search goes.
const A_LINE: usize = 10;

const LENGTHS: &str = "lengths";

impl Search<'_> {
    /// One plan after another on the sample. `None` when a stop was asked for.
    pub(super) fn suggest(
        &self,
        tester: &mut Tester<'_>,
        progress: &mut Progress,
    ) -> Result<Option<Searched>> {
        let trials = self.strategy.trials.unwrap_or(TRIALS);
        progress.stage("plans", Some(trials as u64));
        let mut tried: Vec<Candidate> = Vec::new();
        for gene in self.seeds() {
            let birth = (0, Origin::Seed);
            let Some(candidate) = self.try_on_sample(gene, birth, tester, progress)? else {
                return Ok(None);
            };
            tried.push(candidate);
        }
        let mut history = vec![self.how_far(0, &tried)];
        let (space, metrics) = self.described(&tried)?;
        while tried.len() < trials {
            let Some((gene, origin)) = self.next(&space, &metrics, &tried)? else { break };
            let birth = (history.len(), origin);
            let Some(candidate) = self.try_on_sample(gene, birth, tester, progress)? else {
                return Ok(None);
            };
            tried.push(candidate);
            if tried.len().is_multiple_of(A_LINE) {
                history.push(self.how_far(history.len(), &tried));
            }
        }
        if history.last().is_some_and(|last| last.tried < tried.len()) {
            history.push(self.how_far(history.len(), &tried));
        }
        let best = self.front(&tried).into_iter().map(|place| tried[place].gene.clone());
        Ok(Some((best.collect(), history)))
    }

    fn how_far(&self, line: usize, tried: &[Candidate]) -> Generation {
        self.summary(line, tried.len(), tried, &self.front(tried))
    }

    /// The space of plans, and what is wanted of them: less cost and more score, from a tenth
    /// behind the plans at the ends on, and no fewer multiply-adds than the shortest has.
    fn described(&self, ends: &[Candidate]) -> Result<(Space, Vec<Metric>)> {
        let points = self.points(ends);
        let behind = |values: &mut dyn Iterator<Item = f64>| {
            let (first, last) = (values.next().unwrap_or(0.0), values.last());
            let last = last.unwrap_or(first);
            first.max(last) + 0.1 * (first - last).abs()
        };
        let cost = behind(&mut points.iter().map(|point| point.cost));
        let score = -behind(&mut points.iter().map(|point| -point.score));
        let (size, low, high) = (self.space.layers, self.space.fewest, self.space.whole);
        let least = self.least();
        let written = format!(
            "[parameters.{LENGTHS}]\ntype = 'falling_reals'\nsize = {size}\nlow = {low}\n\
             high = {high}\n\
             [metrics.cost]\ngoal = 'minimize'\nthreshold = {cost:?}\n\
             [metrics.macs]\ngoal = 'maximize'\nrole = 'constrain'\nthreshold = {least:?}\n\
             [metrics.score]\ngoal = 'maximize'\nthreshold = {score:?}\n"
        );
        let written: toml::Table = written.parse().context("the space of length plans")?;
        Ok((Space::from_toml(&written)?, Metric::all_from_toml(&written)?))
    }

    /// The multiply-adds of the shortest plan.
    fn least(&self) -> f64 {
        self.macs(&self.space.falling(self.strategy.drop_bound))
    }

    /// The next plan; none when all have been tried.
    fn next(
        &self,
        space: &Space,
        metrics: &[Metric],
        tried: &[Candidate],
    ) -> Result<Option<(Gene, Origin)>> {
        let least = self.least();
        let points = self.points(tried);
        let observed = tried.iter().zip(points).filter_map(|(candidate, point)| {
            Some(Observation {
                point: space.encode(&params(&candidate.gene))?,
                losses: vec![point.cost, -point.score],
                violations: vec![least - candidate.measured.macs],
            })
        });
        let history = History {
            space,
            metrics,
            seed: self.strategy.seed,
            number: tried.len(),
            // So that what is suggested does not hang on how many plans there will be.
            budget: usize::MAX,
            observed: observed.collect(),
            failed: Vec::new(),
            pending: Vec::new(),
        };
        let is_new = |gene: &Gene| tried.iter().all(|candidate| candidate.gene != *gene);
        if let Some(point) = GaussianProcess.suggest(&history)? {
            let gene = self.space.raised(&gene(&space.decode(&point)), least, |g| self.macs(g));
            if is_new(&gene) {
                return Ok(Some((gene, Origin::Suggestion)));
            }
        }
        // Rounded, it is one that is known: a neighbour of a good one instead.
        let front: Vec<Gene> =
            self.front(tried).into_iter().map(|place| tried[place].gene.clone()).collect();
        let one = Breeding { mutations: 1, mutation_probability: 0.5, crossovers: 0 };
        let mut random = SplitMix64::new(self.strategy.seed, tried.len() as u64);
        let may_live = |gene: &Gene| is_new(gene) && self.macs(gene) >= least;
        Ok(self.space.children(&front, &one, &mut random, may_live).pop())
    }
}

fn params(gene: &Gene) -> Params {
    let lengths = gene.iter().map(|&length| Value::Real(length.into())).collect();
    Params::from([(LENGTHS.to_owned(), Value::List(lengths))])
}

fn gene(params: &Params) -> Gene {
    let Some(Value::List(lengths)) = params.get(LENGTHS) else { return Gene::new() };
    lengths.iter().filter_map(Value::as_number).map(|length| length.round() as u32).collect()
}
