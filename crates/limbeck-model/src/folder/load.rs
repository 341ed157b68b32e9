//! A model from a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use limbeck_kernels::matmul::int8::Quantized;
use serde::{Deserialize, Serialize};

use super::names::{may_be_missing, normalise};
use super::safetensors::{SafetensorsFile, mask_of, scales_of};
use super::{CONFIG_FILE, WEIGHTS_FILE, hints, read_json};
use crate::config::{Architecture, HeadKind, ModelConfig};
use crate::error::{ModelError, Result};
use crate::initialise;
use crate::layout::{Layout, TensorView};
use crate::model::Model;

/// Name of the table of shards in a model folder.
const INDEX_FILE: &str = "model.safetensors.index.json";

/// The seed of tensors that a folder lacks, where the caller names none.
pub const DEFAULT_SEED: u64 = 42;

/// Where a folder and the model made of it differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LoadReport {
    /// Tensors the folder lacks; they were newly initialised from the seed.
    pub missing: Vec<String>,
    /// Tensors of the folder that the model has no place for, under the names of the
    /// file: poolers, heads of other tasks.
    pub unused: Vec<String>,
    /// Whether weights take one byte a value, see [`Model::save_quantized`].
    pub quantized: bool,
}

impl ModelConfig {
    /// Reads the `config.json` of a model folder.
    ///
    /// # Errors
    /// If there is none, or naming the key that cannot be used.
    pub fn open(dir: &Path) -> Result<ModelConfig> {
        ModelConfig::open_as(dir, None)
    }

    /// Like [`ModelConfig::open`], with a head of this kind, whatever the folder's own.
    ///
    /// # Errors
    /// As [`ModelConfig::open`].
    pub fn open_with_head(dir: &Path, head: HeadKind) -> Result<ModelConfig> {
        ModelConfig::open_as(dir, Some(head))
    }

    fn open_as(dir: &Path, head: Option<HeadKind>) -> Result<ModelConfig> {
        let path = dir.join(CONFIG_FILE);
        if !path.is_file() {
            return Err(hints::no_config(dir));
        }
        let json: serde_json::Value = read_json(&path)?;
        let config = match head {
            Some(head) => ModelConfig::from_json_with_head(&json, head),
            None => ModelConfig::from_json(&json),
        };
        config.map_err(|error| error.in_file(&path))
    }
}

impl Model {
    /// Reads a model folder, with the head that its `config.json` names.
    ///
    /// A head that is absent is newly initialised, from [`DEFAULT_SEED`].
    ///
    /// # Errors
    /// One line that names the file and the key or tensor that cannot be used.
    pub fn open(dir: &Path) -> Result<Model> {
        Model::open_reporting(dir).map(|(model, _)| model)
    }

    /// Like [`Model::open`], and reports tensors that are missing or unused.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open_reporting(dir: &Path) -> Result<(Model, LoadReport)> {
        Model::open_with_seed(dir, DEFAULT_SEED)
    }

    /// Like [`Model::open_reporting`], with a seed for what is missing.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open_with_seed(dir: &Path, seed: u64) -> Result<(Model, LoadReport)> {
        Model::open_as(dir, own_config(dir)?, seed)
    }

    /// Like [`Model::open_reporting`], with a head of this kind, whatever the folder's own:
    /// one that the folder lacks is newly initialised.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open_with_head(dir: &Path, head: HeadKind) -> Result<(Model, LoadReport)> {
        let config = with_segments_it_has(dir, ModelConfig::open_with_head(dir, head)?)?;
        Model::open_as(dir, config, DEFAULT_SEED)
    }

    /// Reads the weights of a model folder into a model of a given configuration
    /// rather than the folder's own, as for a DistilBERT that is given segments.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open_as(dir: &Path, config: ModelConfig, seed: u64) -> Result<(Model, LoadReport)> {
        let (mut model, weights, report) = checked(dir, config)?;
        for tensor in &model.layout.tensors {
            weights.read(&model.config, tensor, seed, &mut model.parameters[tensor.range()])?;
        }
        Ok((model, report))
    }
}

/// The configuration of a folder, as its weights say that it is meant.
pub(super) fn own_config(dir: &Path) -> Result<ModelConfig> {
    with_segments_it_has(dir, ModelConfig::open(dir)?)
}

fn with_segments_it_has(dir: &Path, mut config: ModelConfig) -> Result<ModelConfig> {
    if config.architecture == Architecture::DistilBert && config.type_vocab_size > 0 {
        // Transformers ignores the key in a DistilBERT. It means something only where
        // the file has the table.
        let table = "distilbert.embeddings.token_type_embeddings.weight";
        if Weights::find(dir, config.architecture)?.locate(table).is_none() {
            config.type_vocab_size = 0;
        }
    }
    Ok(config)
}

/// A model of zeros, and the weights to fill it with: found to fit each other before memory
/// is taken for them.
pub(super) fn checked(dir: &Path, config: ModelConfig) -> Result<(Model, Weights, LoadReport)> {
    config.validate()?;
    let weights = Weights::find(dir, config.architecture)?;
    let layout = Layout::new(&config);
    let report = weights.compare(&layout)?;
    let model = Model { config, parameters: vec![0.0; layout.len], layout };
    Ok((model, weights, report))
}

