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

#[test]
fn an_export_to_onnx_is_a_folder_with_the_network_and_all_that_loaders_read() {
    let folder = world();
    let one_head =
        ["--set", "model.heads=1", "--epochs", "1", "--model", "model", "--out", "small", "--json"];
    train(&folder, "finetune", &one_head).json();
    let export = |model: &str, out: &str| {
        folder.run(&["export", "--format", "onnx", "--model", model, "--out", out, "--json"])
    };
    let result = export("small", "onnx").json();
    assert_eq!((&result["out"], &result["restored_heads"]), (&"onnx".into(), &0.into()));
    let mut files: Vec<_> = std::fs::read_dir(folder.path().join("onnx"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort_unstable();
    assert_eq!(files, ["config.json", "limbeck.json", "model.onnx", "vocab.txt"]);
    let network = std::fs::read(folder.path().join("onnx/model.onnx")).unwrap();
    let holds = |word: &str| network.windows(word.len()).any(|part| part == word.as_bytes());
    for word in ["limbeck", "input_ids", "attention_mask", "token_type_ids", "end_logits"] {
        assert!(holds(word), "{word}");
    }
    let config = std::fs::read_to_string(folder.path().join("onnx/config.json")).unwrap();
    assert!(config.contains("pruned_heads"), "the network lacks them: {config}");

    export("small", "onnx").refused(&["onnx", "files already"]);
    export("onnx", "again").refused(&["onnx", "only an ONNX file", "that was exported"]);
    folder.run(&["quantize", "--model", "small", "--out", "int8", "--json"]).json();
    let floats = export("int8", "floats");
    assert!(floats.code == 0 && floats.err.contains("one byte"), "{}", floats.err);
}
