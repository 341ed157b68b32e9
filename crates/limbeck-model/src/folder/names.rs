//! The spellings of tensor names met in the wild.
//!
//! A bare encoder is saved without the prefix of its architecture, and models
//! converted from TensorFlow call the weight and bias of a layer norm gamma and beta.

use crate::config::Architecture;
use crate::layout::{Layout, TensorView};

/// The one spelling to which all spellings of a tensor's name lead: without the
/// architecture's prefix, and with `weight` and `bias` in layer norms.
pub(super) fn normalise(architecture: Architecture, name: &str) -> String {
    let prefix = match architecture {
        Architecture::Bert => "bert.",
        Architecture::DistilBert => "distilbert.",
    };
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
        assert_eq!(normalise(Architecture::Bert, "model.bert.a.weight"), "model.bert.a.weight");
    }
}
