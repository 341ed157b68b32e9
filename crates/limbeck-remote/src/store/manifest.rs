//! What a store is said to hold of a folder.

use serde::{Deserialize, Serialize};

/// The object's name below the folder's address.
pub(super) const MANIFEST: &str = ".limbeck/manifest.json";
/// Where files lie by their SHA-256 until they get their own names.
const CONTENTS: &str = ".limbeck/objects";

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Its name in the folder, with slashes.
    pub(super) path: String,
    /// Bytes.
    pub(super) size: u64,
    /// Of its content.
    pub(super) sha256: String,
}

/// A folder at one moment. It is written after all that it names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Manifest {
    /// Who wrote it: a name of its own for each local folder.
    pub(super) writer: String,
    /// Grows with each manifest of the address.
    pub(super) sequence: u64,
    /// The folder's files.
    pub(super) files: Vec<Entry>,
    /// The files that lie under their own names. When these are all, the folder is finished.
    pub(super) published: Vec<Entry>,
    /// Names of the store whose objects are being replaced or removed, and tell nothing now.
    pub(super) replaced: Vec<String>,
}

impl Entry {
    /// Where the content lies until the file is published.
    pub(super) fn content(&self) -> String {
        format!("{CONTENTS}/{}", self.sha256)
    }

    /// Whether the path stays within the folder that it is put into, and out of the way of what
    /// keeping needs there.
    pub(super) fn is_safe(&self) -> bool {
        let is_hash = self.sha256.len() == 64
            && self
                .sha256
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let is_name = |part: &str| !part.is_empty() && !part.starts_with('.');
        is_hash && !self.path.contains(['\\', '\0']) && self.path.split('/').all(is_name)
    }
}

impl Manifest {
    /// Whether an object is one of those that keeping needs for itself.
    pub(super) fn is_own(name: &str) -> bool {
        name.starts_with(".limbeck/")
    }

    /// The folder in which contents lie.
    pub(super) fn contents() -> &'static str {
        CONTENTS
    }

    /// Where a file's content is to be found.
    pub(super) fn place(&self, entry: &Entry) -> String {
        match self.published.contains(entry) {
            true => entry.path.clone(),
            false => entry.content(),
        }
    }
}
