//! An append-only file of JSON lines that many processes share. A line is an event, or several
//! that happened at once, as a list.
//!
//! A writer holds the file's lock from reading the newest lines until its own are on the disk,
//! so that it decides on what is true, and nobody sees a line before it is durable. A process
//! that dies gives its lock back; half a line that it left is cut off by the next writer.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Result, SearchError};

/// How the first line of a journal begins.
const BEGINNING: &[u8] = b"{\"event\":\"create\"";

#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    /// Whether it may be written; a file of somebody else may at least be read.
    is_writable: bool,
    /// Bytes and lines that were read.
    read: u64,
    lines: usize,
}

impl Journal {
    /// Opens the file, which with `create` need not exist.
    pub(super) fn open(path: &Path, create: bool) -> Result<Self> {
        let open =
            |write| OpenOptions::new().read(true).append(write).create(create && write).open(path);
        let (file, is_writable) = match open(true) {
            Err(error) if !create && may_only_be_read(&error) => (open(false), false),
            opened => (opened, true),
        };
        let file = file.map_err(SearchError::io("open", path))?;
        Ok(Self { file, path: path.to_owned(), is_writable, read: 0, lines: 0 })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The lines since the last look.
    pub(super) fn catch_up<E: DeserializeOwned>(&mut self) -> Result<Vec<E>> {
        self.file.lock_shared().map_err(SearchError::io("lock", &self.path))?;
        let lines = self.new_lines();
        self.unlock()?;
        lines
    }

    /// Shows `decide` the lines since the last look and appends what it returns, before
    /// anybody else can write; returns the same. With `durable` the lines are on the disk
    /// then.
    pub(super) fn append<E: DeserializeOwned + Serialize, T>(
        &mut self,
        durable: bool,
        decide: impl FnOnce(Vec<E>) -> Result<(Vec<E>, T)>,
    ) -> Result<(Vec<E>, T)> {
        self.file.lock().map_err(SearchError::io("lock", &self.path))?;
        let result = self.append_locked(durable, decide);
        self.unlock()?;
        result
    }

    fn append_locked<E: DeserializeOwned + Serialize, T>(
        &mut self,
        durable: bool,
        decide: impl FnOnce(Vec<E>) -> Result<(Vec<E>, T)>,
    ) -> Result<(Vec<E>, T)> {
        let (events, result) = decide(self.new_lines()?)?;
        if events.is_empty() {
            return Ok((events, result));
        }
        if !self.is_writable {
            return Err(SearchError::io("write", &self.path)(ErrorKind::PermissionDenied.into()));
        }
        // One line, since half of what happened at once must not be left by a kill.
        let line = match events.as_slice() {
            [event] => serde_json::to_string(event),
            several => serde_json::to_string(several),
        };
        let mut text = line.map_err(|e| self.broken(format!("cannot be written: {e}")))?;
        text.push('\n');
        let length = self.file.metadata().map_err(SearchError::io("read", &self.path))?.len();
        if length > self.read {
            self.refuse_foreign()?;
            self.file.set_len(self.read).map_err(SearchError::io("write", &self.path))?;
        }
        let written = self.file.write_all(text.as_bytes());
        let synced = written.and_then(|()| if durable { self.file.sync_data() } else { Ok(()) });
        if let Err(error) = synced {
            // What may not be on the disk must not be believed by anybody.
            let _ = self.file.set_len(self.read);
            return Err(SearchError::io("write", &self.path)(error));
        }
        self.read += text.len() as u64;
        self.lines += 1;
        Ok((events, result))
    }

    fn new_lines<E: DeserializeOwned>(&mut self) -> Result<Vec<E>> {
        let mut bytes = Vec::new();
        self.file
            .seek(SeekFrom::Start(self.read))
            .and_then(|_| self.file.read_to_end(&mut bytes))
            .map_err(SearchError::io("read", &self.path))?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let mut events = Vec::new();
        for line in bytes[..whole].split_inclusive(|&byte| byte == b'\n') {
            self.lines += 1;
            let read = match line.first() {
                Some(b'[') => serde_json::from_slice(line),
                _ => serde_json::from_slice(line).map(|event| vec![event]),
            };
            events.extend(read.map_err(|e| self.broken(format!("line {}: {e}", self.lines)))?);
        }
        self.read += whole as u64;
        Ok(events)
    }

    /// Refuses to cut off what no killed writer left: a file without any line that is not the half
    /// of a first one.
    fn refuse_foreign(&mut self) -> Result<()> {
        if self.read > 0 {
            return Ok(());
        }
        let mut start = Vec::new();
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| (&self.file).take(BEGINNING.len() as u64).read_to_end(&mut start))
            .map_err(SearchError::io("read", &self.path))?;
        match BEGINNING.starts_with(&start) {
            true => Ok(()),
            false => Err(self.broken("it is no study".to_owned())),
        }
    }

