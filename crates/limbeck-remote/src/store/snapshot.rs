//! The files of a folder at one moment, while others write to it.
//!
//! Files there are replaced whole or grow at their end. One that is open keeps its content when it
//! is replaced, and of one that grows the length is noted; so it is enough that none was replaced
//! while all were opened.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

/// How often a folder that changes while it is read is read again.
const TRIES: usize = 20;
/// The pause between.
const PAUSE: Duration = Duration::from_millis(100);

/// Tells one content of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Of the file, not of its name.
    number: u64,
    modified: Option<SystemTime>,
    /// Bytes.
    pub(super) length: u64,
}

/// One file.
pub(super) struct Opened {
    /// In its folder, with slashes.
    pub(super) name: String,
    /// Its content lasts as long as this.
    pub(super) file: File,
    pub(super) stamp: Stamp,
}

impl Opened {
    /// A file by itself, without a name.
    pub(super) fn file(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let stamp = Stamp::of(&file.metadata()?);
        Ok(Self { name: String::new(), file, stamp })
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { number: metadata.ino(), modified: metadata.modified().ok(), length: metadata.len() }
    }
}

/// The names of all files in a folder and below it, sorted; one that begins with a dot is
/// somebody's own affair.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    walk(folder, "", &mut names)?;
    names.sort_unstable();
    Ok(names)
}

fn walk(folder: &Path, above: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{above}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() {
            match walk(&entry.path(), &format!("{name}/"), names) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        } else if kind.is_file() {
            names.push(name);
        }
    }
    Ok(())
}

/// The names of the files and which file each is.
pub(super) fn state(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    let with_number = |name: String| {
        let number = fs::metadata(folder.join(&name)).map_or(0, |metadata| metadata.ino());
        (name, number)
    };
    Ok(names(folder)?.into_iter().map(with_number).collect())
}

/// Opens all files as they are at one moment.
pub(super) fn open(folder: &Path) -> io::Result<Vec<Opened>> {
    for _ in 0..TRIES {
        if let Some(opened) = attempt(folder)? {
            return Ok(opened);
        }
        thread::sleep(PAUSE);
    }
    Err(io::Error::other("its files change too fast"))
}

fn attempt(folder: &Path) -> io::Result<Option<Vec<Opened>>> {
    let mut all = Vec::new();
    for name in names(folder)? {
        match Opened::file(&folder.join(&name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => all.push(Opened { name, ..opened? }),
        }
    }
    let after = state(folder)?;
    let same = after.len() == all.len()
        && after
            .iter()
            .zip(&all)
            .all(|((name, number), opened)| *name == opened.name && *number == opened.stamp.number);
    Ok(same.then_some(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_opened_stays_when_files_are_replaced_or_grow() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("checkpoint")).unwrap();
        fs::write(path("checkpoint/state"), "one").unwrap();
        fs::write(path("train.jsonl"), "line\n").unwrap();
        fs::write(path(".lock"), "").unwrap();
        let before = state(folder.path()).unwrap();
        let opened = open(folder.path()).unwrap();
        let names: Vec<&str> = opened.iter().map(|opened| &*opened.name).collect();
        assert_eq!(names, ["checkpoint/state", "train.jsonl"]);
        fs::write(path("train.jsonl"), "line\nanother\n").unwrap();
        assert_eq!(state(folder.path()).unwrap(), before, "growing is no change of state");
        fs::write(path("aside"), "two").unwrap();
        fs::rename(path("aside"), path("checkpoint/state")).unwrap();
        assert_ne!(state(folder.path()).unwrap(), before);
        assert_eq!(io::read_to_string(&opened[0].file).unwrap(), "one");
        assert_eq!(opened[1].stamp.length, 5);
    }
}
