//! The form of a model's id.

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
        let is_part = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let parts_are_sound = |text: &str| text.split('/').all(is_part);
        let is_id =
            name.split('/').count() <= 2 && parts_are_sound(name) && parts_are_sound(revision);
        is_id.then(|| Self {
            text: text.to_owned(),
            name: name.to_owned(),
            revision: revision.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
