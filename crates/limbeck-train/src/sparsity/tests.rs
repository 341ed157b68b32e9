//! What masks must keep to, on a model of random weights.

use std::collections::BTreeSet;

use limbeck_kernels::random::Key;
use limbeck_model::{Model, ModelConfig};
use serde_json::json;

use super::*;
use crate::optimizer::{Optimizer, Trained};
use crate::options::{InitialMask, LevelOf, OptimizerOptions, SparseEmbeddings, SparseMethod};

fn model() -> Model {
    let config = json!({
        "model_type": "bert", "vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 60, "max_position_embeddings": 16,
        "type_vocab_size": 2
    });
    let mut model = Model::initialise(ModelConfig::from_json(&config).unwrap(), 3);
    // The row of padding, which would be zero.
    model.parameters[..24].fill(0.01);
    model
}

fn options() -> SparsityOptions {
    SparsityOptions { level: 0.8, warmup: 2.0, period: 2, ..SparsityOptions::default() }
}

fn sparsity(options: &SparsityOptions, model: &Model) -> Sparsity {
    Sparsity::new(options, model, 20, 7).unwrap().unwrap()
}

fn refusal(options: &SparsityOptions) -> String {
    Sparsity::new(options, &model(), 20, 7).unwrap_err().to_string()
}

/// Gradients, some of them equal.
fn gradients(model: &Model, seed: u64) -> Vec<f32> {
    let key = Key::new(seed);
    let rounded = |i: usize| (100.0 * key.normal(i as u64)).round() as f32;
    (0..model.layout.len).map(rounded).collect()
}

/// The places in the flat buffer that are on.
fn on(sparsity: &Sparsity) -> BTreeSet<usize> {
    let mut places = BTreeSet::new();
    let mut units = Units::all(&sparsity.masks, Scope::Row);
    while let Some(unit) = units.next(&sparsity.masks) {
        sparsity.masks.visit(&unit, |place, on| {
            if on {
                places.insert(place);
            }
        });
    }
    places
}

fn of_model(model: &Model, name: &str) -> std::ops::Range<usize> {
    model.layout.find(name).unwrap().range()
}

#[test]
fn every_row_of_a_static_mask_has_the_count_of_its_level() {
    let model = model();
    for initial in [InitialMask::Random, InitialMask::Magnitude] {
        let sparsity = sparsity(&SparsityOptions { initial, ..options() }, &model);
        let on = on(&sparsity);
        assert_eq!(sparsity.masks.matrices().len(), 1 + 2 * 6, "words and the encoder");
        for matrix in sparsity.masks.matrices() {
            let want = (0.2 * matrix.columns as f64).round() as usize;
            for row in 0..matrix.rows {
                let start = matrix.range.start + row * matrix.columns;
                assert_eq!(on.range(start..start + matrix.columns).count(), want);
            }
        }
        assert_eq!(on.len(), sparsity.masks.all_on());
    }
    let other = Sparsity::new(&options(), &model, 20, 8).unwrap().unwrap();
    let mine = sparsity(&options(), &model);
    assert!(mine.masks.bits() != other.masks.bits(), "the seed decides");
    assert!(mine.masks.bits() == sparsity(&options(), &model).masks.bits());
}

#[test]
fn masks_by_magnitude_leave_the_largest_on_where_counts_are_kept() {
    let model = model();
    for distribution in [Scope::Layer, Scope::Global] {
        let initial = InitialMask::Magnitude;
        let sparsity = sparsity(&SparsityOptions { initial, distribution, ..options() }, &model);
        let on = on(&sparsity);
        let matrices = sparsity.masks.matrices();
        let groups: Vec<Vec<usize>> = match distribution {
            Scope::Layer => matrices.iter().map(|m| m.range.clone().collect()).collect(),
            _ => vec![matrices.iter().flat_map(|m| m.range.clone()).collect()],
        };
        for mut group in groups {
            let sizes = matrices.iter().map(|m| m.range.len());
            let sizes = sizes.filter(|&size| size == group.len() || distribution == Scope::Global);
            let mut want: usize = sizes.map(|size| (0.2 * size as f64).round() as usize).sum();
            if distribution == Scope::Layer {
                want = (0.2 * group.len() as f64).round() as usize;
            }
            group.sort_by(|&a, &b| model.parameters[b].abs().total_cmp(&model.parameters[a].abs()));
            assert!(group[..want].iter().all(|place| on.contains(place)));
            assert!(group[want..].iter().all(|place| !on.contains(place)));
        }
    }
}

