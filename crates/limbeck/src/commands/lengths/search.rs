//! A search from the first plan to the front on all data. Which plans are tried on the way is
//! decided in `evolve` or `suggest`.

use anyhow::Result;
use limbeck_model::LengthPlan;
use limbeck_train::observer::Observer;

use super::ledger::{Birth, Ledger, Measured};
use super::reader::{Data, Reader};
use super::trial::{Tester, Timing, Trial};
use crate::cli::length_search::{
    EvolutionArgs, LengthSearchArgs, Objective, PlanSampler, StrategyArgs, Unit,
};
use crate::evolution::front::{Point, area, front, hull};
use crate::evolution::{Gene, Origin, Space};
use crate::progress::Progress;

/// Parts of a sequence when lengths are shares.
const PARTS: u32 = 1000;

/// The fewest tokens that go on, as everywhere.
const FEWEST_TOKENS: u32 = 2;

/// Names of the data in the ledger.
const SAMPLE: &str = "sample";
const ALL: &str = "all";

/// A search, ready to run.
pub struct Search<'a> {
    reader: &'a Reader,
    pub(super) strategy: &'a StrategyArgs,
    pub(super) evolution: &'a EvolutionArgs,
    objective: Objective,
    timing: Timing,
    pub(super) space: Space,
    sample: Trial,
    /// All data, where the sample is a part of it only.
    all: Option<Trial>,
}

/// A plan and what came of it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The lengths as the search counts them.
    pub gene: Gene,
    /// The same for the model.
    pub plan: LengthPlan,
    /// What came of it.
    pub measured: Measured,
}

/// The genes on the front of the sample, and how the search went.
pub type Searched = (Vec<Gene>, Vec<Generation>);

/// How far a generation has come.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Generation {
    /// Its number; 0 are the plans to start from.
    pub generation: usize,
    /// Plans tried so far.
    pub tried: usize,
    /// Plans on the front, scored on the sample.
    pub on_front: usize,
    /// Corners of the front's hull.
    pub on_hull: usize,
    /// The best score within a cost, averaged over costs.
    pub area: f64,
}

/// What a search has found.
#[derive(Debug)]
pub struct Found {
    /// The model with all its tokens, on all data.
    pub whole: Candidate,
    /// The front on all data, cheapest first.
    pub front: Vec<Candidate>,
    /// Places of the hull's corners in the front.
    pub hull: Vec<usize>,
    /// How the search went.
    pub generations: Vec<Generation>,
    /// How many questions or texts there are.
    pub count: usize,
    /// How many of them made the sample.
    pub sampled: usize,
}

impl Objective {
    /// What a plan costs: multiply-adds of a window or text, or milliseconds.
    pub fn cost(self, measured: &Measured) -> f64 {
        match self {
            Objective::Macs => measured.macs,
            Objective::Time => measured.milliseconds(),
        }
    }
}

impl Measured {
    /// Milliseconds of a window or text.
    pub fn milliseconds(&self) -> f64 {
        1e3 * self.seconds / self.pieces.max(1) as f64
    }
}

impl<'a> Search<'a> {
    /// Prepares a search.
    pub fn new(args: &'a LengthSearchArgs, data: Data, reader: &'a Reader) -> Result<Self> {
        let longest = reader.max_length().try_into().unwrap_or(u32::MAX);
        let (whole, fewest) = match args.strategy.unit {
            Unit::Shares => (PARTS, (FEWEST_TOKENS * PARTS).div_ceil(longest).min(PARTS)),
            Unit::Tokens => (longest, FEWEST_TOKENS.min(longest)),
        };
        let layers = reader.model().config().num_hidden_layers;
        let is_part = args.sample > 0 && args.sample < data.len();
        let mut sample = data.clone();
        if is_part {
            sample.sample(args.sample, args.strategy.seed);
        }
        Ok(Search {
            reader,
            strategy: &args.strategy,
            evolution: &args.evolution,
            objective: args.cost.objective,
            timing: super::timing(args),
            space: Space { layers, whole, fewest },
            sample: reader.trial(sample)?,
            all: is_part.then(|| reader.trial(data)).transpose()?,
        })
    }

