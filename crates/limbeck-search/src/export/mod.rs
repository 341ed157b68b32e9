//! Studies for other programs.
//!
//! # Layout
//! - [`csv`]: a table.
//! - [`optuna`]: a journal of Optuna's.

mod csv;
mod optuna;

pub use csv::csv;
pub use optuna::optuna;
