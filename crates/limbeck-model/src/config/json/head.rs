//! The keys of `config.json` that belong to the head.
//!
//! The class in `architectures` decides which head a file is for. A dropout key of the
//! other head is kept and written back like any key without meaning here.

use serde_json::{Map, Value, json};

use super::super::head::{Classes, Head, HeadKind, ProblemType, check_count};
use super::super::{Architecture, ModelConfig};
use super::{Fields, shorten};
use crate::error::{ModelError, Result};

/// All keys that speak of labels.
const LABEL_KEYS: [&str; 5] = ["id2label", "label2id", "num_labels", "_num_labels", "problem_type"];

/// How many labels transformers assumes where nothing is said.
const DEFAULT_LABELS: usize = 2;

/// What follows the architecture's name in the class of a head.
fn class_of(head: HeadKind) -> &'static str {
    match head {
        HeadKind::Span => "ForQuestionAnswering",
        HeadKind::Classification => "ForSequenceClassification",
        HeadKind::MaskedWord => "ForMaskedLM",
    }
}

/// The key of the dropout before the head, if it has one.
pub(in crate::config) fn dropout_key(
    architecture: Architecture,
    head: HeadKind,
) -> Option<&'static str> {
    match (architecture, head) {
        (Architecture::Bert, HeadKind::Span) | (_, HeadKind::MaskedWord) => None,
        (Architecture::Bert, HeadKind::Classification) => Some("classifier_dropout"),
        (Architecture::DistilBert, HeadKind::Span) => Some("qa_dropout"),
        (Architecture::DistilBert, HeadKind::Classification) => Some("seq_classif_dropout"),
    }
}

impl Fields {
    /// The head of the class that `architectures` names. What has none that is known here, such
    /// as a bare encoder, is taken for what is to become a span head.
    pub(super) fn head_kind(&self) -> HeadKind {
        let classes = self.0.get("architectures");
        let class = classes.and_then(|classes| classes.get(0)).and_then(Value::as_str);
        match class {
            Some(class) => [HeadKind::Classification, HeadKind::MaskedWord]
                .into_iter()
                .find(|&kind| class.ends_with(class_of(kind)))
                .unwrap_or(HeadKind::Span),
            None => HeadKind::Span,
        }
    }

    /// Takes what the head of this kind must know. Labels of another head go: left in place
    /// they would have transformers expect a head of another size.
    pub(super) fn take_head(&mut self, kind: HeadKind, own: HeadKind) -> Result<Head> {
        match kind {
            HeadKind::Span => {
                if own != kind || self.speaks_of_other_than_two_labels() {
                    self.drop_labels();
                }
                Ok(Head::Span)
            }
            HeadKind::MaskedWord => Ok(Head::MaskedWord),
            HeadKind::Classification => {
                if own != kind {
                    self.drop_labels();
                }
                self.take_classes().map(Head::Classification)
            }
        }
    }

    /// Takes the dropout before the head, as the architecture's class reads it.
    pub(super) fn take_head_dropout(
        &mut self,
        architecture: Architecture,
        head: HeadKind,
        hidden_dropout: f32,
    ) -> Result<f32> {
        let Some(key) = dropout_key(architecture, head) else { return Ok(0.0) };
        let default = match (architecture, head) {
            (Architecture::Bert, _) => hidden_dropout,
            (Architecture::DistilBert, HeadKind::Classification) => 0.2,
            (Architecture::DistilBert, _) => 0.1,
        };
        self.take_f32(key, default)
    }

    fn speaks_of_other_than_two_labels(&self) -> bool {
        let labels = self.0.get("id2label").and_then(Value::as_object).map(Map::len);
        let count = self.0.get("num_labels").or_else(|| self.0.get("_num_labels"));
        let count = count.and_then(Value::as_u64);
        labels.is_some_and(|labels| labels != 2) || count.is_some_and(|count| count != 2)
    }

    fn drop_labels(&mut self) {
        for key in LABEL_KEYS {
            self.0.shift_remove(key);
        }
    }

    fn take_classes(&mut self) -> Result<Classes> {
        let problem_type = self.take_problem_type()?;
        let names = self.take("id2label");
        // As in transformers, the names count where both are given.
        let classes = match names {
            Some(names) => Classes { labels: labels_of(&names)?, problem_type },
            None => {
                let count = self.take_usize("num_labels", "num_labels", DEFAULT_LABELS)?;
                check_count("num_labels", count)?;
                Classes { problem_type, ..Classes::unnamed(count) }
            }
        };
        self.drop_labels();
        Ok(classes)
    }

    fn take_problem_type(&mut self) -> Result<Option<ProblemType>> {
        let Some(value) = self.take("problem_type") else { return Ok(None) };
        serde_json::from_value(value.clone()).map(Some).map_err(|_| {
            ModelError::config(
                "problem_type",
                shorten(&value),
                "must be regression, single_label_classification or multi_label_classification",
            )
        })
    }
}

/// The names in `id2label`, in the order of their numbers.
fn labels_of(names: &Value) -> Result<Vec<String>> {
    let error = |reason: String| ModelError::config("id2label", shorten(names), reason);
    let Some(map) = names.as_object() else {
        return Err(error("must name each label by its number, as {\"0\": \"NO\"}".into()));
    };
    check_count("id2label", map.len())?;
    let mut labels = vec![None; map.len()];
    for (number, name) in map {
        let name = match name {
            Value::String(name) => name.clone(),
            // Old scripts numbered the labels of GLUE without naming them.
            Value::Number(number) => number.to_string(),
            _ => return Err(error(format!("the name of label {number} must be a text"))),
        };
        let place = number.parse().ok().and_then(|number: usize| labels.get_mut(number));
        let place = place.filter(|place| place.is_none());
        *place.ok_or_else(|| {
            error(format!("must name the labels 0 to {}, each once", map.len() - 1))
        })? = Some(name);
    }
    // As many names as places, and no place twice: none is left empty.
    Ok(labels.into_iter().flatten().collect())
}

impl ModelConfig {
    /// The class that `architectures` names.
    pub(super) fn class(&self) -> String {
        let family = match self.architecture {
            Architecture::Bert => "Bert",
            Architecture::DistilBert => "DistilBert",
        };
        format!("{family}{}", class_of(self.head.kind()))
    }

    /// Writes the keys of the labels, if there are any.
    pub(super) fn put_labels(&self, mut put: impl FnMut(&str, Value)) {
        let Head::Classification(classes) = &self.head else { return };
        let numbered = || classes.labels.iter().enumerate();
        let id2label: Map<_, _> =
            numbered().map(|(id, name)| (id.to_string(), json!(name))).collect();
        let label2id: Map<_, _> = numbered().map(|(id, name)| (name.clone(), json!(id))).collect();
        put("id2label", Value::Object(id2label));
        put("label2id", Value::Object(label2id));
        if let Some(problem) = classes.problem_type {
            put("problem_type", json!(problem.name()));
        }
    }
}

#[cfg(test)]
mod tests;
