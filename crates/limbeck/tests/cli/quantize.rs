//! `limbeck quantize`: weights of one byte.

use crate::world::{train, world};

#[test]
fn a_quantised_model_answers_as_its_source_and_is_taken_by_every_command() {
    let folder = world();
    let options = ["--model", "model", "--epochs", "40", "--out", "teacher", "--json"];
    train(&folder, "finetune", &options).json();
    let quantize = ["quantize", "--model", "teacher", "--out", "small", "--json"];
    let sizes = folder.run(&quantize).json();
    assert!(sizes["bytes"].as_u64() < sizes["bytes_before"].as_u64(), "{sizes}");

    let evaluate = |model: &str| {
        folder.run(&["evaluate", "--model", model, "--data", "train.json", "--json"]).json()
    };
    let (float, int8) = (evaluate("teacher"), evaluate("small"));
    let f1 = |metrics: &serde_json::Value| metrics["f1"].as_f64().unwrap();
    assert!(f1(&float) - f1(&int8) < 5.0, "{float} {int8}");

    let ask = ["answer", "--model", "small", "--question", "where does ana live?"];
    let answer = folder.run(&[&ask[..], &["--context", "ana lives in rome.", "--json"]].concat());
    assert!(answer.json()["score"].as_f64().unwrap() > 0.0);
    let bench = ["bench", "answer", "--model", "small", "--data", "train.json", "--json"];
    assert!(folder.run(&bench).json()["questions_per_second"].as_f64().unwrap() > 0.0);
    let inspection = folder.run(&["inspect", "--model", "small", "--json"]).json();
    assert_eq!(inspection["quantized"], true);
    let predict = ["predict", "--model", "small", "--data", "train.json", "--json"];
    folder.run(&predict).json();
    let export = folder.run(&["export", "--model", "small", "--out", "floats"]);
    assert!(export.code == 0 && export.err.contains("one byte"), "{}", export.err);
    let more = ["--model", "small", "--epochs", "1", "--out", "more"];
    let more = train(&folder, "finetune", &more);
    assert_eq!(more.code, 0, "{}", more.err);

    let notes = std::fs::read_to_string(folder.path().join("small/limbeck.json")).unwrap();
    assert!(notes.contains("\"source\"") && notes.contains("teacher"), "{notes}");
    folder.run(&quantize).refused(&["small", "files already"]);
    let again = ["quantize", "--model", "small", "--out", "smaller"];
    folder.run(&again).refused(&["small", "already"]);
}
