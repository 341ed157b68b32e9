//! Against a cluster on loopback that does what a script says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use limbeck_remote::stub::{Reply, Request, Stub};
use serde_json::{Value, json};

use super::package::Entry;
use super::*;
use crate::execute::Attempt;
use crate::metric::Metrics;
use crate::study::{Cause, Description, LossPolicy, Outcome, State, Study, Worker};

const SPACE: &str = "
[parameters.x]
type = 'real'
low = 0
high = 1
[metrics.y]
goal = 'maximize'
";

/// What becomes of a job, one entry for each that is submitted.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It tells `y` and ends well.
    Tells(f64),
    /// It runs for ever.
    Runs,
    /// It ends with this state, kind of error and exit code.
    Ends(&'static str, Option<&'static str>, Option<i64>),
    /// It ends well, but its log cannot be read.
    LosesLog,
    /// It tells what another job would.
    TellsForAnother,
    /// The answer to its submission never comes, though it is there and tells `y`.
    HangsAtSubmission(f64),
    /// The head comes back and knows nothing of it.
    IsForgotten,
}

#[derive(Default)]
struct Cluster {
    fates: VecDeque<Fate>,
    jobs: BTreeMap<String, (Fate, &'static str)>,
    packages: BTreeSet<String>,
    uploads: usize,
    /// Requests about jobs that hang, from now on.
    hangs: usize,
}

const TIMEOUT: Duration = Duration::from_millis(150);

impl Cluster {
    fn answer(&mut self, request: &Request) -> Reply {
        let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        if parts[1] == "packages" {
            let name = parts[3].to_owned();
            let known = self.packages.contains(&name);
            if request.method == "PUT" {
                self.uploads += 1;
                self.packages.insert(name);
            }
            return Reply::text(if known || request.method == "PUT" { 200 } else { 404 }, "");
        }
        if self.hangs > 0 {
            self.hangs -= 1;
            return Reply::Hang(4 * TIMEOUT);
        }
        match (request.method.as_str(), parts.as_slice()) {
            ("POST", ["api", "jobs"]) => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let id = body["submission_id"].as_str().unwrap().to_owned();
                if self.jobs.contains_key(&id) {
                    return Reply::text(500, format!("ValueError: Job {id} already exists"));
                }
                let environment = &body["runtime_env"];
                for package in [&environment["working_dir"], &environment["py_modules"][0]] {
                    let name = package.as_str().unwrap().trim_start_matches("gcs://");
                    assert!(self.packages.contains(name));
                }
                let fate = self.fates.pop_front().expect("one job too many");
                self.jobs.insert(id.clone(), (fate, "RUNNING"));
                match fate {
                    Fate::HangsAtSubmission(_) => Reply::Hang(4 * TIMEOUT),
                    _ => Reply::text(200, json!({ "submission_id": id }).to_string()),
                }
            }
            ("POST", ["api", "jobs", id, "stop"]) => {
                if let Some((_, state)) = self.jobs.get_mut(*id) {
                    *state = "STOPPED";
                }
                Reply::text(200, "{\"stopped\": true}")
            }
            ("GET", ["api", "jobs", id, "logs"]) => {
                let tells = |id: &str, y: f64| {
                    let outcome = Outcome::Complete(Metrics::from([("y".to_owned(), y)]));
                    let report = "{\"step\": 1, \"y\": 0.5}";
                    format!("{report}\n{}\n", outcome::line(id, &outcome))
                };
                let log = match self.jobs[*id].0 {
                    Fate::Tells(y) | Fate::HangsAtSubmission(y) => tells(id, y),
                    Fate::LosesLog => return Reply::text(500, "agent unreachable"),
                    Fate::TellsForAnother => tells("limbeck-0-another", 9.0),
                    _ => "words\n".to_owned(),
                };
                Reply::text(200, json!({ "logs": log }).to_string())
            }
            ("GET", ["api", "jobs", id]) => {
                let Some((fate, state)) = self.jobs.get(*id).copied() else {
                    return Reply::text(404, "no such job");
                };
                let (state, error, code) = match fate {
                    _ if state == "STOPPED" => (state, None, None),
                    Fate::Runs => ("RUNNING", None, None),
                    Fate::Ends(state, error, code) => (state, error, code),
                    Fate::IsForgotten => return Reply::text(404, "no such job"),
                    _ => ("SUCCEEDED", None, Some(0)),
                };
                let info = json!({
                    "status": state, "error_type": error, "driver_exit_code": code,
                    "message": "what\nhappened", "submission_id": id,
                });
                Reply::text(200, info.to_string())
            }
            _ => Reply::text(404, "no such path"),
        }
    }
}

