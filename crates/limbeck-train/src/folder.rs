//! The output folder of a run: who may write to it, and how far it has come.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use limbeck_data::files;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::checkpoint;
use crate::error::{Result, TrainError};

const RECORD: &str = "run.json";
const LOCK: &str = ".lock";

/// What a sparse model says of its masks, beside it.
pub const ACCOUNT: &str = "sparsity.json";

/// What a run leaves in its folder, all of which `overwrite` takes away.
const OWN_FILES: &[&str] = &[
    RECORD,
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "limbeck.json",
    "metrics.json",
    "predictions.json",
    "nbest_predictions.json",
    "null_odds.json",
    "predictions.tsv",
    "train.jsonl",
    "tracking.json",
    "errors.json",
    "left_out.jsonl",
    "report.html",
    "run.toml",
    "plans.jsonl",
    "lengths.csv",
    "front.json",
    ACCOUNT,
    "range.json",
];
const OWN_FOLDERS: &[&str] = &["checkpoint", "last", "tensorboard"];

/// `run.json`: what the folder was made for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Of the program that made it.
    pub version: String,
    /// Whether the run has come to its end.
    pub finished: bool,
    /// What the run was told.
    pub configuration: Value,
}

impl Record {
    /// That of a folder; `None` where there is none.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn read(folder: &Path) -> Result<Option<Record>> {
        let path = folder.join(RECORD);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            // There is none either where the folder is none.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(TrainError::io("read", &path)(error)),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| TrainError::File {
            path,
            reason: format!("{error}: it is damaged; start afresh with --overwrite"),
        })
    }
}

/// How far the run in a folder has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing is there yet.
    Fresh,
    /// An earlier run of the same configuration was stopped.
    Unfinished,
    /// A run of the same configuration has finished.
    Finished,
}

/// A folder that this process alone writes to, for as long as the value lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    record: Record,
    begun: bool,
    _lock: File,
}

impl RunFolder {
    /// Opens or creates the folder for a run of this configuration.
    ///
    /// `overwrite` will take away what an earlier run left, whatever its configuration.
    /// Nothing is changed before [`RunFolder::begin`]: a mistake elsewhere must not cost
    /// what is there.
    ///
    /// # Errors
    /// When another process runs into the folder, when it holds a run of another
    /// configuration or files that are not a run's, or cannot be written.
    pub fn open(path: &Path, configuration: Value, overwrite: bool) -> Result<(Self, Found)> {
        fs::create_dir_all(path).map_err(TrainError::io("create", path))?;
        let lock = lock(path)?;
        let record =
            Record { version: env!("CARGO_PKG_VERSION").into(), finished: false, configuration };
        // What will be overwritten may be damaged.
        let earlier = match overwrite && path.join(RECORD).exists() {
            true => None,
            false => Some(Record::read(path)?),
        };
        let (record, found) = match earlier {
            None => (record, Found::Fresh),
            Some(None) => {
                let mut own = OWN_FILES.iter().chain(OWN_FOLDERS);
                if let Some(name) = own.find(|name| path.join(name).exists()) {
                    return refuse(
                        path,
                        format!("holds a {name} that no run left there; give another --out"),
                    );
                }
                (record, Found::Fresh)
            }
            // A start that failed before the first step has left nothing to lose.
            Some(Some(old)) if !old.finished && holds_only_a_record(path) => {
                let same = old.configuration == record.configuration;
                (record, if same { Found::Unfinished } else { Found::Fresh })
            }
            Some(Some(old)) => {
                if let Some(difference) =
                    first_difference("", &old.configuration, &record.configuration)
                {
                    return refuse(
                        path,
                        format!(
                            "holds a run of another configuration: {difference}; \
                         give another --out, or --overwrite"
                        ),
                    );
                }
                let found = if old.finished { Found::Finished } else { Found::Unfinished };
                (Record { finished: old.finished, ..record }, found)
            }
        };
        let begun = found != Found::Fresh;
        Ok((RunFolder { path: path.to_owned(), record, begun, _lock: lock }, found))
    }

    /// Takes away what `overwrite` was to take away and writes down what the run is. A
    /// second call does nothing.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn begin(&mut self) -> Result<()> {
        for folder in OWN_FOLDERS.iter().map(|name| self.path.join(name)).chain([self.path.clone()])
        {
            remove_half_written(&folder);
        }
        if !self.begun {
            clear(&self.path)?;
            self.write_record()?;
            self.begun = true;
        }
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the run was told.
    pub fn configuration(&self) -> &Value {
        &self.record.configuration
    }

    /// Marks the run as finished.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn finish(&mut self) -> Result<()> {
        self.record.finished = true;
        self.write_record()
    }

    fn write_record(&self) -> Result<()> {
        write_json(&self.path.join(RECORD), &self.record)
    }
}

/// Writes `value` as indented JSON, whole.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| TrainError::File { path: path.to_owned(), reason: error.to_string() })?;
    text.push('\n');
    Ok(files::replace(path, text.as_bytes())?)
}

