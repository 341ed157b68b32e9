//! `limbeck prune`: smaller models of what matters most.

use serde_json::Value;

use crate::glue;
use crate::support::Folder;
use crate::world::{arguments, train, world};

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
fn a_student_begins_with_what_prune_would_keep() {
    let folder = teacher();
    let config = |model: &str| -> Value {
        let config = std::fs::read(folder.path().join(model).join("config.json")).unwrap();
        serde_json::from_slice(&config).unwrap()
    };
    // Whichever examples are taken, these are all.
    let sizes = ["--data", "train.json", "--sample", "0", "--heads", "1", "--ffn", "24"];
    let student = ["--teacher", "teacher", "--student-heads", "1", "--student-intermediate-size"];
    for how in ["gradient", "magnitude"] {
        let (pruned, learnt) = (format!("pruned-{how}"), format!("learnt-{how}"));
        let prune = ["prune", "--model", "teacher", "--importance", how, "--out", &pruned];
        assert_eq!(folder.run(&[&prune[..], &sizes].concat()).code, 0);
        let more = ["24", "--student-importance", how, "--student", "teacher", "--epochs", "1"];
        let distill = [&student[..], &more, &["--out", &learnt]].concat();
        // What learns next to nothing is what was cut.
        let slowly = arguments("distill", &distill).into_iter();
        let slowly = slowly.map(|arg| if arg == "3e-3" { "1e-9" } else { arg });
        let outcome = folder.run(&slowly.collect::<Vec<_>>());
        assert_eq!(outcome.code, 0, "{}", outcome.err);
        assert_eq!(config(&learnt)["pruned_heads"], config(&pruned)["pruned_heads"]);
        assert_eq!(f1(&folder, &learnt), f1(&folder, &pruned));
    }
    let layers = ["--student-num-layers", "1", "--student-layer-choice"];
    let refused =
        ["--teacher", "teacher", "--student", "teacher", "--out", "none", "--epochs", "1"];
    for (which, learnt) in [("first", "one"), ("even", "two")] {
        let own =
            ["--teacher", "teacher", "--student", "teacher", "--out", learnt, "--epochs", "1"];
        let outcome = train(&folder, "distill", &[&layers[..], &[which], &own].concat());
        assert_eq!(outcome.code, 0, "{}", outcome.err);
        assert_eq!(config(learnt)["num_hidden_layers"], 1);
    }
    let too_many = ["--student-heads", "3", "--student-importance", "gradient"];
    let too_wide = ["--student-intermediate-size", "99", "--student-importance", "magnitude"];
    train(&folder, "distill", &[&refused[..], &too_many].concat())
        .refused(&["cannot keep 3 heads: layer 0 has 2", "model.heads"]);
    train(&folder, "distill", &[&refused[..], &too_wide].concat())
        .refused(&["cannot keep 99 neurons: a layer has 64", "model.intermediate_size"]);
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
fn the_parts_of_a_classifier_are_weighed_on_its_texts() {
    let folder = glue::texts();
    let run = ["--model", "model", "--epochs", "20", "--out", "labels"];
    glue::train(&folder, "finetune", "sst2", &run).json();
    let prune = |more: &[&str]| folder.run(&[&["prune", "--model", "labels"], more].concat());
    let accuracy = |model: &str| {
        let evaluate = ["evaluate", "--model", model, "--data", "sst2/dev.tsv", "--json"];
        folder.run(&evaluate).json()["accuracy"].as_f64().unwrap()
    };
    let measured = ["--data", "sst2/train.tsv", "--sample", "40", "--ffn", "16", "--heads", "1"];
    let told = prune(&[&measured[..], &["--out", "small", "--json"]].concat()).json();
    assert_eq!((&told["after"]["intermediate_size"], &told["length"]), (&16.into(), &24.into()));
    let weakest = ["--data", "sst2/train.tsv", "--drop-layers", "1", "--layer-choice", "loss"];
    let told = prune(&[&weakest[..], &["--out", "one", "--json"]].concat()).json();
    let kept = told["layers"][0].as_u64().unwrap().to_string();
    let other = if kept == "0" { "1" } else { "0" };
    prune(&["--layers", other, "--out", "other", "--json"]).json();
    assert!(accuracy("one") >= accuracy("other"));
    let student = ["--student", "small", "--teacher", "labels", "--epochs", "10", "--out", "again"];
    let learnt = glue::train(&folder, "distill", "sst2", &student).json();
    assert!(learnt["metrics"]["accuracy"].as_f64().unwrap() > 0.9, "{learnt}");

    prune(&["--ffn", "16", "--out", "o"]).refused(&["measured on labelled texts", "--data"]);
    let other = ["--ffn", "16", "--out", "o", "--data", "mnli/train.tsv"];
    prune(&other).refused(&["mnli/train.tsv", "one text"]);
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
