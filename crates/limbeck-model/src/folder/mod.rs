//! Model folders as Hugging Face lays them out, in and out.
//!
//! A folder holds `config.json` and `model.safetensors`, or shards of it with
//! `model.safetensors.index.json`; beside them lies the tokenizer, which is not this
//! crate's, and `limbeck.json`, where Limbeck keeps what else it must remember.
//!
//! Files from outside are not trusted: headers, shapes and sizes are checked against
//! each other and against the file's length before anything is allocated for them.
//! Files are written aside, synced and renamed, so a reader sees the old or the new one.
//!
//! # Layout
//! - `load`, `save`: [`Model`](crate::Model) from and to a folder.
//! - `quantized`: folders whose linear weights take one byte a value.
//! - `sparse`: folders whose sparse matrices lack their zeros.
//! - `hints`: what a folder is that cannot be read, and what to do.
//! - `names`: the spellings of tensor names met in the wild.
//! - `safetensors`: reading and writing files of named tensors.
//! - `aside`: replacing files whole.
//! - `notes`: `limbeck.json`; `plans`: the length plans in it.

pub(crate) mod aside;
mod hints;
mod load;
mod names;
mod notes;
mod plans;
mod quantized;
mod safetensors;
mod save;
mod sparse;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::{ModelError, Result};

pub use load::{DEFAULT_SEED, LoadReport};
pub use notes::{Limbeck, NOTES_FILE};
pub use plans::{NamedPlan, NamedPlans};
pub use safetensors::{NamedValues, SafetensorsFile, Values, write_safetensors};

/// Name of the configuration in a model folder.
pub const CONFIG_FILE: &str = "config.json";

/// Name of the weights in a model folder.
pub const WEIGHTS_FILE: &str = "model.safetensors";

/// No JSON text of a model folder comes near this many bytes.
const MAX_JSON_BYTES: u64 = 16 << 20;

/// Reads a JSON file of bounded size.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let file = File::open(path).map_err(ModelError::io("read", path))?;
    let mut text = Vec::new();
    file.take(MAX_JSON_BYTES + 1).read_to_end(&mut text).map_err(ModelError::io("read", path))?;
    if text.len() as u64 > MAX_JSON_BYTES {
        return Err(ModelError::file(path, format!("longer than {MAX_JSON_BYTES} bytes")));
    }
    if let Some(error) = hints::other_kind(path, &text) {
        return Err(error);
    }
    // Editors on Windows begin a file with a byte order mark, which JSON has no room for.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    serde_json::from_slice(text).map_err(|error| ModelError::file(path, error.to_string()))
}
