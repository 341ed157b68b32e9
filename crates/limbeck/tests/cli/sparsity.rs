//! Sparse training and what comes of it, with the real binary.

use serde_json::Value;

use crate::support::Folder;
use crate::world::{train, world};

/// What `inspect` says of a tensor.
fn tensor<'a>(inspection: &'a Value, part: &str) -> &'a Value {
    let tensors = inspection["tensors"].as_array().unwrap();
    tensors.iter().find(|tensor| tensor["name"].as_str().unwrap().contains(part)).unwrap()
}

fn inspect(folder: &Folder, model: &str) -> Value {
    folder.run(&["inspect", "--model", model, "--json"]).json()
}

#[test]
fn a_sparse_model_is_trained_stays_sparse_and_runs() {
    let folder = world();
    let common = ["--dev", "dev.json", "--json"];
    let rigl = ["--sparsity", "0.75", "--sparse-method", "rigl", "--sparse-period", "5"];
    let how = ["--model", "model", "--epochs", "30", "--sparse-warmup", "5", "--out", "sparse"];
    let args = [&how[..], &rigl, &common].concat();
    let metrics = &train(&folder, "finetune", &args).json()["metrics"];
    assert!(metrics["exact"].as_f64().unwrap() > 60.0, "{metrics}");

    let sizes = inspect(&folder, "sparse");
    // RigL compares all weights: rows differ, the whole does not. 8 of 32 and 16 of 64 are on.
    let account = std::fs::read(folder.path().join("sparse/sparsity.json")).unwrap();
    let account: Value = serde_json::from_slice(&account).unwrap();
    assert_eq!(account["sparsity"], 0.75);
    assert_eq!(account["matrices"].as_array().unwrap().len(), 1 + 2 * 6);
    let encoder = sizes["encoder"]["sparsity"].as_f64().unwrap();
    assert!((0.5..0.85).contains(&encoder), "{encoder}");
    assert!(sizes["sparsity"].as_f64().unwrap() > 0.5);
    assert_eq!(tensor(&sizes, "LayerNorm.weight")["sparsity"], 0.0);
    let text = folder.run(&["inspect", "--model", "sparse"]).out;
    assert!(text.contains("% of the layers"), "{text}");
    let lines = std::fs::read_to_string(folder.path().join("sparse/train.jsonl")).unwrap();
    assert!(lines.contains("\"mask_changes\"") && lines.contains("\"on_parameters\""));
    let report = std::fs::read_to_string(folder.path().join("sparse/report.html")).unwrap();
    assert!(report.contains("Density") && report.contains("1.intermediate"));

    // What is zero stays zero, unless it is asked for.
    let again = |command: &str, more: &[&str], out: &str| {
        let args = [more, &["--epochs", "2", "--out", out, "--json"]].concat();
        train(&folder, command, &args).json();
        inspect(&folder, out)["encoder"]["nonzero_parameters"].as_u64().unwrap()
    };
    let before = sizes["encoder"]["nonzero_parameters"].as_u64().unwrap();
    let kept = again("finetune", &["--model", "sparse"], "kept");
    assert!(kept <= before, "{kept} of {before}");
    let student = ["--teacher", "sparse", "--student", "sparse"];
    assert!(again("distill", &student, "student") <= before);
    let free = again("finetune", &["--model", "sparse", "--keep-sparsity=false"], "free");
    assert!(free > 2 * before, "{free} of {before}");

    // Without its zeros on disk it answers the same.
    folder.run(&["export", "--model", "sparse", "--format", "sparse", "--out", "small"]);
    let size = |model: &str| {
        std::fs::metadata(folder.path().join(model).join("model.safetensors")).unwrap().len()
    };
    assert!(size("small") < size("sparse"));
    let scores = |model: &str| {
        folder
            .run(&["evaluate", "--model", model, "--data", "dev.json", "--json", "--quiet"])
            .json()
    };
    assert_eq!(scores("small")["f1"], scores("sparse")["f1"]);
}

#[test]
fn every_row_of_a_static_mask_keeps_the_level() {
    let folder = world();
    let sparsity = ["--sparsity", "0.5", "--sparse-modules", "*.layer.1.*=0.75"];
    let args = [&["--model", "model", "--epochs", "1", "--out", "s"], &sparsity[..]].concat();
    assert_eq!(train(&folder, "finetune", &args).code, 0);
    let sizes = inspect(&folder, "s");
    for (part, want) in [
        ("layer.0.attention.self.key.weight", 0.5),
        ("layer.1.output.dense.weight", 0.75),
        ("layer.1.output.dense.bias", 0.0),
        ("position_embeddings", 0.0),
    ] {
        assert_eq!(tensor(&sizes, part)["sparsity"], want, "{part}");
    }
}

#[test]
fn gradual_pruning_keeps_a_model_only_when_it_is_as_sparse_as_asked() {
    let folder = world();
    let gmp = ["--sparsity", "0.8", "--sparse-method", "gmp", "--sparse-warmup", "0.1"];
    let rest = ["--sparse-period", "10", "--epochs", "8", "--dev", "dev.json", "--out", "g"];
    let schedule = ["--schedule", "three-stage", "--cooldown", "0.4", "--model", "model"];
    let outcome = train(&folder, "finetune", &[&gmp[..], &rest, &schedule].concat());
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let account = std::fs::read(folder.path().join("g/sparsity.json")).unwrap();
    let account: Value = serde_json::from_slice(&account).unwrap();
    assert!((account["sparsity"].as_f64().unwrap() - 0.8).abs() < 1e-3, "{account}");
}

#[test]
fn levels_that_cannot_be_are_refused() {
    let folder = world();
    let refused = |more: &[&str], parts: &[&str]| {
        let args = [&["--model", "model", "--out", "r"], more].concat();
        train(&folder, "finetune", &args).refused(parts);
    };
    refused(&["--sparsity", "1"], &["sparsity.level"]);
    refused(&["--sparsity", "0.5", "--sparse-modules", "*.decoder.*=0.5"], &["decoder"]);
    let gmp = ["--sparsity", "0.5", "--sparse-method", "gmp", "--sparse-warmup", "0.7"];
    refused(&gmp, &["sparsity.cooldown", "1.1"]);
    refused(&["--sparsity", "0.99", "--sparsity-of", "model"], &["sparsity.level"]);
    assert!(!folder.path().join("r/model.safetensors").exists());
}
