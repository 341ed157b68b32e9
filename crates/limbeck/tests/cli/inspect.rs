//! `limbeck inspect` on a generated model folder.

use serde_json::json;

use crate::support::Folder;

const HIDDEN: usize = 4;
const FEED_FORWARD: usize = 8;
const VOCABULARY: usize = 10;
const POSITIONS: usize = 6;

/// Writes a BERT of one layer and two heads whose weights are all 1.
fn write_model(folder: &Folder, name: &str) {
    let config = json!({
        "model_type": "bert", "architectures": ["BertForQuestionAnswering"],
        "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": FEED_FORWARD,
        "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
        "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1, "initializer_range": 0.02, "pad_token_id": 0
    });
    folder.write(&format!("{name}/config.json"), config.to_string());
    folder.write(&format!("{name}/model.safetensors"), safetensors());
}

/// Names and shapes of all tensors, as transformers writes them.
fn tensors() -> Vec<(String, Vec<usize>)> {
    let layer = "bert.encoder.layer.0";
    let mut tensors = vec![
        ("bert.embeddings.word_embeddings.weight".to_owned(), vec![VOCABULARY, HIDDEN]),
        ("bert.embeddings.position_embeddings.weight".to_owned(), vec![POSITIONS, HIDDEN]),
        ("bert.embeddings.token_type_embeddings.weight".to_owned(), vec![2, HIDDEN]),
    ];
    let mut norm = |name: String| {
        tensors.push((format!("{name}.weight"), vec![HIDDEN]));
        tensors.push((format!("{name}.bias"), vec![HIDDEN]));
    };
    norm("bert.embeddings.LayerNorm".to_owned());
    norm(format!("{layer}.attention.output.LayerNorm"));
    norm(format!("{layer}.output.LayerNorm"));
    let mut linear = |name: String, out: usize, into: usize| {
        tensors.push((format!("{name}.weight"), vec![out, into]));
        tensors.push((format!("{name}.bias"), vec![out]));
    };
    for part in ["query", "key", "value"] {
        linear(format!("{layer}.attention.self.{part}"), HIDDEN, HIDDEN);
    }
    linear(format!("{layer}.attention.output.dense"), HIDDEN, HIDDEN);
    linear(format!("{layer}.intermediate.dense"), FEED_FORWARD, HIDDEN);
    linear(format!("{layer}.output.dense"), HIDDEN, FEED_FORWARD);
    linear("qa_outputs".to_owned(), 2, HIDDEN);
    tensors
}

fn parameters() -> usize {
    tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

/// The header's length, the header, and the values.
fn safetensors() -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut offset = 0;
    for (name, shape) in tensors() {
        let end = offset + 4 * shape.iter().product::<usize>();
        header.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": [offset, end]}));
        offset = end;
    }
    let header = serde_json::to_string(&header).unwrap();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(1f32.to_le_bytes().repeat(parameters()));
    bytes
}

#[test]
fn sizes_of_a_model_are_counted() {
    let folder = Folder::new();
    write_model(&folder, "m");
    let sizes = folder.run(&["inspect", "--model", "m", "--length", "3", "--json"]).json();
    assert_eq!(sizes["parameters"], parameters());
    assert_eq!(sizes["nonzero_parameters"], parameters());
    assert_eq!(sizes["length"], 3);
    // Linear layers: 3 tokens x (4 x 4x4 + 2 x 4x8), attention 2 x 3x3 x 4, head 3 x 2x4.
    assert_eq!(sizes["macs"], 3 * (64 + 64) + 72 + 24);
    assert_eq!(sizes["layers"].as_array().unwrap().len(), 1);
    assert_eq!(sizes["tensors"].as_array().unwrap().len(), tensors().len());
    let text = folder.run(&["inspect", "--model", "m"]);
    assert!(text.out.contains(&format!("parameters     {}", parameters())), "{}", text.out);
    assert_eq!(text.err, "");
}

#[test]
fn folders_that_are_no_model_are_named() {
    let folder = Folder::new();
    let inspect = |model: &str| folder.run(&["inspect", "--model", model]);
    inspect("absent/folder/x").refused(&["absent/folder/x"]);
    folder.write("empty/readme.txt", "");
    inspect("empty").refused(&["empty", "config.json"]);
    write_model(&folder, "broken");
    folder.write("broken/config.json", "{\"model_type\": ");
    inspect("broken").refused(&["config.json"]);
    write_model(&folder, "other");
    folder.write("other/config.json", r#"{"model_type": "llama"}"#);
    inspect("other").refused(&["llama"]);
}

#[test]
fn weights_that_are_damaged_are_named() {
    let folder = Folder::new();
    let whole = safetensors();
    let inspect = |name: &str, bytes: &[u8]| {
        write_model(&folder, name);
        folder.write(&format!("{name}/model.safetensors"), bytes);
        folder.run(&["inspect", "--model", name])
    };
    inspect("cut", &whole[..whole.len() - 1]).refused(&["model.safetensors"]);
    inspect("short", &whole[..4]).refused(&["model.safetensors"]);
    inspect("none", &[]).refused(&["model.safetensors"]);
    let mut huge = whole.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    inspect("huge", &huge).refused(&["model.safetensors"]);
    let mut shape = whole.clone();
    let at = whole.windows(6).position(|bytes| bytes == b"[10,4]").unwrap();
    shape[at..at + 6].copy_from_slice(b"[99,4]");
    inspect("shape", &shape).refused(&["word_embeddings"]);
}
