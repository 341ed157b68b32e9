//! `train.jsonl`: one JSON object a line, `step`, `time`, then the values by name.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use limbeck_data::files;
use serde_json::{Map, Value};

use super::{EVALUATION_PREFIX, Tracker, TrackerError};

/// Appends a line to a file at every report. A value that is not finite is written
/// as `null`.
pub struct JsonlTracker {
    path: PathBuf,
    file: File,
}

impl JsonlTracker {
    /// Begins an empty file at `path`, in place of one that may be there.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: &Path) -> Result<Self, TrackerError> {
        files::replace(path, b"")?;
        Self::append(path)
    }

    /// Goes on with the file at `path` after `step`: later lines and a half-written
    /// last one are cut off, and so is an evaluation at `step` itself unless `evaluated`:
    /// it will be repeated. A missing file is begun.
    ///
    /// # Errors
    /// When the file cannot be read or replaced, or a line other than the last is not
    /// one of this program's.
    pub fn resume(path: &Path, step: u64, evaluated: bool) -> Result<Self, TrackerError> {
        let old = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Self::create(path),
            Err(error) => return Err(TrackerError::io("read", path)(error)),
        };
        let kept = lines_up_to(&old, step, evaluated)
            .map_err(|line| TrackerError::Line { path: path.to_owned(), line })?;
        if kept.len() != old.len() {
            files::replace(path, &kept)?;
        }
        Self::append(path)
    }

    fn append(path: &Path) -> Result<Self, TrackerError> {
        let file =
            File::options().append(true).open(path).map_err(TrackerError::io("write", path))?;
        Ok(Self { path: path.to_owned(), file })
    }
}

impl Tracker for JsonlTracker {
    fn scalars(
        &mut self,
        step: u64,
        wall_time: f64,
        values: &[(&str, f64)],
    ) -> Result<(), TrackerError> {
        let mut object = Map::new();
        object.insert("step".to_owned(), step.into());
        object.insert("time".to_owned(), wall_time.into());
        for &(name, value) in values {
            object.insert(name.to_owned(), value.into());
        }
        // One write a line: a killed run leaves a half-written line at most.
        let line = format!("{}\n", Value::Object(object));
        self.file.write_all(line.as_bytes()).map_err(TrackerError::io("write", &self.path))
    }

    fn flush(&mut self) -> Result<(), TrackerError> {
        self.file.sync_data().map_err(TrackerError::io("write", &self.path))
    }
}

/// The whole lines of `bytes` whose step is `step` or earlier, or the number of the
/// first line that cannot be read. The last line may be broken: it is left out.
fn lines_up_to(bytes: &[u8], step: u64, evaluated: bool) -> Result<Vec<u8>, usize> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n').enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let object = serde_json::from_slice::<Map<String, Value>>(line).unwrap_or_default();
        match object.get("step").and_then(Value::as_u64) {
            Some(found) if line.ends_with(b"\n") => {
                let repeated = found == step && !evaluated && is_evaluation(&object);
                if found <= step && !repeated {
                    kept.extend_from_slice(line);
                }
            }
            _ if lines.peek().is_none() => {}
            _ => return Err(index + 1),
        }
    }
    Ok(kept)
}

fn is_evaluation(line: &Map<String, Value>) -> bool {
    line.keys().any(|key| key.starts_with(EVALUATION_PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(path: &Path, steps: std::ops::RangeInclusive<u64>) -> String {
        let mut tracker = JsonlTracker::create(path).unwrap();
        for step in steps {
            tracker.scalars(step, 1.5, &[("loss", 2.5 / step as f64)]).unwrap();
        }
        tracker.flush().unwrap();
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_report_is_one_line_in_the_given_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.jsonl");
        let mut tracker = JsonlTracker::create(&path).unwrap();
        tracker.scalars(10, 7.25, &[("loss", 0.5), ("a\"b", f64::NAN)]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"step\":10,\"time\":7.25,\"loss\":0.5,\"a\\\"b\":null}\n");
    }

    #[test]
    fn a_resumed_file_ends_as_one_that_was_never_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.jsonl");
        let whole = written(&path, 1..=6);
        // The run is killed while it writes step 7, and resumed after step 4.
        fs::write(&path, format!("{whole}{{\"step\":7,\"ti")).unwrap();
        let mut tracker = JsonlTracker::resume(&path, 4, true).unwrap();
        for step in 5..=6 {
            tracker.scalars(step, 1.5, &[("loss", 2.5 / step as f64)]).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_whole_object_without_its_line_end_is_half_written() {
        assert_eq!(lines_up_to(b"{\"step\":1}\n{\"step\":2}", 9, true).unwrap(), b"{\"step\":1}\n");
        assert_eq!(lines_up_to(b"{\"step\":1}\n\0\0\0\n", 9, true).unwrap(), b"{\"step\":1}\n");
        assert_eq!(lines_up_to(b"", 9, true).unwrap(), b"");
    }

    #[test]
    fn an_evaluation_that_will_be_repeated_is_taken_back() {
        let lines = b"{\"step\":4,\"loss\":1}\n{\"step\":4,\"eval_f1\":50}\n";
        assert_eq!(lines_up_to(lines, 4, true).unwrap(), lines);
        assert_eq!(lines_up_to(lines, 4, false).unwrap(), b"{\"step\":4,\"loss\":1}\n");
        assert_eq!(lines_up_to(lines, 5, false).unwrap(), lines);
    }

    #[test]
    fn a_missing_file_is_begun() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.jsonl");
        JsonlTracker::resume(&path, 4, true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_strange_line_is_named_and_the_file_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.jsonl");
        let strange = "{\"step\":1}\nhello\n{\"step\":2}\n";
        fs::write(&path, strange).unwrap();
        let message = JsonlTracker::resume(&path, 4, true).err().unwrap().to_string();
        assert!(message.contains("train.jsonl, line 2: "), "{message}");
        assert_eq!(fs::read_to_string(&path).unwrap(), strange);
    }
}