#[test]
fn rigl_drops_the_smallest_and_grows_where_gradients_are_largest() {
    for scope in [Scope::Global, Scope::Layer, Scope::Row] {
        let mut model = model();
        let options = SparsityOptions { method: SparseMethod::Rigl, scope, ..options() };
        let mut sparsity = sparsity(&options, &model);
        sparsity.apply(&mut model.parameters);
        let groups: Vec<Vec<usize>> = {
            let matrices = sparsity.masks.matrices();
            match scope {
                Scope::Global => vec![matrices.iter().flat_map(|m| m.range.clone()).collect()],
                Scope::Layer => matrices.iter().map(|m| m.range.clone().collect()).collect(),
                Scope::Row => matrices
                    .iter()
                    .flat_map(|m| {
                        m.range
                            .clone()
                            .collect::<Vec<_>>()
                            .chunks(m.columns)
                            .map(<[usize]>::to_vec)
                            .collect::<Vec<_>>()
                    })
                    .collect(),
            }
        };
        let mut optimizer = Optimizer::new(&OptimizerOptions::default(), &model.layout, None);
        assert!(!sparsity.begin_step(1, &mut model.parameters), "the warm-up");
        for step in [2, 4, 18] {
            let before = on(&sparsity);
            let weights = model.parameters.clone();
            assert!(sparsity.begin_step(step, &mut model.parameters));
            let gradients = gradients(&model, step as u64);
            sparsity.before_update(&gradients, &mut optimizer.model);
            let share = 0.15 * (1.0 + (std::f64::consts::PI * (step - 2) as f64 / 17.0).cos());
            // The same by sorting.
            let mut want = BTreeSet::new();
            for group in &groups {
                let (mut stay, mut off): (Vec<usize>, Vec<usize>) =
                    group.iter().partition(|place| before.contains(place));
                let count = (share * stay.len() as f64).round() as usize;
                stay.sort_by(|&a, &b| weights[a].abs().total_cmp(&weights[b].abs()));
                off.extend(stay.drain(..count));
                off.sort_unstable();
                off.sort_by(|&a, &b| gradients[b].abs().total_cmp(&gradients[a].abs()));
                want.extend(stay.iter().chain(&off[..count]));
            }
            let now = on(&sparsity);
            assert!(now == want, "{scope:?} {step}");
            assert_eq!(now.len(), before.len(), "as many come as go");
            let changed = now.symmetric_difference(&before).count();
            assert_eq!(sparsity.changed(), changed);
            assert!(step == 18 || changed > 0);
            let come = now.difference(&before);
            assert!(come.into_iter().all(|&place| model.parameters[place] == 0.0));
        }
    }
}

#[test]
fn weights_that_come_have_moments_of_zero_if_asked() {
    for reset_moments in [false, true] {
        let mut model = model();
        let method = SparseMethod::Rigl;
        let mut sparsity =
            sparsity(&SparsityOptions { method, reset_moments, ..options() }, &model);
        let mut optimizer = Optimizer::new(&OptimizerOptions::default(), &model.layout, None);
        optimizer.model.first.fill(1.0);
        optimizer.model.second.fill(1.0);
        let before = on(&sparsity);
        sparsity.begin_step(2, &mut model.parameters);
        sparsity.before_update(&gradients(&model, 1), &mut optimizer.model);
        let now = on(&sparsity);
        let reset = |place: &usize| optimizer.model.first[*place] == 0.0;
        assert!(now.difference(&before).count() > 10);
        assert!(now.difference(&before).all(|place| reset(place) == reset_moments));
        let zeros = optimizer.model.second.iter().filter(|&&moment| moment == 0.0).count();
        let went = (0.3 * before.len() as f64).round() as usize;
        assert_eq!(zeros, if reset_moments { went } else { 0 });
    }
}

