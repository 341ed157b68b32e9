//! Flags of SigOpt's `bert-distillation-multimetric`: one distillation, and its search.

use super::table::{BATCHES, DEVICE, FEATURES, Row, Takes, is, off, off_switch, refused, whole};

const SEARCH: &str = "`limbeck search --space recipes/sigopt-multimetric.toml --study FILE` is the \
     search; --trials N is its budget";
const SIDE_BY_SIDE: &str =
    "`limbeck search --parallel N`, on a cluster with --on ray=http://HOST:8265, runs side by side";
const STORE: &str = "--out s3://BUCKET/PATH keeps results in a store";

/// What these have beyond `run_squad_w_distillation.py`.
pub const ROWS: &[Row] = &[
    is("per-compute-train-batch-size", &["batch-size"]),
    off("per-compute-eval-batch-size", BATCHES),
    whole("warm-up-steps", Takes::Value),
    is("n-layers", &["student-num-layers"]),
    is("n-heads", &["student-heads"]),
    is("hidden-dim", &["student-intermediate-size"]),
    whole("dim", Takes::Value),
    is("qa-dropout", &["head-dropout"]),
    off_switch("load-student-semi-pretrained", "the student starts from --student, cut to size"),
    off_switch("load-student-pretrained", "the student starts from --student as it is"),
    off_switch("use-bfloat16", DEVICE),
    off("train-cache-s3-directory", FEATURES),
    off("eval-cache-s3-directory", FEATURES),
    Row { takes: Takes::Values, ..off("cache-s3-bucket", FEATURES) },
    refused("experiment-name", Takes::Value, SEARCH),
    refused("project-name", Takes::Value, SEARCH),
    refused("api-token", Takes::Value, "no service is asked, so there is no token: leave it out"),
    refused("use-hpo-default-ranges", Takes::Switch, SEARCH),
    refused("sigopt-experiment-id", Takes::Value, SEARCH),
    refused("sigopt-observation-budget", Takes::Value, SEARCH),
    refused("sigopt-run-directory", Takes::Value, SEARCH),
    refused("store-s3", Takes::Switch, STORE),
    refused("s3-bucket", Takes::Value, STORE),
    refused("max-concurrent", Takes::Value, SIDE_BY_SIDE),
    refused("num-cpu", Takes::Value, SIDE_BY_SIDE),
    refused("num-gpu", Takes::Value, SIDE_BY_SIDE),
    refused("ray-address", Takes::Value, SIDE_BY_SIDE),
    refused("clean-raytune-output", Takes::Switch, SIDE_BY_SIDE),
    refused("raytune-output-directory", Takes::Value, SIDE_BY_SIDE),
];
