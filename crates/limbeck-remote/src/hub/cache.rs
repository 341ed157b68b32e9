//! The cache on disk, as Hugging Face's programs lay it out:
//!
//! ```text
//! models--organisation--name/
//!   blobs/ETAG                   files, by their content
//!   refs/main                    the commit of a branch
//!   snapshots/COMMIT/config.json a link to its blob
//! .locks/models--organisation--name/ETAG.lock
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::HubError;
use super::id::ModelId;

pub(super) const WEIGHTS: &str = "model.safetensors";
/// Names the shards of weights that are more than one file.
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// The place of one model.
pub(super) struct Repository {
    folder: PathBuf,
    locks: PathBuf,
}

impl Repository {
    pub(super) fn new(cache: &Path, id: &ModelId) -> Self {
        let name = format!("models--{}", id.name.replace('/', "--"));
        Self { folder: cache.join(&name), locks: cache.join(".locks").join(name) }
    }

    /// The commit that a revision was when it was fetched; a commit is one itself.
    pub(super) fn commit_of(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let commit = fs::read_to_string(self.folder.join("refs").join(revision)).ok()?;
        let commit = commit.trim();
        let is_name = Path::new(commit).file_name() == Some(commit.as_ref());
        is_name.then(|| commit.to_owned())
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// Writes down which commit a branch or tag is.
    pub(super) fn remember(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if is_commit(revision) {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        make_parent(&path)?;
        let aside = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = File::create(&aside).and_then(|mut file| {
            file.write_all(commit.as_bytes())?;
            file.sync_all()?;
            fs::rename(&aside, &path)
        });
        written.map_err(io("write", &path))
    }

    /// Makes a file of a snapshot of a blob.
    pub(super) fn link(&self, commit: &str, name: &str, etag: &str) -> Result<(), HubError> {
        let path = self.snapshot(commit).join(name);
        make_parent(&path)?;
        let target = Path::new("../../blobs").join(etag);
        match std::os::unix::fs::symlink(&target, &path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Ok(()) => return Ok(()),
            Err(error) => return Err(io("create", &path)(error)),
        }
        if path.exists() {
            return Ok(());
        }
        // A link to a blob that is gone.
        fs::remove_file(&path).map_err(io("replace", &path))?;
        std::os::unix::fs::symlink(&target, &path).map_err(io("create", &path))
    }

    /// Waits until nobody else brings a blob; as long as the file lives, nobody will.
    pub(super) fn lock(&self, etag: &str) -> Result<File, HubError> {
        let path = self.locks.join(format!("{etag}.lock"));
        make_parent(&path)?;
        let mut options = File::options();
        let file = options.create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(io("create", &path))?;
        file.lock().map_err(io("lock", &path))?;
        Ok(file)
    }
}

/// Whether the folder has a configuration and all its weights.
pub(super) fn is_whole(folder: &Path) -> bool {
    folder.join("config.json").is_file()
        && (folder.join(WEIGHTS).is_file()
            || shards(folder)
                .is_some_and(|shards| shards.iter().all(|shard| folder.join(shard).is_file())))
}

/// The files that a folder's index names.
pub(super) fn shards(folder: &Path) -> Option<BTreeSet<String>> {
    let index: Value = serde_json::from_slice(&fs::read(folder.join(INDEX)).ok()?).ok()?;
    let names = index["weight_map"].as_object()?.values().map(|name| {
        let name = name.as_str()?;
        let is_sound = name.ends_with(".safetensors") && !name.contains(['/', '\\']);
        is_sound.then(|| name.to_owned())
    });
    names.collect::<Option<BTreeSet<_>>>().filter(|names| !names.is_empty())
}

fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(super) fn make_parent(path: &Path) -> Result<(), HubError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(io("create", folder))
}

pub(super) fn io(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> HubError + use<> {
    let path = path.to_owned();
    move |cause| HubError::Io { action, path, cause }
}
