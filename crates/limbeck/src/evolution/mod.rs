//! Evolution of length plans (Length-Adaptive Transformer; Kim and Cho, 2021, §3): which
//! plans to try next, given those that were good. Nothing here knows models or files.
//!
//! A gene is one length a layer, as so many parts of a whole: thousandths of a sequence, or
//! tokens. A generation keeps the front of its population and adds children of it until so
//! many are new.
//!
//! # Layout
//! - [`front`]: the Pareto front, its hull, and the area under it.

pub mod front;

use limbeck_data::random::SplitMix64;
use serde::{Deserialize, Serialize};

/// Children that are drawn for each one that is wanted, before it is given up: small spaces
/// run out of new ones.
const ATTEMPTS: usize = 200;

/// One length a layer, none above the one before.
pub type Gene = Vec<u32>;

/// All genes that there are.
#[derive(Debug, Clone, Copy)]
pub struct Space {
    /// Lengths of a gene; at least one.
    pub layers: usize,
    /// The length of an untouched sequence.
    pub whole: u32,
    /// The least length; not above `whole`.
    pub fewest: u32,
}

/// How a generation's children come about.
#[derive(Debug, Clone, Copy)]
pub struct Breeding {
    /// New genes by mutation.
    pub mutations: usize,
    /// The probability that a mutation draws a layer's length anew.
    pub mutation_probability: f64,
    /// New genes by crossover.
    pub crossovers: usize,
}

/// Where a gene comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It was there from the start.
    Seed,
    /// Some lengths of another gene, drawn anew.
    Mutation,
    /// The mean of two others.
    Crossover,
    /// A model of what is known suggested it.
    Suggestion,
}

impl Space {
    /// The gene that drops nothing.
    pub fn whole(&self) -> Gene {
        vec![self.whole; self.layers]
    }

    /// The gene in which every layer drops the same share of what reaches it.
    pub fn falling(&self, dropped: f64) -> Gene {
        let mut length = self.whole;
        let mut next = || {
            // Rounded first, so that 0.8 of 1000 are 800 and not 801.
            let kept = f64::from(length) * (1.0 - dropped);
            length = (((kept * 1e6).round() / 1e6).ceil() as u32).clamp(self.fewest, length);
            length
        };
        (0..self.layers).map(|_| next()).collect()
    }

    /// The genes to start from, cheapest first: the one that drops the share `dropped` in
    /// every layer, the whole one, and between them `count` whose costs lie evenly, as far as
    /// such genes exist. `cost` must not fall when a length rises.
    pub fn seeds(&self, count: usize, dropped: f64, cost: impl Fn(&Gene) -> f64) -> Vec<Gene> {
        let (shortest, whole) = (self.falling(dropped), self.whole());
        let (least, most) = (cost(&shortest), cost(&whole));
        let between = (1..=count).map(|place| {
            let target = least + (most - least) * place as f64 / (count + 1) as f64;
            let (mut cheap, mut dear) = (dropped, 0.0);
            for _ in 0..40 {
                let middle = 0.5 * (cheap + dear);
                if cost(&self.falling(middle)) <= target { cheap = middle } else { dear = middle }
            }
            self.falling(cheap)
        });
        let mut seeds: Vec<Gene> = std::iter::once(shortest.clone()).chain(between).collect();
        seeds.push(whole.clone());
        seeds.dedup();
        seeds
    }

    /// The gene if it costs no less than `least`; else it is moved towards the whole one until it
    /// does.
    pub fn raised(&self, gene: &Gene, least: f64, cost: impl Fn(&Gene) -> f64) -> Gene {
        let moved = |share: f64| -> Gene {
            let one = |&length: &u32| {
                length + (f64::from(self.whole.saturating_sub(length)) * share).ceil() as u32
            };
            gene.iter().map(one).collect()
        };
        if cost(gene) >= least {
            return gene.clone();
        }
        let (mut below, mut enough) = (0.0, 1.0);
        for _ in 0..40 {
            let middle = 0.5 * (below + enough);
            if cost(&moved(middle)) < least { below = middle } else { enough = middle }
        }
        moved(enough)
    }

    /// Children of a population that are not in it, each with its origin. Children are
    /// parents of later ones, as in the paper's own code. `allowed` says which may live.
    pub fn children(
        &self,
        population: &[Gene],
        breeding: &Breeding,
        random: &mut SplitMix64,
        allowed: impl Fn(&Gene) -> bool,
    ) -> Vec<(Gene, Origin)> {
        let mut all = population.to_vec();
        let mut origins = Vec::new();
        let kinds =
            [(Origin::Mutation, breeding.mutations), (Origin::Crossover, breeding.crossovers)];
        for (origin, wanted) in kinds {
            let enough = origins.len() + wanted;
            for _ in 0..wanted.saturating_mul(ATTEMPTS) {
                if origins.len() == enough || all.is_empty() {
                    break;
                }
                let parent = &all[random.below(all.len())];
                let child = match origin {
                    Origin::Crossover => cross(parent, &all[random.below(all.len())]),
                    _ => self.mutate(parent, breeding.mutation_probability, random),
                };
                if !all.contains(&child) && allowed(&child) {
                    all.push(child);
                    origins.push(origin);
                }
            }
        }
        all.drain(population.len()..).zip(origins).collect()
    }

