//! What a folder is that cannot be read, and what to do about it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{CONFIG_FILE, WEIGHTS_FILE};
use crate::error::ModelError;

/// Name of the weights in the older, unsafe format.
const PICKLE_FILE: &str = "pytorch_model.bin";

/// Name of its table of shards.
const PICKLE_INDEX: &str = "pytorch_model.bin.index.json";

/// How a Git LFS pointer begins.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// What another file is that begins like this, where weights or a configuration should be.
const KINDS: [(&[u8], &str); 5] = [
    (b"PK\x03\x04", "is a file of torch.save under another name"),
    (b"\x89HDF", "is an HDF5 file of TensorFlow under another name"),
    (b"GGUF", "is a GGUF file under another name"),
    (b"<!DOCTYPE", "is a web page, not the file itself; download it again"),
    (b"<html", "is a web page, not the file itself; download it again"),
];

/// What a file of a model folder is, by its first bytes, where these tell that it is not the file
/// that its name says; `None` where they do not.
pub(super) fn other_kind(path: &Path, start: &[u8]) -> Option<ModelError> {
    if start.starts_with(POINTER) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).display();
        let reason =
            format!("is a Git LFS pointer, not the file itself: run `git lfs pull` in {folder}");
        return Some(ModelError::file(path, reason));
    }
    if start.is_empty() {
        return Some(ModelError::file(path, "is empty; copy or download it again"));
    }
    let (_, kind) = KINDS.into_iter().find(|(magic, _)| start.starts_with(magic))?;
    Some(ModelError::file(path, kind))
}

/// The first bytes of a file; none where it cannot be read.
fn start_of(path: &Path) -> Vec<u8> {
    let mut start = Vec::new();
    // Whoever asks wants a hint only; an error here is told where the file is read.
    let _ = File::open(path).and_then(|file| file.take(64).read_to_end(&mut start));
    start
}

/// The error for a folder without `config.json`.
pub(super) fn no_config(dir: &Path) -> ModelError {
    let error = |reason: String| ModelError::file(dir, reason);
    if dir.is_file() {
        let folder = dir.parent().unwrap_or(Path::new(".")).display();
        return error(format!("is a file; give the folder of the model, {folder}"));
    }
    if let Some(reason) = adapter(dir) {
        return error(reason);
    }
    if let Some(inner) = inner_model(dir) {
        return error(inner);
    }
    if dir.join("bert_config.json").is_file() {
        let command = "transformers.BertForPreTraining.from_pretrained(..., from_tf=True)";
        return error(format!(
            "is a checkpoint of Google's BERT (bert_config.json); convert it with Transformers 4: \
             {command}, or copy bert_config.json to config.json where weights are \
             {WEIGHTS_FILE}"
        ));
    }
    if let Some(name) = file_ending(dir, ".gguf") {
        return error(gguf(&name));
    }
    if let Some(name) = onnx_file(dir) {
        return error(onnx(&name));
    }
    if is_weights_alone(dir) {
        return error(
            "has weights, but no config.json; copy the one of the model that they are of".into(),
        );
    }
    error("not a model folder: it has no config.json".into())
}

fn is_weights_alone(dir: &Path) -> bool {
    [WEIGHTS_FILE, PICKLE_FILE].iter().any(|name| dir.join(name).is_file())
}

/// The error for a folder with a `config.json`, but without weights that can be read.
pub(super) fn no_weights(dir: &Path) -> ModelError {
    let error = |reason: String| ModelError::file(dir, reason);
    for (name, sharded) in [(PICKLE_INDEX, true), (PICKLE_FILE, false)] {
        let path = dir.join(name);
        if path.is_file() {
            let kind = start_of(&path);
            let is_pickle = kind.starts_with(b"PK\x03\x04") || kind.starts_with(b"\x80");
            return match other_kind(&path, &kind).filter(|_| !is_pickle) {
                Some(error) => error,
                None => error(pickled(dir, name, sharded)),
            };
        }
    }
    if let Some(name) = file_ending(dir, ".safetensors") {
        if let Some(reason) = adapter(dir) {
            return error(reason);
        }
        let is_shard = name.contains("-of-");
        let (what, cure) = match is_shard {
            true => ("shards of weights", "copy model.safetensors.index.json beside them"),
            false => ("weights under another name", "rename them to model.safetensors"),
        };
        return error(format!("has {what} ({name}) and no {WEIGHTS_FILE}; {cure}"));
    }
    if let Some(reason) = adapter(dir) {
        return error(reason);
    }
    for (name, framework, flag, packages) in [
        ("tf_model.h5", "TensorFlow", "from_tf", "tensorflow tf-keras"),
        ("flax_model.msgpack", "Flax", "from_flax", "flax"),
    ] {
        if dir.join(name).is_file() {
            return error(converted(dir, name, framework, flag, packages));
        }
    }
    if let Some(name) = file_ending(dir, ".ckpt.index") {
        return error(converted(dir, &name, "TensorFlow", "from_tf", "tensorflow tf-keras"));
    }
    if let Some(name) = onnx_file(dir) {
        return error(onnx(&name));
    }
    if let Some(name) = file_ending(dir, ".gguf") {
        return error(gguf(&name));
    }
    match inner_model(dir) {
        Some(inner) => error(inner),
        None => error(format!("has no {WEIGHTS_FILE}")),
    }
}

