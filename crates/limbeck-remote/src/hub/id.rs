//! The form of a model's id.

use std::path::Path;

/// `name`, `organisation/name`, each perhaps with `@revision`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelId {
    /// As it was given.
    pub(super) text: String,
    /// Without the revision.
    pub(super) name: String,
    /// A branch, a tag or a commit.
    pub(super) revision: String,
}

impl ModelId {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, revision) = text.split_once('@').unwrap_or((text, "main"));
        let is_id = name.split('/').count() <= 2 && is_sound(name) && is_sound(revision);
        is_id.then(|| Self {
            text: text.to_owned(),
            name: name.to_owned(),
            revision: revision.to_owned(),
        })
    }
}

/// Whether every part between slashes is one that an id or a revision may have.
fn is_sound(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    text.split('/').all(is_part)
}

/// Whether a text can be a branch, a tag or a commit.
pub fn is_revision(text: &str) -> bool {
    is_sound(text)
}

/// An id with this revision, unless it names one itself; what is a folder, or no id, stays as it is.
pub fn with_revision(model: &str, revision: &str) -> String {
    let is_bare_id = !model.contains('@') && ModelId::parse(model).is_some();
    match is_bare_id && !Path::new(model).exists() {
        true => format!("{model}@{revision}"),
        false => model.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_given_to_ids_that_have_none() {
        assert_eq!(with_revision("acme/tiny", "v1"), "acme/tiny@v1");
        for kept in ["acme/tiny@main", "src", "/models/tiny", "../a", "a/b/c"] {
            assert_eq!(with_revision(kept, "v1"), kept);
        }
        assert!(is_revision("refs/pr/1") && !is_revision("../x") && !is_revision(""));
    }

    #[test]
    fn an_id_has_at_most_two_parts_and_perhaps_a_revision() {
        let of = |text| ModelId::parse(text).map(|id| (id.name, id.revision));
        let pair = |name: &str, revision: &str| Some((name.to_owned(), revision.to_owned()));
        assert_eq!(of("bert-base-uncased"), pair("bert-base-uncased", "main"));
        assert_eq!(of("acme/tiny@v1.0"), pair("acme/tiny", "v1.0"));
        assert_eq!(of("acme/tiny@refs/pr/1"), pair("acme/tiny", "refs/pr/1"));
        for text in ["../a", "a/b/c", "/a", "./a", "a b", "", "a/", "a@", "a@../b", "a@b@c"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
