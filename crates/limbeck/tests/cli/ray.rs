//! Searches whose trials run on a cluster: one on loopback that unpacks packages and runs
//! entrypoints as Ray does, and loses what it is told to lose.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use limbeck_remote::stub::{Reply, Request, Stub};
use serde_json::{Value, json};

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

struct Job {
    child: Child,
    log: PathBuf,
    stopped: bool,
    /// Its node is gone, and its log with it.
    lost: bool,
}

struct Cluster {
    folder: PathBuf,
    jobs: BTreeMap<String, Job>,
    /// How many of the next jobs lose their node right after they began.
    dying: usize,
}

impl Cluster {
    fn answer(&mut self, request: &Request) -> Reply {
        let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            (_, ["api", "version"]) => Reply::text(200, "{\"ray_version\": \"2.60.0\"}"),
            ("GET", ["api", "packages", "gcs", name]) => {
                let known = self.folder.join(name).exists();
                Reply::text(if known { 200 } else { 404 }, "")
            }
            ("PUT", ["api", "packages", "gcs", name]) => {
                unpack(&request.body, &self.folder.join(name));
                Reply::text(200, "")
            }
            ("POST", ["api", "jobs"]) => {
                self.submit(&serde_json::from_slice(&request.body).unwrap())
            }
            ("POST", ["api", "jobs", id, "stop"]) => {
                let job = self.jobs.get_mut(*id).unwrap();
                job.stopped = true;
                let _ = Command::new("kill").arg(job.child.id().to_string()).status();
                Reply::text(200, "{\"stopped\": true}")
            }
            ("GET", ["api", "jobs", id, "logs"]) => match self.jobs.get(*id) {
                Some(job) if !job.lost => {
                    let log = fs::read_to_string(&job.log).unwrap();
                    Reply::text(200, json!({ "logs": log }).to_string())
                }
                _ => Reply::text(500, "agent unreachable"),
            },
            ("GET", ["api", "jobs", id]) => {
                let Some(job) = self.jobs.get_mut(*id) else { return Reply::text(404, "none") };
                let code = job.child.try_wait().unwrap().map(|status| status.code());
                let (status, error) = match code {
                    _ if job.lost => ("FAILED", Some("JOB_SUPERVISOR_ACTOR_DIED")),
                    None => ("RUNNING", None),
                    Some(_) if job.stopped => ("STOPPED", None),
                    Some(Some(0)) => ("SUCCEEDED", None),
                    Some(_) => ("FAILED", Some("JOB_ENTRYPOINT_COMMAND_ERROR")),
                };
                let code = code.flatten().filter(|_| !job.lost);
                let info = json!({ "status": status, "error_type": error,
                                   "driver_exit_code": code, "message": "" });
                Reply::text(200, info.to_string())
            }
            _ => Reply::text(404, "no such path"),
        }
    }

    fn submit(&mut self, body: &Value) -> Reply {
        let id = body["submission_id"].as_str().unwrap().to_owned();
        if self.jobs.contains_key(&id) {
            return Reply::text(500, "it already exists");
        }
        let package = body["runtime_env"]["working_dir"].as_str().unwrap();
        let log = self.folder.join(format!("{id}.log"));
        let child = Command::new("sh")
            .args(["-c", body["entrypoint"].as_str().unwrap()])
            .current_dir(self.folder.join(package.trim_start_matches("gcs://")))
            .stdout(File::create(&log).unwrap())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut job = Job { child, log, stopped: false, lost: false };
        if self.dying > 0 {
            self.dying -= 1;
            job.lost = true;
            let _ = job.child.kill();
        }
        self.jobs.insert(id.clone(), job);
        Reply::text(200, json!({ "submission_id": id }).to_string())
    }
}

/// Unpacks an archive without compression.
fn unpack(zip: &[u8], folder: &Path) {
    let number = |at: usize, bytes: usize| {
        zip[at..at + bytes].iter().rev().fold(0_usize, |n, byte| n << 8 | usize::from(*byte))
    };
    let end = zip.len() - 22;
    assert_eq!(&zip[end..end + 4], b"PK\x05\x06");
    let (count, mut at) = (number(end + 10, 2), number(end + 16, 4));
    for _ in 0..count {
        let (size, name_length) = (number(at + 24, 4), number(at + 28, 2));
        let (mode, from) = (number(at + 40, 2), number(at + 42, 4));
        let name = std::str::from_utf8(&zip[at + 46..at + 46 + name_length]).unwrap();
        let content = from + 30 + number(from + 26, 2);
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &zip[content..content + size]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode as u32 & 0o777)).unwrap();
        at += 46 + name_length;
    }
}

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
        let folder = there.path().to_owned();
        let cluster = Arc::new(Mutex::new(Cluster { folder, jobs: BTreeMap::new(), dying }));
        let shared = cluster.clone();
        let stub = Stub::start(move |request| shared.lock().unwrap().answer(request));
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

impl Drop for World {
    fn drop(&mut self) {
        for job in self.cluster.lock().unwrap().jobs.values_mut() {
            let _ = job.child.kill();
            let _ = job.child.wait();
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
