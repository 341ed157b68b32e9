//! Models by their ids, from a hub on loopback.

use std::fs;
use std::process::Command;

use limbeck_remote::stub::{Reply, Stub};

use crate::world::world;

#[test]
fn a_model_is_fetched_by_its_id_and_then_found_without_the_hub() {
    let folder = world();
    let files = folder.path().join("model");
    let stub = Stub::start(move |request| {
        let name = request.path.strip_prefix("/acme/tiny/resolve/v1/");
        let name = name.or(request.path.strip_prefix("/acme/tiny/resolve/c0ffee/"));
        match name.map(|name| (name, fs::read(files.join(name)))) {
            Some((name, Ok(bytes))) => Reply::text(200, bytes)
                .with("etag", format!("\"{}\"", name.replace('.', "-")))
                .with("x-repo-commit", "c0ffee"),
            _ => Reply::text(404, "").with("x-error-code", "EntryNotFound"),
        }
    });
    let run = |args: &[&str], offline: &str| {
        Command::new(env!("CARGO_BIN_EXE_limbeck"))
            .args(args)
            .current_dir(folder.path())
            .env("HF_HOME", folder.path().join("home"))
            .env("HF_ENDPOINT", stub.address())
            .env("HF_HUB_OFFLINE", offline)
            .output()
            .unwrap()
    };
    let inspect = |offline| run(&["inspect", "--model", "acme/tiny@v1", "--json"], offline);
    let fetched = inspect("0");
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    let asked = stub.requests().len();
    let kept = inspect("1");
    assert!(kept.status.success());
    assert_eq!(stub.requests().len(), asked);
    let local = folder.run(&["inspect", "--model", "model", "--json"]).json();
    for output in [fetched, kept] {
        let seen: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(seen["parameters"], local["parameters"]);
    }
    // The revision as a flag, which what is written of a run keeps.
    let bare = ["--model", "acme/tiny", "--revision", "v1", "--out", "run", "--max-steps", "1"];
    let bare = run(&crate::world::arguments("finetune", &bare), "1");
    assert!(bare.status.success(), "{}", String::from_utf8_lossy(&bare.stderr));
    let written = fs::read_to_string(folder.path().join("run/run.toml")).unwrap();
    assert!(written.contains("path = \"acme/tiny@v1\""), "{written}");
    let without = run(&["inspect", "--model", "acme/tiny"], "1");
    assert!(!without.status.success(), "main was never fetched");
}

#[test]
fn an_unknown_id_is_refused_and_a_dead_hub_is_a_failure() {
    let folder = world();
    folder.run(&["inspect", "--model", "acme/absent"]).refused(&["no model `acme/absent`"]);
    let output = Command::new(env!("CARGO_BIN_EXE_limbeck"))
        .args(["inspect", "--model", "acme/absent"])
        .env("HF_HOME", folder.path())
        .env("HF_ENDPOINT", "http://127.0.0.1:1")
        .env_remove("HF_HUB_OFFLINE")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("acme/absent") && line.contains("http://127.0.0.1:1"), "{line}");
}
