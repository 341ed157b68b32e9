//! Training: what is minimised, by which steps, and how a run survives its own end.
//!
//! This crate takes a model, features and options, and leaves a better model in a
//! folder. It knows the data, questions or labelled texts, through `limbeck-data` and
//! the network through `limbeck-model`; it knows nothing of command lines, progress bars or
//! searches.
//!
//! # Layout
//! - [`options`]: what a run can be told
//! - [`losses`]: one loss a file
//! - [`objective`]: all that a run minimises; [`sandwich`]: passes in which tokens leave
//! - [`learner`]: one optimiser step: forward, losses, backward, update
//! - [`optimizer`] and [`schedule`]: AdamW over the flat buffer, the learning rate
//! - [`teacher`]: the logits of a teacher, on disk
//! - [`evaluation`]: logits to answers or labels to metrics
//! - [`sparsity`]: which weights are off, and how that changes
//! - [`importance`]: which heads, neurons and layers a model can spare
//! - [`run`]: the loop over steps; [`observer`]: what it tells while it runs
//! - [`folder`] and [`checkpoint`]: the output folder, exact resume
//! - [`ranks`]: several processes that train one model together
//! - [`trackers`]: `train.jsonl`, TensorBoard, and MLflow, which follows the former

pub mod checkpoint;
mod error;
pub mod evaluation;
pub mod folder;
pub mod importance;
pub mod learner;
pub mod losses;
pub mod objective;
pub mod observer;
pub mod optimizer;
pub mod options;
pub mod ranks;
pub mod run;
pub mod sandwich;
pub mod schedule;
pub mod sparsity;
pub mod teacher;
pub mod trackers;

pub use error::TrainError;
