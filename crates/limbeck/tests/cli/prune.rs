//! `limbeck prune`: smaller models of what matters most.

use serde_json::Value;

use crate::support::Folder;
use crate::world::{train, world};

fn teacher() -> Folder {
    let folder = world();
    train(&folder, "finetune", &["--model", "model", "--epochs", "40", "--out", "teacher"]);
    folder
}

fn f1(folder: &Folder, model: &str) -> f64 {
    let evaluate = ["evaluate", "--model", model, "--data", "train.json", "--json"];
    folder.run(&evaluate).json()["f1"].as_f64().unwrap()
}

#[test]
fn a_pruned_model_is_smaller_runs_everywhere_and_learns_again() {
    let folder = teacher();
    let prune = ["prune", "--model", "teacher", "--data", "train.json", "--heads", "1"];
    let prune = [&prune[..], &["--ffn", "24", "--drop-layers", "1", "--out", "small"]].concat();
    let told = folder.run(&[&prune[..], &["--json"]].concat()).json();
    let inspect = |model: &str| folder.run(&["inspect", "--model", model, "--json"]).json();
    let (before, after) = (inspect("teacher"), inspect("small"));
    assert_eq!(told["before"]["parameters"], before["parameters"]);
    assert_eq!(told["after"]["parameters"], after["parameters"]);
    assert!(after["macs"].as_u64().unwrap() * 2 < before["macs"].as_u64().unwrap());
    for layer in after["layers"].as_array().unwrap() {
        assert_eq!((&layer["heads"], &layer["intermediate_size"]), (&1.into(), &24.into()));
    }
    assert_eq!(told["layers"], serde_json::json!([0]));
    assert_eq!(told["heads"][0].as_array().unwrap().len(), 1);

    // It is asked as its source was, and its scores are not claimed to be its own.
    let notes = std::fs::read(folder.path().join("small/limbeck.json")).unwrap();
    let notes: Value = serde_json::from_slice(&notes).unwrap();
    assert_eq!((&notes["max_length"], &notes["metrics"]), (&32.into(), &Value::Null));
    let distill =
        ["--student", "small", "--teacher", "teacher", "--epochs", "30", "--out", "again"];
    let learnt = train(&folder, "distill", &distill);
    assert_eq!(learnt.code, 0, "{}", learnt.err);
    let (teacher, small, again) =
        (f1(&folder, "teacher"), f1(&folder, "small"), f1(&folder, "again"));
    assert!(again >= small && teacher - again < 10.0, "{teacher} {small} {again}");

    folder.run(&["export", "--model", "small", "--out", "whole", "--quiet"]);
    assert_eq!(inspect("whole")["layers"][0]["heads"], 2);
    assert_eq!(f1(&folder, "whole"), small);
    folder.run(&prune).refused(&["small", "files already"]);
}

#[test]
fn keeping_all_changes_nothing_and_what_goes_follows_importance_or_the_seed() {
    let folder = teacher();
    let weights = |out: &str, flags: &[&str]| {
        let outcome = folder.run(&[&["prune", "--model", "teacher", "--out", out], flags].concat());
        assert_eq!(outcome.code, 0, "{}", outcome.err);
        std::fs::read(folder.path().join(out).join("model.safetensors")).unwrap()
    };
    let teacher = std::fs::read(folder.path().join("teacher/model.safetensors")).unwrap();
    let measured = ["--data", "train.json", "--sample", "20", "--ffn"];
    assert_eq!(weights("all", &[&measured[..], &["64"]].concat()), teacher);
    let by = |out: &str, how: &[&str]| weights(out, &[&["--ffn", "24"], how].concat());
    let random = |out: &str, seed: &str| by(out, &["--importance", "random", "--seed", seed]);
    assert_eq!(random("r1", "7"), random("r2", "7"));
    assert_ne!(random("r3", "8"), random("r4", "9"));
    assert_ne!(by("magnitude", &["--importance", "magnitude"]), random("r5", "7"));
    assert_ne!(weights("gradient", &[&measured[..], &["24"]].concat()), random("r6", "7"));

    let layers = |out: &str, flags: &[&str]| {
        let outcome =
            folder.run(&[&["prune", "--model", "teacher", "--json", "--out", out], flags].concat());
        outcome.json()["layers"].clone()
    };
    assert_eq!(layers("l1", &["--layers", "1"]), serde_json::json!([1]));
    assert_eq!(layers("l2", &["--drop-layers", "1"]), serde_json::json!([0]));
    let by_loss = ["--drop-layers", "1", "--layer-choice", "loss", "--data", "train.json"];
    let kept = layers("l3", &by_loss)[0].as_u64().unwrap();
    let other = layers("l4", &["--layers", if kept == 0 { "1" } else { "0" }]);
    assert_ne!(other[0], kept);
    let total = ["--heads-total", "3", "--data", "train.json", "--sample", "20"];
    weights("h1", &total);
    let inspection = folder.run(&["inspect", "--model", "h1", "--json"]).json();
    let heads = inspection["layers"].as_array().unwrap().iter().map(|l| l["heads"].as_u64());
    assert_eq!(heads.map(Option::unwrap).sum::<u64>(), 3);
}

#[test]
fn what_cannot_be_pruned_is_refused() {
    let folder = world();
    for (flags, parts) in [
        (&["--out", "o"][..], &["--heads", "--ffn", "--layers"][..]),
        (&["--heads", "1", "--out", "o"], &["measured on questions", "--data", "--importance"]),
        (&["--heads", "3", "--importance", "random", "--out", "o"], &["3 heads", "has 2"]),
        (&["--heads-total", "1", "--importance", "random", "--out", "o"], &["1 heads", "2 layers"]),
        (&["--ffn", "65", "--importance", "magnitude", "--out", "o"], &["65 neurons", "has 64"]),
        (&["--ffn", "0", "--out", "o"], &["--ffn"]),
        (&["--layers", "0,2", "--out", "o"], &["no layer 2"]),
        (&["--drop-layers", "2", "--out", "o"], &["2 layers", "leave at least one"]),
        (&["--heads", "1", "--data", "absent.json", "--out", "o"], &["absent.json"]),
        (&["--layers", "0", "--out", "model"], &["model", "files already"]),
    ] {
        folder.run(&[&["prune", "--model", "model"], flags].concat()).refused(parts);
    }
}
