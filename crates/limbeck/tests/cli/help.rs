//! Help, version, exit codes and spellings.

use std::process::{Command, Stdio};

use crate::support::Folder;

const COMMANDS: [&[&str]; 25] = [
    &["run"],
    &["finetune"],
    &["distill"],
    &["predict"],
    &["evaluate"],
    &["score"],
    &["answer"],
    &["classify"],
    &["inspect"],
    &["quantize"],
    &["prune"],
    &["lengths"],
    &["bench", "train"],
    &["bench", "sweep"],
    &["bench", "pretrain"],
    &["bench", "features"],
    &["bench", "answer"],
    &["search"],
    &["trial"],
    &["study", "show"],
    &["study", "list"],
    &["study", "ask"],
    &["study", "tell"],
    &["study", "export"],
    &["study", "plot"],
];

#[test]
fn every_command_has_help_with_examples_on_standard_output() {
    let folder = Folder::new();
    for command in COMMANDS {
        let help = folder.run(&[command, &["--help"]].concat());
        assert_eq!(help.code, 0, "{command:?}");
        assert_eq!(help.err, "");
        let example = format!("limbeck {}", command.join(" "));
        assert!(help.out.contains("Examples:") && help.out.contains(&example), "{}", help.out);
        for option in ["--json", "--threads", "--quiet"] {
            assert!(help.out.contains(option), "{command:?} {option}");
        }
    }
}

#[test]
fn the_version_is_the_crates() {
    let version = Folder::new().run(&["--version"]);
    assert_eq!(
        (version.code, version.out.trim()),
        (0, concat!("limbeck ", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn mistakes_in_what_was_typed_are_one_line_and_exit_with_2() {
    let folder = Folder::new();
    folder.run(&[]).refused(&["no command given", "limbeck --help"]);
    folder.run(&["finetun"]).refused(&["finetun", "'finetune'"]);
    folder.run(&["inspect"]).refused(&["--model", "limbeck inspect --help"]);
    folder.run(&["score", "--data", "a", "--predictionz", "b"]).refused(&["--predictions"]);
    folder.run(&["inspect", "--model", "m", "--threads", "0"]).refused(&["--threads"]);
    folder.run(&["finetune", "--epochs", "many"]).refused(&["'many'", "--epochs", "a number"]);
    folder.run(&["finetune", "--task", "glue"]).refused(&["glue", "squad_v2"]);
    folder.run(&["run"]).refused(&["RECIPE"]);
}

#[test]
fn the_underscore_spelling_and_the_scripts_names_mean_the_same() {
    let folder = Folder::new();
    let ours = ["--max-length", "128", "--doc-stride", "16", "--learning-rate", "1e-4"];
    let theirs = ["--max_seq_length", "128", "--doc_stride", "16", "--learning_rate", "1e-4"];
    let rest = ["--model", "m", "--train", "t", "--out", "o", "--print-config"];
    let first = folder.run(&[&["finetune"], &ours[..], &rest[..]].concat());
    let second = folder.run(&[&["finetune"], &theirs[..], &rest[..]].concat());
    assert_eq!(first.code, 0, "{}", first.err);
    assert_eq!(first.out, second.out);
    assert!(first.out.contains("doc_stride = 16"), "{}", first.out);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_limbeck"))
        .arg("docs")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
