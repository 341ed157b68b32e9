//! `plans.jsonl`: every plan that was tried, one line each. A line is on the disk before the
//! next plan is tried; so a search that is killed loses one plan at most.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::evolution::{Gene, Origin};
use crate::exit::InputError;

/// Name of the file in the folder of a search.
pub const LEDGER_FILE: &str = "plans.jsonl";

/// What came of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// By the metric of the search.
    #[serde(alias = "f1")]
    pub score: f64,
    /// Multiply-adds of a window or text, the mean.
    pub macs: f64,
    /// The time that the model took for all of them.
    pub seconds: f64,
    /// How many windows or texts there were.
    #[serde(alias = "windows")]
    pub pieces: usize,
}

/// How a plan came about.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Birth {
    /// The generation; 0 are the plans to start from.
    pub generation: usize,
    /// From what.
    pub origin: Origin,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What was tried on which data: `sample`, `all`, or the teacher on all.
    pub trial: String,
    /// The plan; empty for a teacher, which keeps all tokens.
    pub lengths: Gene,
    /// How the plan came about, where it was tried to find better ones.
    #[serde(flatten)]
    pub birth: Option<Birth>,
    /// What came of it.
    #[serde(flatten)]
    pub measured: Measured,
}

/// The file, and what is in it.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    known: HashMap<(String, Gene), Measured>,
}

impl Ledger {
    /// Opens the file of a search or begins it. A last line that was never finished is cut off.
    ///
    /// # Errors
    /// When the file cannot be written, or a line is damaged.
    pub fn open(folder: &Path) -> Result<Ledger> {
        let path = folder.join(LEDGER_FILE);
        let cannot = || format!("cannot use {}", path.display());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).with_context(cannot)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).with_context(cannot)?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let mut known = HashMap::new();
        for (number, line) in bytes[..whole].split_inclusive(|&byte| byte == b'\n').enumerate() {
            let entry: Entry = serde_json::from_slice(line).map_err(|error| {
                let place = format!("{}: line {}", path.display(), number + 1);
                InputError::new("not a line of a search", place, error.to_string())
            })?;
            known.insert((entry.trial, entry.lengths), entry.measured);
        }
        file.set_len(whole as u64).with_context(cannot)?;
        file.seek(SeekFrom::End(0)).with_context(cannot)?;
        Ok(Ledger { file, known })
    }

    /// What is known of a plan on some questions.
    pub fn get(&self, trial: &str, lengths: &[u32]) -> Option<Measured> {
        self.known.get(&(trial.to_owned(), lengths.to_vec())).copied()
    }

    /// Writes down what came of a plan; returns when it is on the disk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, entry: Entry) -> Result<()> {
        let mut line = serde_json::to_string(&entry)?;
        line.push('\n');
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data())
            .with_context(|| format!("cannot write {LEDGER_FILE}"))?;
        self.known.insert((entry.trial, entry.lengths), entry.measured);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(lengths: &[u32]) -> Entry {
        let measured = Measured { score: 1.0 / 3.0, macs: 1e9, seconds: 0.5, pieces: 7 };
        let (trial, lengths) = ("sample".to_owned(), lengths.to_vec());
        let birth = Some(Birth { generation: 2, origin: Origin::Mutation });
        Entry { trial, lengths, birth, measured }
    }

    #[test]
    fn what_was_added_is_there_the_next_time_and_half_a_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        ledger.add(entry(&[9, 8])).unwrap();
        ledger.add(entry(&[9, 7])).unwrap();
        drop(ledger);
        let path = folder.path().join(LEDGER_FILE);
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        assert_eq!(ledger.get("sample", &[9, 8]), Some(entry(&[9, 8]).measured));
        assert_eq!(ledger.get("sample", &[9, 7]), None);
        assert_eq!(ledger.get("all", &[9, 8]), None);
        ledger.add(entry(&[9, 7])).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        Ledger::open(folder.path()).unwrap().add(entry(&[9])).unwrap();
        let path = folder.path().join(LEDGER_FILE);
        let text = std::fs::read_to_string(&path).unwrap() + "{}\n";
        std::fs::write(&path, text).unwrap();
        let message = Ledger::open(folder.path()).unwrap_err().to_string();
        assert!(message.contains("plans.jsonl: line 2"), "{message}");
    }
}
