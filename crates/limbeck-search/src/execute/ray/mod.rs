//! Trials as jobs of a Ray cluster, over its Jobs REST API.
//!
//! A worker process on this machine takes a trial as any other does, but instead of running its
//! command it hands it to the cluster as a job, follows it, and writes the outcome to the study.
//! The job's id stands in the study before the job is submitted. So the study is the truth: a
//! worker that comes after one that was killed finds the job of its trial and goes on with it,
//! and a job whose attempt is over has nobody who would listen to it.
//!
//! What the cluster does to a trial is told apart from what the trial does. A node or a head
//! that dies, a job that never got its place, a log that went with its node: the trial is lost
//! and goes to another worker. A machine that does not answer is asked again, for as long as it
//! takes.
//!
//! # Layout
//! - [`jobs`]: the REST API.
//! - [`package`]: files as an archive that is named by its content.
//! - [`outcome`]: the line of a job's log that tells how its trial ended.
//! - [`follow`]: one attempt at one trial, from its job's submission to its outcome.
//! - [`single`]: a job that is no trial.
//! - `reach`: a cluster that does not answer; what the end of a job means.

pub mod follow;
pub mod jobs;
pub mod outcome;
pub mod package;
mod reach;
pub mod single;

#[cfg(test)]
mod tests;

pub use follow::{RemoteJob, supervise};
pub use jobs::{Jobs, Resources};
pub use package::Package;
pub use reach::Rhythm;
