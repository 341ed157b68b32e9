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

#[test]
fn a_grid_for_very_many_trials_is_found_at_once() {
    let text = "[parameters.a]\ntype='real'\nlow=1\nhigh=3\n[metrics.m]\ngoal='minimize'";
    let description = Description::from_toml(&text.parse().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let study = Study::open_or_create(&folder.path().join("s"), &description).unwrap();
    let history = History::of(&study, 0, 4_000_000_000_000);
    assert!(Grid.suggest(&history).unwrap().is_some());
}

#[test]
fn a_space_of_which_little_keeps_the_constraints_is_searched_all_the_same() {
    let text = "constraints=['a + b <= 0.01']\n[parameters]\na={type='real',low=0,high=1}\n\
                b={type='real',low=0,high=1}\n[metrics.m]\ngoal='minimize'\nthreshold=9";
    let table = text.parse().unwrap();
    let space = Space::from_toml(&table).unwrap();
    let metrics = Metric::all_from_toml(&table).unwrap();
    let problem = Problem { space, metrics, function: |_| Some([("m".to_owned(), 1.0)].into()) };
    for kind in [SamplerKind::Random, SamplerKind::Sobol] {
        let (mut points, _) = search(&problem, kind, 1, 8, 1);
        points.sort_by(|a, b| a.partial_cmp(b).unwrap());
        points.dedup();
        assert_eq!(points.len(), 8, "{kind:?}");
    }
}

#[test]
fn a_grid_passes_over_what_was_tried_wherever_it_came_from() {
    let text = "[parameters.a]\ntype='integer'\nlow=1\nhigh=3\n[metrics.m]\ngoal='minimize'";
    let folder = tempfile::tempdir().unwrap();
    let description = Description::from_toml(&text.parse().unwrap()).unwrap();
    let mut study = Study::open_or_create(&folder.path().join("s"), &description).unwrap();
    for (number, a) in [(0, 2), (1, 1)] {
        let params = [("a".to_owned(), crate::space::Value::Integer(a))].into();
        assert_eq!(study.suggest(params, "ask", None).unwrap(), Some(number));
    }
    let next = |study: &Study| Grid.suggest(&History::of(study, 0, 10)).unwrap();
    let params = description.space.decode(&next(&study).unwrap());
    assert_eq!(params["a"], crate::space::Value::Integer(3));
    study.suggest(params, "grid", Some(2)).unwrap();
    assert_eq!(next(&study), None);
}

#[test]
fn a_trial_stopped_before_it_told_all_is_not_forgotten() {
    let text = "[parameters.a]\ntype='integer'\nlow=1\nhigh=3\n[metrics.exact]\ngoal='maximize'\n\
                [metrics.latency]\ngoal='minimize'";
    let folder = tempfile::tempdir().unwrap();
    let description = Description::from_toml(&text.parse().unwrap()).unwrap();
    let mut study = Study::open_or_create(&folder.path().join("s"), &description).unwrap();
    let params = [("a".to_owned(), crate::space::Value::Integer(2))].into();
    let trial = study.suggest(params, "test", None).unwrap().unwrap();
    let attempt = study.start(trial, crate::study::Worker::elsewhere(None)).unwrap().unwrap();
    let metrics = [("exact".to_owned(), 40.0)].into();
    let stopped = crate::study::Outcome::Stopped { reason: "hopeless".to_owned(), metrics };
    study.finish(trial, attempt, stopped).unwrap();
    let history = History::of(&study, 0, 10);
    assert!(history.was_tried(&[0.5]) && history.failed.len() == 1, "{history:?}");
}