/// A study with one trial, and a cluster on which jobs end so.
struct World {
    folder: tempfile::TempDir,
    study: Study,
    cluster: Arc<Mutex<Cluster>>,
    stub: Stub,
}

impl World {
    fn new(fates: &[Fate]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let description = Description::from_toml(&SPACE.parse().unwrap()).unwrap();
        let mut study = Study::open_or_create(&folder.path().join("s"), &description).unwrap();
        let params = description.space.decode(&[0.5]);
        study.suggest(params, "test", None).unwrap();
        let fates = fates.iter().copied().collect();
        let cluster = Arc::new(Mutex::new(Cluster { fates, ..Cluster::default() }));
        let shared = cluster.clone();
        // The lock is not held while a reply hangs.
        let stub = Stub::start(move |request| shared.lock().unwrap().answer(request));
        Self { folder, study, cluster, stub }
    }

    fn supervise(&mut self) -> Attempt {
        self.supervise_until(&|| false)
    }

    fn supervise_until(&mut self, stop: &dyn Fn() -> bool) -> Attempt {
        let jobs = Jobs::new(&self.stub.address(), TIMEOUT).unwrap();
        let text = |text: &str| vec![Entry::Text("a".to_owned(), text.to_owned())];
        let pack = |name| Package::pack(text(name), self.folder.path()).unwrap();
        let packages = [pack("b"), pack("c")];
        let tick = Duration::from_millis(10);
        let job = RemoteJob {
            jobs: &jobs,
            packages: &packages,
            entrypoint: &|id| format!("./run {id}"),
            resources: Resources { cpus: 1.0, gpus: 0.0, memory: None },
            folder: self.folder.path().join("trial"),
            most: 2,
            stopping: None,
            policy: LossPolicy { retries: 1 },
            rhythm: Rhythm {
                look: tick,
                log: tick,
                patience: 10 * tick,
                longest: tick,
                told_after: tick,
            },
            tell: &|_| {},
        };
        supervise(&mut self.study, 0, &job, stop).unwrap()
    }

    fn state(&self) -> State {
        self.study.trials()[0].state
    }

    /// The `y` of the trial, which must have been counted once.
    fn y(&self) -> f64 {
        assert_eq!(self.state(), State::Complete);
        let text = std::fs::read_to_string(self.folder.path().join("s")).unwrap();
        assert_eq!(text.matches("\"complete\"").count(), 1, "{text}");
        self.study.trials()[0].metrics["y"]
    }

    fn jobs(&self) -> usize {
        self.cluster.lock().unwrap().jobs.len()
    }
}

#[test]
fn the_outcome_and_the_reports_come_back_by_the_log() {
    let mut world = World::new(&[Fate::Tells(0.75)]);
    world.supervise();
    assert_eq!(world.y(), 0.75);
    assert_eq!(world.study.trials()[0].reports.len(), 1);
    let log = std::fs::read_to_string(world.folder.path().join("trial/output.log")).unwrap();
    assert!(log.contains("\"step\": 1"));
}