/// The weights of a folder: one file or several.
pub(super) struct Weights {
    architecture: Architecture,
    dir: PathBuf,
    files: Vec<SafetensorsFile>,
    /// Normalised name to the file, by its place in `files`, and the name in it.
    places: BTreeMap<String, (usize, String)>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Weights {
    fn find(dir: &Path, architecture: Architecture) -> Result<Weights> {
        let single = dir.join(WEIGHTS_FILE);
        let index = dir.join(INDEX_FILE);
        let mut weights = Weights {
            architecture,
            dir: dir.to_owned(),
            files: Vec::new(),
            places: BTreeMap::new(),
        };
        if single.is_file() {
            weights.add_file(&single, None)?;
        } else if index.is_file() {
            weights.add_shards(&index)?;
        } else {
            return Err(hints::no_weights(dir));
        }
        Ok(weights)
    }

    fn add_shards(&mut self, index: &Path) -> Result<()> {
        let map = read_json::<Index>(index)?.weight_map;
        let shards: BTreeSet<_> = map.values().collect();
        for shard in shards {
            // A shard lies beside its index. Anything else would let a model read files
            // from elsewhere.
            if Path::new(shard).file_name() != Some(shard.as_ref()) {
                let reason = format!("shard {shard:?} is not the name of a file");
                return Err(ModelError::file(index, reason));
            }
            let path = self.dir.join(shard);
            if !path.is_file() {
                let reason = format!("names {shard}, which is not there; copy or download it");
                return Err(ModelError::file(index, reason));
            }
            let names = map.iter().filter(|(_, file)| *file == shard).map(|(name, _)| name);
            self.add_file(&path, Some(names.cloned().collect()))?;
        }
        Ok(())
    }

    /// Adds a file: all its tensors, or those of them that an index gives to it.
    fn add_file(&mut self, path: &Path, names: Option<Vec<String>>) -> Result<()> {
        let file = SafetensorsFile::open(path)?;
        let names = names.unwrap_or_else(|| file.names().map(str::to_owned).collect());
        for name in names {
            let normalised = normalise(self.architecture, &name);
            let place = (self.files.len(), name);
            if let Some((_, other)) = self.places.get(&normalised) {
                let reason = format!("and tensor `{other}` are the same tensor under two names");
                return Err(ModelError::tensor(path, &place.1, reason));
            }
            self.places.insert(normalised, place);
        }
        self.files.push(file);
        Ok(())
    }

    /// The file that holds a tensor of the layout, and its name there.
    fn locate(&self, name: &str) -> Option<(&SafetensorsFile, &str)> {
        let (file, name) = self.places.get(&normalise(self.architecture, name))?;
        Some((&self.files[*file], name))
    }

    /// Reads a tensor of the layout as floats, or fills it from the seed if it is not there.
    pub(super) fn read(
        &self,
        config: &ModelConfig,
        tensor: &TensorView,
        seed: u64,
        values: &mut [f32],
    ) -> Result<()> {
        match self.locate(&tensor.name) {
            Some((file, name)) if file.is_int8(name) => {
                file.read_int8(name, tensor.shape[0], tensor.shape[1])?.write_floats(values);
            }
            Some((file, name)) if file.is_sparse(name) => file.read_sparse(name, values)?,
            Some((file, name)) => file.read_into(name, values)?,
            None => initialise::fill(config, tensor, seed, values),
        }
        if values.iter().all(|value| value.is_finite()) {
            return Ok(());
        }
        let reason = "holds values that are not finite numbers; nothing computed with them would \
                      mean anything";
        Err(ModelError::tensor(&self.dir.join(WEIGHTS_FILE), &tensor.name, reason))
    }

    /// Reads a tensor of the layout that takes one byte a value; `None` if it does not.
    pub(super) fn read_int8(&self, tensor: &TensorView) -> Result<Option<Quantized>> {
        match self.locate(&tensor.name) {
            Some((file, name)) if file.is_int8(name) => {
                file.read_int8(name, tensor.shape[0], tensor.shape[1]).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Checks that what the model needs is there in the right shapes.
    fn compare(&self, layout: &Layout) -> Result<LoadReport> {
        let mut report = LoadReport::default();
        let mut unused: BTreeSet<&str> =
            self.places.values().map(|(_, name)| name.as_str()).collect();
        for tensor in &layout.tensors {
            if let Some((file, name)) = self.locate(&tensor.name) {
                if file.is_int8(name) {
                    file.expect_int8(name, &tensor.shape)?;
                    unused.remove(scales_of(name).as_str());
                    report.quantized = true;
                } else if file.is_sparse(name) {
                    file.expect_sparse(name, &tensor.shape)?;
                    unused.remove(mask_of(name).as_str());
                } else {
                    file.expect(name, &tensor.shape)?;
                }
                unused.remove(name);
            } else if may_be_missing(layout, tensor) {
                report.missing.push(tensor.name.clone());
            } else {
                let reason = "is missing; config.json and weights do not belong together";
                return Err(ModelError::tensor(&self.dir, &tensor.name, reason));
            }
        }
        report.unused = unused.into_iter().map(str::to_owned).collect();
        Ok(report)
    }
}

#[cfg(test)]
mod tests;
