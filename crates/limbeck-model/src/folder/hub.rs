//! From what a user names to a folder: a folder, or a model in the Hugging Face cache.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{ModelError, Result};

/// The folder of a model: `model` itself if it is one, else the newest snapshot of the
/// model of that id in the Hugging Face cache. Nothing is fetched.
///
/// The cache is `HF_HUB_CACHE`, else `HF_HOME/hub`, else
/// `XDG_CACHE_HOME/huggingface/hub`, else `~/.cache/huggingface/hub`.
///
/// # Errors
/// If there is neither, saying where it was looked for.
pub fn resolve(model: &str) -> Result<PathBuf> {
    let folder = Path::new(model);
    if folder.is_dir() {
        return Ok(folder.to_owned());
    }
    if !is_model_id(model) {
        let reason = "there is no such folder".to_owned();
        return Err(ModelError::NotFound { id: model.to_owned(), reason });
    }
    let Some(cache) = cache_folder(|name| env::var_os(name).map(PathBuf::from)) else {
        let reason = "there is no such folder; to find it in the Hugging Face cache, set HF_HOME";
        return Err(ModelError::NotFound { id: model.to_owned(), reason: reason.to_owned() });
    };
    snapshot(&cache, model)
}

/// Whether a text has the form of a model's id: `name` or `organisation/name`.
fn is_model_id(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    text.split('/').count() <= 2 && text.split('/').all(is_part)
}

fn cache_folder(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let variable = |name| variable(name).filter(|path| !path.as_os_str().is_empty());
    variable("HF_HUB_CACHE")
        .or_else(|| Some(variable("HF_HOME")?.join("hub")))
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("huggingface/hub")))
        .or_else(|| Some(variable("HOME")?.join(".cache/huggingface/hub")))
}

/// The snapshot to which the cache's main branch of a model points.
fn snapshot(cache: &Path, id: &str) -> Result<PathBuf> {
    let repository = cache.join(format!("models--{}", id.replace('/', "--")));
    let not_found = |reason: String| ModelError::NotFound { id: id.to_owned(), reason };
    let Ok(commit) = fs::read_to_string(repository.join("refs/main")) else {
        return Err(not_found(format!(
            "there is no such folder, and it is not in the Hugging Face cache {}; fetch it with: \
             hf download {id}",
            cache.display()
        )));
    };
    let commit = commit.trim();
    let folder = repository.join("snapshots").join(commit);
    if Path::new(commit).file_name() != Some(commit.as_ref()) || !folder.is_dir() {
        return Err(not_found(format!(
            "{} names a snapshot that is not there; fetch it again with: hf download {id}",
            repository.join("refs/main").display()
        )));
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_in_the_cache_is_found_by_its_id() {
        let cache = tempfile::tempdir().unwrap();
        let repository = cache.path().join("models--acme--tiny");
        let folder = repository.join("snapshots/abc123");
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(repository.join("refs")).unwrap();
        fs::write(repository.join("refs/main"), "abc123\n").unwrap();
        assert_eq!(snapshot(cache.path(), "acme/tiny").unwrap(), folder);

        fs::write(repository.join("refs/main"), "../../..").unwrap();
        let message = snapshot(cache.path(), "acme/tiny").unwrap_err().to_string();
        assert!(message.contains("refs/main"), "{message}");
    }

    #[test]
    fn a_model_that_is_not_in_the_cache_is_an_error_that_says_where_it_was_sought() {
        let cache = tempfile::tempdir().unwrap();
        let message = snapshot(cache.path(), "acme/tiny").unwrap_err().to_string();
        assert!(message.contains("acme/tiny"), "{message}");
        assert!(message.contains(&cache.path().display().to_string()), "{message}");
    }

    #[test]
    fn a_folder_is_itself_and_an_absent_path_is_not_an_id() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().to_str().unwrap();
        assert_eq!(resolve(text).unwrap(), folder.path());
        assert!(resolve(&format!("{text}/absent")).is_err());
        for text in ["../a", "a/b/c", "/a", "./a", "a b", "", "a/"] {
            assert!(!is_model_id(text), "{text}");
        }
    }

    #[test]
    fn the_cache_is_where_the_variables_say_the_nearest_first() {
        let folder = |set: &'static [(&str, &str)]| {
            cache_folder(|name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value))
            })
        };
        let all: &[_] =
            &[("HF_HUB_CACHE", "/a"), ("HF_HOME", "/b"), ("XDG_CACHE_HOME", "/c"), ("HOME", "/d")];
        assert_eq!(folder(all), Some(PathBuf::from("/a")));
        assert_eq!(folder(&all[1..]), Some(PathBuf::from("/b/hub")));
        assert_eq!(folder(&all[2..]), Some(PathBuf::from("/c/huggingface/hub")));
        assert_eq!(folder(&all[3..]), Some(PathBuf::from("/d/.cache/huggingface/hub")));
        assert_eq!(folder(&[]), None);
    }
}
