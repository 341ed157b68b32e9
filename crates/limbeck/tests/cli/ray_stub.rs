//! A cluster on loopback that unpacks packages, runs entrypoints and hands out files as Ray does,
//! and loses what it is told to lose.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use limbeck_remote::stub::{Reply, Request, Stub};
use serde_json::{Value, json};

pub struct Job {
    child: Child,
    log: PathBuf,
    stopped: bool,
    /// Its node is gone, and its log with it.
    lost: bool,
}

pub struct Cluster {
    folder: PathBuf,
    pub jobs: BTreeMap<String, Job>,
    /// How many of the next jobs lose their node right after they began.
    dying: usize,
    /// Jobs that ran side by side.
    pub most_at_once: usize,
    /// How often each package was given.
    pub packages: BTreeMap<String, usize>,
    /// Whether nobody can fetch what lies beside the logs.
    pub hides_files: bool,
}

impl Cluster {
    /// A cluster that keeps its things in a folder, and where it answers.
    pub fn start(folder: &Path, dying: usize) -> (Arc<Mutex<Self>>, Stub) {
        let cluster = Self {
            folder: folder.to_owned(),
            jobs: BTreeMap::new(),
            dying,
            most_at_once: 0,
            packages: BTreeMap::new(),
            hides_files: false,
        };
        let cluster = Arc::new(Mutex::new(cluster));
        let shared = cluster.clone();
        let stub = Stub::start(move |request| shared.lock().unwrap().answer(request));
        (cluster, stub)
    }

    /// Where a package lies that was given as `gcs://NAME.zip`.
    fn unpacked(&self, uri: &Value) -> PathBuf {
        let name = uri.as_str().unwrap().trim_start_matches("gcs://");
        let folder = self.folder.join(name.trim_end_matches(".zip"));
        assert!(folder.is_dir(), "{name} was never given");
        folder
    }

    fn answer(&mut self, request: &Request) -> Reply {
        let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            (_, ["api", "version"]) => Reply::text(200, "{\"ray_version\": \"2.60.0\"}"),
            ("GET", ["api", "packages", "gcs", name]) => {
                let known = self.packages.contains_key(*name);
                Reply::text(if known { 200 } else { 404 }, "")
            }
            ("PUT", ["api", "packages", "gcs", name]) => {
                let folder = self.folder.join(name.trim_end_matches(".zip"));
                fs::create_dir_all(&folder).unwrap();
                unpack(&request.body, &folder);
                *self.packages.entry((*name).to_owned()).or_default() += 1;
                Reply::text(200, "")
            }
            ("POST", ["api", "jobs"]) => {
                self.submit(&serde_json::from_slice(&request.body).unwrap())
            }
            ("POST", ["api", "jobs", id, "stop"]) => {
                let job = self.jobs.get_mut(*id).unwrap();
                job.stopped = true;
                let _ = Command::new("kill")
                    .args(["-TERM", "--", &format!("-{}", job.child.id())])
                    .status();
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
                                   "driver_exit_code": code, "message": "",
                                   "driver_node_id": "node-1" });
                Reply::text(200, info.to_string())
            }
            ("GET", ["api", "v0", "logs", query]) if !self.hides_files => {
                assert!(query.contains("node_id=node-1&") && query.contains("lines=-1"), "{query}");
                let name = query.split("filename=").nth(1).unwrap().split('&').next().unwrap();
                let bytes = fs::read(self.folder.join(name));
                bytes.map_or(Reply::text(500, "no such file"), |bytes| Reply::text(200, bytes))
            }
            _ => Reply::text(404, "no such path"),
        }
    }

    fn submit(&mut self, body: &Value) -> Reply {
        let id = body["submission_id"].as_str().unwrap().to_owned();
        if self.jobs.contains_key(&id) {
            return Reply::text(500, "it already exists");
        }
        let environment = &body["runtime_env"];
        let beside = environment["py_modules"].as_array().cloned().unwrap_or_default();
        let beside = beside.iter().map(|uri| self.unpacked(uri));
        let beside = std::env::join_paths(beside).unwrap();
        let log = self.folder.join(format!("{id}.log"));
        let output = File::create(&log).unwrap();
        let child = Command::new("sh")
            .args(["-c", body["entrypoint"].as_str().unwrap()])
            .current_dir(self.unpacked(&environment["working_dir"]))
            .env("PYTHONPATH", beside)
            .stdout(output.try_clone().unwrap())
            .stderr(output)
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
        let lives = |job: &mut Job| matches!(job.child.try_wait(), Ok(None));
        let running = self.jobs.values_mut().filter_map(|job| lives(job).then_some(())).count();
        self.most_at_once = self.most_at_once.max(running);
        Reply::text(200, json!({ "submission_id": id }).to_string())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for job in self.jobs.values_mut() {
            let _ = job.child.kill();
            let _ = job.child.wait();
        }
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
