//! Recipes on a cluster: as the trials of a search, and as one job.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use limbeck_remote::stub::Stub;
use serde_json::Value;

use crate::ray_stub::Cluster;
use crate::support::Folder;
use crate::world::world;

/// Its data are found by variables that only the machine of the search has.
const RECIPE: &str = "
task = 'squad'
model.path = 'model'
data.train = '${LIMBECK_TEST_DATA}/train.json'
data.dev = '${LIMBECK_TEST_DATA}/dev.json'
features = { max_length = 32, max_query_length = 8, doc_stride = 4 }
train = { batch_size = 8, eval_steps = 1000, save_steps = 2 }
";

const SPACE: &str = "
[search]
sampler = 'sobol'
[parameters.rate]
type = 'real'
low = 1e-4
high = 1e-2
scale = 'log'
set = 'optim.learning_rate'
[metrics.exact]
goal = 'maximize'
[metrics.parameters]
goal = 'minimize'
";

struct World {
    here: Folder,
    _there: Folder,
    cluster: Arc<Mutex<Cluster>>,
    stub: Stub,
}

impl World {
    fn new(dying: usize) -> Self {
        let (here, there) = (world(), Folder::new());
        here.write("recipe.toml", format!("{RECIPE}{SPACE}"));
        let (cluster, stub) = Cluster::start(there.path(), dying);
        Self { here, _there: there, cluster, stub }
    }

