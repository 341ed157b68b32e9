//! Other machines over HTTP.
//!
//! # Layout
//! - [`http`]: the one client, which waits for nobody for ever and gives secrets to nobody
//!   else.
//! - [`hub`]: models of the Hugging Face Hub, from the cache on disk or over the network.
//! - `aws` (with the feature of this name): services of Amazon, whose requests are signed.
//! - [`store`]: files and folders in object stores.
//! - `stub`: a server on loopback whose answers and failures a test writes.

#[cfg(feature = "aws")]
pub mod aws;
pub mod http;
pub mod hub;
pub mod store;
#[cfg(any(test, feature = "stub"))]
pub mod stub;
