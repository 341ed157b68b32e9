//! Whole replacement of files: a reader sees the old content or the new, never a part.

use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::DataError;

/// Replaces `path` by `bytes`: written aside, synced, renamed.
///
/// # Errors
/// When the disk is full or the folder cannot be written; the old file is then untouched and
/// nothing is left beside it.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    replace_with(path, |file| file.write_all(bytes))
}

/// Replaces `path` by what `write` writes, under the promises of [`replace`].
///
/// # Errors
/// As [`replace`], and whatever `write` returns.
pub fn replace_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), DataError> {
    let aside = name_aside(path)?;
    let result = write_aside(&aside, write).and_then(|()| fs::rename(&aside, path));
    if let Err(source) = result {
        // The first error is the one to tell; a leftover that cannot be removed does no harm.
        let _ = fs::remove_file(&aside);
        return Err(DataError::Io { action: "write", path: path.to_owned(), source });
    }
    sync_folder(path);
    Ok(())
}

fn write_aside(
    aside: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = BufWriter::new(File::create_new(aside)?);
    write(&mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// A name in the same folder that no other thread or process uses, on no machine: processes of two
/// machines that share the folder may have one number.
fn name_aside(path: &Path) -> Result<PathBuf, DataError> {
    let Some(file_name) = path.file_name() else {
        return Err(DataError::file(path, "is not the name of a file"));
    };
    let mut name = OsString::from(".");
    name.push(file_name);
    // Each has keys of its own, drawn by the system.
    let random = RandomState::new().hash_one(std::process::id());
    name.push(format!(".{random:016x}.tmp"));
    Ok(path.with_file_name(name))
}

/// Makes the rename itself durable. Some file systems cannot sync a folder: the content is
/// whole either way, so a refusal is not an error.
fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_content_replaces_the_old_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.json");
        replace(&path, b"old and longer").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failing_write_keeps_the_old_file_and_says_which_file_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.json");
        replace(&path, b"old").unwrap();
        let error = replace_with(&path, |file| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        })
        .unwrap_err()
        .to_string();
        assert!(error.contains("cannot write") && error.contains("metrics.json"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_does_not_exist_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(replace(&folder.path().join("no/such/file"), b"x").is_err());
    }

    #[test]
    fn a_path_without_a_file_name_is_an_error() {
        assert!(replace(Path::new("/"), b"x").is_err());
    }
}
