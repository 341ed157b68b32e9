//! A model to a folder.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::aside::Aside;
use super::safetensors::{NamedValues, write_safetensors_aside};
use super::{CONFIG_FILE, WEIGHTS_FILE};
use crate::config::{Architecture, HeadKind, ModelConfig};
use crate::error::{ModelError, Result};
use crate::layout::{Layout, TensorView};
use crate::model::Model;

impl Model {
    /// Writes `config.json` and `model.safetensors` into a folder, which is made if
    /// absent. Other files of the folder stay.
    ///
    /// `from_pretrained` of transformers loads the folder. Its version 5 knows no pruned
    /// heads, so a model with some must first go through
    /// [`restore_pruned_heads`](crate::student::restore_pruned_heads). Its DistilBERT knows no
    /// segments, so one with some is written as the BERT that it is; see
    /// [`is_written_as_bert`](Model::is_written_as_bert).
    ///
    /// # Errors
    /// If the configuration is not valid or a file cannot be written; then the old
    /// files are still there.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let (config, tensors) = self.written();
        let tensors: Vec<_> = (tensors.iter())
            .map(|tensor| NamedValues {
                name: &tensor.name,
                shape: &tensor.shape,
                values: self.values(tensor).into(),
            })
            .collect();
        self.write_folder(dir, &tensors, &config.to_json())
    }

    /// Whether the model is a DistilBERT with segments that goes to a folder under BERT's names,
    /// `model_type` among them: what computes the same in transformers. A classifier is not, since
    /// the heads of the two families are different functions of the first token; transformers
    /// leaves out its segments.
    pub fn is_written_as_bert(&self) -> bool {
        let ModelConfig { architecture, type_vocab_size, head, .. } = &self.config;
        *architecture == Architecture::DistilBert
            && *type_vocab_size > 0
            && head.kind() != HeadKind::Classification
    }

    /// The configuration and the tensors as a folder has them. Ranges are those of this model.
    pub(crate) fn written(&self) -> (Cow<'_, ModelConfig>, Cow<'_, [TensorView]>) {
        if !self.is_written_as_bert() {
            return (Cow::Borrowed(&self.config), Cow::Borrowed(&self.layout.tensors));
        }
        let mut config = self.config.clone();
        config.architecture = Architecture::Bert;
        // The dropout before DistilBERT's span head has no key in BERT, and no part in inference.
        config.head_dropout = 0.0;
        let layout = Layout::new(&config);
        debug_assert_eq!(layout.slots, self.layout.slots, "the families lie alike");
        (Cow::Owned(config), Cow::Owned(layout.tensors))
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
