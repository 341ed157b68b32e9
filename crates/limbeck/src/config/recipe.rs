//! Recipe files: the keys that all stages share, the stages, and the file that they extend.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue, Deserializer};
use toml::{Table, Value};

use super::suggest::nearest;
use super::{Layer, RunConfig, settings};
use crate::cli::scripts::advice::for_key;
use crate::exit::InputError;

/// Keys of the same file that belong to `limbeck search`.
const SEARCH: [&str; 4] = ["constraints", "metrics", "parameters", "search"];

/// The key under which a recipe names the one that it extends.
const EXTENDS: &str = "extends";

/// The key that says how its stages are summed up.
const SUMMARY: &str = "summary";

/// How the stages of a recipe are summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Summary {
    /// By the scores of GLUE's tasks and their averages.
    Glue,
}

/// What a recipe file says, those that it extends included.
#[derive(Debug, Clone, Default)]
pub struct Recipe {
    /// The keys outside the stages; they hold for every stage.
    pub shared: Layer,
    /// The `[[stage]]`s in their order; none: the recipe is one run.
    pub stages: Vec<RecipeStage>,
    /// The keys of `limbeck search`, as they are written.
    pub search: Table,
    /// How the stages are summed up, if they are.
    pub summary: Option<Summary>,
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
    /// Reads a recipe file, over the one that it extends if there is any.
    pub fn read(path: &Path) -> Result<Recipe> {
        let text = fs::read_to_string(path).map_err(|error| {
            let place = path.display().to_string();
            InputError::new("cannot read the recipe", place, error.to_string())
        })?;
        Recipe::of(path, &text)
    }

    /// The recipe of a file with this text, over the one that it extends if there is any.
    pub fn of(path: &Path, text: &str) -> Result<Recipe> {
        Recipe::read_over(path, text, &mut Vec::new())
    }

    /// The recipe of a file with this text, over those that it extends; `above` are the files that
    /// extend it.
    fn read_over(path: &Path, text: &str, above: &mut Vec<PathBuf>) -> Result<Recipe> {
        let place = path.display().to_string();
        let source = Source { text, place: &place };
        let (own, extended) = source.recipe()?;
        let Some((name, span)) = extended else { return Ok(own) };
        above.push(path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        let base = path.with_file_name(&name);
        let cannot = |error: std::io::Error| {
            let advice = format!("{}: {error}", base.display());
            source.error(&span, "cannot read the recipe that this one extends", advice)
        };
        if above.contains(&base.canonicalize().map_err(cannot)?) {
            let what =
                format!("`extends = \"{name}\"` comes back to a recipe that extends this one");
            return Err(source.error(&span, what, "let the last one extend none").into());
        }
        let text = fs::read_to_string(&base).map_err(cannot)?;
        let base = Recipe::read_over(&base, &text, above)?;
        Ok(own.over(base))
    }

    /// Whether there is nothing in it but keys of `limbeck search`.
    pub fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.stages.is_empty()
    }

    /// The recipe as one file that extends none, without the keys of `limbeck search`.
    pub fn to_toml(&self) -> Table {
        let mut table = self.shared.clone().into_table();
        let stage = |stage: &RecipeStage| {
            let mut table = Table::from_iter([("name".into(), stage.name.clone().into())]);
            table.extend(stage.layer.clone().into_table());
            Value::Table(table)
        };
        if let Some(Summary::Glue) = self.summary {
            table.insert(SUMMARY.into(), "glue".into());
        }
        if !self.stages.is_empty() {
            let stages: Vec<Value> = self.stages.iter().map(stage).collect();
            table.insert("stage".into(), stages.into());
        }
        table
    }

    /// A resolved plan of this recipe as text, with what it says of a search: a recipe, and a space,
    /// that give the same again.
    ///
    /// # Errors
    /// When a value cannot be written.
    pub fn with_search(&self, plan: &str) -> Result<String> {
        let (sections, keys): (Table, Table) =
            self.search.clone().into_iter().partition(|(_, value)| value.is_table());
        // Keys without a section stand above the first one.
        let parts = [toml::to_string(&keys)?, plan.to_owned(), toml::to_string(&sections)?];
        let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|p| !p.is_empty()).collect();
        Ok(parts.join("\n"))
    }

    /// This recipe with what it does not say itself taken from `base`: stages are merged by their
    /// names, new ones come behind; a parameter or a metric of a search replaces the one of its
    /// name. Where results go is not taken over, so that each recipe has a folder of its own.
    fn over(self, base: Recipe) -> Recipe {
        const OUTPUT: &str = "output";
        let mut stages = base.stages;
        for stage in &mut stages {
            stage.layer = std::mem::take(&mut stage.layer).without(OUTPUT);
        }
        for own in self.stages {
            match stages.iter_mut().find(|stage| stage.name == own.name) {
                Some(stage) => stage.layer = std::mem::take(&mut stage.layer).under(&own.layer),
                None => stages.push(own),
            }
        }
        let mut search = base.search;
        for (section, own) in self.search {
            match (search.get_mut(&section), own) {
                (Some(Value::Table(base)), Value::Table(own)) => base.extend(own),
                (_, own) => {
                    search.insert(section, own);
                }
            }
        }
        let shared = base.shared.without(OUTPUT).under(&self.shared);
        Recipe { shared, stages, search, summary: self.summary.or(base.summary) }
    }
}

