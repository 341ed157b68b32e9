//! Replacing a file whole: write beside it, sync, rename.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{ModelError, Result};

/// A file written beside the one it will replace. Dropped before [`publish`], it
/// removes itself and leaves the old file as it was.
///
/// [`publish`]: Aside::publish
pub(crate) struct Aside {
    target: PathBuf,
    partial: PathBuf,
    published: bool,
}

impl Aside {
    /// Writes what will become the file `target`, and syncs it to the disk.
    pub(crate) fn write(
        target: &Path,
        content: impl FnOnce(&mut File) -> std::io::Result<()>,
    ) -> Result<Aside> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let Some(name) = target.file_name() else {
            return Err(ModelError::file(target, "not the name of a file"));
        };
        // Unique among processes and threads, so two writers never share a partial file.
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{number}.partial", process::id()));
        let partial = target.with_file_name(hidden);

        let mut file = File::create(&partial).map_err(ModelError::io("write", &partial))?;
        let aside = Aside { target: target.to_owned(), partial, published: false };
        content(&mut file)
            .and_then(|()| file.sync_all())
            .map_err(ModelError::io("write", &aside.partial))?;
        Ok(aside)
    }

    /// Like [`Aside::write`], with a content that is at hand.
    pub(crate) fn write_bytes(target: &Path, content: &[u8]) -> Result<Aside> {
        Aside::write(target, |file| file.write_all(content))
    }

    /// Puts the file in its place.
    pub(crate) fn publish(mut self) -> Result<()> {
        fs::rename(&self.partial, &self.target).map_err(ModelError::io("replace", &self.target))?;
        self.published = true;
        sync_folder_of(&self.target)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.published {
            // Nothing can be done about a failure here, and the error that led here is
            // the one to report.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// Makes a rename last through a power failure.
#[cfg(unix)]
fn sync_folder_of(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(ModelError::io("sync", folder))
}

/// Other systems cannot open a folder to sync it; their renames are journalled.
#[cfg(not(unix))]
fn sync_folder_of(_path: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        fs::write(&path, "old").unwrap();
        let result = Aside::write(&path, |file| {
            file.write_all(b"ne")?;
            Err(std::io::Error::other("disk full"))
        });
        let message = result.err().unwrap().to_string();
        assert!(message.contains("disk full"), "{message}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_changes_only_when_published() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        fs::write(&path, "old").unwrap();
        let aside = Aside::write_bytes(&path, b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        aside.publish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
