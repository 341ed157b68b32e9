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
mod hub;
mod inspect;
mod length_search;
mod lengths;
mod prune;
mod quantize;
<<<<<<< HEAD
mod ranks;
=======
mod ray;
>>>>>>> 7332527 (Models come from the Hugging Face Hub; MLflow is told of runs)
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
