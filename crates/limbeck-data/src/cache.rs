//! The folder in which files that are derived from data are kept, and what may stand behind it.
//!
//! Every file there is named by a hash of all that it is made of, so that one of the right name is
//! the right one, wherever it was made. Whoever opens it checks its content as if it had been made
//! here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where files may be had that were made elsewhere, and where files go that were made here. It
/// tells of its own failures: they cost time and nothing else.
pub trait Source: Send + Sync {
    /// Brings a file whole to a path; whether it has. One that is there is replaced by renaming
    /// and never written in place, since somebody may have it mapped.
    fn bring(&self, name: &str, to: &Path) -> bool;

    /// Takes in a file that lies whole at a path. It stays there, and this does not wait for long.
    fn keep(&self, name: &str, path: &Path);
}

/// A folder of derived files.
#[derive(Clone)]
pub struct Cache {
    folder: PathBuf,
    source: Option<Arc<dyn Source>>,
}

impl Cache {
    /// A folder by itself. It need not be there yet.
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), source: None }
    }

    /// A folder with something behind it.
    pub fn before(folder: impl Into<PathBuf>, source: Arc<dyn Source>) -> Self {
        Self { folder: folder.into(), source: Some(source) }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// The path of a file, whether it is there or not.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The path of a file, which is there if the folder or what stands behind it has one of this
    /// name. Slashes in it are folders.
    pub fn wanted(&self, name: &str) -> PathBuf {
        let path = self.path_of(name);
        if let Some(source) = &self.source
            && !path.exists()
            && path.parent().is_some_and(|parent| std::fs::create_dir_all(parent).is_ok())
        {
            source.bring(name, &path);
        }
        path
    }

    /// Says that the file of a name was made anew.
    pub fn built(&self, name: &str) {
        if let Some(source) = &self.source {
            source.keep(name, &self.path_of(name));
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_source = self.source.is_some();
        f.debug_struct("Cache").field("folder", &self.folder).field("source", &has_source).finish()
    }
}

/// A source in memory, for tests.
#[cfg(test)]
pub(crate) mod memory {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    pub(crate) struct Memory {
        pub(crate) files: Mutex<BTreeMap<String, Vec<u8>>>,
        /// The names of what was taken in, in its order.
        pub(crate) kept: Mutex<Vec<String>>,
    }

    impl Memory {
        /// A cache with this behind a new folder, as on another machine.
        pub(crate) fn machine(self: &Arc<Self>) -> (tempfile::TempDir, Cache) {
            let folder = tempfile::tempdir().unwrap();
            let cache = Cache::before(folder.path().join("cache"), Arc::clone(self) as _);
            (folder, cache)
        }

        /// The names of what was taken in since this was last asked.
        pub(crate) fn taken_in(&self) -> Vec<String> {
            std::mem::take(&mut self.kept.lock().unwrap())
        }
    }

    impl Source for Memory {
        fn bring(&self, name: &str, to: &Path) -> bool {
            let files = self.files.lock().unwrap();
            files.get(name).is_some_and(|bytes| crate::files::replace(to, bytes).is_ok())
        }

        fn keep(&self, name: &str, path: &Path) {
            let bytes = std::fs::read(path).unwrap();
            self.files.lock().unwrap().insert(name.to_owned(), bytes);
            self.kept.lock().unwrap().push(name.to_owned());
        }
    }

    /// A source that fails whatever it is asked.
    pub(crate) struct Failing;

    impl Source for Failing {
        fn bring(&self, _: &str, _: &Path) -> bool {
            false
        }

        fn keep(&self, _: &str, _: &Path) {}
    }
}
