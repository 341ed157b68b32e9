//! Students over HTTP: an API for programs, a page for people.
//!
//! Requests are tokenised as they come and leave their windows in one bounded queue; one
//! thread takes as many as fit a batch, whichever requests they belong to, runs them through
//! their model as ragged rows, and hands the logits back to be decoded. There is no waiting
//! for a batch to fill: while one is computed, the next gathers.
//!
//! The crate knows models through `limbeck-runtime` and nothing of training.
//!
//! # Layout
//! - [`options`]: limits and habits
//! - [`student`]: the models under their names
//! - [`engine`]: the queue and the thread that computes
//! - [`mod@ask`]: from texts to answers, stage by stage
//! - [`api`]: one file an endpoint
//! - [`http`]: connections, request ids, the key, other origins, the prefix of a proxy
//! - [`metrics`], [`error`], [`state`]: what they share
//! - [`server`]: all of it, from start to end

pub mod api;
pub mod ask;
pub mod engine;
pub mod error;
pub mod http;
pub mod metrics;
pub mod options;
pub mod server;
pub mod state;
pub mod student;

#[cfg(test)]
mod testing;

pub use http::cors::Cors;
pub use http::prefix::Prefix;
pub use options::{ApiKey, ServeOptions};
pub use server::{ServeError, Server};
pub use student::{Skill, Student, Students};
