//! The numerical tools that samplers stand on.
//!
//! # Layout
//! - [`random`]: a small seeded generator.
//! - [`normal`]: the normal distribution, with tails that do not vanish.
//! - [`linalg`]: symmetric positive definite systems.
//! - [`lbfgs`]: minimising smooth functions in a box.

pub mod lbfgs;
pub mod linalg;
pub mod normal;
pub mod random;
