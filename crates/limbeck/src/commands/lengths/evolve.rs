//! Plans that evolve: generation after generation, children of the best.

use std::collections::HashSet;

use anyhow::Result;
use limbeck_data::random::SplitMix64;
use limbeck_train::observer::Observer;

use super::search::{Candidate, Generation, Search, Searched};
use super::trial::Tester;
use crate::cli::length_search::EvolutionArgs;
use crate::evolution::{Breeding, Gene, Origin};
use crate::progress::Progress;

impl Search<'_> {
    /// Generation after generation on the sample. `None` when a stop was asked for.
    pub(super) fn evolve(
        &self,
        tester: &mut Tester<'_>,
        progress: &mut Progress,
    ) -> Result<Option<Searched>> {
        let EvolutionArgs { generations, mutations, mutation_probability, crossovers } =
            *self.evolution;
        let breeding = Breeding { mutations, mutation_probability, crossovers };
        let most = self.strategy.trials.unwrap_or(usize::MAX);
        let (shortest, whole) = (self.space.falling(self.strategy.drop_bound), self.space.whole());
        let range = self.macs(&shortest)..=self.macs(&whole);
        let mut new: Vec<_> = self.seeds().into_iter().map(|gene| (gene, Origin::Seed)).collect();
        let mut alive: Vec<Candidate> = Vec::new();
        let mut history: Vec<Generation> = Vec::new();
        let mut tried: HashSet<Gene> = HashSet::new();
        for generation in 0..=generations {
            let stage = format!("generation {generation} of {generations}");
            progress.stage(&stage, Some(new.len() as u64));
            for (gene, origin) in new.drain(..) {
                if tried.len() >= most && !tried.contains(&gene) {
                    continue;
                }
                tried.insert(gene.clone());
                let birth = (generation, origin);
                let Some(candidate) = self.try_on_sample(gene, birth, tester, progress)? else {
                    return Ok(None);
                };
                alive.push(candidate);
            }
            let on_front = self.front(&alive);
            history.push(self.summary(generation, tried.len(), &alive, &on_front));
            // The ends stay whatever beats them, so that children may lie anywhere between.
            let mut place = 0..;
            alive.retain(|Candidate { gene, .. }| {
                let is_on_front = place.next().is_some_and(|place| on_front.contains(&place));
                is_on_front || *gene == shortest || *gene == whole
            });
            if tried.len() >= most {
                break;
            }
            let genes: Vec<Gene> = alive.iter().map(|candidate| candidate.gene.clone()).collect();
            let mut random = SplitMix64::new(self.strategy.seed, generation as u64);
            let may_live = |gene: &Gene| range.contains(&self.macs(gene));
            new = self.space.children(&genes, &breeding, &mut random, may_live);
        }
        let best = self.front(&alive).into_iter().map(|place| alive[place].gene.clone());
        Ok(Some((best.collect(), history)))
    }
}