#[test]
fn what_is_off_stays_exactly_zero_through_the_steps_of_every_optimiser_and_method() {
    let variants = [
        OptimizerOptions::default(),
        OptimizerOptions { epsilon_inside_root: true, ..OptimizerOptions::default() },
        OptimizerOptions { bias_correction: false, weight_decay: 0.0, ..Default::default() },
    ];
    for method in [SparseMethod::Static, SparseMethod::Rigl, SparseMethod::Gmp] {
        for optim in &variants {
            let mut model = model();
            let mut sparsity = sparsity(&SparsityOptions { method, ..options() }, &model);
            sparsity.apply(&mut model.parameters);
            let mut optimizer = Optimizer::new(optim, &model.layout, None);
            for step in 0..20 {
                sparsity.begin_step(step, &mut model.parameters);
                let mut gradients = gradients(&model, step as u64);
                sparsity.before_update(&gradients, &mut optimizer.model);
                let parameters = &mut model.parameters;
                let trained = Trained { parameters, gradients: &mut gradients };
                optimizer.step(1e-2, trained, None);
                sparsity.apply(&mut model.parameters);
                let on = on(&sparsity);
                for matrix in sparsity.masks.matrices() {
                    let off = matrix.range.clone().filter(|place| !on.contains(place));
                    assert!(off.into_iter().all(|place| model.parameters[place].to_bits() == 0));
                }
            }
            let account = sparsity.account(model.layout.parameters());
            let rows: usize = sparsity.masks.matrices().iter().map(|m| m.rows).sum();
            let off_by = (account.sparsity - account.target).abs();
            assert!(off_by * sparsity.masks.size() as f64 <= rows as f64, "{method:?}");
            let dense = account.parameters - sparsity.masks.size();
            assert_eq!(account.on_parameters, dense + sparsity.masks.all_on());
        }
    }
}

#[test]
fn gradual_pruning_takes_the_smallest_and_gives_none_back() {
    let mut model = model();
    let method = SparseMethod::Gmp;
    let mut sparsity = sparsity(&SparsityOptions { method, ..options() }, &model);
    let mut optimizer = Optimizer::new(&OptimizerOptions::default(), &model.layout, None);
    let size = sparsity.masks.size();
    assert_eq!(sparsity.masks.all_on(), size);
    // Changes at 2, 4, ..., 10; a cool-down of 8 steps.
    let mut before = on(&sparsity);
    for step in 0..20 {
        let changes = sparsity.begin_step(step, &mut model.parameters);
        sparsity.before_update(&gradients(&model, step as u64), &mut optimizer.model);
        assert_eq!(changes, (2..=10).contains(&step) && step % 2 == 0, "step {step}");
        let now = on(&sparsity);
        assert!(now.is_subset(&before));
        let magnitude = |place: &usize| model.parameters[*place].abs();
        let stays = now.iter().map(magnitude).fold(f32::INFINITY, f32::min);
        let first = model_weights();
        assert!(before.difference(&now).all(|&place| first[place].abs() <= stays));
        assert_eq!(sparsity.has_arrived(step + 1), step >= 10);
        before = now;
    }
    let wanted: usize = (sparsity.masks.matrices().iter())
        .map(|matrix| (0.2 * matrix.range.len() as f64).round() as usize)
        .sum();
    assert_eq!(before.len(), wanted);
}

fn model_weights() -> Vec<f32> {
    model().parameters
}

