//! Five optimiser steps end where PyTorch's end. The values are those of
//! `tools/golden.py`; the models lie with the tests of `limbeck-model`.

use std::path::{Path, PathBuf};

use limbeck_data::Batch;
use limbeck_kernels::random::Key;
use limbeck_model::Model;
use limbeck_model::folder::SafetensorsFile;
use limbeck_train::learner::{Learner, Portion};
use limbeck_train::losses::{HardLoss, Weighted};
use limbeck_train::options::{OptimizerOptions, ScheduleOptions};
use limbeck_train::schedule::Schedule;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../limbeck-model/tests/golden").join(name)
}

fn integers(file: &[u8], name: &str) -> Vec<usize> {
    // The header is JSON behind eight bytes of length.
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    let entry = &header[name];
    let at = |i: usize| entry["data_offsets"][i].as_u64().unwrap() as usize + 8 + length;
    assert_eq!(entry["dtype"], "I32");
    let read = |word: &[u8]| i32::from_le_bytes(word.try_into().unwrap()) as usize;
    file[at(0)..at(1)].chunks_exact(4).map(read).collect()
}

fn batch(folder: &Path) -> Batch {
    let file = std::fs::read(folder.join("expected.safetensors")).unwrap();
    let words =
        |name: &str| integers(&file, name).into_iter().map(|v| v as u32).collect::<Vec<_>>();
    let end_positions: Vec<u32> = words("end_positions");
    Batch {
        features: (0..end_positions.len()).collect(),
        end_positions,
        input_ids: words("input_ids"),
        token_type_ids: integers(&file, "token_type_ids").iter().map(|&v| v as u8).collect(),
        starts: integers(&file, "starts"),
        start_positions: words("start_positions"),
        ..Batch::default()
    }
}

fn check(optim: &OptimizerOptions, schedule: &ScheduleOptions, prefix: &str) {
    for name in ["bert", "distilbert"] {
        let folder = folder(name);
        let batch = batch(&folder);
        let schedule = Schedule::new(schedule, 1e-2, 10).unwrap();
        let losses = vec![Weighted::new(1.0, HardLoss)];
        let mut learner = Learner::new(Model::open(&folder).unwrap(), optim, losses);
        learner.dropout = false;
        for step in 0..5 {
            learner.accumulate(&batch, Portion::whole(Key::new(0), 1.0), &mut [0.0]).unwrap();
            learner.update(schedule.rate(step));
        }
        let expected = SafetensorsFile::open(&folder.join("expected.safetensors")).unwrap();
        // Their true gradient is zero, and what is computed for them is rounding noise
        // that Adam blows up to whole steps.
        let noise: Vec<&str> = expected.metadata()["zero_gradient"].split(',').collect();
        let mut checked = 0;
        for tensor in &learner.model.layout.tensors {
            if noise.contains(&tensor.name.as_str()) {
                continue;
            }
            let mut want = vec![0.0; tensor.size()];
            expected.read_into(&format!("{prefix}.{}", tensor.name), &mut want).unwrap();
            for (got, want) in learner.model.values(tensor).iter().zip(&want) {
                let error = (got - want).abs();
                assert!(error < 1e-5, "{name} {}: {got}, expected {want}", tensor.name);
            }
            checked += 1;
        }
        assert!(checked > 30, "{checked} tensors");
    }
}

#[test]
fn adamw_agrees_with_pytorch() {
    let optim = OptimizerOptions { weight_decay: 0.05, ..OptimizerOptions::default() };
    let schedule = ScheduleOptions { warmup: 2.0, ..ScheduleOptions::default() };
    check(&optim, &schedule, "after");
}

#[test]
fn the_optimiser_of_google_bert_agrees_with_its_formula() {
    let optim = OptimizerOptions {
        beta_1: 0.8,
        beta_2: 0.95,
        epsilon: 1e-6,
        epsilon_inside_root: true,
        bias_correction: false,
        weight_decay: 0.0,
        ..OptimizerOptions::default()
    };
    let schedule = ScheduleOptions { warmup: 2.0, ..ScheduleOptions::default() };
    check(&optim, &schedule, "after_google");
}
