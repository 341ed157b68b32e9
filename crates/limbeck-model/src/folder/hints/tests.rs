use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::model::Model;
use crate::testing;

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 90868376\n";

/// A folder with these files; a name that ends with a slash is a folder.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn error_of(dir: &Path) -> String {
    let message = Model::open(dir).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

/// What is said of a folder with a configuration and these files.
fn with_config(files: &[(&str, &[u8])]) -> String {
    let folder = folder(files);
    let config = format!("{:#}", testing::bert().to_json());
    fs::write(folder.path().join(CONFIG_FILE), config).unwrap();
    error_of(folder.path())
}

#[test]
fn a_pointer_of_git_lfs_is_named_whatever_file_it_stands_for() {
    for name in [WEIGHTS_FILE, "model.safetensors.index.json", PICKLE_FILE] {
        let message = with_config(&[(name, POINTER.as_bytes())]);
        assert!(message.contains(name) && message.contains("is a Git LFS pointer"), "{message}");
        assert!(message.contains("run `git lfs pull` in /"), "{message}");
    }
    let message = error_of(folder(&[(CONFIG_FILE, POINTER.as_bytes())]).path());
    assert!(message.contains("config.json: is a Git LFS pointer"), "{message}");
}

#[test]
fn empty_files_and_files_of_another_kind_are_named() {
    for (content, part) in [
        (&b""[..], "is empty"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"PK\x03\x04\x00\x00\x00\x00\x00", "is a file of torch.save"),
        (b"GGUF\x03\x00\x00\x00\x00", "is a GGUF file"),
    ] {
        let message = with_config(&[(WEIGHTS_FILE, content)]);
        assert!(message.contains("model.safetensors: ") && message.contains(part), "{message}");
    }
    assert!(error_of(folder(&[(CONFIG_FILE, b"")]).path()).contains("config.json: is empty"));
}

#[test]
fn weights_of_other_kinds_are_named_with_their_cure() {
    for (name, content, parts) in [
        (PICKLE_FILE, &b"PK\x03\x04"[..], ["python3 -c", "['pytorch_model.bin']"]),
        (PICKLE_INDEX, b"{}", ["python3 -c", "glob('pytorch_model-*.bin')"]),
        ("tf_model.h5", b"\x89HDF", ["TensorFlow", "BertForQuestionAnswering.from_pretrained"]),
        ("flax_model.msgpack", b"x", ["Flax", "from_flax=True"]),
        ("bert_model.ckpt.index", b"x", ["TensorFlow", "from_tf=True"]),
        ("model.onnx", b"x", ["ONNX", "model.onnx"]),
        ("onnx/model.onnx", b"x", ["ONNX", "onnx/model.onnx"]),
        ("model-q4.gguf", b"GGUF", ["GGUF", "model-q4.gguf"]),
        ("adapter_model.safetensors", b"x", ["PEFT", "merge_and_unload"]),
        ("model-00001-of-00002.safetensors", b"x", ["shards", "model.safetensors.index.json"]),
        ("weights.safetensors", b"x", ["under another name", "rename"]),
        ("0_Transformer/config.json", b"{}", ["sentence-transformers", "0_Transformer"]),
        ("checkpoint-500/config.json", b"{}", ["checkpoints of a training run", "checkpoint-500"]),
    ] {
        let message = with_config(&[(name, content)]);
        assert!(parts.iter().all(|part| message.contains(part)), "{name}: {message}");
    }
}

#[test]
fn a_folder_whose_model_lies_deeper_says_where() {
    let checkpoints = [
        ("checkpoint-500/config.json", &b"{}"[..]),
        ("checkpoint-1000/config.json", b"{}"),
        ("trainer_state.json", b"{}"),
    ];
    let message = error_of(folder(&checkpoints).path());
    assert!(message.ends_with("checkpoint-1000"), "{message}");
    let message = error_of(folder(&[("0_Transformer/config.json", b"{}")]).path());
    assert!(message.contains("sentence-transformers"), "{message}");
    let message = error_of(folder(&[("snapshots/0a/config.json", b"{}")]).path());
    assert!(message.contains("Hugging Face cache") && message.ends_with("0a"), "{message}");
    let message = error_of(folder(&[("model/config.json", b"{}")]).path());
    assert!(message.contains("give the one in it"), "{message}");
    let message = error_of(folder(&[("bert_config.json", b"{}")]).path());
    assert!(message.contains("Google's BERT"), "{message}");
    let adapter = br#"{"base_model_name_or_path": "bert-base-uncased"}"#;
    let message = error_of(folder(&[("adapter_config.json", adapter)]).path());
    assert!(message.contains("PEFT for bert-base-uncased"), "{message}");
    let weights = folder(&[(WEIGHTS_FILE, b"x")]);
    assert!(error_of(weights.path()).contains("has weights, but no config.json"));
    let message = error_of(&weights.path().join(WEIGHTS_FILE));
    assert!(message.contains("is a file; give the folder"), "{message}");
}
