//! TensorBoard event files, encoded by hand.
//!
//! A file is a row of records (the TFRecord framing): length as u64, masked CRC-32C
//! of those eight bytes, payload, masked CRC-32C of the payload, all little-endian.
//! A payload is a protocol buffer message `Event`; these fields are used:
//!
//! ```text
//! Event      1 wall_time: double   2 step: int64   3 file_version: string
//!            5 summary: Summary    7 session_log: SessionLog
//! Summary    1 value: repeated Value
//! Value      1 tag: string         2 simple_value: float
//! SessionLog 1 status: enum (1 START)
//! ```

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Tracker, TrackerError, now};

const FILE_PREFIX: &str = "events.out.tfevents.";

/// What the first record of a file says of its format.
const FILE_VERSION: &str = "brain.Event:2";

/// Writes scalars into a new event file of a folder.
pub struct TensorBoardTracker {
    path: PathBuf,
    file: File,
}

impl TensorBoardTracker {
    /// Begins a new event file in `folder`, which is created if need be. It tells readers
    /// to forget what earlier files of the folder say of steps after `step`; a run that
    /// begins gives 0.
    ///
    /// # Errors
    /// When the folder or the file cannot be created.
    pub fn create(folder: &Path, step: u64) -> Result<Self, TrackerError> {
        fs::create_dir_all(folder).map_err(TrackerError::io("create", folder))?;
        let now = now();
        // Readers take the files of a folder in the order of their names.
        let second = (now as u64).max(last_second(folder)? + 1);
        let path = folder.join(format!("{FILE_PREFIX}{second:010}.{}", host_name()));
        let file = File::options()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(TrackerError::io("create", &path))?;
        let mut tracker = Self { path, file };
        let mut event = Message::default();
        event.double(1, now);
        event.bytes(3, FILE_VERSION.as_bytes());
        tracker.write(&event)?;
        let mut start = Message::default();
        start.varint(1, 1);
        let mut event = Message::default();
        event.double(1, now);
        event.varint(2, step + 1);
        event.bytes(7, &start.0);
        tracker.write(&event)?;
        Ok(tracker)
    }

    /// One write a record: a killed run leaves a half-written record at most, which
    /// readers pass over.
    fn write(&mut self, event: &Message) -> Result<(), TrackerError> {
        let length = (event.0.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(event.0.len() + 16);
        record.extend_from_slice(&length);
        record.extend_from_slice(&masked_crc(&length).to_le_bytes());
        record.extend_from_slice(&event.0);
        record.extend_from_slice(&masked_crc(&event.0).to_le_bytes());
        self.file.write_all(&record).map_err(TrackerError::io("write", &self.path))
    }
}

impl Tracker for TensorBoardTracker {
    fn scalars(
        &mut self,
        step: u64,
        wall_time: f64,
        values: &[(&str, f64)],
    ) -> Result<(), TrackerError> {
        let mut summary = Message::default();
        for &(tag, value) in values {
            let mut entry = Message::default();
            entry.bytes(1, tag.as_bytes());
            entry.float(2, value as f32);
            summary.bytes(1, &entry.0);
        }
        let mut event = Message::default();
        event.double(1, wall_time);
        event.varint(2, step);
        event.bytes(5, &summary.0);
        self.write(&event)
    }

    fn flush(&mut self) -> Result<(), TrackerError> {
        self.file.sync_data().map_err(TrackerError::io("write", &self.path))
    }
}

/// A protocol buffer message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, field: u64, wire_type: u64) {
        self.raw_varint(field << 3 | wire_type);
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.raw_varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.raw_varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend_from_slice(&value.to_le_bytes());
    }
}

/// CRC-32C rotated right by 15 bits plus a constant, as TFRecord files have it.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// The latest second in the name of an event file of `folder`, 0 without any.
fn last_second(folder: &Path) -> Result<u64, TrackerError> {
    let mut last = 0;
    for entry in fs::read_dir(folder).map_err(TrackerError::io("read", folder))? {
        let name = entry.map_err(TrackerError::io("read", folder))?.file_name();
        let second = name
            .to_str()
            .and_then(|name| name.strip_prefix(FILE_PREFIX)?.split('.').next()?.parse().ok());
        // A name with a second beyond ten digits is not one of ours.
        last = last.max(second.filter(|&second| second < 9_999_999_999).unwrap_or(0));
    }
    Ok(last)
}

/// The host's name for the file name, which is all it serves for.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String =
        name.chars().filter(|&c| c.is_ascii_alphanumeric() || c == '-').take(64).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

#[cfg(test)]
mod tests;