/// How to convert weights that PyTorch has pickled.
fn pickled(dir: &Path, name: &str, sharded: bool) -> String {
    let load = "torch.load(f, map_location='cpu', weights_only=True).items()";
    let (imports, parts) = match sharded {
        true => ("glob, torch", "sorted(glob.glob('pytorch_model-*.bin'))".to_owned()),
        false => ("torch", format!("['{name}']")),
    };
    format!(
        "has its weights in {name} only; convert them with: cd {dir:?} && python3 -c \"import \
         {imports}, safetensors.torch as s; s.save_file({{k: v.clone().contiguous() for f in \
         {parts} for k, v in {load}}}, '{WEIGHTS_FILE}', {{'format': 'pt'}})\""
    )
}

/// How to convert weights of another framework than PyTorch.
fn converted(dir: &Path, name: &str, framework: &str, flag: &str, packages: &str) -> String {
    let class = class(dir).unwrap_or_else(|| "AutoModel".to_owned());
    format!(
        "has weights of {framework} only ({name}); convert them with Transformers 4: cd {dir:?} && \
         pip install 'transformers<5' torch {packages} && python3 -c \"import transformers as t; \
         t.{class}.from_pretrained('.', {flag}=True).save_pretrained('.')\""
    )
}

/// The class that `config.json` names, as far as it is a plain name.
fn class(dir: &Path) -> Option<String> {
    let json: Value = super::read_json(&dir.join(CONFIG_FILE)).ok()?;
    let class = json.get("architectures")?.get(0)?.as_str()?;
    class.chars().all(|c| c.is_ascii_alphanumeric()).then(|| class.to_owned())
}

fn gguf(name: &str) -> String {
    format!("has only a GGUF file ({name}); give the folder of the model that it was made from")
}

fn onnx(name: &str) -> String {
    format!("has only an ONNX file ({name}); give the folder of the model that was exported")
}

/// An ONNX file of a folder, or in the `onnx` folder in it.
fn onnx_file(dir: &Path) -> Option<String> {
    let inner = || file_ending(&dir.join("onnx"), ".onnx").map(|name| format!("onnx/{name}"));
    file_ending(dir, ".onnx").or_else(inner)
}

/// What to do with a folder of PEFT.
fn adapter(dir: &Path) -> Option<String> {
    let names = ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"];
    let name = names.into_iter().find(|name| dir.join(name).is_file())?;
    let json: Option<Value> = super::read_json(&dir.join("adapter_config.json")).ok();
    let base = json.as_ref().and_then(|json| json.get("base_model_name_or_path")?.as_str());
    let of = base.map_or_else(String::new, |base| format!(" for {base}"));
    Some(format!(
        "is an adapter of PEFT{of} ({name}), not a whole model; merge it first: \
         PeftModel.from_pretrained(base, folder).merge_and_unload().save_pretrained(...)"
    ))
}

/// The folder in this one that has a model, where it is clear which is meant.
fn inner_model(dir: &Path) -> Option<String> {
    let has_model = |folder: &PathBuf| folder.join(CONFIG_FILE).is_file();
    let inner = dir.join("0_Transformer");
    if has_model(&inner) {
        let inner = inner.display();
        return Some(format!(
            "is a folder of sentence-transformers; give the model in it, {inner}"
        ));
    }
    let folders = |dir: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(has_model).collect()
    };
    let number = |folder: &PathBuf| -> Option<u64> {
        folder.file_name()?.to_str()?.strip_prefix("checkpoint-")?.parse().ok()
    };
    let inner = folders(dir);
    if let Some(last) = inner.iter().filter(|f| number(f).is_some()).max_by_key(|f| number(f)) {
        let last = last.display();
        return Some(format!(
            "has no model of its own, but checkpoints of a training run; give one, as {last}"
        ));
    }
    if let [only] = folders(&dir.join("snapshots")).as_slice() {
        let only = only.display();
        return Some(format!(
            "is a folder of the Hugging Face cache; give the model in it, {only}"
        ));
    }
    match inner.as_slice() {
        [only] => Some(format!("has no model of its own; give the one in it, {}", only.display())),
        _ => None,
    }
}

/// The first file of a folder, by name, that ends like this.
fn file_ending(dir: &Path, end: &str) -> Option<String> {
    let entries = fs::read_dir(dir).ok()?.flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.ends_with(end)).min()
}

#[cfg(test)]
mod tests;
