//! Where the numbers of a run go while it runs.
//!
//! A tracker takes named numbers by step. Each call writes whole lines or records
//! straight through to the file, so a run that is killed loses none that it had
//! reported; [`Tracker::flush`] also brings them to the disk. A run that is resumed
//! at a step opens its trackers with that step: what was reported later is taken
//! back, because the run will report it again.

//!
//! Machines that are told of a run are no trackers of it: they follow `train.jsonl`
//! ([`follow`]), so that the run does not depend on them.

#[cfg(feature = "cloudwatch")]
pub mod cloudwatch;
pub mod follow;
mod jsonl;
pub mod mlflow;
mod tensorboard;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

pub use jsonl::JsonlTracker;
pub use tensorboard::TensorBoardTracker;

/// Seconds since 1970, the wall time of a report.
pub fn now() -> f64 {
    // A clock before 1970 is wrong anyway.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// What the names of an evaluation's numbers begin with.
pub const EVALUATION_PREFIX: &str = "eval_";

/// Takes the numbers of a run.
pub trait Tracker: Send {
    /// Reports `values` (name and value) at `step`; `wall_time` is in seconds since
    /// 1970.
    ///
    /// # Errors
    /// When they cannot be written.
    fn scalars(
        &mut self,
        step: u64,
        wall_time: f64,
        values: &[(&str, f64)],
    ) -> Result<(), TrackerError>;

    /// Brings everything reported so far to the disk.
    ///
    /// # Errors
    /// When the disk refuses.
    fn flush(&mut self) -> Result<(), TrackerError>;
}

/// Several trackers as one; without any, reports go nowhere.
#[derive(Default)]
pub struct Trackers(pub Vec<Box<dyn Tracker>>);

impl Tracker for Trackers {
    fn scalars(
        &mut self,
        step: u64,
        wall_time: f64,
        values: &[(&str, f64)],
    ) -> Result<(), TrackerError> {
        self.0.iter_mut().try_for_each(|tracker| tracker.scalars(step, wall_time, values))
    }

    fn flush(&mut self) -> Result<(), TrackerError> {
        self.0.iter_mut().try_for_each(|tracker| tracker.flush())
    }
}

/// What can go wrong while numbers are reported.
#[derive(Debug, thiserror::Error)]
pub enum TrackerError {
    /// A file or folder refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `create`, `read`, `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of an earlier run's `train.jsonl` is not one that this program writes.
    #[error(
        "{}, line {line}: not a JSON object with a number `step`; move the file away to resume",
        path.display()
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The shortened file could not be put in place.
    #[error(transparent)]
    Replace(#[from] limbeck_data::DataError),
}

impl TrackerError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    struct Memory(Arc<Mutex<Vec<(u64, usize)>>>);

    impl Tracker for Memory {
        fn scalars(
            &mut self,
            step: u64,
            _: f64,
            values: &[(&str, f64)],
        ) -> Result<(), TrackerError> {
            self.0.lock().unwrap().push((step, values.len()));
            Ok(())
        }

        fn flush(&mut self) -> Result<(), TrackerError> {
            self.0.lock().unwrap().push((0, 0));
            Ok(())
        }
    }

    #[test]
    fn every_tracker_of_a_list_gets_every_report() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut trackers =
            Trackers(vec![Box::new(Memory(seen.clone())), Box::new(Memory(seen.clone()))]);
        trackers.scalars(3, 0.0, &[("loss", 1.0)]).unwrap();
        trackers.flush().unwrap();
        assert_eq!(*seen.lock().unwrap(), [(3, 1), (3, 1), (0, 0), (0, 0)]);
    }
}
