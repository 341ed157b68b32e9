//! Tests that drive the real binary.

mod config;
mod demo;
mod dependencies;
mod help;
mod inspect;
mod reference;
mod score;
mod support;
mod training;