    /// Searches. `None` when a stop was asked for.
    ///
    /// # Errors
    /// When the data does not fit the model, or the ledger cannot be written.
    pub fn run(&self, ledger: &mut Ledger, progress: &mut Progress) -> Result<Option<Found>> {
        let mut tester = Tester::new(self.reader.model(), self.timing, ledger);
        let searched = match self.strategy.sampler {
            PlanSampler::Evolution => self.evolve(&mut tester, progress)?,
            PlanSampler::Gp => self.suggest(&mut tester, progress)?,
        };
        let Some((front, generations)) = searched else { return Ok(None) };
        self.confirm(front, generations, &mut tester, progress)
    }

    /// Tries the genes of a front, and the whole one, on all data.
    fn confirm(
        &self,
        mut genes: Vec<Gene>,
        generations: Vec<Generation>,
        tester: &mut Tester<'_>,
        progress: &mut Progress,
    ) -> Result<Option<Found>> {
        let whole = self.space.whole();
        genes.retain(|gene| *gene != whole);
        let stage = format!("the front on all {}", self.reader.metric().things());
        progress.stage(&stage, Some(genes.len() as u64 + 1));
        let on = match &self.all {
            Some(all) => (ALL, all),
            None => (SAMPLE, &self.sample),
        };
        let Some(whole) = self.test(whole, on, None, tester)? else { return Ok(None) };
        progress.advance(1);
        let mut candidates = vec![whole.clone()];
        for gene in genes {
            let Some(candidate) = self.test(gene, on, None, tester)? else { return Ok(None) };
            candidates.push(candidate);
            progress.advance(1);
        }
        let on_front = self.front(&candidates).into_iter();
        let front: Vec<_> = on_front.map(|place| candidates[place].clone()).collect();
        let hull = hull(&self.points(&front));
        let (count, sampled) = (on.1.len(), self.sample.len());
        Ok(Some(Found { whole, front, hull, generations, count, sampled }))
    }

    /// What a plan costs on the sample, in multiply-adds.
    pub(super) fn macs(&self, gene: &Gene) -> f64 {
        self.sample.macs(self.reader.model().config(), Some(&self.plan(gene)))
    }

    /// The plans to start from.
    pub(super) fn seeds(&self) -> Vec<Gene> {
        let StrategyArgs { population, drop_bound, .. } = *self.strategy;
        self.space.seeds(population, drop_bound, |gene| self.macs(gene))
    }

    /// Tries a plan on the sample. `None` when a stop was asked for.
    pub(super) fn try_on_sample(
        &self,
        gene: Gene,
        (generation, origin): (usize, Origin),
        tester: &mut Tester<'_>,
        progress: &mut Progress,
    ) -> Result<Option<Candidate>> {
        let birth = Some(Birth { generation, origin });
        let candidate = self.test(gene, (SAMPLE, &self.sample), birth, tester)?;
        progress.advance(1);
        Ok(candidate)
    }

    fn test(
        &self,
        gene: Gene,
        on: (&str, &Trial),
        birth: Option<Birth>,
        tester: &mut Tester<'_>,
    ) -> Result<Option<Candidate>> {
        let plan = self.plan(&gene);
        let measured = tester.test(on, &gene, Some(&plan), birth)?;
        Ok(measured.map(|measured| Candidate { gene, plan, measured }))
    }

    fn plan(&self, gene: &[u32]) -> LengthPlan {
        match self.strategy.unit {
            Unit::Tokens => {
                LengthPlan::Tokens(gene.iter().map(|&length| length as usize).collect())
            }
            Unit::Shares => {
                let share = |&length: &u32| f64::from(length) / f64::from(PARTS);
                LengthPlan::Fractions(gene.iter().map(share).collect())
            }
        }
    }

    pub(super) fn points(&self, candidates: &[Candidate]) -> Vec<Point> {
        let of = |Candidate { measured, .. }: &Candidate| Point {
            cost: self.objective.cost(measured),
            score: measured.score,
        };
        candidates.iter().map(of).collect()
    }

    pub(super) fn front(&self, candidates: &[Candidate]) -> Vec<usize> {
        front(&self.points(candidates))
    }

    /// How far it is, given the plans that are known and which of these make the front.
    pub(super) fn summary(
        &self,
        generation: usize,
        tried: usize,
        alive: &[Candidate],
        on_front: &[usize],
    ) -> Generation {
        let all = self.points(alive);
        let points: Vec<Point> = on_front.iter().map(|&place| all[place]).collect();
        let most = all.iter().map(|point| point.cost).fold(0.0, f64::max);
        Generation {
            generation,
            tried,
            on_front: points.len(),
            on_hull: hull(&points).len(),
            area: area(&points, most),
        }
    }
}