#[test]
fn a_package_is_given_once_and_again_only_when_the_cluster_threw_it_away() {
    let mut world = World::new(&[Fate::Tells(1.0), Fate::Tells(2.0), Fate::Tells(3.0)]);
    let uploads = |world: &World| world.cluster.lock().unwrap().uploads;
    world.supervise();
    assert_eq!(uploads(&world), 2);
    let mut second = World { study: fresh(world.folder.path(), "t"), ..world };
    second.supervise();
    assert_eq!(uploads(&second), 2);
    second.cluster.lock().unwrap().packages.clear();
    let mut third = World { study: fresh(second.folder.path(), "u"), ..second };
    third.supervise();
    assert_eq!(uploads(&third), 4);
}

fn fresh(folder: &Path, name: &str) -> Study {
    let description = Description::from_toml(&SPACE.parse().unwrap()).unwrap();
    let mut study = Study::open_or_create(&folder.join(name), &description).unwrap();
    let params = description.space.decode(&[0.5]);
    study.suggest(params, "test", None).unwrap();
    study
}

#[test]
fn a_trial_whose_node_died_is_run_again_and_counted_once() {
    let died = Fate::Ends("FAILED", Some("JOB_SUPERVISOR_ACTOR_DIED"), None);
    let mut world = World::new(&[died, Fate::Tells(0.5)]);
    assert!(matches!(world.supervise(), Attempt::Lost(_)));
    assert_eq!(world.state(), State::Suggested);
    world.supervise();
    assert_eq!(world.y(), 0.5);
    assert_eq!(world.study.trials()[0].losses, 1);
}

#[test]
fn what_the_cluster_does_to_a_trial_is_a_loss() {
    let cases = [
        Fate::Ends("FAILED", Some("RUNTIME_ENV_SETUP_FAILURE"), None),
        Fate::LosesLog,
        Fate::IsForgotten,
        Fate::TellsForAnother,
    ];
    for fate in cases {
        let mut world = World::new(&[fate, fate]);
        assert!(matches!(world.supervise(), Attempt::Lost(_)), "{fate:?}");
        assert_eq!(world.state(), State::Suggested, "{fate:?}");
        assert!(!matches!(world.supervise(), Attempt::Recorded(_)), "{fate:?}");
        assert_ne!(world.state(), State::Complete, "{fate:?}");
    }
}

#[test]
fn a_job_that_never_got_its_place_was_not_run_and_is_submitted_again() {
    let full = Fate::Ends("FAILED", Some("JOB_SUPERVISOR_ACTOR_START_TIMEOUT"), None);
    // More often than a trial may be lost.
    let mut world = World::new(&[full, full, full, Fate::Tells(0.5)]);
    world.supervise();
    assert_eq!((world.y(), world.jobs()), (0.5, 4));
    assert_eq!(world.study.trials()[0].losses, 0);
}

#[test]
fn a_trial_waits_while_the_cluster_has_as_many_jobs_as_it_may() {
    let mut world = World::new(&[Fate::Tells(0.5)]);
    let mut other = Study::open(world.study.path()).unwrap();
    for number in 1..3 {
        let params = other.description().space.decode(&[0.5]);
        other.suggest(params, "test", None).unwrap();
        other.start(number, Worker::of_job("another")).unwrap().unwrap();
    }
    let cluster = world.cluster.clone();
    let jobs = || cluster.lock().unwrap().jobs.len();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            assert_eq!(jobs(), 0);
            other.finish(1, 1, Outcome::Released).unwrap();
        });
        world.supervise();
    });
    assert_eq!((world.y(), world.jobs()), (0.5, 1));
}

#[test]
fn what_a_trial_does_itself_is_its_outcome() {
    let error = Some("JOB_ENTRYPOINT_COMMAND_ERROR");
    let cases = [
        (Fate::Ends("FAILED", error, Some(3)), Cause::Exit, "exit code 3: words"),
        (Fate::Ends("FAILED", error, Some(-9)), Cause::Signal, "signal 9, memory is short: words"),
        (Fate::Ends("STOPPED", None, None), Cause::Told, "its job was stopped on the cluster"),
    ];
    for (fate, expected, words) in cases {
        let mut world = World::new(&[fate]);
        let Attempt::Recorded(Outcome::Failed { cause, reason }) = world.supervise() else {
            panic!("{fate:?}");
        };
        assert_eq!((cause, reason.as_str()), (expected, words));
        assert_eq!(world.state(), State::Failed);
    }
}

