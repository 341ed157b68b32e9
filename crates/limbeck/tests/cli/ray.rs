//! Searches whose trials run on a cluster.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use limbeck_remote::stub::Stub;
use serde_json::Value;

use crate::ray_stub::Cluster;
use crate::support::Folder;

const SPACE: &str = "
[parameters.x]
type = 'real'
low = 0
high = 1
[metrics.same]
goal = 'minimize'
[metrics.other]
goal = 'maximize'
";

struct World {
    here: Folder,
    _there: Folder,
    cluster: Arc<Mutex<Cluster>>,
    stub: Stub,
}

impl World {
    fn new(dying: usize) -> Self {
        let (here, there) = (Folder::new(), Folder::new());
        here.write("space.toml", SPACE);
        // What the command runs goes along, and notes what it was run with.
        let script =
            "#!/bin/sh\necho $1 >>$2\nsleep 0.1\necho \"{\\\"same\\\": $1, \\\"other\\\": $1}\"\n";
        let path = here.write("tools/run.sh", script);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        let (cluster, stub) = Cluster::start(there.path(), dying);
        Self { here, _there: there, cluster, stub }
    }

    fn search(&self, trials: usize) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_limbeck"));
        let runs = self.here.path().join("runs");
        command
            .args(["search", "--space", "space.toml", "--study", "s.study", "--sampler", "random"])
            .args(["--parallel", "3", "--quiet", "--json", "--ship", "tools"])
            .args(["--trials", &trials.to_string(), "--retries", "9"])
            .args(["--on", &format!("ray={}", self.stub.address())])
            .args(["--command", &format!("tools/run.sh {{x}} {}", runs.display())])
            .current_dir(self.here.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Every trial of the study has its own values as its metrics, and none is counted twice.
    fn check(&self, trials: usize) {
        let text = fs::read_to_string(self.here.path().join("s.study")).unwrap();
        let events: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |kind: &str| -> BTreeMap<u64, &Value> {
            let of = events.iter().filter(|event| event["event"] == kind);
            of.map(|event| (event["trial"].as_u64().unwrap(), event)).collect()
        };
        let (suggested, complete) = (of("suggest"), of("complete"));
        assert_eq!(suggested.len(), trials);
        assert_eq!(complete.len(), trials);
        let completions = events.iter().filter(|event| event["event"] == "complete").count();
        assert_eq!(completions, trials, "no outcome counts twice");
        for (number, event) in complete {
            assert_eq!(event["metrics"]["same"], suggested[&number]["params"]["x"]);
        }
    }
}

#[test]
fn trials_run_as_jobs_and_those_whose_node_dies_run_again() {
    let world = World::new(2);
    let output = world.search(4).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    world.check(4);
    assert_eq!(world.cluster.lock().unwrap().jobs.len(), 6);
}

#[test]
fn a_search_that_was_killed_with_all_its_workers_goes_on_with_the_jobs_that_run() {
    let world = World::new(0);
    let mut first = world.search(4).process_group(0).spawn().unwrap();
    while world.cluster.lock().unwrap().jobs.len() < 2 {
        thread::sleep(Duration::from_millis(10));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    // Its workers, each in a group of its own.
    let study = fs::read_to_string(world.here.path().join("s.study")).unwrap();
    for line in study.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        if let Some(id) = event["worker"]["process"]["id"].as_u64() {
            let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
        }
    }
    let output = world.search(4).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    world.check(4);
    let runs = fs::read_to_string(world.here.path().join("runs")).unwrap();
    assert_eq!(runs.lines().count(), world.cluster.lock().unwrap().jobs.len());
    assert!(runs.lines().count() <= 5, "jobs that ran were taken over: {runs}");
}

#[test]
fn no_more_jobs_are_on_the_cluster_than_may_be() {
    let world = World::new(0);
    let output = world.search(5).args(["--max-concurrent", "1"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    world.check(5);
    assert_eq!(world.cluster.lock().unwrap().most_at_once, 1);
}

#[test]
fn a_cluster_that_is_not_there_is_said_before_anything_begins() {
    let world = World::new(0);
    let folder = &world.here;
    let args = ["search", "--space", "space.toml", "--study", "s.study", "--trials", "1"];
    let more = ["--command", "true", "--on", "ray=http://127.0.0.1:1"];
    let outcome = folder.run(&[&args[..], &more].concat());
    assert_eq!(outcome.code, 1, "{}", outcome.err);
    assert!(outcome.err.contains("no Ray can be reached: http://127.0.0.1:1"), "{}", outcome.err);
    let wrong = folder.run(&[&args[..], &["--command", "true", "--on", "mars"]].concat());
    wrong.refused(&["ray=http://HOST:8265"]);
    let address = format!("ray={}", world.stub.address());
    let more = ["--command", "true", "--on", &address, "--ship", "/etc/hostname"];
    folder.run(&[&args[..], &more].concat()).refused(&["below the current folder"]);
}
