//! Tests that drive the real binary.

mod answering;
mod classify;
mod config;
mod demo;
mod dependencies;
mod export;
mod glue;
mod help;
mod inspect;
mod lengths;
mod quantize;
mod reference;
mod score;
mod serve;
mod stages;
mod support;
mod training;
mod world;
