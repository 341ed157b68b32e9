//! A model to a folder.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::aside::Aside;
use super::safetensors::{NamedValues, write_safetensors_aside};
use super::{CONFIG_FILE, WEIGHTS_FILE};
use crate::error::{ModelError, Result};
use crate::model::Model;

impl Model {
    /// Writes `config.json` and `model.safetensors` into a folder, which is made if
    /// absent. Other files of the folder stay.
    ///
    /// `from_pretrained` of transformers loads the folder. Its version 5 knows no pruned
    /// heads, so a model with some must first go through
    /// [`restore_pruned_heads`](crate::student::restore_pruned_heads).
    ///
    /// # Errors
    /// If the configuration is not valid or a file cannot be written; then the old
    /// files are still there.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let tensors: Vec<_> = (self.layout.tensors.iter())
            .map(|tensor| NamedValues {
                name: &tensor.name,
                shape: &tensor.shape,
                values: self.values(tensor).into(),
            })
            .collect();
        self.write_folder(dir, &tensors, &self.config.to_json())
    }

    /// Writes both files, and shows them when both are whole.
    pub(super) fn write_folder(
        &self,
        dir: &Path,
        tensors: &[NamedValues<'_>],
        config: &Value,
    ) -> Result<()> {
        let config_path = dir.join(CONFIG_FILE);
        self.config.validate().map_err(|error| error.in_file(&config_path))?;
        fs::create_dir_all(dir).map_err(ModelError::io("create", dir))?;
        // transformers refuses files that do not name the framework they are for.
        let metadata = [("format", "pt")];
        let weights = write_safetensors_aside(&dir.join(WEIGHTS_FILE), tensors, &metadata)?;
        let config = Aside::write_bytes(&config_path, format!("{config:#}\n").as_bytes())?;
        weights.publish()?;
        config.publish()
    }
}