fn refuse<T>(path: &Path, reason: String) -> Result<T> {
    Err(TrainError::Folder { path: path.to_owned(), reason })
}

/// Whether a folder is that of a run that has finished.
pub fn has_finished(path: &Path) -> bool {
    Record::read(path).ok().flatten().is_some_and(|record| record.finished)
}

fn lock(path: &Path) -> Result<File> {
    let path_of_lock = path.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path_of_lock)
        .map_err(TrainError::io("create", &path_of_lock))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            refuse(path, "another run is writing to this folder; wait for it or stop it".into())
        }
        Err(TryLockError::Error(error)) => Err(TrainError::io("lock", &path_of_lock)(error)),
    }
}

/// Whether nothing has come of the run in a folder: no file of it, and no state to go on from; what
/// was prepared for it may be there.
fn holds_only_a_record(path: &Path) -> bool {
    let mut results = OWN_FILES.iter().filter(|name| **name != RECORD);
    !checkpoint::path(path).exists() && !results.any(|name| path.join(name).exists())
}

fn clear(path: &Path) -> Result<()> {
    let gone = |result: std::io::Result<()>, path: &Path| match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::io("remove", path)(error))
        }
        _ => Ok(()),
    };
    // The checkpoint goes first: nothing may resume from it any more.
    for name in OWN_FOLDERS {
        let path = path.join(name);
        gone(fs::remove_dir_all(&path), &path)?;
    }
    // The record stays until it is replaced: it says that all this is a run's.
    for name in OWN_FILES.iter().filter(|name| **name != RECORD) {
        let path = path.join(name);
        gone(fs::remove_file(&path), &path)?;
    }
    Ok(())
}

/// Removes what a killed run of this folder was writing aside. We hold the lock, so nobody
/// is writing now; what cannot be removed does no harm.
fn remove_half_written(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && (name.ends_with(".tmp") || name.ends_with(".partial")) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The first key at which two configurations differ, and both values.
fn first_difference(path: &str, old: &Value, new: &Value) -> Option<String> {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            keys.into_iter().find_map(|key| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let of = |map: &serde_json::Map<String, Value>| {
                    map.get(key).cloned().unwrap_or(Value::Null)
                };
                first_difference(&path, &of(a), &of(b))
            })
        }
        _ if old == new => None,
        _ => Some(format!("{path} is {old} there and {new} here")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_folder_remembers_what_it_was_made_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let configuration = json!({"optim": {"learning_rate": 1e-3}, "seed": 1});
        let (mut run, found) = RunFolder::open(&path, configuration.clone(), false).unwrap();
        assert_eq!(found, Found::Fresh);
        run.begin().unwrap();
        let second = RunFolder::open(&path, configuration.clone(), false).unwrap_err();
        assert!(second.to_string().contains("another run is writing"), "{second}");
        run.finish().unwrap();
        drop(run);
        let (run, found) = RunFolder::open(&path, configuration, false).unwrap();
        assert_eq!(found, Found::Finished);
        drop(run);
        let other = json!({"optim": {"learning_rate": 2e-3}, "seed": 1});
        let error = RunFolder::open(&path, other.clone(), false).unwrap_err().to_string();
        assert!(error.contains("optim.learning_rate is 0.001 there and 0.002 here"), "{error}");
        let (mut run, found) = RunFolder::open(&path, other, true).unwrap();
        assert_eq!(found, Found::Fresh);
        assert!(path.join(RECORD).exists(), "nothing goes before the run begins");
        fs::create_dir(path.join("checkpoint")).unwrap();
        run.begin().unwrap();
        assert!(!path.join("checkpoint").exists());
    }

    #[test]
    fn a_start_that_failed_stands_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let open = |seed: u64| RunFolder::open(folder.path(), json!({ "seed": seed }), false);
        open(1).unwrap().0.begin().unwrap();
        assert_eq!(open(1).unwrap().1, Found::Unfinished);
        let (mut run, found) = open(2).unwrap();
        assert_eq!(found, Found::Fresh);
        run.begin().unwrap();
        drop(run);
        fs::create_dir(folder.path().join("checkpoint")).unwrap();
        fs::write(checkpoint::path(folder.path()), b"state").unwrap();
        assert!(open(1).unwrap_err().to_string().contains("seed is 2 there and 1 here"));
        fs::remove_file(checkpoint::path(folder.path())).unwrap();
        fs::write(folder.path().join("train.jsonl"), b"{}").unwrap();
        assert!(open(1).is_err());
    }

    #[test]
    fn a_folder_with_somebody_elses_model_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model.safetensors"), b"precious").unwrap();
        let error = RunFolder::open(folder.path(), json!({}), false).unwrap_err().to_string();
        assert!(error.contains("model.safetensors"), "{error}");
        assert!(RunFolder::open(folder.path(), json!({}), true).is_err(), "nor overwritten");
        assert_eq!(fs::read(folder.path().join("model.safetensors")).unwrap(), b"precious");
    }
}
