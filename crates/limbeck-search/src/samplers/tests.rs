//! All samplers on known problems.

use super::problems::{Problem, branin_currin, mixed, zdt1};
use super::*;
use crate::hypervolume::hypervolume;

const ALL: [SamplerKind; 6] = [
    SamplerKind::Gp,
    SamplerKind::Motpe,
    SamplerKind::Nsga2,
    SamplerKind::Sobol,
    SamplerKind::Random,
    SamplerKind::Grid,
];

/// Runs a search in memory; the suggestions, and the hypervolume in the end. Suggestions are
/// made `ahead` of the results, as when trials run side by side.
fn search(
    problem: &Problem,
    kind: SamplerKind,
    seed: u64,
    trials: usize,
    ahead: usize,
) -> (Vec<Vec<f64>>, f64) {
    let sampler = kind.sampler();
    let mut history = History {
        space: &problem.space,
        metrics: &problem.metrics,
        seed,
        number: 0,
        budget: trials,
        observed: Vec::new(),
        failed: Vec::new(),
        pending: Vec::new(),
    };
    let mut suggested = Vec::new();
    while suggested.len() < trials {
        let Some(point) = sampler.suggest(&history).unwrap() else { break };
        history.number += 1;
        suggested.push(point.clone());
        history.pending.push(point);
        if history.pending.len() < ahead {
            continue;
        }
        let point = history.pending.remove(0);
        let params = problem.space.decode(&point);
        problem.space.check(&params).unwrap();
        match (problem.function)(&params) {
            None => history.failed.push(point),
            Some(values) => history.observed.push(Observation {
                point,
                losses: metric::losses(&problem.metrics, &values).unwrap(),
                violations: problem
                    .metrics
                    .iter()
                    .filter(|metric| metric.role == Role::Constrain)
                    .map(|metric| metric.loss(values[&metric.name]) - metric.threshold.unwrap())
                    .collect(),
            }),
        }
    }
    let feasible = history.observed.iter().filter(|o| o.violation() == 0.0);
    let losses: Vec<Vec<f64>> = feasible.map(|o| o.losses.clone()).collect();
    let reference: Vec<f64> = metric::optimized(&problem.metrics)
        .map(|metric| metric.loss(metric.threshold.unwrap()))
        .collect();
    (suggested, hypervolume(&losses, &reference))
}

#[test]
fn every_sampler_keeps_to_a_space_of_every_kind_and_repeats_itself_with_its_seed() {
    for kind in ALL {
        for ahead in [1, 3] {
            let first = search(&mixed(), kind, 5, 30, ahead);
            // Of a grid, the constraint takes a part.
            let least = if kind == SamplerKind::Grid { 15 } else { 30 };
            assert!(first.0.len() >= least, "{kind:?}: {}", first.0.len());
            assert_eq!(first, search(&mixed(), kind, 5, 30, ahead), "{kind:?}");
        }
        let other = search(&mixed(), kind, 6, 30, 1);
        assert!(kind == SamplerKind::Grid || other.0 != search(&mixed(), kind, 5, 30, 1).0);
    }
}

#[test]
fn models_and_evolution_beat_even_designs() {
    let mean = |problem: &Problem, kind| {
        (0..3).map(|seed| search(problem, kind, seed, 40, 1).1).sum::<f64>() / 3.0
    };
    for problem in [zdt1(), mixed()] {
        let random = mean(&problem, SamplerKind::Random);
        for kind in [SamplerKind::Gp, SamplerKind::Motpe, SamplerKind::Nsga2] {
            let found = mean(&problem, kind);
            assert!(found > random, "{kind:?}: {found} against {random}");
        }
    }
    let (gp, random) = (SamplerKind::Gp, SamplerKind::Random);
    assert!(mean(&branin_currin(), gp) > mean(&branin_currin(), random) + 5.0);
}

#[test]
fn the_gaussian_process_comes_near_the_whole_front_of_a_smooth_problem() {
    // The front of ZDT1 from (11, 11) has 120 2/3.
    let (_, found) = search(&zdt1(), SamplerKind::Gp, 1, 50, 1);
    assert!(found > 120.3, "{found}");
    let (_, parallel) = search(&zdt1(), SamplerKind::Gp, 1, 50, 4);
    assert!(parallel > 120.0, "{parallel}");
}

#[test]
fn a_grid_ends_when_every_combination_was_tried() {
    let text = "[parameters.a]\ntype='integer'\nlow=1\nhigh=3\n[parameters.b]\ntype='categorical'\nchoices=['x','y']\n[metrics.m]\ngoal='minimize'";
    let table = text.parse().unwrap();
    let space = Space::from_toml(&table).unwrap();
    let metrics = Metric::all_from_toml(&table).unwrap();
    let problem = Problem { space, metrics, function: |_| Some([("m".to_owned(), 1.0)].into()) };
    let (mut points, _) = {
        let problem = Problem {
            metrics: vec![Metric { threshold: Some(2.0), ..problem.metrics[0].clone() }],
            ..problem
        };
        search(&problem, SamplerKind::Grid, 0, 50, 1)
    };
    assert_eq!(points.len(), 6);
    points.sort_by(|a, b| a.partial_cmp(b).unwrap());
    points.dedup();
    assert_eq!(points.len(), 6);
}