/// The file that a recipe extends, as it is written, and where.
type Extended = (String, Range<usize>);

/// The text of a recipe and its name, for errors with lines.
struct Source<'a> {
    text: &'a str,
    place: &'a str,
}

impl<'a> Source<'a> {
    /// What the text itself says, and which file it extends.
    fn recipe(&self) -> Result<(Recipe, Option<Extended>)> {
        let mut root = DeTable::parse(self.text).map_err(|e| self.toml_error(&e))?.into_inner();
        let search = SEARCH.iter().filter_map(|&key| root.remove_entry(key)).collect();
        let search = self.table(toml::Spanned::new(0..0, search))?;
        let extended = root.remove(EXTENDS).map(|name| {
            let span = name.span();
            match name.get_ref().as_str().filter(|name| !name.is_empty()) {
                Some(name) => Ok((name.to_owned(), span)),
                None => Err(self.error(&span, "`extends` is no path", "name one recipe file")),
            }
        });
        let extended = extended.transpose()?;
        let summary = root.remove(SUMMARY).map(|kind| match kind.get_ref().as_str() {
            Some("glue") => Ok(Summary::Glue),
            _ => Err(self.error(&kind.span(), "no such `summary`", "write `summary = \"glue\"`")),
        });
        let summary = summary.transpose()?;
        let stages = root.remove("stage");
        let shared = self.layer(root, 0..0)?;
        let mut recipe = Recipe { shared, stages: Vec::new(), search, summary };
        let Some(stages) = stages else { return Ok((recipe, extended)) };
        let span = stages.span();
        let DeValue::Array(stages) = stages.into_inner() else {
            let advice = "write each stage as `[[stage]]`";
            return Err(self.error(&span, "`stage` is no list of tables", advice).into());
        };
        for stage in stages {
            let span = stage.span();
            let DeValue::Table(table) = stage.into_inner() else {
                let advice = "write each stage as `[[stage]]`";
                return Err(self.error(&span, "a stage is no table", advice).into());
            };
            let stage = self.stage(table, span.clone())?;
            if recipe.stages.iter().any(|earlier| earlier.name == stage.name) {
                let what = format!("two stages are named `{}`", stage.name);
                return Err(self.error(&span, what, "give each its own name").into());
            }
            recipe.stages.push(stage);
        }
        Ok((recipe, extended))
    }

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
        Ok(Layer::from(self.table(spanned)?))
    }

    fn table(&self, table: toml::Spanned<DeTable<'a>>) -> Result<Table, InputError> {
        Table::deserialize(Deserializer::from(table)).map_err(|e| self.toml_error(&e))
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
    let section = key.split('.').next().unwrap_or_default();
    if let Some(advice) = for_key(key) {
        return advice;
    }
    match nearest(key, settings::keys().chain([EXTENDS, SUMMARY]))
        .or_else(|| nearest(section, SEARCH))
    {
        Some(known) => format!("did you mean `{known}`?"),
        None => "`limbeck run --help` tells where all keys are listed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Recipe {
        /// Reads the text of a recipe that extends none.
        pub fn parse(text: &str, place: &str) -> Result<Recipe> {
            Ok(Source { text, place }.recipe()?.0)
        }
    }

    fn refusal(text: &str) -> String {
        Recipe::parse(text, "r.toml").unwrap_err().to_string()
    }

    /// Reads the first of these files, which lie in one folder.
    fn read(files: &[(&str, &str)]) -> Result<Recipe> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Recipe::read(&folder.path().join(files[0].0))
    }

    #[test]
    fn a_recipe_wins_over_what_it_extends_key_by_key_and_stage_by_stage() {
        let recipe = read(&[
            (
                "small/a.toml",
                "extends = '../b.toml'\noptim.beta_1 = 0.5\n[[stage]]\nname = 'two'\n\
                 train.epochs = 2\n[[stage]]\nname = 'three'",
            ),
            (
                "b.toml",
                "extends = 'c.toml'\noptim.beta_1 = 0.7\ntrain.batch_size = 8\n\
                 [[stage]]\nname = 'two'\ntrain.epochs = 9\ntrain.seed = 5",
            ),
            (
                "c.toml",
                "train.batch_size = 4\noptim.beta_2 = 0.9\n[[stage]]\nname = 'one'\n\
                 train.epochs = 1\n[[stage]]\nname = 'two'\noptim.epsilon = 1e-9",
            ),
        ])
        .unwrap();
        let number = |layer: &Layer, key| {
            layer.get(key).and_then(|v| v.as_float().or(v.as_integer().map(|n| n as f64)))
        };
        let names: Vec<_> = recipe.stages.iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(names, ["one", "two", "three"]);
        let shared = ["optim.beta_1", "optim.beta_2", "train.batch_size"];
        assert_eq!(
            shared.map(|key| number(&recipe.shared, key)),
            [Some(0.5), Some(0.9), Some(8.0)]
        );
        let two = ["train.epochs", "train.seed", "optim.epsilon"];
        let two = two.map(|key| number(&recipe.stages[1].layer, key));
        assert_eq!(two, [Some(2.0), Some(5.0), Some(1e-9)]);
    }

    #[test]
    fn a_summary_is_taken_over_and_written_again() {
        let stage = "[[stage]]\nname = 'cola'";
        let base = format!("summary = 'glue'\n{stage}");
        let recipe = read(&[("a.toml", "extends = 'b.toml'"), ("b.toml", &base)]).unwrap();
        assert_eq!(recipe.summary, Some(Summary::Glue));
        let again = toml::to_string(&recipe.to_toml()).unwrap();
        assert_eq!(Recipe::parse(&again, "r").unwrap().summary, Some(Summary::Glue));
        let refused = refusal(&format!("task = 'rte'\nsummary = 'superglue'\n{stage}"));
        assert_eq!(refused, "no such `summary`: r.toml:2: write `summary = \"glue\"`");
        assert!(refusal("summry = 'glue'").contains("did you mean `summary`?"));
    }

    #[test]
    fn where_results_go_is_not_taken_over() {
        let base = "output.dir = 'o'\n[[stage]]\nname = 'one'\noutput.dir = 'p'\ntrain.seed = 1";
        let recipe = read(&[("a.toml", "extends = 'b.toml'"), ("b.toml", base)]).unwrap();
        assert_eq!(recipe.shared.get("output.dir"), None);
        assert_eq!(recipe.stages[0].layer.get("output.dir"), None);
        assert!(recipe.stages[0].layer.get("train.seed").is_some());
    }

    #[test]
    fn parameters_and_metrics_of_a_search_replace_those_of_their_names() {
        let own = "extends = 'b.toml'\nsearch.trials = 5\nparameters.x = { low = 2 }\n\
                   metrics.z.goal = 'minimize'\nconstraints = ['x <= 1']";
        let base = "search = { trials = 3, seed = 7 }\nparameters.x = { low = 1, high = 9 }\n\
                    parameters.y.low = 0\nmetrics.f1.goal = 'maximize'\nconstraints = ['y <= 1']";
        let recipe = read(&[("a.toml", own), ("b.toml", base)]).unwrap();
        let expected = "search = { trials = 5, seed = 7 }\nparameters.x.low = 2\n\
                        parameters.y.low = 0\nmetrics.f1.goal = 'maximize'\n\
                        metrics.z.goal = 'minimize'\nconstraints = ['x <= 1']";
        assert_eq!(recipe.search, expected.parse().unwrap());
        assert!(recipe.is_empty());
    }

    #[test]
    fn as_one_file_it_says_the_same() {
        let base = "task = 'squad'\n[[stage]]\nname = 'one'\ntrain.epochs = 2.0\n";
        let own = "extends = 'b.toml'\n[[stage]]\nname = 'two'\nteacher = 'stage:one'\n";
        let recipe = read(&[("a.toml", own), ("b.toml", base)]).unwrap();
        let text = toml::to_string(&recipe.to_toml()).unwrap();
        let again = read(&[("a.toml", &text)]).unwrap();
        assert_eq!(format!("{again:?}"), format!("{recipe:?}"));
        assert!(text.contains("stage:one") && !text.contains("extends"), "{text}");
    }

    #[test]
    fn what_cannot_be_extended_is_named_with_its_line() {
        let refusal = |files: &[(&str, &str)]| read(files).unwrap_err().to_string();
        let circle = refusal(&[
            ("a.toml", "extends = 'b.toml'"),
            ("b.toml", "\nextends = './c.toml'"),
            ("c.toml", "\n\nextends = 'b.toml'"),
        ]);
        assert!(circle.contains("comes back") && circle.contains("c.toml:3"), "{circle}");
        assert!(refusal(&[("a.toml", "extends = 'a.toml'")]).contains("a.toml:1"));
        let missing = refusal(&[("a.toml", "task = 'squad'\nextends = 'b.toml'")]);
        assert!(missing.contains("a.toml:2") && missing.contains("b.toml"), "{missing}");
        assert!(refusal(&[("a.toml", "extends = 3")]).contains("`extends` is no path"));
        let of_base = refusal(&[("a.toml", "extends = 'b.toml'"), ("b.toml", "tusk = 'squad'")]);
        assert!(of_base.contains("b.toml:1: did you mean `task`?"), "{of_base}");
    }

    #[test]
    fn a_recipe_without_stages_is_one_layer() {
        let recipe = Recipe::parse("task = \"squad\"\n[optim]\nlearning_rate = 1e-4", "r").unwrap();
        assert!(recipe.stages.is_empty());
        assert_eq!(recipe.shared.get("optim.learning_rate"), Some(&Value::Float(1e-4)));
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
        assert_eq!(
            refusal("[parameter.x]\nlow = 1\n"),
            "unknown key `parameter.x.low`: r.toml:2: did you mean `parameters`?"
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