    pub(super) fn broken(&self, reason: String) -> SearchError {
        SearchError::Study { path: self.path.clone(), reason }
    }

    fn unlock(&self) -> Result<()> {
        self.file.unlock().map_err(SearchError::io("lock", &self.path))
    }
}

fn may_only_be_read(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(journal: &mut Journal, number: u32) -> Vec<u32> {
        journal.append(true, |seen: Vec<u32>| Ok((vec![number], seen))).unwrap().1
    }

    #[test]
    fn every_reader_sees_every_line_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let mut first = Journal::open(&path, true).unwrap();
        let mut second = Journal::open(&path, false).unwrap();
        assert!(add(&mut first, 1).is_empty());
        assert_eq!(add(&mut second, 2), [1]);
        assert_eq!(add(&mut first, 3), [2]);
        assert_eq!(second.catch_up::<u32>().unwrap(), [3]);
        assert!(second.catch_up::<u32>().unwrap().is_empty());
    }

    #[test]
    fn half_a_line_of_a_killed_writer_is_not_read_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        std::fs::write(&path, "1\n2\n34").unwrap();
        let mut journal = Journal::open(&path, false).unwrap();
        assert_eq!(journal.catch_up::<u32>().unwrap(), [1, 2]);
        add(&mut journal, 5);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n2\n5\n");
    }

    #[test]
    fn what_happened_at_once_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let mut journal = Journal::open(&path, true).unwrap();
        journal.append(true, |_: Vec<u32>| Ok((vec![1, 2], ()))).unwrap();
        assert!(add(&mut journal, 3).is_empty());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[1,2]\n3\n");
        assert_eq!(Journal::open(&path, false).unwrap().catch_up::<u32>().unwrap(), [1, 2, 3]);
    }

    #[test]
    fn a_file_that_is_something_else_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        for (text, refused) in [("{\"exact\": 60}", true), ("{\"event\":\"create\",\"fo", false)] {
            std::fs::write(&path, text).unwrap();
            let mut journal = Journal::open(&path, true).unwrap();
            let written = journal.append(true, |_: Vec<u32>| Ok((vec![1], ())));
            assert_eq!(written.is_err(), refused, "{text}");
            let left = std::fs::read_to_string(&path).unwrap();
            assert_eq!(left, if refused { text } else { "1\n" });
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        std::fs::write(&path, "1\nx\n").unwrap();
        let mut journal = Journal::open(&path, false).unwrap();
        assert!(journal.catch_up::<u32>().unwrap_err().to_string().contains("line 2"));
    }

    #[test]
    fn many_threads_lose_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        Journal::open(&path, true).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    let mut journal = Journal::open(path, false).unwrap();
                    (0..50).for_each(|i| drop(add(&mut journal, thread * 100 + i)));
                });
            }
        });
        let mut all = Journal::open(&path, false).unwrap().catch_up::<u32>().unwrap();
        all.sort_unstable();
        let expected: Vec<u32> = (0..4).flat_map(|t| (0..50).map(move |i| t * 100 + i)).collect();
        assert_eq!(all, expected);
    }
}
