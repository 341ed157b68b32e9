//! The stages of a dynamic student: intermediate, prediction, length-adaptive.

use serde_json::Value;

use crate::support::Folder;
use crate::world::{train, world};

const RECIPE: &str = r#"
    data.train = "train.json"
    features = { max_length = 32, max_query_length = 8, doc_stride = 4 }
    train = { batch_size = 8, logging_steps = 1 }
    optim.learning_rate = 3e-3
    output.dir = "runs"
    [[stage]]
    name = "teacher"
    model.path = "model"
    train.epochs = 20
    [[stage]]
    name = "intermediate"
    teacher = "stage:teacher"
    model.layers = [1]
    distill = { alpha_soft = 0.0, alpha_hard = 0.0, alpha_hidden = 1.0, alpha_attention = 1.0 }
    data.dev = "dev.json"
    train.epochs = 4
    [[stage]]
    name = "prediction"
    teacher = "stage:teacher"
    model.path = "stage:intermediate/last"
    distill = { alpha_soft = 1.0, alpha_hard = 0.0, soft_loss = "cross-entropy", temperature = 1.0 }
    train.epochs = 20
    [[stage]]
    name = "adaptive"
    model.path = "stage:prediction/last"
    lengths = { adaptive = true, drop_ratio_bound = 0.4 }
    train.epochs = 4
"#;

/// The numbers of one key in `train.jsonl`.
fn curve(folder: &Folder, stage: &str, key: &str) -> Vec<f64> {
    let path = folder.path().join("runs").join(stage).join("train.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line[key].as_f64()).collect()
}

#[test]
fn a_student_learns_what_lies_inside_then_answers_then_every_length() {
    let folder = world();
    folder.write("r.toml", RECIPE);
    let run = folder.run(&["run", "r.toml", "--quiet"]);
    assert_eq!(run.code, 0, "{}", run.err);
    for (stage, key) in [
        ("intermediate", "loss_hidden"),
        ("intermediate", "loss_attention"),
        ("prediction", "loss_soft"),
        ("adaptive", "loss_in_place"),
    ] {
        let values = curve(&folder, stage, key);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (first, last) = (mean(&values[..8]), mean(&values[values.len() - 8..]));
        assert!(last < first, "{stage}: {key} went from {first} to {last}");
    }
    assert!(curve(&folder, "intermediate", "loss_soft").is_empty());
    let shortened = folder.run(&[
        "evaluate",
        "--model",
        "runs/adaptive",
        "--data",
        "dev.json",
        "--lengths",
        "0.5",
        "--json",
    ]);
    assert!(shortened.json()["f1"].as_f64().is_some());
}

#[test]
fn what_cannot_be_learnt_from_a_teacher_is_refused() {
    let folder = world();
    train(&folder, "finetune", &["--model", "model", "--out", "teacher", "--epochs", "1"]);
    let refused = |more: &[&str], parts: &[&str]| {
        let more = [&["--teacher", "teacher", "--student", "model", "--out", "o"], more].concat();
        train(&folder, "distill", &more).refused(parts);
    };
    refused(
        &["--alpha-hidden", "1", "--layer-map", "0"],
        &["distill.layer_map", "1 layers are given for a student of 2"],
    );
    refused(
        &["--alpha-attention", "1", "--teacher", "teacher"],
        &["hidden states and attention", "one teacher"],
    );
    refused(&["--length-adaptive", "--length-drop-ratio-bound", "1"], &["drop_ratio_bound"]);
    let nothing = ["--alpha-soft", "0", "--alpha-hard", "0"];
    refused(&nothing, &["there is nothing to learn"]);
}

#[test]
fn what_cannot_be_learnt_is_refused_before_an_earlier_run_goes() {
    let folder = world();
    let finetune = ["--model", "model", "--out", "teacher", "--epochs", "1"];
    assert_eq!(train(&folder, "finetune", &finetune).code, 0);
    let weights = folder.path().join("teacher/model.safetensors");
    let before = std::fs::read(&weights).unwrap();
    std::fs::rename(folder.path().join("teacher"), folder.path().join("kept")).unwrap();
    let student = ["--teacher", "kept", "--student", "model", "--out", "student", "--epochs", "1"];
    assert_eq!(train(&folder, "distill", &student).code, 0);
    let weights = folder.path().join("student/model.safetensors");
    let student_before = std::fs::read(&weights).unwrap();
    let wrong = ["--alpha-hidden", "1", "--layer-map", "7,9", "--overwrite"];
    train(&folder, "distill", &[&student[..], &wrong].concat()).refused(&["there is no layer 7"]);
    assert_eq!(std::fs::read(&weights).unwrap(), student_before);

    // The last model of a run lies in the run's folder, and would go with it.
    let last = folder.path().join("student/last");
    std::fs::create_dir(&last).unwrap();
    for name in ["config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"] {
        let from = folder.path().join("kept").join(name);
        if from.is_file() {
            std::fs::copy(from, last.join(name)).unwrap();
        }
    }
    let own = ["--teacher", "student/last", "--student", "model", "--out", "student"];
    let own = [&own[..], &["--overwrite"]].concat();
    train(&folder, "distill", &own).refused(&["the folder of `teacher`"]);
    assert_eq!(std::fs::read(last.join("model.safetensors")).unwrap(), before);
}
