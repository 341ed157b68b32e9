//! The spellings of tensor names met in the wild.
//!
//! A bare encoder is saved without the prefix of its architecture, models converted from
//! TensorFlow call the weight and bias of a layer norm gamma and beta, and what has wrapped a
//! model when it was saved puts prefixes of its own before all names.

use crate::config::Architecture;
use crate::layout::{Layout, TensorView};

/// What wrappers put before the names of a model, in any combination: data parallelism, a
/// compiled model, a class of the user's with the model in a field, sentence-transformers.
const WRAPPERS: [&str; 5] = ["module.", "_orig_mod.", "model.", "auto_model.", "0."];

/// The one spelling to which all spellings of a tensor's name lead: without the prefixes of
/// wrappers and of the architecture, and with `weight` and `bias` in layer norms.
pub(super) fn normalise(architecture: Architecture, name: &str) -> String {
    let prefix = match architecture {
        Architecture::Bert => "bert.",
        Architecture::DistilBert => "distilbert.",
    };
    let mut name = name;
    while let Some(rest) = WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)) {
        name = rest;
    }
    let name = name.strip_prefix(prefix).unwrap_or(name);
    for (old, new) in [(".gamma", "weight"), (".beta", "bias")] {
        if let Some(parent) = name.strip_suffix(old)
            && (parent.ends_with("LayerNorm") || parent.ends_with("layer_norm"))
        {
            return format!("{parent}.{new}");
        }
    }
    name.to_owned()
}

/// Whether a file may lack this tensor, which is then newly initialised: the head of a bare
/// encoder or of another task, and the segment embeddings given to a DistilBERT.
pub(super) fn may_be_missing(layout: &Layout, tensor: &TensorView) -> bool {
    layout.slots.head.range().contains(&tensor.offset)
        || tensor.name == "distilbert.embeddings.token_type_embeddings.weight"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_lead_to_one() {
        let normalised = "encoder.layer.3.output.LayerNorm.weight";
        for name in [
            "bert.encoder.layer.3.output.LayerNorm.weight",
            "bert.encoder.layer.3.output.LayerNorm.gamma",
            "encoder.layer.3.output.LayerNorm.gamma",
            "encoder.layer.3.output.LayerNorm.weight",
            "module.bert.encoder.layer.3.output.LayerNorm.weight",
            "module._orig_mod.model.bert.encoder.layer.3.output.LayerNorm.gamma",
            "_orig_mod.encoder.layer.3.output.LayerNorm.weight",
            "0.auto_model.encoder.layer.3.output.LayerNorm.weight",
        ] {
            assert_eq!(normalise(Architecture::Bert, name), normalised);
        }
        assert_eq!(
            normalise(
                Architecture::DistilBert,
                "distilbert.transformer.layer.0.sa_layer_norm.beta"
            ),
            "transformer.layer.0.sa_layer_norm.bias"
        );
    }

    #[test]
    fn another_architecture_s_prefix_stays() {
        assert_eq!(normalise(Architecture::Bert, "distilbert.a.weight"), "distilbert.a.weight");
        assert_eq!(normalise(Architecture::Bert, "teacher.bert.a.weight"), "teacher.bert.a.weight");
    }
}
