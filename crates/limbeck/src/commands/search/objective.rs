//! What a trial does, as the command line of its process.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use limbeck_search::execute;
use limbeck_search::space::{Params, Space, Value};

use crate::cli::search::ObjectiveArgs;
use crate::exit::InputError;
use crate::revision;

/// What a trial does.
#[derive(Debug, Clone)]
pub enum Objective {
    /// Trains a recipe.
    Recipe {
        /// Its file.
        path: PathBuf,
        /// `--set`s of every trial.
        assignments: Vec<String>,
    },
    /// Runs a model at a length plan.
    Lengths {
        /// The model.
        model: String,
        /// The questions.
        data: PathBuf,
    },
    /// Runs a command.
    Command {
        /// Its line, as it was given.
        line: String,
        /// Its words.
        words: Vec<String>,
    },
}

/// The parameter that holds a length plan.
pub const LENGTHS: &str = "lengths";

impl Objective {
    /// The objective that the flags name; `recipe` is what is trained when they name none.
    pub fn new(args: &ObjectiveArgs, recipe: Option<&Path>) -> Result<Self> {
        if let Some(line) = &args.command {
            let words = execute::split(line)
                .map_err(|error| InputError::new(error, format!("--command {line}"), ""))?;
            return Ok(Self::Command { line: line.clone(), words });
        }
        if let (Some(model), Some(data)) = (&args.model, &args.data) {
            return Ok(Self::Lengths { model: model.clone(), data: data.clone() });
        }
        let Some(path) = args.recipe.as_deref().or(recipe) else {
            let advice = "give --recipe, --command or --model, or recipe keys in the space's file";
            return Err(InputError::new("nothing to try", "search", advice).into());
        };
        Ok(Self::Recipe { path: path.to_owned(), assignments: args.assignments.clone() })
    }

    /// The same with a recipe of this name, in which the assignments are written already.
    #[must_use]
    pub fn with_recipe(&self, recipe: &str) -> Self {
        match self {
            Self::Recipe { .. } => {
                Self::Recipe { path: PathBuf::from(recipe), assignments: Vec::new() }
            }
            other => other.clone(),
        }
    }

    /// The flags that name it.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = match self {
            Self::Command { line, .. } => vec!["--command".to_owned(), line.clone()],
            Self::Lengths { model, data } => {
                let data = data.to_string_lossy().into_owned();
                ["--model".to_owned(), model.clone(), "--data".to_owned(), data].to_vec()
            }
            Self::Recipe { path, assignments } => {
                let mut flags = vec!["--recipe".to_owned(), path.to_string_lossy().into_owned()];
                flags.extend(assignments.iter().flat_map(|a| ["--set".to_owned(), a.clone()]));
                flags
            }
        };
        flags.extend(revision::flag());
        flags
    }

    /// The words of the process that runs it with these values and leaves what it makes in
    /// `folder`.
    pub fn words(&self, space: &Space, params: &Params, folder: &Path) -> Result<Vec<String>> {
        if let Self::Command { words, .. } = self {
            let names: Vec<&str> = space.parameters().iter().map(|p| p.name.as_str()).collect();
            return Ok(execute::fill(words, params, &names));
        }
        let own = std::env::current_exe().context("cannot find this program's own file")?;
        let mut words = vec![own.to_string_lossy().into_owned(), "trial".to_owned()];
        words.extend(self.flags());
        if let Self::Recipe { .. } = self {
            words.extend(sets(space, params).flat_map(|set| ["--set".to_owned(), set]));
            words.extend(["--out".to_owned(), folder.to_string_lossy().into_owned()]);
        } else if let Some(lengths) = params.get(LENGTHS) {
            words.extend(["--lengths".to_owned(), lengths.to_string()]);
        }
        Ok(words)
    }
}

/// `KEY=VALUE` for each key that a parameter sets; for a parameter without `set`, its own name.
pub fn sets(space: &Space, params: &Params) -> impl Iterator<Item = String> {
    let mut sets = Vec::new();
    for parameter in space.parameters() {
        let Some(own) = params.get(&parameter.name) else { continue };
        let Some(expressions) = &parameter.sets else {
            sets.push(format!("{}={own}", parameter.name));
            continue;
        };
        for (key, expression) in expressions {
            let plain = expression.plain_name().and_then(|name| params.get(name)).cloned();
            let value = plain.or_else(|| expression.value(params).map(number));
            sets.extend(value.map(|value| format!("{key}={value}")));
        }
    }
    sets.into_iter()
}

/// A computed number, whole where it is, since some keys take nothing else.
fn number(x: f64) -> Value {
    if x.fract() == 0.0 && x.abs() < 1e15 { Value::Integer(x as i64) } else { Value::Real(x) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::Assignment;

    #[test]
    fn parameters_set_the_keys_that_they_name() {
        let text = "
[parameters.alpha]
type = 'real'
low = 0
high = 1
set = { 'distill.alpha_soft' = 'alpha', 'distill.alpha_hard' = '1 - alpha' }
[parameters.layers]
type = 'categorical'
choices = [[0, 2], [0, 1, 2]]
set = 'model.layers'
[parameters.'train.batch_size']
type = 'integer'
low = 4
high = 4
";
        let text = text.replace("high = 4", "high = 5");
        let space = Space::from_toml(&text.parse().unwrap()).unwrap();
        let params = space.decode(&[0.25, 0.9, 0.1]);
        let sets: Vec<String> = sets(&space, &params).collect();
        assert_eq!(
            sets,
            [
                "distill.alpha_hard=0.75",
                "distill.alpha_soft=0.25",
                "model.layers=0,1,2",
                "train.batch_size=4"
            ]
        );
        assert!(sets.iter().all(|set| Assignment::parse(set).is_ok()));
    }
}
