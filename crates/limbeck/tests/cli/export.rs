//! `limbeck export`: folders that other programs read.

use crate::world::{train, world};

#[test]
fn an_export_for_transformers_has_every_head_and_the_same_answers() {
    let folder = world();
    let one_head =
        ["--set", "model.heads=1", "--epochs", "2", "--model", "model", "--out", "small", "--json"];
    train(&folder, "finetune", &one_head).json();
    let export = ["export", "--model", "small", "--out", "whole", "--json"];
    let result = folder.run(&export).json();
    assert_eq!(result["restored_heads"], 2);
    let config = std::fs::read_to_string(folder.path().join("whole/config.json")).unwrap();
    assert!(!config.contains("pruned_heads"), "{config}");

    let ask = |model: &str| {
        let question = ["--question", "where does ana live?", "--context", "ana lives in rome."];
        let asked = folder.run(&[&["answer", "--model", model, "--json"], &question[..]].concat());
        asked.json()
    };
    let (small, whole) = (ask("small"), ask("whole"));
    assert_eq!(small["answer"], whole["answer"]);
    let (a, b) = (small["score"].as_f64().unwrap(), whole["score"].as_f64().unwrap());
    assert!((a - b).abs() < 1e-5, "{a} and {b}");

    folder.run(&export).refused(&["whole", "files already"]);
    folder.run(&["export", "--model", "small", "--out", "train.json"]).refused(&["train.json"]);
}
