//! What goes to standard output (results) and to standard error (messages).

use std::io::{self, Write};

use limbeck_data::metrics::Metrics;
use serde::Serialize;

/// How a command speaks.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    /// Results as one JSON object on standard output.
    pub json: bool,
    /// No messages and no progress on standard error.
    pub quiet: bool,
    /// Every evaluation of a run as one line of JSON on standard output.
    pub reports: bool,
}

impl Console {
    /// A message for the person in front of the terminal.
    ///
    /// It is lost without harm when nobody reads standard error.
    pub fn message(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// The result: `value` as one line of JSON with `--json`, else the text.
    pub fn result(
        &self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        let line = if self.json { serde_json::to_string(value)? } else { text() };
        print(&line)
    }
}

/// Writes `text` and a line break, unless it already ends in one, to standard output.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

/// Names and values one under the other, the values aligned.
pub fn columns(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

/// Scores on one line: `exact 71.20, f1 80.05`, which are percentages, or those of a classifier
/// as GLUE's scripts give them, `accuracy 0.8578, f1 0.8998`.
pub fn scores(metrics: &Metrics) -> String {
    let part =
        |key: &str, decimals| metrics.get(key).map(|value| format!("{key} {value:.decimals$}"));
    let parts: Vec<String> = match metrics.get("exact") {
        Some(_) => ["exact", "f1"].into_iter().filter_map(|key| part(key, 2)).collect(),
        None => metrics.iter().filter_map(|(key, _)| part(key, 4)).collect(),
    };
    parts.join(", ")
}
