//! The file that describes a search: space, metrics, defaults, and perhaps the recipe.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Result;
use limbeck_search::study::Description;
use serde::Deserialize;

use crate::cli::search::SamplerName;
use crate::config::recipe::Recipe;
use crate::exit::InputError;

/// What the file says.
#[derive(Debug)]
pub struct SearchFile {
    /// The space and the metrics.
    pub description: Description,
    /// What flags may leave open.
    pub defaults: Defaults,
    /// Whether it is a recipe too.
    pub is_recipe: bool,
}

/// `[search]`: what flags may leave open.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section `[search]`")]
pub struct Defaults {
    /// Of `--sampler`.
    pub sampler: Option<SamplerName>,
    /// Of `--trials`.
    pub trials: Option<usize>,
    /// Of `--parallel`.
    pub parallel: Option<usize>,
    /// Of `--seed`.
    pub seed: Option<u64>,
    /// Of `--time-limit`.
    pub time_limit: Option<String>,
    /// Of `--memory-limit`.
    pub memory_limit: Option<String>,
    /// Of `--early-stop`.
    pub early_stop: Option<f64>,
    /// Of `--stop-after-failures`.
    pub stop_after_failures: Option<usize>,
}

impl SearchFile {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| {
            let advice = match error.kind() {
                ErrorKind::NotFound => {
                    "there is no such file; some spaces come with Limbeck's source, in `recipes`, \
                         and `limbeck search --help` shows how one is given"
                        .to_owned()
                }
                _ => error.to_string(),
            };
            InputError::new("cannot read the space", &place, advice)
        })?;
        let recipe = Recipe::of(path, &text)?;
        let is_recipe = !recipe.is_empty();
        let mut table = recipe.search;
        let description = Description::from_toml(&table)
            .map_err(|error| InputError::new(error.to_string(), &place, ""))?;
        let defaults = match table.remove("search") {
            None => Defaults::default(),
            Some(section) => section.try_into().map_err(|error: toml::de::Error| {
                InputError::new(format!("search: {}", error.message()), &place, "")
            })?,
        };
        Ok(Self { description, defaults, is_recipe })
    }
}
