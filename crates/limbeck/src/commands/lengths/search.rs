//! The loop of a search.

use std::collections::HashSet;

use anyhow::Result;
use limbeck_data::random::SplitMix64;
use limbeck_model::LengthPlan;
use limbeck_train::observer::Observer;

use super::ledger::{Birth, Ledger, Measured};
use super::reader::{Data, Reader};
use super::trial::{Tester, Timing, Trial};
use crate::cli::length_search::{EvolutionArgs, LengthSearchArgs, Objective, Unit};
use crate::evolution::front::{Point, area, front, hull};
use crate::evolution::{Breeding, Gene, Origin, Space};
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
    evolution: &'a EvolutionArgs,
    breeding: Breeding,
    objective: Objective,
    timing: Timing,
    space: Space,
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
        let (whole, fewest) = match args.evolution.unit {
            Unit::Shares => (PARTS, (FEWEST_TOKENS * PARTS).div_ceil(longest).min(PARTS)),
            Unit::Tokens => (longest, FEWEST_TOKENS.min(longest)),
        };
        let layers = reader.model().config().num_hidden_layers;
        let is_part = args.sample > 0 && args.sample < data.len();
        let mut sample = data.clone();
        if is_part {
            sample.sample(args.sample, args.evolution.seed);
        }
        Ok(Search {
            reader,
            evolution: &args.evolution,
            breeding: Breeding {
                mutations: args.evolution.mutations,
                mutation_probability: args.evolution.mutation_probability,
                crossovers: args.evolution.crossovers,
            },
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
        let Some((front, generations)) = self.evolve(&mut tester, progress)? else {
            return Ok(None);
        };
        self.confirm(front, generations, &mut tester, progress)
    }

    /// Generation after generation on the sample: the genes on the front of the last, and how
    /// it went.
    fn evolve(
        &self,
        tester: &mut Tester<'_>,
        progress: &mut Progress,
    ) -> Result<Option<(Vec<Gene>, Vec<Generation>)>> {
        let EvolutionArgs { population, drop_bound, seed, generations, .. } = *self.evolution;
        let cost =
            |gene: &Gene| self.sample.macs(self.reader.model().config(), Some(&self.plan(gene)));
        let (shortest, whole) = (self.space.falling(drop_bound), self.space.whole());
        let range = cost(&shortest)..=cost(&whole);
        let seeds = self.space.seeds(population, drop_bound, cost);
        let mut new: Vec<_> = seeds.into_iter().map(|gene| (gene, Origin::Seed)).collect();
        let mut alive: Vec<Candidate> = Vec::new();
        let mut history: Vec<Generation> = Vec::new();
        let mut tried: HashSet<Gene> = HashSet::new();
        for generation in 0..=generations {
            let stage = format!("generation {generation} of {generations}");
            progress.stage(&stage, Some(new.len() as u64));
            for (gene, origin) in new.drain(..) {
                let birth = Some(Birth { generation, origin });
                let sample = (SAMPLE, &self.sample);
                tried.insert(gene.clone());
                let Some(candidate) = self.test(gene, sample, birth, tester)? else {
                    return Ok(None);
                };
                alive.push(candidate);
                progress.advance(1);
            }
            let on_front = self.front(&alive);
            history.push(self.summary(generation, tried.len(), &alive, &on_front));
            // The ends stay whatever beats them, so that children may lie anywhere between.
            let mut place = 0..;
            alive.retain(|Candidate { gene, .. }| {
                let is_on_front = place.next().is_some_and(|place| on_front.contains(&place));
                is_on_front || *gene == shortest || *gene == whole
            });
            let genes: Vec<Gene> = alive.iter().map(|candidate| candidate.gene.clone()).collect();
            let mut random = SplitMix64::new(seed, generation as u64);
            let may_live = |gene: &Gene| range.contains(&cost(gene));
            new = self.space.children(&genes, &self.breeding, &mut random, may_live);
        }
        let best = self.front(&alive).into_iter().map(|place| alive[place].gene.clone());
        Ok(Some((best.collect(), history)))
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
        match self.evolution.unit {
            Unit::Tokens => {
                LengthPlan::Tokens(gene.iter().map(|&length| length as usize).collect())
            }
            Unit::Shares => {
                let share = |&length: &u32| f64::from(length) / f64::from(PARTS);
                LengthPlan::Fractions(gene.iter().map(share).collect())
            }
        }
    }

    fn points(&self, candidates: &[Candidate]) -> Vec<Point> {
        let of = |Candidate { measured, .. }: &Candidate| Point {
            cost: self.objective.cost(measured),
            score: measured.score,
        };
        candidates.iter().map(of).collect()
    }

    fn front(&self, candidates: &[Candidate]) -> Vec<usize> {
        front(&self.points(candidates))
    }

    fn summary(
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
