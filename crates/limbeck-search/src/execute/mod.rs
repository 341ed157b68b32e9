//! Trials as processes.
//!
//! A coordinator starts one worker process for each trial, the leader of a process group of its
//! own. The worker takes the trial in the study's file, runs its command, watches it, and writes
//! the outcome itself. So nothing passes through the coordinator: when it is killed, workers go
//! on and their results are kept; the next coordinator finds them in the file and waits for
//! them. When a worker is killed, whoever coordinates ends what it left and gives the trial to
//! another.
//!
//! # Layout
//! - `words`: a command line to its words, values in their places.
//! - [`supervise`]: one attempt at one trial, from its start to its outcome.
//! - `output`: the lines that it writes, and what they say.
//! - [`ray`]: the same as a job of a Ray cluster.
//! - `group`: the processes of a group, their memory, signals.
//! - [`coordinate`]: many trials side by side.

mod coordinate;
mod group;
mod output;
pub mod ray;
mod supervise;
mod words;

pub use coordinate::{Coordination, Event, Finish, coordinate};
pub use supervise::{Attempt, Job, Limits, supervise};
pub use words::{fill, split};