    /// `limbeck COMMAND ... --on` this cluster, with the data shipped from where they are.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_limbeck"));
        command
            .args(args)
            .args(["--on", &format!("ray={}", self.stub.address()), "--json", "--ship"])
            .arg(self.here.path())
            .env("LIMBECK_TEST_DATA", self.here.path())
            .current_dir(self.here.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let output = self.command(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }
}

#[test]
fn trials_of_a_recipe_find_their_model_and_data_in_packages() {
    let world = World::new(1);
    let search = ["search", "--space", "recipe.toml", "--recipe", "recipe.toml", "--study", "s"];
    let more = ["--trials", "3", "--parallel", "2", "--set", "train.max_steps=2"];
    let (code, out, err) = world.run(&[&search[..], &more].concat());
    assert_eq!(code, 0, "{err}");
    let study: Value = serde_json::from_str(&out).unwrap();
    for trial in study["trials"].as_array().unwrap() {
        assert_eq!(trial["state"], "complete", "{trial}");
        assert_eq!(trial["metrics"]["total"], 12.0);
    }
    let cluster = world.cluster.lock().unwrap();
    // The program with the recipe, the model, and two files; each was given once.
    assert_eq!(cluster.packages.values().collect::<Vec<_>>(), [&1; 4]);
    assert_eq!(cluster.jobs.len(), 4);
}

#[test]
fn a_recipe_runs_as_a_job_and_its_results_come_back() {
    let world = World::new(1);
    let run = ["run", "recipe.toml", "--out", "run", "--set", "train.max_steps=2"];
    let (code, out, err) = world.run(&run);
    assert_eq!(code, 0, "{err}");
    // The job that died may have been through with the run by then.
    let done = err.contains("step 2:") || err.contains("finished already");
    assert!(err.contains("is lost") && done, "{err}");
    let result: Value = serde_json::from_str(&out).unwrap();
    let folder = world.here.path().join("run").canonicalize().unwrap();
    assert_eq!(result["out"], folder.to_str().unwrap());
    assert_eq!(result["metrics"]["total"], 12.0);
    for name in ["model.safetensors", "vocab.txt", "metrics.json", "train.jsonl", "report.html"] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    // It opens here, and ran on what it was given by content.
    let evaluated = world.here.run(&["evaluate", "--model", "run", "--data", "dev.json", "--json"]);
    assert_eq!(evaluated.json()["f1"], result["metrics"]["f1"]);
    let notes = fs::read_to_string(folder.join("limbeck.json")).unwrap();
    assert!(notes.contains("packed:limbeck-"), "{notes}");
    // The same command again does nothing.
    let jobs = world.cluster.lock().unwrap().jobs.len();
    let (code, again, err) = world.run(&run);
    assert_eq!((code, again), (0, out), "{err}");
    let other = [&run[..], &["--set", "train.seed=9"]].concat();
    let (code, _, err) = world.run(&other);
    assert!(code == 2 && err.contains("another recipe"), "{err}");
    assert_eq!(world.cluster.lock().unwrap().jobs.len(), jobs);
}

#[test]
fn a_run_whose_follower_was_killed_is_found_by_the_same_command() {
    let world = World::new(0);
    let run = ["run", "recipe.toml", "--out", "run", "--set", "train.max_steps=300"];
    let mut first = world.command(&run).spawn().unwrap();
    while world.cluster.lock().unwrap().jobs.is_empty() {
        thread::sleep(Duration::from_millis(10));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let other = ["run", "recipe.toml", "--out", "run", "--set", "train.max_steps=301"];
    let (code, _, err) = world.run(&other);
    assert!(code == 2 && err.contains("another recipe"), "{err}");
    let (code, _, err) = world.run(&run);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("going on with the job"), "{err}");
    assert_eq!(world.cluster.lock().unwrap().jobs.len(), 1);
}

#[test]
fn ctrl_c_stops_the_job_and_the_same_command_goes_on_from_a_shared_folder() {
    let world = World::new(0);
    let shared = world.here.path().join("shared");
    let shared = shared.to_str().unwrap();
    let run =
        ["run", "recipe.toml", "--out", shared, "--shared-out", "--set", "train.max_steps=1500"];
    let mut first = world.command(&run).spawn().unwrap();
    while !world.here.path().join("shared/checkpoint").is_dir() {
        assert!(first.try_wait().unwrap().is_none(), "it ended too early");
        thread::sleep(Duration::from_millis(10));
    }
    Command::new("kill").args(["-INT", &first.id().to_string()]).status().unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(130));
    let begun = fs::read_to_string(world.here.path().join("shared/train.jsonl")).unwrap();
    let (code, out, err) = world.run(&run);
    assert_eq!(code, 0, "{err}");
    let result: Value = serde_json::from_str(&out).unwrap();
    assert!(world.here.path().join("shared/model.safetensors").is_file());
    assert_eq!(result["steps"], 1500);
    let ended = fs::read_to_string(world.here.path().join("shared/train.jsonl")).unwrap();
    assert!(ended.starts_with(begun.lines().next().unwrap_or_default()), "it began anew");
    assert_eq!(world.cluster.lock().unwrap().jobs.len(), 2);
}

#[test]
fn results_that_cannot_be_fetched_are_said_to_be_where_they_are() {
    let world = World::new(0);
    world.cluster.lock().unwrap().hides_files = true;
    let run = ["run", "recipe.toml", "--out", "run", "--set", "train.max_steps=2", "--quiet"];
    let (code, _, err) = world.run(&run);
    assert_eq!(code, 1, "{err}");
    let last = err.lines().last().unwrap();
    assert!(last.contains("cannot be fetched") && last.contains("node node-1"), "{err}");
    assert!(last.contains("--shared-out"), "{err}");
    world.cluster.lock().unwrap().hides_files = false;
    let (code, _, err) = world.run(&run);
    assert_eq!(code, 0, "{err}");
    assert_eq!(world.cluster.lock().unwrap().jobs.len(), 1);
}

#[test]
fn a_recipe_that_cannot_run_is_refused_before_the_cluster_is_asked() {
    let world = World::new(0);
    let (code, _, err) = world.run(&["run", "recipe.toml", "--set", "train.batch_size=0"]);
    assert!(code == 2 && err.contains("train.batch_size"), "{err}");
    let (code, _, err) = world.run(&["run", "recipe.toml", "recipe.toml"]);
    assert!(code == 2 && err.contains("one at a time"), "{err}");
    assert!(world.cluster.lock().unwrap().packages.is_empty());
}
