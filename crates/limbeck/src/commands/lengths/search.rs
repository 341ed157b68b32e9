//! The loop of a search.

use anyhow::Result;
use limbeck_data::SquadData;
use limbeck_data::random::SplitMix64;
use limbeck_model::LengthPlan;
use limbeck_train::observer::Observer;

use super::ledger::{Entry, Ledger, Measured};
use super::trial::{Timing, Trial};
use crate::cli::length_search::{EvolutionArgs, LengthSearchArgs, Objective, Unit};
use crate::commands::subject::Subject;
use crate::evolution::front::{Point, area, front, hull};
use crate::evolution::{Breeding, Gene, Origin, Space};
use crate::progress::Progress;

/// Parts of a sequence when lengths are shares.
const PARTS: u32 = 1000;

/// The fewest tokens that go on, as everywhere.
const FEWEST_TOKENS: u32 = 2;

/// Names of the questions in the ledger.
const SAMPLE: &str = "sample";
const ALL: &str = "all";

/// A search, ready to run.
pub struct Search<'a> {
    subject: &'a Subject,
    evolution: &'a EvolutionArgs,
    objective: Objective,
    timing: Timing,
    space: Space,
    sample: Trial,
    /// All questions, where the sample is a part of them only.
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
    /// The best F1 within a cost, averaged over costs.
    pub area: f64,
}

/// What a search has found.
#[derive(Debug)]
pub struct Found {
    /// The model with all its tokens, on all questions.
    pub whole: Candidate,
    /// The front on all questions, cheapest first.
    pub front: Vec<Candidate>,
    /// Places of the hull's corners in the front.
    pub hull: Vec<usize>,
    /// How the search went.
    pub generations: Vec<Generation>,
    /// How many questions there are.
    pub questions: usize,
    /// How many of them made the sample.
    pub sampled: usize,
}

impl Objective {
    /// What a plan costs: multiply-adds of a window, or milliseconds.
    pub fn cost(self, measured: &Measured) -> f64 {
        match self {
            Objective::Macs => measured.macs,
            Objective::Time => measured.milliseconds(),
        }
    }
}

impl Measured {
    /// Milliseconds of a window.
    pub fn milliseconds(&self) -> f64 {
        1e3 * self.seconds / self.windows.max(1) as f64
    }
}

impl<'a> Search<'a> {
    /// Prepares a search.
    pub fn new(args: &'a LengthSearchArgs, data: SquadData, subject: &'a Subject) -> Result<Self> {
        let longest = subject.features.max_length.try_into().unwrap_or(u32::MAX);
        let (whole, fewest) = match args.evolution.unit {
            Unit::Shares => (PARTS, (FEWEST_TOKENS * PARTS).div_ceil(longest).min(PARTS)),
            Unit::Tokens => (longest, FEWEST_TOKENS.min(longest)),
        };
        let layers = subject.model.config().num_hidden_layers;
        let is_part = args.sample > 0 && args.sample < data.questions.len();
        let mut sample = data.clone();
        if is_part {
            sample.sample(args.sample, args.evolution.seed);
        }
        Ok(Search {
            subject,
            evolution: &args.evolution,
            objective: args.cost.objective,
            timing: super::timing(args),
            space: Space { layers, whole, fewest },
            sample: Trial::new(sample, subject)?,
            all: is_part.then(|| Trial::new(data, subject)).transpose()?,
        })
    }

