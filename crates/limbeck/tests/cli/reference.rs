//! The committed reference.

use std::fs;
use std::path::Path;

use crate::support::Folder;

#[test]
fn the_committed_reference_is_what_the_binary_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let committed = fs::read_to_string(path).unwrap_or_default();
    let printed = Folder::new().run(&["docs"]).out;
    assert!(
        committed == printed,
        "docs/cli.md is not what the binary prints; write it anew with: \
         cargo run --release -q -p limbeck -- docs > docs/cli.md"
    );
}
