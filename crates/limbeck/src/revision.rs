//! `--revision`: the version of models that are named without one.

use std::sync::OnceLock;

use limbeck_remote::hub;

static REVISION: OnceLock<String> = OnceLock::new();

/// Sets it, once.
pub fn set(revision: String) {
    // The first word holds; there is one command line.
    let _ = REVISION.set(revision);
}

/// What a user names, with the revision that `--revision` gives to ids without one.
pub fn pinned(model: &str) -> String {
    match REVISION.get() {
        Some(revision) => hub::with_revision(model, revision),
        None => model.to_owned(),
    }
}

/// The flag for another process that has to find the same models.
pub fn flag() -> Vec<String> {
    let flag = REVISION.get().map(|revision| ["--revision".to_owned(), revision.clone()]);
    flag.into_iter().flatten().collect()
}
