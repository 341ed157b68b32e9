//! What could not be read of a file of questions.

use serde::{Deserialize, Serialize};

/// Something of a file that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The question's id; where it has none that can be used, its place in the file.
    pub id: String,
    /// Why, as the end of a sentence on it: `has no context`.
    pub reason: String,
}

/// What was left out and replaced while a file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadReport {
    /// Questions that could not be read.
    pub left_out: Vec<LeftOut>,
    /// Questions of which an answer or a mark could not be read, and the rest could.
    pub odd_answers: Vec<LeftOut>,
    /// Questions that had no id, by the ids that they were given.
    pub without_id: Vec<String>,
    /// Questions whose id another one had before, by the ids that they were given.
    pub renamed: Vec<String>,
    /// Questions that stand in the file again, by their ids: they are taken once, with the answers
    /// of all.
    pub repeated: Vec<String>,
    /// What was replaced in the file's text, as one sentence.
    pub notice: Option<String>,
}

/// How many ids a message lists.
const LISTED: usize = 3;

impl ReadReport {
    /// One line for each kind of what is to be told; none of a file that is as it should be.
    pub fn messages(&self) -> Vec<String> {
        let mut messages: Vec<String> = self.notice.iter().cloned().collect();
        messages.extend(by_reason(&self.left_out, "questions are left out, each"));
        messages.extend(by_reason(
            &self.odd_answers,
            "questions are taken without a part that cannot be read, each",
        ));
        let ids = |ids: &[String], what: &str| {
            let all = ids.iter().map(String::as_str).collect::<Vec<_>>();
            (!ids.is_empty()).then(|| format!("{} questions {what}: {}", ids.len(), first(&all)))
        };
        messages.extend(ids(&self.without_id, "have no id and were given one"));
        messages.extend(ids(&self.renamed, "have an id that another one has, and got another"));
        messages.extend(ids(&self.repeated, "stand there more than once and are taken once"));
        messages
    }
}

/// One line for each reason, in the order in which they first come.
pub(crate) fn by_reason(left_out: &[LeftOut], what: &str) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for LeftOut { id, reason } in left_out {
        match reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, ids)) => ids.push(id),
            None => reasons.push((reason, vec![id])),
        }
    }
    let line = |(reason, ids): (&str, Vec<&str>)| {
        format!("{} {what} {reason}: {}", ids.len(), first(&ids))
    };
    reasons.into_iter().map(line).collect()
}

/// The first few ids, and that there are more.
pub(crate) fn first(ids: &[&str]) -> String {
    let listed = ids[..ids.len().min(LISTED)].join(", ");
    if ids.len() > LISTED { format!("{listed}, …") } else { listed }
}
