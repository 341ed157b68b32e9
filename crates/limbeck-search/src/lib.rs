//! Multimetric search: finding the best trade-offs between several metrics in few trials, and
//! losing nothing when a machine dies.
//!
//! A study is a file. Samplers read what is in it and propose the next trial; trials are
//! processes that write their own results into it. This crate does not know what a trial
//! trains.
//!
//! # Layout
//! - [`space`]: parameters, conditions, constraints; [`metric`]: goals, roles, thresholds.
//! - [`study`]: the file, its journal and the life of a trial.
//! - [`samplers`]: one a file, behind one trait.
//! - [`execute`]: a trial as a process, and the coordinator of many.
//! - [`stopping`]: ending trials that cannot reach the front.
//! - [`pareto`], [`hypervolume`]: dominance, volumes, boxes.
//! - [`importance`]: which parameters decide a metric.
//! - [`export`]: to tables and to Optuna.
//! - `gp`, `numeric`: Gaussian processes and the tools below them.

mod error;
pub mod execute;
pub mod export;
mod gp;
pub mod hypervolume;
pub mod importance;
pub mod metric;
mod numeric;
pub mod pareto;
pub mod samplers;
pub mod space;
pub mod stopping;
pub mod study;

pub use error::SearchError;
