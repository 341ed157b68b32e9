//! The line of a job's log that tells how its trial ended.

use serde::{Deserialize, Serialize};

use crate::metric::Metrics;
use crate::study::{Cause, Outcome};

/// What the line begins with; a command's own output may stand on all others.
const MARK: &str = "@@limbeck ";

#[derive(Serialize, Deserialize)]
struct Line {
    /// The id of the job that says it.
    job: String,
    #[serde(flatten)]
    ending: Ending,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum Ending {
    Complete { metrics: Metrics },
    Failed { cause: Cause, reason: String },
    Stopped { reason: String, metrics: Metrics },
    Released,
}

/// The line with which a job of this id tells the outcome.
pub fn line(job: &str, outcome: &Outcome) -> String {
    let ending = match outcome.clone() {
        Outcome::Complete(metrics) => Ending::Complete { metrics },
        Outcome::Failed { cause, reason } => Ending::Failed { cause, reason },
        Outcome::Stopped { reason, metrics } => Ending::Stopped { reason, metrics },
        Outcome::Released => Ending::Released,
    };
    let line = Line { job: job.to_owned(), ending };
    // Names and numbers: there is nothing in it that JSON could not hold.
    format!("{MARK}{}", serde_json::to_string(&line).unwrap_or_default())
}

/// The outcome that a log tells of the job of this id, and of no other.
pub fn find(log: &str, job: &str) -> Option<Outcome> {
    let lines = log.lines().rev().filter_map(|line| line.trim().strip_prefix(MARK));
    let mut told = lines.filter_map(|text| serde_json::from_str::<Line>(text).ok());
    let ending = told.find(|line| line.job == job)?.ending;
    Some(match ending {
        Ending::Complete { metrics } => Outcome::Complete(metrics),
        Ending::Failed { cause, reason } => Outcome::Failed { cause, reason },
        Ending::Stopped { reason, metrics } => Outcome::Stopped { reason, metrics },
        Ending::Released => Outcome::Released,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_comes_back_from_among_other_lines() {
        let outcome = Outcome::Complete(Metrics::from([("f1".to_owned(), 81.25)]));
        let failed = Outcome::Failed { cause: Cause::Memory, reason: "900 MB\nof 800".to_owned() };
        let log = format!("INFO ray\n{}\nmore\n{}\n", line("a", &outcome), line("b", &failed));
        assert_eq!(find(&log, "a"), Some(outcome));
        assert_eq!(find(&log, "b"), Some(failed));
        assert_eq!(find(&log, "c"), None);
        // A log that was read while its last line was being written.
        let whole = line("a", &Outcome::Released);
        assert_eq!(find(&whole[..whole.len() - 3], "a"), None);
    }
}