#[test]
fn levels_go_by_name_and_by_the_whole_model() {
    let model = model();
    let modules = vec!["*.intermediate.*=0.5".into(), "*.layer.1.*=0".into()];
    let options = SparsityOptions { modules, embeddings: SparseEmbeddings::All, ..options() };
    let by_name = sparsity(&options, &model);
    let level = |name: &str| {
        let range = of_model(&model, name);
        by_name.masks.matrices().iter().find(|matrix| matrix.range == range).map(|m| m.level)
    };
    assert_eq!(level("bert.encoder.layer.1.intermediate.dense.weight"), Some(0.5));
    assert_eq!(level("bert.encoder.layer.1.output.dense.weight"), None);
    assert_eq!(level("bert.encoder.layer.0.output.dense.weight"), Some(0.8));
    assert_eq!(level("bert.embeddings.position_embeddings.weight"), Some(0.8));
    assert_eq!(level("qa_outputs.weight"), None);

    let of = LevelOf::Model;
    let whole = SparsityOptions { level: 0.4, of, ..options.clone() };
    let account = sparsity(&whole, &model).account(model.layout.parameters());
    // Rounding moves at most half a weight a row.
    let rows: usize = account.matrices.iter().map(|matrix| matrix.shape[0]).sum();
    let off_by = (account.model_sparsity - 0.4).abs() * account.parameters as f64;
    assert!(off_by <= 0.5 * rows as f64, "{account}");
    assert!(account.target > 0.5);
    assert!(refusal(&SparsityOptions { level: 0.97, of, ..options.clone() }).contains("0.97"));
    let unknown = SparsityOptions { modules: vec!["*.decoder.*=0.5".into()], ..options };
    assert!(refusal(&unknown).contains("decoder"));
}

#[test]
fn a_sparse_model_keeps_its_zeros_and_a_dense_one_has_none_to_keep() {
    let keep = SparsityOptions::default();
    let mut model = model();
    assert!(Sparsity::new(&keep, &model, 20, 7).unwrap().is_none());
    let sparse = sparsity(&options(), &model);
    sparse.apply(&mut model.parameters);
    let again = sparsity(&keep, &model);
    assert!(on(&again) == on(&sparse));
    let account = again.account(model.layout.parameters());
    assert!((account.sparsity - account.target).abs() < 1e-12);
    // Whoever asks for the level that is there already, with another seed, keeps the masks too.
    for method in [SparseMethod::Static, SparseMethod::Rigl, SparseMethod::Gmp] {
        let options = SparsityOptions { method, ..options() };
        let same = Sparsity::new(&options, &model, 20, 99).unwrap().unwrap();
        assert!(on(&same) == on(&sparse), "{method:?}");
    }
    let sparser = SparsityOptions { level: 0.9, ..options() };
    let sparser = Sparsity::new(&sparser, &model, 20, 99).unwrap().unwrap();
    assert!(on(&sparser).is_subset(&on(&sparse)));
    let modules = vec!["*.layer.0.*=0".into()];
    let partly = sparsity(&SparsityOptions { modules, ..keep.clone() }, &model);
    assert_eq!(partly.masks.matrices().len(), 1 + 6, "the other layer and the words");
    let free = SparsityOptions { keep: false, ..keep };
    assert!(Sparsity::new(&free, &model, 20, 7).unwrap().is_none());
}

#[test]
fn options_that_cannot_work_are_named() {
    for (change, want) in [
        (SparsityOptions { level: 1.0, ..options() }, "sparsity.level"),
        (SparsityOptions { fraction: -0.1, ..options() }, "sparsity.fraction"),
        (SparsityOptions { period: 0, ..options() }, "sparsity.period"),
        (SparsityOptions { warmup: f64::NAN, ..options() }, "sparsity.warmup"),
        (SparsityOptions { modules: vec!["a".into()], ..options() }, "sparsity.modules"),
        (SparsityOptions { modules: vec!["a=2".into()], ..options() }, "sparsity.modules"),
    ] {
        assert!(refusal(&change).contains(want), "{want}");
    }
}
