//! What a recipe needs on another machine: its environment variables filled in here, and its
//! models and data as packages that are named by their content.
//!
//! In the recipe that goes along, `packed:PACKAGE/FILE` stands in the place of what was packed. A
//! cluster unpacks every package into a folder of that name, which `PYTHONPATH` holds there.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use limbeck_data::TOKENIZER_FILES;
use limbeck_search::execute::ray::Package;
use limbeck_search::execute::ray::package::Entry;

use crate::config::plan::{Assignment, with_environment, with_paths};
use crate::config::recipe::Recipe;
use crate::exit::InputError;
use crate::revision::pinned;

/// What stands before the name of a package.
const PACKED: &str = "packed:";

/// Keys of files and folders that a run writes, and of what only looks like one.
const NOT_READ: [&str; 4] = ["data.cache", "output.dir", "output.register_model", "output.track"];

/// Keys of models.
const MODELS: [&str; 2] = ["model.path", "teacher"];

/// What of a model's folder is read, beside its tokenizer and its weights.
const MODEL_FILES: [&str; 3] = ["config.json", "limbeck.json", "run.toml"];

/// Of a recipe with `--set`s, what another machine reads, as the text of a recipe, and packages
/// of what it names: all relative paths of this machine, and of the absolute ones those in
/// `ship`. Packages are written into `folder`. What lies below a relative path of `ship` keeps
/// its name.
///
/// # Errors
/// When a variable is not set, or something cannot be read or is too large.
pub fn recipe(
    recipe: &Recipe,
    assignments: &[Assignment],
    ship: &[PathBuf],
    folder: &Path,
    place: &str,
) -> Result<(String, Vec<Package>)> {
    let mut recipe = recipe.clone();
    assignments.iter().for_each(|assignment| assignment.lay_over(&mut recipe));
    let mut packages: Vec<Package> = Vec::new();
    let mut used = vec![false; ship.len()];
    let mut send = |key: &str, text: String| -> Result<String> {
        let text = with_environment(&text, key, place)?;
        if NOT_READ.contains(&key) || text.starts_with("stage:") {
            return Ok(text);
        }
        let path = Path::new(&text);
        if !path.exists() {
            return Ok(if MODELS.contains(&key) { pinned(&text) } else { text });
        }
        let within = ship.iter().position(|shipped| is_below(path, shipped));
        within.into_iter().for_each(|index| used[index] = true);
        match (path.is_absolute(), within) {
            (true, None) | (false, Some(_)) => return Ok(text),
            (true, Some(_)) | (false, None) => {}
        }
        let package = Package::pack(entries(path)?, folder)
            .map_err(|error| InputError::new(error, format!("`{key}` is {text}"), ""))?;
        let mut packed = format!("{PACKED}{}", package.folder_name());
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            packed += "/";
            packed += &name.to_string_lossy();
        }
        if !packages.contains(&package) {
            packages.push(package);
        }
        Ok(packed)
    };
    recipe.shared = with_paths(&recipe.shared, &mut send)?;
    for stage in &mut recipe.stages {
        stage.layer = with_paths(&stage.layer, &mut send)?;
    }
    for (path, used) in ship.iter().zip(used) {
        if path.is_absolute() && !used {
            let what = format!("the recipe names nothing in {}", path.display());
            return Err(InputError::new(what, "--ship", "leave it out").into());
        }
    }
    Ok((toml::to_string(&recipe.to_toml())?, packages))
}

/// The files below the current folder that `ship` names; absolute paths are left to the recipe.
///
/// # Errors
/// When one cannot be read, or lies outside.
pub fn along(ship: &[PathBuf], with_recipe: bool) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for path in ship.iter().filter(|path| !with_recipe || !path.is_absolute()) {
        let below = Entry::below(path).map_err(|error| InputError::new(error, "--ship", ""))?;
        entries.extend(below);
    }
    Ok(entries)
}

/// Replaces `packed:PACKAGE/FILE` by where this machine has it.
///
/// # Errors
/// When it has not.
pub fn unpacked(text: String, place: &str) -> Result<String, InputError> {
    let Some(packed) = text.strip_prefix(PACKED) else { return Ok(text) };
    let (package, file) = packed.split_once('/').unwrap_or((packed, ""));
    let folder = folders().into_iter().find(|folder| folder.ends_with(package));
    let Some(folder) = folder.filter(|_| !package.is_empty()) else {
        let what = format!("there is no package {package} here");
        return Err(InputError::new(what, place, "a recipe that was packed runs on its cluster"));
    };
    let path = if file.is_empty() { folder } else { folder.join(file) };
    Ok(path.to_string_lossy().into_owned())
}

/// Undoes [`unpacked`] in all texts of a value, so that it is the same on every machine.
pub fn repacked(value: &mut serde_json::Value) {
    fn walk(value: &mut serde_json::Value, folders: &[PathBuf]) {
        match value {
            serde_json::Value::String(text) => {
                for folder in folders {
                    let name = folder.file_name().unwrap_or_default().to_string_lossy();
                    if let Some(rest) = text.strip_prefix(&*folder.to_string_lossy()) {
                        *text = format!("{PACKED}{name}{rest}");
                        return;
                    }
                }
            }
            serde_json::Value::Array(values) => values.iter_mut().for_each(|v| walk(v, folders)),
            serde_json::Value::Object(object) => {
                object.values_mut().for_each(|value| walk(value, folders));
            }
            _ => {}
        }
    }
    let folders = folders();
    if !folders.is_empty() {
        walk(value, &folders);
    }
}

