//! Runs that tell a tracking server, which may be down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use limbeck_remote::stub::{Reply, Request, Stub};

use crate::world::{train, world};

fn server(request: &Request) -> Reply {
    let answers = [
        ("experiments/create", "{\"experiment_id\":\"1\"}"),
        ("runs/create", "{\"run\":{\"info\":{\"run_id\":\"r1\"}}}"),
    ];
    let known = answers.iter().find(|(method, _)| request.path.ends_with(method));
    Reply::text(200, known.map_or("{}", |(_, answer)| answer))
}

#[test]
fn a_server_that_is_down_does_not_matter_to_a_run_and_is_told_by_the_same_command_later() {
    let folder = world();
    let is_up = Arc::new(AtomicBool::new(false));
    let up = is_up.clone();
    let stub = Stub::start(move |request| match up.load(Ordering::Relaxed) {
        true => server(request),
        false => Reply::text(503, "not now"),
    });
    let track = format!("tensorboard,mlflow={}", stub.address());
    let more = ["--model", "model", "--max-steps", "20", "--out", "run", "--track", &track];
    let outcome = train(&folder, "finetune", &more);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    assert!(folder.path().join("run/tensorboard").is_dir());
    is_up.store(true, Ordering::Relaxed);
    let outcome = train(&folder, "finetune", &more);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let requests = stub.requests();
    let told = |path: &str| requests.iter().filter(|r| r.path.ends_with(path)).count();
    assert_eq!(told("runs/create"), 1);
    let metrics = requests.iter().filter(|request| request.path.ends_with("runs/log-batch"));
    let text: String = metrics.map(|r| String::from_utf8_lossy(&r.body).into_owned()).collect();
    assert!(text.contains("\"step\":10") && text.contains("\"step\":20"), "{text}");
    assert!(text.contains("optim.learning_rate"), "{text}");
    assert_eq!(told("artifacts/train.jsonl"), 1);
    let last = requests.iter().rfind(|r| r.path.ends_with("runs/update")).unwrap();
    assert!(String::from_utf8_lossy(&last.body).contains("FINISHED"));
}

#[test]
fn a_tracker_that_nobody_knows_is_refused_before_anything_begins() {
    let folder = world();
    let more = ["--model", "model", "--out", "run", "--track", "wandb"];
    train(&folder, "finetune", &more).refused(&["`output.track` names wandb", "tensorboard"]);
    assert!(!folder.path().join("run").exists());
}