    /// Draws each length anew with some probability, between its neighbours: the changed one
    /// before it and the unchanged one behind.
    fn mutate(&self, gene: &[u32], probability: f64, random: &mut SplitMix64) -> Gene {
        let mut most = self.whole;
        let lengths = gene.iter().enumerate().map(|(layer, &length)| {
            let chance = random.next_u64() as f64 / u64::MAX as f64;
            if chance < probability {
                let least = gene.get(layer + 1).copied().unwrap_or(self.fewest);
                most = least + random.below((most - least) as usize + 1) as u32;
            } else {
                most = length;
            }
            most
        });
        lengths.collect()
    }
}

/// The mean of two genes, rounded up.
fn cross(a: &[u32], b: &[u32]) -> Gene {
    a.iter().zip(b).map(|(&a, &b)| a.min(b) + a.abs_diff(b).div_ceil(2)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: Space = Space { layers: 6, whole: 384, fewest: 2 };
    const BREEDING: Breeding =
        Breeding { mutations: 30, mutation_probability: 0.5, crossovers: 30 };

    fn cost(gene: &Gene) -> f64 {
        gene.iter().copied().map(f64::from).sum()
    }

    #[test]
    fn a_fixed_share_dropped_gives_the_lengths_of_the_papers_code() {
        assert_eq!(SPACE.falling(0.2), [308, 247, 198, 159, 128, 103]);
        assert_eq!(SPACE.falling(0.0), SPACE.whole());
        assert_eq!(Space { whole: 1000, ..SPACE }.falling(0.2)[..3], [800, 640, 512]);
        assert_eq!(SPACE.falling(1.0), [2; 6]);
    }

    #[test]
    fn seeds_go_from_the_shortest_to_the_whole_in_even_steps_of_cost() {
        let seeds = SPACE.seeds(5, 0.2, cost);
        assert_eq!(seeds.len(), 7);
        assert_eq!((&seeds[0], &seeds[6]), (&SPACE.falling(0.2), &SPACE.whole()));
        let costs: Vec<f64> = seeds.iter().map(cost).collect();
        let step = (costs[6] - costs[0]) / 6.0;
        for pair in costs.windows(2) {
            assert!((pair[1] - pair[0] - step).abs() < 0.1 * step, "{costs:?}");
        }
        // Where there is nothing between, there is nothing twice.
        assert_eq!(SPACE.seeds(5, 0.0, cost), [SPACE.whole()]);
    }

    #[test]
    fn what_is_too_cheap_is_raised_until_it_is_not() {
        let least = cost(&SPACE.falling(0.2));
        let raised = SPACE.raised(&vec![300, 100, 50, 20, 2, 2], least, cost);
        assert!(raised.is_sorted_by(|a, b| a >= b) && raised[0] <= 384, "{raised:?}");
        assert!((least..least + 6.0).contains(&cost(&raised)), "{raised:?}");
        assert_eq!(SPACE.raised(&SPACE.whole(), least, cost), SPACE.whole());
        assert_eq!(SPACE.raised(&vec![2; 6], 1e9, cost), SPACE.whole());
    }

    #[test]
    fn children_are_new_never_rise_and_are_as_many_of_each_kind_as_were_asked_for() {
        let population = SPACE.seeds(5, 0.2, cost);
        let least = cost(&population[0]);
        let mut random = SplitMix64::new(1, 0);
        let children =
            SPACE.children(&population, &BREEDING, &mut random, |gene| cost(gene) >= least);
        let of = |kind| children.iter().filter(|(_, origin)| *origin == kind).count();
        assert_eq!((of(Origin::Mutation), of(Origin::Crossover)), (30, 30));
        let mut seen = population.clone();
        for (gene, _) in &children {
            assert!(gene.is_sorted_by(|a, b| a >= b), "{gene:?}");
            assert!(gene[0] <= 384 && gene[5] >= 2 && cost(gene) >= least, "{gene:?}");
            assert!(!seen.contains(gene), "{gene:?}");
            seen.push(gene.clone());
        }
    }

    #[test]
    fn the_same_seed_has_the_same_children() {
        let population = SPACE.seeds(3, 0.2, cost);
        let children =
            |seed| SPACE.children(&population, &BREEDING, &mut SplitMix64::new(seed, 4), |_| true);
        assert_eq!(children(7), children(7));
        assert_ne!(children(7), children(8));
    }

    #[test]
    fn a_space_without_new_genes_has_no_children() {
        let space = Space { layers: 1, whole: 3, fewest: 2 };
        let population = vec![vec![2], vec![3]];
        let mut random = SplitMix64::new(1, 0);
        assert!(space.children(&population, &BREEDING, &mut random, |_| true).is_empty());
        assert!(space.children(&[], &BREEDING, &mut random, |_| true).is_empty());
    }

    #[test]
    fn a_crossover_is_the_mean_rounded_up() {
        assert_eq!(cross(&[10, 7], &[5, 7]), [8, 7]);
        assert_eq!(cross(&[u32::MAX, 1], &[u32::MAX, 2]), [u32::MAX, 2]);
    }
}
