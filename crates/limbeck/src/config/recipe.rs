//! Recipe files: the keys that all stages share, and the stages.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use serde::Deserialize;
use toml::Table;
use toml::de::{DeTable, DeValue, Deserializer};

use super::suggest::nearest;
use super::{Layer, RunConfig, settings};
use crate::exit::InputError;

/// Keys of the same file that belong to `limbeck search`.
pub const SEARCH: [&str; 4] = ["constraints", "metrics", "parameters", "search"];

/// What a recipe file says.
#[derive(Debug, Clone, Default)]
pub struct Recipe {
    /// The keys outside the stages; they hold for every stage.
    pub shared: Layer,
    /// The `[[stage]]`s in their order; none: the recipe is one run.
    pub stages: Vec<RecipeStage>,
}

/// One `[[stage]]` of a recipe.
#[derive(Debug, Clone)]
pub struct RecipeStage {
    /// Names the stage in `stage:NAME`, in `--set stage.NAME.key=value` and its folder.
    pub name: String,
    /// Its own keys.
    pub layer: Layer,
}

impl Recipe {
    /// Reads a recipe file.
    pub fn read(path: &Path) -> Result<Recipe> {
        let place = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| {
            InputError::new("cannot read the recipe", &place, error.to_string())
        })?;
        Recipe::parse(&text, &place)
    }

    /// Reads the text of a recipe; `place` names it in errors.
    pub fn parse(text: &str, place: &str) -> Result<Recipe> {
        let source = Source { text, place };
        let mut root = DeTable::parse(text).map_err(|e| source.toml_error(&e))?.into_inner();
        for key in SEARCH {
            root.remove(key);
        }
        let stages = root.remove("stage");
        let shared = source.layer(root, 0..0)?;
        let mut recipe = Recipe { shared, stages: Vec::new() };
        let Some(stages) = stages else { return Ok(recipe) };
        let span = stages.span();
        let DeValue::Array(stages) = stages.into_inner() else {
            let advice = "write each stage as `[[stage]]`";
            return Err(source.error(&span, "`stage` is no list of tables", advice).into());
        };
        for stage in stages {
            let span = stage.span();
            let DeValue::Table(table) = stage.into_inner() else {
                let advice = "write each stage as `[[stage]]`";
                return Err(source.error(&span, "a stage is no table", advice).into());
            };
            let stage = source.stage(table, span.clone())?;
            if recipe.stages.iter().any(|earlier| earlier.name == stage.name) {
                let what = format!("two stages are named `{}`", stage.name);
                return Err(source.error(&span, what, "give each its own name").into());
            }
            recipe.stages.push(stage);
        }
        Ok(recipe)
    }
}

/// The text of a recipe and its name, for errors with lines.
struct Source<'a> {
    text: &'a str,
    place: &'a str,
}

impl<'a> Source<'a> {
    fn stage(&self, mut table: DeTable<'a>, span: Range<usize>) -> Result<RecipeStage> {
        let Some(name) = table.remove("name") else {
            return Err(self.error(&span, "a stage has no name", "add `name = \"...\"`").into());
        };
        let name_span = name.span();
        let name = name.get_ref().as_str().unwrap_or_default().to_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(plain) {
            let advice = "a name is made of letters, digits, - and _";
            return Err(self.error(&name_span, "a stage's name cannot be used", advice).into());
        }
        Ok(RecipeStage { name, layer: self.layer(table, span)? })
    }

    /// The keys of a table, each known and of the right type.
    fn layer(&self, table: DeTable<'a>, span: Range<usize>) -> Result<Layer> {
        self.refuse_unknown_keys("", &table)?;
        let spanned = toml::Spanned::new(span, table);
        RunConfig::deserialize(Deserializer::from(spanned.clone()))
            .map_err(|e| self.toml_error(&e))?;
        let table =
            Table::deserialize(Deserializer::from(spanned)).map_err(|e| self.toml_error(&e))?;
        Ok(Layer::from(table))
    }

    fn refuse_unknown_keys(&self, prefix: &str, table: &DeTable) -> Result<(), InputError> {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let section = format!("{key}.");
            let is_section = settings::keys().any(|known| known.starts_with(&section));
            match value.get_ref() {
                _ if settings::find(&key).is_some() => {}
                DeValue::Table(inner) if is_section || !inner.is_empty() => {
                    self.refuse_unknown_keys(&section, inner)?;
                }
                _ if is_section => {}
                _ => return Err(self.error(&name.span(), unknown(&key), advice_for(&key))),
            }
        }
        Ok(())
    }

    fn toml_error(&self, error: &toml::de::Error) -> InputError {
        self.error(&error.span().unwrap_or(0..0), error.message(), "")
    }

    fn error(
        &self,
        span: &Range<usize>,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> InputError {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        InputError::new(what, format!("{}:{line}", self.place), advice)
    }
}

/// What to say of a key that nobody knows.
pub fn unknown(key: &str) -> String {
    format!("unknown key `{key}`")
}

/// What to say to somebody who used an unknown key.
pub fn advice_for(key: &str) -> String {
    match nearest(key, settings::keys()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => "`limbeck run --help` tells where all keys are listed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Recipe::parse(text, "r.toml").unwrap_err().to_string()
    }

    #[test]
    fn a_recipe_without_stages_is_one_layer() {
        let recipe = Recipe::parse("task = \"squad\"\n[optim]\nlearning_rate = 1e-4", "r").unwrap();
        assert!(recipe.stages.is_empty());
        assert_eq!(recipe.shared.get("optim.learning_rate"), Some(&toml::Value::Float(1e-4)));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
        assert_eq!(
            refusal("[optim]\nbeta_1 = 0.9\nlerning_rate = 1e-4\n"),
            "unknown key `optim.lerning_rate`: r.toml:3: did you mean `optim.learning_rate`?"
        );
        assert_eq!(
            refusal("[[stage]]\nname = \"a\"\ntrain.epoch = 2\n"),
            "unknown key `train.epoch`: r.toml:3: did you mean `train.epochs`?"
        );
        assert_eq!(
            refusal("[optm]\nlearning_rate = 1e-4\n"),
            "unknown key `optm.learning_rate`: r.toml:2: did you mean `optim.learning_rate`?"
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_with_its_line() {
        let message = refusal("task = \"squad\"\n\n[train]\nepochs = \"two\"\n");
        assert!(message.contains("r.toml:4"), "{message}");
        assert!(message.contains("two"), "{message}");
        assert!(refusal("optim = 3").contains("r.toml:1"));
        assert!(refusal("train = { epochs = { x = 1 } }").contains("r.toml:1"));
    }

    #[test]
    fn broken_toml_is_named_with_its_line() {
        assert!(refusal("a = 1\n[optim\n").contains("r.toml:2"));
    }

    #[test]
    fn stages_need_names_of_their_own() {
        assert!(refusal("[[stage]]\ntask = \"squad\"").contains("has no name"));
        assert!(refusal("[[stage]]\nname = \"../up\"").contains("letters, digits"));
        assert!(refusal("[[stage]]\nname = 3").contains("letters, digits"));
        assert!(refusal("[[stage]]\nname='a'\n[[stage]]\nname='a'").contains("r.toml:3"));
        assert!(refusal("stage = 3").contains("[[stage]]"));
        assert!(refusal("stage = [3]").contains("[[stage]]"));
    }

    #[test]
    fn one_teacher_needs_no_list() {
        let recipe = Recipe::parse("teacher = 'a'", "r").unwrap();
        let config: RunConfig = recipe.shared.into_table().try_into().unwrap();
        assert_eq!(config.teacher, ["a"]);
    }
}
