//! Tests that drive the real binary.

mod answering;
mod classify;
mod compare;
mod config;
mod demo;
mod dependencies;
mod export;
mod glue;
mod help;
mod inspect;
mod length_search;
mod lengths;
mod pretrain;
mod prune;
mod quantize;
mod ranks;
mod reference;
mod score;
mod search;
mod search_kills;
mod search_recipes;
mod serve;
mod stages;
mod support;
mod training;
mod world;
