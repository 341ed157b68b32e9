//! What the report of a sparse run shows of its masks.

use std::path::Path;

use limbeck_train::folder::ACCOUNT;
use limbeck_train::sparsity::Account;

use super::Curves;
use crate::commands::inspect::grouped;
use crate::report::{Bar, Bars, Figure, Section};

/// How sparse the masked matrices were.
pub(super) const SPARSITY: Curves = Curves {
    heading: "Sparsity",
    y_label: "share that is off",
    keys: &[("sparsity", "measured"), ("target_sparsity", "target")],
};

/// How much the masks changed.
pub(super) const CHANGES: Curves = Curves {
    heading: "Changes of the masks",
    y_label: "weights",
    keys: &[("mask_changes", "came or went")],
};

/// What the kept model says of its masks, if it has any.
pub(super) fn account(out: &Path) -> Option<Account> {
    serde_json::from_slice(&std::fs::read(out.join(ACCOUNT)).ok()?).ok()
}

/// The numbers to see first.
pub(super) fn figures(account: &Account) -> [Figure; 2] {
    [
        Figure {
            value: format!("{:.2} %", 100.0 * account.sparsity),
            label: "of the masked matrices off".to_owned(),
        },
        Figure {
            value: grouped(account.on_parameters as u64),
            label: format!("of {} parameters on", grouped(account.parameters as u64)),
        },
    ]
}

/// The share of each matrix that is on.
pub(super) fn density(account: &Account) -> Section {
    let bars = account
        .matrices
        .iter()
        .map(|matrix| Bar { name: short(&matrix.name), share: 1.0 - matrix.sparsity });
    Section::Bars(Bars {
        heading: "Density".to_owned(),
        note: "The share of each masked matrix that is on.".to_owned(),
        bars: bars.collect(),
    })
}

/// A tensor's name without what all of them have.
fn short(name: &str) -> String {
    let name = name.strip_suffix(".weight").unwrap_or(name);
    let name = name.strip_suffix(".dense").unwrap_or(name);
    let inner = ["layer.", "embeddings."].iter().find_map(|part| Some(name.split_once(part)?.1));
    inner.unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn names_are_cut_to_what_tells_them_apart() {
        assert_eq!(
            short("bert.encoder.layer.0.attention.output.dense.weight"),
            "0.attention.output"
        );
        assert_eq!(short("bert.embeddings.word_embeddings.weight"), "word_embeddings");
        assert_eq!(short("distilbert.transformer.layer.5.ffn.lin1.weight"), "5.ffn.lin1");
        assert_eq!(short("pre_classifier.weight"), "pre_classifier");
    }
}