    /// Searches. `None` when a stop was asked for.
    pub fn run(&self, ledger: &mut Ledger, progress: &mut Progress) -> Result<Option<Found>> {
        let cost = |gene: &Gene| self.macs(&self.sample, gene);
        let EvolutionArgs { population, drop_bound, seed, generations, .. } = *self.evolution;
        let breeding = Breeding {
            mutations: self.evolution.mutations,
            mutation_probability: self.evolution.mutation_probability,
            crossovers: self.evolution.crossovers,
        };
        let (shortest, whole) = (self.space.falling(drop_bound), self.space.whole());
        let range = cost(&shortest)..=cost(&whole);
        let seeds = self.space.seeds(population, drop_bound, cost);
        let mut new: Vec<_> = seeds.into_iter().map(|gene| (gene, Origin::Seed)).collect();
        let mut alive: Vec<Candidate> = Vec::new();
        let mut history: Vec<Generation> = Vec::new();
        let mut tried = 0;
        for generation in 0..=generations {
            let stage = format!("generation {generation} of {generations}");
            progress.stage(&stage, Some(new.len() as u64));
            for (gene, origin) in new.drain(..) {
                let Some(tried_now) = self.sampled(gene, (generation, origin), ledger)? else {
                    return Ok(None);
                };
                alive.push(tried_now);
                tried += 1;
                progress.advance(1);
            }
            let on_front = self.front(&alive);
            history.push(self.generation(generation, tried, &alive, &on_front));
            // The ends stay whatever beats them, so that children may lie anywhere between.
            let keeps = |place: usize, gene: &Gene| {
                on_front.contains(&place) || *gene == shortest || *gene == whole
            };
            let mut place = 0..;
            alive.retain(|candidate| keeps(place.next().unwrap_or(0), &candidate.gene));
            let genes: Vec<Gene> = alive.iter().map(|candidate| candidate.gene.clone()).collect();
            let mut random = SplitMix64::new(seed, generation as u64);
            new = self
                .space
                .children(&genes, &breeding, &mut random, |gene| range.contains(&cost(gene)));
        }
        let best = self.front(&alive).into_iter().map(|place| alive[place].gene.clone());
        self.on_all(best.collect(), whole, history, ledger, progress)
    }

    /// Tries the plans of the front on all questions.
    fn on_all(
        &self,
        mut genes: Vec<Gene>,
        whole: Gene,
        generations: Vec<Generation>,
        ledger: &mut Ledger,
        progress: &mut Progress,
    ) -> Result<Option<Found>> {
        genes.retain(|gene| *gene != whole);
        genes.push(whole);
        progress.stage("the front on all questions", Some(genes.len() as u64));
        let (trial, name) = match &self.all {
            Some(all) => (all, ALL),
            None => (&self.sample, SAMPLE),
        };
        let mut candidates = Vec::new();
        for gene in genes {
            let by = (generations.len(), Origin::Seed);
            let Some(candidate) = self.tried(gene, trial, name, by, ledger)? else {
                return Ok(None);
            };
            candidates.push(candidate);
            progress.advance(1);
        }
        let front: Vec<_> =
            self.front(&candidates).into_iter().map(|place| candidates[place].clone()).collect();
        let hull = hull(&self.points(&front));
        let questions = trial.questions();
        let sampled = self.sample.questions();
        Ok(candidates.pop().map(|whole| Found {
            whole,
            front,
            hull,
            generations,
            questions,
            sampled,
        }))
    }

    fn sampled(
        &self,
        gene: Gene,
        by: (usize, Origin),
        ledger: &mut Ledger,
    ) -> Result<Option<Candidate>> {
        self.tried(gene, &self.sample, SAMPLE, by, ledger)
    }

    /// What comes of a plan on some questions, from the ledger where it is known.
    fn tried(
        &self,
        gene: Gene,
        trial: &Trial,
        name: &str,
        (generation, origin): (usize, Origin),
        ledger: &mut Ledger,
    ) -> Result<Option<Candidate>> {
        let plan = self.plan(&gene);
        if let Some(measured) = ledger.get(name, &gene) {
            return Ok(Some(Candidate { gene, plan, measured }));
        }
        let Some(measured) = trial.run(&self.subject.model, Some(&plan), self.timing)? else {
            return Ok(None);
        };
        let (trial, lengths) = (name.to_owned(), gene.clone());
        ledger.add(Entry { trial, lengths, generation, origin, measured })?;
        Ok(Some(Candidate { gene, plan, measured }))
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

    fn macs(&self, trial: &Trial, gene: &[u32]) -> f64 {
        trial.macs(self.subject.model.config(), Some(&self.plan(gene)))
    }

    fn points(&self, candidates: &[Candidate]) -> Vec<Point> {
        let of = |Candidate { measured, .. }: &Candidate| Point {
            cost: self.objective.cost(measured),
            score: measured.f1,
        };
        candidates.iter().map(of).collect()
    }

    fn front(&self, candidates: &[Candidate]) -> Vec<usize> {
        front(&self.points(candidates))
    }

    fn generation(
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
