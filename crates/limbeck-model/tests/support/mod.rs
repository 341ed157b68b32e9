//! Golden folders and their batches; `tools/golden.py` made them.

use std::path::{Path, PathBuf};

use limbeck_model::Model;
use limbeck_model::encoder::Tokens;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

/// A golden folder.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// A model and what Transformers computes with it.
pub struct Golden {
    pub model: Model,
    bytes: Vec<u8>,
}

impl Golden {
    pub fn open(name: &str) -> Self {
        let folder = folder(name);
        let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
        Golden { model: Model::open(&folder).unwrap(), bytes }
    }

    fn with<T>(&self, name: &str, read: impl FnOnce(TensorView<'_>) -> T) -> T {
        read(SafeTensors::deserialize(&self.bytes).unwrap().tensor(name).unwrap())
    }

    pub fn floats(&self, name: &str) -> Vec<f32> {
        let read = |chunk: &[u8]| f32::from_le_bytes(chunk.try_into().unwrap());
        self.with(name, |view| view.data().chunks_exact(4).map(read).collect())
    }

    pub fn integers(&self, name: &str) -> Vec<usize> {
        self.with(name, |view| {
            let width = view.dtype().bitsize() / 8;
            let read = |chunk: &[u8]| {
                let mut word = [0; 8];
                word[..width].copy_from_slice(chunk);
                u64::from_le_bytes(word) as usize
            };
            view.data().chunks_exact(width).map(read).collect()
        })
    }
}

/// The batch that it was computed of.
pub struct Batch {
    pub input_ids: Vec<u32>,
    token_type_ids: Vec<u8>,
    pub starts: Vec<usize>,
}

impl Batch {
    pub fn of(golden: &Golden) -> Self {
        Batch {
            input_ids: golden.integers("input_ids").iter().map(|&id| id as u32).collect(),
            token_type_ids: golden.integers("token_type_ids").iter().map(|&id| id as u8).collect(),
            starts: golden.integers("starts"),
        }
    }

    pub fn tokens(&self) -> Tokens<'_> {
        Tokens {
            input_ids: &self.input_ids,
            token_type_ids: &self.token_type_ids,
            starts: &self.starts,
        }
    }
}

/// Asserts that two slices agree to `tolerance`, relative to the largest wanted value.
#[track_caller]
pub fn assert_close(got: &[f32], want: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: lengths");
    let largest = want.iter().fold(0.0f32, |a, v| a.max(v.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let error = (g - w).abs();
        assert!(error <= tolerance * largest.max(1e-3), "{what}[{i}]: {g}, expected {w}");
    }
}
