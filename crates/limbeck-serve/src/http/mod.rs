//! Connections and what every request goes through.
//!
//! # Layout
//! - [`listen`]: accepting connections, within limits, until the end
//! - [`observe`]: request ids, the log, metrics, headers of every answer
//! - [`auth`]: the key

pub mod auth;
pub mod listen;
pub mod observe;
