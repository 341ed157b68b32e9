//! One model trained by several processes.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use limbeck_model::Model;

use crate::support::Folder;
use crate::world::{arguments, train, world};

/// The largest difference of a parameter of two models, and the largest parameter.
fn difference(folder: &Folder, one: &str, other: &str) -> (f32, f32) {
    let parameters = |name: &str| Model::open(&folder.path().join(name)).unwrap().parameters;
    let (one, other) = (parameters(one), parameters(other));
    let largest =
        |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, |a: f32, b| a.max(b.abs()));
    let mut differences = one.iter().zip(&other).map(|(a, b)| a - b);
    (largest(&mut differences), largest(&mut one.iter().copied()))
}

/// AdamW divides by the root of the second moment: where a gradient is nothing but rounding, this
/// keeps the step from being nothing but the sign of it.
const STEADY: [&str; 2] = ["--set", "optim.epsilon=0.01"];

/// The losses of a run, by step.
fn losses(folder: &Folder, name: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(folder.path().join(name).join("train.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter_map(|line| line["loss"].as_f64()).collect()
}

#[test]
fn several_processes_train_the_model_of_one() {
    let folder = world();
    let run = |out: &str, more: &[&str]| {
        let dropout = ["--set", "model.hidden_dropout=0.1", "--set", "model.attention_dropout=0.1"];
        let own =
            ["--model", "model", "--dev", "dev.json", "--epochs", "2", "--logging-steps", "1"];
        let all = [&own[..], &STEADY, &dropout, &["--threads", "1", "--out", out, "--json"], more]
            .concat();
        train(&folder, "finetune", &all).json()
    };
    let alone = run("one", &[]);
    // Three do not divide a batch of eight, nor the last one of two questions.
    for (out, ranks) in [("two", "2"), ("three", "3")] {
        let together = run(out, &["--ranks", ranks]);
        assert_eq!(together["metrics"], alone["metrics"]);
        assert_eq!(together["steps"], alone["steps"]);
        let (difference, largest) = difference(&folder, "one", out);
        assert!(difference < 1e-4 * largest, "{difference} of {largest}");
        for (a, b) in losses(&folder, "one").iter().zip(losses(&folder, out)) {
            assert!((a - b).abs() < 1e-5 * a, "{a} and {b}");
        }
    }
}

#[test]
fn losses_that_look_inside_and_accumulated_batches_divide_too() {
    let folder = world();
    train(
        &folder,
        "finetune",
        &["--model", "model", "--max-steps", "20", "--out", "teacher", "--json"],
    )
    .json();
    let run = |out: &str, more: &[&str]| {
        let inside = ["--set", "distill.alpha_hidden=1", "--set", "distill.alpha_attention=1"];
        let own = ["--teacher", "teacher", "--student-layers", "1", "--max-steps", "6"];
        let how = ["--gradient-accumulation-steps", "2", "--set", "distill.projection=always"];
        let all =
            [&own[..], &STEADY, &inside, &how, &["--threads", "1", "--out", out, "--json"], more];
        train(&folder, "distill", &all.concat()).json();
    };
    run("one", &[]);
    run("two", &["--ranks", "2"]);
    let (difference, largest) = difference(&folder, "one", "two");
    assert!(difference < 1e-4 * largest, "{difference} of {largest}");
}

#[test]
fn a_run_whose_helper_died_goes_on_with_another_number_of_processes() {
    let folder = world();
    let own = ["--model", "model", "--max-steps", "400", "--save-steps", "5", "--threads", "1"];
    let own = [&own[..], &["--out", "run", "--ranks", "2"]].concat();
    let mut first = Command::new(env!("CARGO_BIN_EXE_limbeck"))
        .args(arguments("finetune", &own))
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let checkpoint = folder.path().join("run/checkpoint/state.safetensors");
    let helper = loop {
        let helper = checkpoint.exists().then(|| child_of(first.id())).flatten();
        match helper {
            Some(helper) => break helper,
            None if first.try_wait().unwrap().is_some() => panic!("it ended before it saved"),
            None => std::thread::sleep(std::time::Duration::from_millis(5)),
        }
    };
    // Ours: the only child of the process started above.
    assert!(Command::new("kill").args(["-KILL", &helper.to_string()]).status().unwrap().success());
    assert_eq!(first.wait().unwrap().code(), Some(1));
    let mut said = String::new();
    first.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("process 0 of 2") && said.contains("start again to go on"), "{said}");

    let again = ["--model", "model", "--max-steps", "400", "--save-steps", "5", "--threads", "1"];
    let again = [&again[..], &["--out", "run", "--ranks", "3", "--json"]].concat();
    assert_eq!(train(&folder, "finetune", &again).json()["steps"], 400);
    assert_eq!(losses(&folder, "run").len(), 40, "every step is told once");
}

/// The process that `parent` has started.
fn child_of(parent: u32) -> Option<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    std::fs::read_to_string(Path::new(&path)).ok()?.split_whitespace().next()?.parse().ok()
}

#[test]
fn who_joins_needs_the_secret_and_a_number_of_its_own() {
    let folder = world();
    folder.write("run.toml", "");
    let join = |rank: &str| {
        folder.run(&[
            "join",
            "run.toml",
            "--rank",
            rank,
            "--ranks",
            "2",
            "--rendezvous",
            "127.0.0.1:9",
        ])
    };
    join("2").refused(&["there is no process 2 of 2"]);
    join("1").refused(&["LIMBECK_SECRET is not set"]);
}
