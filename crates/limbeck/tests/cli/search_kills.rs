//! A search whose coordinator and workers are killed at random moments.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

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

/// Takes a moment, so that kills hit trials that run.
const COMMAND: &str = r#"sh -c 'sleep 0.05; echo "{\"same\": {x}, \"other\": {x}}"'"#;

/// Numbers that look random, the same in every run of the test.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn start(folder: &Path, trials: usize) -> Child {
    Command::new(env!("CARGO_BIN_EXE_limbeck"))
        .args(["search", "--space", "space.toml", "--study", "s.study", "--sampler", "random"])
        .args(["--retries", "1000000", "--parallel", "4", "--quiet", "--command", COMMAND])
        .args(["--trials", &trials.to_string()])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The workers of the study in this folder.
fn workers(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let is_worker = |id: &String| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let here = std::fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|cwd| cwd == folder);
        // Its command has the same line for the moment before it becomes another program, but
        // only a worker leads a group.
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let group = stat.rsplit(") ").next().and_then(|fields| fields.split(' ').nth(2));
        here && line.contains("\0trial\0--study\0") && group == Some(id.as_str())
    };
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.parse::<u32>().is_ok()).filter(is_worker).collect()
}

/// The metrics of finished trials, as the file's lines have them. A trial that finishes twice
/// fails the test.
fn finished(folder: &Path) -> BTreeMap<u64, Value> {
    let text = std::fs::read_to_string(folder.join("s.study")).unwrap_or_default();
    let mut finished = BTreeMap::new();
    // A line that is being written has no end yet.
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let event: Value = serde_json::from_str(line).unwrap();
        if event["event"] == "complete" {
            let twice = finished.insert(event["trial"].as_u64().unwrap(), event["metrics"].clone());
            assert!(twice.is_none(), "{event}");
        }
    }
    finished
}

/// More trials than any test runs.
const ENDLESS: usize = 1_000_000;

/// Kills so often while a search runs, then lets it end what it has begun.
fn survive(kills: u64) {
    let folder = Folder::new();
    folder.write("space.toml", SPACE);
    let path = folder.path().canonicalize().unwrap();
    let mut dice = Dice(kills);
    let mut known = BTreeMap::new();
    let mut coordinator = start(&path, ENDLESS);
    let mut done = 0;
    while done < kills {
        thread::sleep(Duration::from_millis(20 + dice.below(180)));
        assert!(coordinator.try_wait().unwrap().is_none(), "the coordinator ended");
        if dice.below(2) == 0 {
            coordinator.kill().unwrap();
            coordinator.wait().unwrap();
            coordinator = start(&path, ENDLESS);
            done += 1;
        } else {
            let workers = workers(&path);
            if !workers.is_empty() {
                let worker = &workers[dice.below(workers.len() as u64) as usize];
                // It may have ended meanwhile, which is a kill less.
                let kill = Command::new("kill").args(["-9", worker]).stderr(Stdio::null()).status();
                done += u64::from(kill.unwrap().success());
            }
        }
        let now = finished(&path);
        for (trial, metrics) in &known {
            assert_eq!(now.get(trial), Some(metrics), "what was finished is lost");
        }
        known = now;
    }
    coordinator.kill().unwrap();
    coordinator.wait().unwrap();
    let show = || folder.run(&["study", "show", "--study", "s.study", "--json"]).json();
    let trials = show()["trials"].as_array().unwrap().len();
    assert!(trials as u64 > kills / 2, "{trials} trials are no search");
    assert!(start(&path, trials).wait().unwrap().success());
    let study = show();
    let all = study["trials"].as_array().unwrap();
    assert_eq!(all.len(), trials);
    for (number, trial) in all.iter().enumerate() {
        assert_eq!(trial["number"], number);
        assert_eq!(trial["state"], "complete", "{trial}");
        assert_eq!(trial["metrics"]["same"], trial["params"]["x"], "another trial's metrics");
    }
    let finished = finished(&path);
    assert_eq!(finished.len(), trials);
    assert!(workers(&path).is_empty(), "a worker was left");
}

#[test]
fn kills_lose_no_finished_observation_and_double_none() {
    survive(25);
}

/// About ten minutes: `cargo test --release -p limbeck --test cli -- --ignored a_thousand_kills`.
#[test]
#[ignore = "takes minutes"]
fn a_thousand_kills_lose_no_finished_observation_and_double_none() {
    survive(1000);
}
