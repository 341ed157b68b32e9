//! Connections and what every request goes through.
//!
//! # Layout
//! - [`listen`]: accepting connections, within limits, until the end
//! - [`observe`]: request ids, the log, metrics, headers of every answer
//! - [`auth`]: the key
//! - [`cors`]: pages of other origins
//! - [`prefix`]: the path under which a proxy shows the server

pub mod auth;
pub mod cors;
pub mod listen;
pub mod observe;
pub mod prefix;