#[test]
fn a_submission_whose_answer_was_lost_is_not_made_twice() {
    let mut world = World::new(&[Fate::HangsAtSubmission(0.25)]);
    world.supervise();
    assert_eq!((world.y(), world.jobs()), (0.25, 1));
}

#[test]
fn a_cluster_that_hangs_for_a_while_costs_time_alone() {
    let mut world = World::new(&[Fate::Tells(0.25)]);
    world.cluster.lock().unwrap().hangs = 4;
    let begun = Instant::now();
    world.supervise();
    assert!(begun.elapsed() >= 3 * TIMEOUT);
    assert_eq!((world.y(), world.jobs()), (0.25, 1));
    assert_eq!(world.study.trials()[0].losses, 0);
}

#[test]
fn a_worker_takes_over_the_job_that_a_killed_one_left() {
    let mut world = World::new(&[Fate::Runs]);
    // The first is killed: it has submitted the job and writes nothing more.
    let attempt = world.study.start(0, Worker::of_job("limbeck-0-left")).unwrap().unwrap();
    world
        .cluster
        .lock()
        .unwrap()
        .jobs
        .insert("limbeck-0-left".to_owned(), (Fate::Tells(0.5), "RUNNING"));
    world.study.lose(0, attempt, "killed", LossPolicy { retries: 2 }).unwrap();
    world.supervise();
    assert_eq!((world.y(), world.jobs()), (0.5, 1));
}

#[test]
fn a_job_that_never_arrived_is_submitted_anew() {
    let mut world = World::new(&[Fate::Tells(0.5)]);
    let attempt = world.study.start(0, Worker::of_job("limbeck-0-never")).unwrap().unwrap();
    world.study.lose(0, attempt, "killed", LossPolicy { retries: 2 }).unwrap();
    world.supervise();
    assert_eq!((world.y(), world.jobs()), (0.5, 1));
}

#[test]
fn an_outcome_that_comes_after_the_trial_went_to_somebody_else_does_not_count() {
    let mut world = World::new(&[Fate::Runs, Fate::Tells(0.5)]);
    let path = world.study.path().to_owned();
    let mut other = Study::open(&path).unwrap();
    let cluster = world.cluster.clone();
    let has_started = || !cluster.lock().unwrap().jobs.is_empty();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !has_started() {
                std::thread::sleep(Duration::from_millis(5));
            }
            other.refresh().unwrap();
            other.lose(0, 1, "a strange one", LossPolicy { retries: 2 }).unwrap();
        });
        assert_eq!(world.supervise(), Attempt::Refused);
    });
    assert_eq!(world.state(), State::Suggested);
    let states: Vec<&str> =
        world.cluster.lock().unwrap().jobs.values().map(|(_, state)| *state).collect();
    assert_eq!(states, ["STOPPED"]);
    // The next one does not go on with a job that was stopped.
    world.supervise();
    assert_eq!(world.y(), 0.5);
}

#[test]
fn a_stop_ends_the_job_and_gives_the_trial_back() {
    let mut world = World::new(&[Fate::Runs, Fate::Tells(1.0)]);
    let begun = Instant::now();
    let attempt = world.supervise_until(&|| begun.elapsed() > Duration::from_millis(100));
    assert_eq!(attempt, Attempt::Recorded(Outcome::Released));
    assert_eq!(world.state(), State::Suggested);
    assert_eq!(world.cluster.lock().unwrap().jobs.values().next().unwrap().1, "STOPPED");
    world.supervise();
    assert_eq!(world.y(), 1.0);
}
