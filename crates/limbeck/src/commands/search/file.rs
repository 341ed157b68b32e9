//! The file that describes a search: space, metrics, defaults, and perhaps the recipe.

use std::fs;
use std::path::Path;

use anyhow::Result;
use limbeck_search::study::Description;
use serde::Deserialize;
use toml::Table;

use crate::cli::search::SamplerName;
use crate::config::recipe::{Recipe, SEARCH};
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
#[serde(deny_unknown_fields, default)]
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
}

impl SearchFile {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|error| InputError::new("cannot read the space", &place, error.to_string()))?;
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(start).filter(|&byte| byte == b'\n').count();
            InputError::new(error.message(), format!("{place}:{line}"), "")
        })?;
        let description = Description::from_toml(&table)
            .map_err(|error| InputError::new(error.to_string(), &place, ""))?;
        let defaults = match table.remove("search") {
            None => Defaults::default(),
            Some(section) => section.try_into().map_err(|error: toml::de::Error| {
                InputError::new(format!("search: {}", error.message()), &place, "")
            })?,
        };
        let is_recipe = table.keys().any(|key| !SEARCH.contains(&key.as_str()));
        if is_recipe {
            // Names what is neither of a space nor of a recipe.
            Recipe::read(path)?;
        }
        Ok(Self { description, defaults, is_recipe })
    }
}
