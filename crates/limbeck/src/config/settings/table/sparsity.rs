//! Which weights are off.

use super::row;
use crate::config::settings::Kind::{Choice, Count, Number, Switch, Texts};
use crate::config::settings::{Group, Kind};

const SCOPES: Kind = Choice(&["row", "layer", "global"]);

/// Masks, and how they change.
pub const SPARSITY: Group = Group {
    heading: "Sparsity",
    settings: &[
        row(
            "sparsity.level",
            "sparsity",
            Number,
            "SHARE",
            "Share of the weights of the encoder and the word embeddings that is off; 0 masks none",
        ),
        row(
            "sparsity.method",
            "sparse-method",
            Choice(&["static", "rigl", "gmp"]),
            "HOW",
            "static: masks stay; rigl: the smallest weights go, those with the largest gradients \
             come; gmp: gradual pruning of the smallest, from dense to the level",
        ),
        row(
            "sparsity.of",
            "sparsity-of",
            Choice(&["matrices", "model"]),
            "WHAT",
            "What the level is a share of: each masked matrix, or all parameters of the model",
        ),
        row(
            "sparsity.embeddings",
            "sparse-embeddings",
            Choice(&["none", "words", "all"]),
            "WHICH",
            "Embedding tables that are masked too",
        ),
        row(
            "sparsity.modules",
            "sparse-modules",
            Texts,
            "PATTERN=LEVEL,...",
            "Levels of tensors by name, such as *.intermediate.*=0.9,*.layer.0.*=0; the first \
             pattern that fits counts",
        ),
        row(
            "sparsity.initial",
            "sparse-initial",
            Choice(&["random", "magnitude"]),
            "WHICH",
            "Weights that a new mask leaves on: random ones, for models that learn from nothing, or \
             the largest, for those that have learnt",
        ),
        row(
            "sparsity.distribution",
            "sparse-distribution",
            SCOPES,
            "SCOPE",
            "Where a new mask keeps the level: in every row, every matrix, or in all together",
        ),
        row(
            "sparsity.scope",
            "sparse-scope",
            SCOPES,
            "SCOPE",
            "Weights that rigl and gmp compare: those of a row, of a matrix, or of all",
        ),
        row(
            "sparsity.fraction",
            "sparse-fraction",
            Number,
            "SHARE",
            "rigl: share of the weights that first go at a change; it falls to 0 along a cosine",
        ),
        row(
            "sparsity.period",
            "sparse-period",
            Count,
            "N",
            "Steps between two changes of the masks",
        ),
        row(
            "sparsity.warmup",
            "sparse-warmup",
            Number,
            "SHARE",
            "Steps before masks first change: share of all below 1, count from 1",
        ),
        row(
            "sparsity.cooldown",
            "sparse-cooldown",
            Number,
            "SHARE",
            "gmp: last steps, in which masks change no more: share of all below 1, count from 1",
        ),
        row(
            "sparsity.reset_moments",
            "sparse-reset-moments",
            Switch,
            "BOOL",
            "rigl: weights that come begin with optimiser moments of zero",
        ),
        row(
            "sparsity.keep",
            "keep-sparsity",
            Switch,
            "BOOL",
            "What is zero in a sparse matrix of the starting model stays zero",
        ),
    ],
};
