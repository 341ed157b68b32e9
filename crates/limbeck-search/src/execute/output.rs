//! What a trial writes: its lines, and what they say.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::ChildStdout;
use std::sync::mpsc::SyncSender;

use serde_json::Value;

use crate::metric::Metrics;
use crate::study::Report;

/// Bytes of a line of output that are looked at.
const LONGEST_LINE: usize = 1 << 20;
/// Lines that wait to be looked at; a command that writes faster waits.
pub(super) const MOST_LINES: usize = 1000;

/// Sends every line of output on, after keeping it.
pub(super) fn forward(output: ChildStdout, mut log: File, lines: &SyncSender<String>, echo: bool) {
    let mut output = BufReader::new(output);
    let mut piece = Vec::new();
    // Whether the piece goes on with a line that is longer than what is looked at.
    let mut goes_on = false;
    while let Ok(1..) = output.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', &mut piece) {
        // A full disk must not stop the trial: its metrics go to the study.
        let _ = log.write_all(&piece);
        if echo {
            let _ = std::io::stdout().write_all(&piece);
        }
        let text = String::from_utf8_lossy(&piece);
        let text = text.trim();
        if !goes_on && !text.is_empty() && lines.send(text.to_owned()).is_err() {
            return;
        }
        goes_on = !piece.ends_with(b"\n");
        piece.clear();
    }
}

/// The beginning of the last line that says something.
pub(super) fn last_of(log: &str) -> Option<String> {
    let last = log.lines().rfind(|line| !line.trim().is_empty())?;
    Some(last.trim().chars().take(300).collect())
}

/// `{"step": 3, "metric": 1.5, ...}` is what a trial says on its way.
pub(super) fn report(line: &str) -> Option<Report> {
    let Value::Object(mut object) = serde_json::from_str(line).ok()? else { return None };
    let step = object.remove("step")?.as_f64()?;
    let numbers = object.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?)));
    Some(Report { step, metrics: numbers.collect() })
}

/// The metrics in the last line of output.
pub(super) fn metrics(line: &str) -> Result<Metrics, String> {
    let shown: String = line.chars().take(200).collect();
    let Ok(Value::Object(object)) = serde_json::from_str(line) else {
        return Err(match shown.is_empty() {
            true => "it wrote nothing".to_owned(),
            false if line.len() >= LONGEST_LINE => "its last line is too long".to_owned(),
            false => format!("its last line is no JSON object: {shown}"),
        });
    };
    let numbers = object.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?)));
    Ok(numbers.filter(|(name, _)| name != "step").collect())
}
