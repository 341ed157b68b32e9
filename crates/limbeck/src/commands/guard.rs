//! Refusing to write over what is read.

use std::path::Path;

use anyhow::Result;

use crate::exit::InputError;

/// Files of a run's folder, or of an evaluation's, that may lie where data is read from.
const OUTPUTS: [&str; 13] = [
    "predictions.json",
    "nbest_predictions.json",
    "null_odds.json",
    "predictions.tsv",
    "metrics.json",
    "errors.json",
    "left_out.jsonl",
    "run.json",
    "train.jsonl",
    "limbeck.json",
    "front.json",
    "plans.jsonl",
    "lengths.csv",
];

/// Refuses to write over a file that is read.
pub fn refuse_own_file(out: &Path, file: &Path, key: &str) -> Result<()> {
    let real = |path: &Path| path.canonicalize().ok();
    let is_inside = real(out).zip(real(file)).is_some_and(|(out, file)| {
        let name = file.file_name().and_then(|name| name.to_str());
        file.parent() == Some(&out) && name.is_some_and(|name| OUTPUTS.contains(&name))
    });
    if is_inside {
        let what = format!("`{key}` is a file that would be written over");
        return Err(InputError::new(what, file.display().to_string(), "give another --out").into());
    }
    Ok(())
}

/// Refuses to write where a model is read from, or above it.
pub fn refuse_own_folder(out: &Path, model: &Path, key: &str) -> Result<()> {
    let real = |path: &Path| path.canonicalize().ok();
    let inside = real(out).zip(real(model)).is_some_and(|(out, model)| {
        model == out || model.parent() == Some(&out) && model.ends_with("last")
    });
    if inside {
        let what = format!("results would go to the folder of `{key}`");
        return Err(InputError::new(what, out.display().to_string(), "give another --out").into());
    }
    Ok(())
}