/// Where a cluster has unpacked the packages of this process.
fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PYTHONPATH").unwrap_or_default();
    let is_package = |folder: &PathBuf| {
        folder.file_name().is_some_and(|name| {
            name.to_string_lossy().starts_with(limbeck_search::execute::ray::package::PREFIX)
        })
    };
    std::env::split_paths(&path).filter(is_package).collect()
}

/// A file, or what of a model's folder is read.
fn entries(path: &Path) -> Result<Vec<Entry>> {
    if path.is_file() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(vec![Entry::File(path.to_owned(), name)]);
    }
    let is_read = |name: &str| {
        MODEL_FILES.contains(&name)
            || TOKENIZER_FILES.contains(&name)
            // One file of weights, or shards and their table.
            || name.ends_with(".safetensors")
            || name.ends_with(".safetensors.index.json")
    };
    let cannot = || format!("cannot read {}", path.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).with_context(cannot)? {
        let name = entry.with_context(cannot)?.file_name().to_string_lossy().into_owned();
        if is_read(&name) && path.join(&name).is_file() {
            names.push(name);
        }
    }
    // A package is named by its content, which must not depend on the order of the disk.
    names.sort();
    Ok(names.into_iter().map(|name| Entry::File(path.join(&name), name)).collect())
}

/// Whether a path is, or lies below, another one that was given.
fn is_below(path: &Path, above: &Path) -> bool {
    let plain = |path: &Path| -> PathBuf {
        path.components().filter(|component| *component != Component::CurDir).collect()
    };
    plain(path).starts_with(plain(above))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn shipped(text: &str, sets: &[&str], ship: &[&Path], folder: &Path) -> Result<String> {
        let recipe = Recipe::parse(text, "r")?;
        let sets: Vec<Assignment> =
            sets.iter().map(|set| Assignment::parse(set)).collect::<Result<_, _>>()?;
        let ship: Vec<PathBuf> = ship.iter().map(|path| path.to_path_buf()).collect();
        Ok(super::recipe(&recipe, &sets, &ship, folder, "r")?.0)
    }

    #[test]
    fn inputs_are_packed_by_content_and_the_rest_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("train.json");
        fs::write(&data, "{}").unwrap();
        let text = format!(
            "data.train = ['{}']\ndata.dev = '/elsewhere/dev.json'\ndata.cache = 'cache'\n\
             [model]\npath = 'src'\n[[stage]]\nname = 'a'\n[[stage]]\nname = 'b'\n\
             teacher = 'stage:a'",
            data.display()
        );
        let ship = [folder.path()];
        let packed = shipped(&text, &["train.seed=7"], &ship, folder.path()).unwrap();
        let table: toml::Table = packed.parse().unwrap();
        let train = table["data"]["train"][0].as_str().unwrap();
        assert!(train.starts_with("packed:limbeck-") && train.ends_with("/train.json"), "{train}");
        assert_eq!(table["data"]["dev"].as_str(), Some("/elsewhere/dev.json"));
        assert_eq!(table["data"]["cache"].as_str(), Some("cache"));
        assert_eq!(table["train"]["seed"].as_integer(), Some(7));
        assert_eq!(table["stage"][1]["teacher"].as_str(), Some("stage:a"));
        // A relative path goes along unasked.
        let model = table["model"]["path"].as_str().unwrap();
        assert!(model.starts_with("packed:limbeck-"), "{model}");
        fs::write(&data, "{ }").unwrap();
        let other = shipped(&text, &[], &ship, folder.path()).unwrap();
        assert!(!other.contains(train));
        // Without --ship an absolute path is one that every node has.
        let left = shipped(&text, &[], &[], folder.path()).unwrap();
        assert!(left.contains(&format!("{}", data.display())));
        let nothing = shipped("data.dev = '/elsewhere/dev.json'", &[], &ship, folder.path());
        assert!(nothing.unwrap_err().to_string().contains("names nothing in"));
    }

    #[test]
    fn variables_are_filled_where_they_are_set() {
        let folder = tempfile::tempdir().unwrap();
        let text = "data.dev = '${CARGO_MANIFEST_DIR}/none.json'";
        let packed = shipped(text, &[], &[], folder.path()).unwrap();
        assert!(packed.contains(concat!(env!("CARGO_MANIFEST_DIR"), "/none.json")), "{packed}");
        let error = shipped("data.dev = '${LIMBECK_NOT_SET}/x'", &[], &[], folder.path());
        assert!(error.unwrap_err().to_string().contains("LIMBECK_NOT_SET"));
    }

    #[test]
    fn what_was_packed_for_a_cluster_is_not_found_elsewhere() {
        let text = "packed:limbeck-0/train.json".to_owned();
        let error = unpacked(text, "r").unwrap_err().to_string();
        assert!(error.contains("there is no package limbeck-0 here"), "{error}");
        assert_eq!(unpacked("a/b".to_owned(), "r").unwrap(), "a/b");
    }
}
