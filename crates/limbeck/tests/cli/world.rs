//! A world small enough to learn in a second: who lives where.

use limbeck_model::{Model, ModelConfig};
use serde_json::{Value, json};

use crate::support::{Folder, Outcome};

pub const PEOPLE: [&str; 6] = ["ana", "ben", "cleo", "dov", "eli", "fay"];
pub const TOWNS: [&str; 6] = ["rome", "oslo", "bonn", "lima", "kyiv", "bern"];

/// Windows that fit the small model.
const WINDOWS: [&str; 6] = ["--max-length", "32", "--max-query-length", "8", "--doc-stride", "4"];

/// A folder with an untrained model, `train.json` and `dev.json`.
pub fn world() -> Folder {
    let folder = Folder::new();
    let config = json!({
        "model_type": "bert", "vocab_size": 24, "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 32,
        "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.05, "pad_token_id": 0
    });
    let model = Model::initialise(ModelConfig::from_json(&config).unwrap(), 3);
    std::fs::create_dir(folder.path().join("model")).unwrap();
    model.save(&folder.path().join("model")).unwrap();
    let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "where", "does", "live", "lives"];
    let words = words.iter().chain(&["in", ".", "?"]).chain(&PEOPLE).chain(&TOWNS);
    let vocabulary: String = words.map(|word| format!("{word}\n")).collect();
    folder.write("model/vocab.txt", vocabulary);
    folder.write("train.json", questions(90).to_string());
    folder.write("dev.json", questions(12).to_string());
    folder
}

pub fn questions(count: usize) -> Value {
    let paragraphs: Vec<Value> = (0..count)
        .map(|i| {
            let (a, b) = (PEOPLE[i % 6], PEOPLE[(i / 6 + i + 1) % 6]);
            let (t, u) = (TOWNS[(i * 5 + 1) % 6], TOWNS[(i * 7 + i / 5) % 6]);
            let start = a.len() + " lives in ".len();
            json!({
                "context": format!("{a} lives in {t}. {b} lives in {u}."),
                "qas": [{
                    "id": i.to_string(), "question": format!("where does {a} live?"),
                    "answers": [{"text": t, "answer_start": start}]
                }]
            })
        })
        .collect();
    json!({"version": "1.1", "data": [{"title": "towns", "paragraphs": paragraphs}]})
}

/// `limbeck COMMAND --task squad --train train.json ...` with the small windows.
pub fn train(folder: &Folder, command: &str, more: &[&str]) -> Outcome {
    folder.run(&arguments(command, more))
}

pub fn arguments<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![command, "--task", "squad", "--train", "train.json", "--quiet"];
    args.extend(WINDOWS);
    args.extend(["--learning-rate", "3e-3", "--batch-size", "8"]);
    args.extend(more);
    args
}
