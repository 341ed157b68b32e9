//! The life of trials, and what the file makes of it.

use super::*;
use crate::space::Value;

const WRITTEN: &str = "
[parameters.x]
type = 'real'
low = 0
high = 1
[metrics.error]
goal = 'minimize'
[metrics.speed]
goal = 'maximize'
[metrics.note]
goal = 'minimize'
role = 'store'
";

fn description() -> Description {
    Description::from_toml(&WRITTEN.parse().unwrap()).unwrap()
}

fn study(folder: &tempfile::TempDir) -> Study {
    Study::open_or_create(&folder.path().join("s.study"), &description()).unwrap()
}

fn params(x: f64) -> Params {
    Params::from([("x".to_owned(), Value::Real(x))])
}

fn metrics(error: f64, speed: f64) -> Metrics {
    Metrics::from([("error".to_owned(), error), ("speed".to_owned(), speed)])
}

fn complete(study: &mut Study, error: f64, speed: f64) -> usize {
    let trial = study.suggest(params(0.5), "test", None).unwrap().unwrap();
    let attempt = study.start(trial, Worker::elsewhere(None)).unwrap().unwrap();
    assert!(study.finish(trial, attempt, Outcome::Complete(metrics(error, speed))).unwrap());
    trial
}

#[test]
fn what_was_written_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = study(&folder);
    complete(&mut first, 1.0, 2.0);
    let trial = first.suggest(params(0.25), "test", None).unwrap().unwrap();
    let attempt = first.start(trial, Worker::this(5.0)).unwrap().unwrap();
    let report = Report { step: 1.0, metrics: metrics(3.0, 1.0) };
    assert!(first.report(trial, attempt, report).unwrap());
    let outcome = Outcome::Failed { cause: Cause::Exit, reason: "exit code 3".into() };
    assert!(first.finish(trial, attempt, outcome).unwrap());
    let second = study(&folder);
    assert_eq!(second.trials(), first.trials());
    assert_eq!(second.trials()[1].state, State::Failed);
    assert_eq!(Study::open(first.path()).unwrap().trials(), first.trials());
}

#[test]
fn a_trial_goes_to_one_worker_and_its_result_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (study(&folder), study(&folder));
    let trial = one.suggest(params(0.5), "test", None).unwrap().unwrap();
    let attempt = two.start(trial, Worker::elsewhere(None)).unwrap().unwrap();
    assert_eq!(one.start(trial, Worker::elsewhere(None)).unwrap(), None);
    assert!(two.finish(trial, attempt, Outcome::Complete(metrics(1.0, 1.0))).unwrap());
    assert!(!one.finish(trial, attempt, Outcome::Complete(metrics(9.0, 9.0))).unwrap());
    one.refresh().unwrap();
    assert_eq!(one.trials()[0].metrics, metrics(1.0, 1.0));
}

#[test]
fn values_that_were_chosen_for_a_number_get_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (study(&folder), study(&folder));
    assert_eq!(one.suggest(params(0.1), "test", Some(0)).unwrap(), Some(0));
    assert_eq!(two.suggest(params(0.2), "test", Some(0)).unwrap(), None);
    assert_eq!(two.trials().len(), 1, "it knows now why");
    assert_eq!(two.suggest(params(0.3), "test", Some(1)).unwrap(), Some(1));
    assert_eq!(one.suggest(params(0.4), "test", None).unwrap(), Some(2));
}

#[test]
fn a_study_that_may_only_be_read_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = study(&folder).path().to_owned();
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).unwrap();
    let mut study = Study::open(&path).unwrap();
    // Root writes all the same.
    if let Err(error) = study.suggest(params(0.5), "test", None) {
        assert!(error.to_string().contains("cannot write"), "{error}");
    }
}

#[test]
fn a_trial_that_is_given_up_has_failed_unless_somebody_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = study(&folder);
    let [first, second] =
        [0.1, 0.2].map(|x| study.suggest(params(x), "test", None).unwrap().unwrap());
    study.start(second, Worker::elsewhere(None)).unwrap();
    study.give_up(first, "no worker").unwrap();
    study.give_up(second, "no worker").unwrap();
    assert_eq!([first, second].map(|i| study.trials()[i].state), [State::Failed, State::Running]);
    assert_eq!(study.trials()[first].reason.as_deref(), Some("no worker"));
}

#[test]
fn a_vanished_worker_is_followed_by_another_until_the_policy_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = study(&folder);
    let policy = LossPolicy { retries: 1 };
    let trial = study.suggest(params(0.5), "test", None).unwrap().unwrap();
    let short = Worker::elsewhere(Some(0.0));
    let first = study.start(trial, short.clone()).unwrap().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(study.reap(policy).unwrap(), [trial]);
    assert_eq!(study.trials()[trial].state, State::Suggested);
    let second = study.start(trial, short).unwrap().unwrap();
    // The first worker comes back: its result is no longer wanted.
    assert!(!study.beat(trial, first).unwrap());
    assert!(!study.finish(trial, first, Outcome::Complete(metrics(1.0, 1.0))).unwrap());
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(study.reap(policy).unwrap(), [trial]);
    assert_eq!(study.trials()[trial].state, State::Lost);
    assert!(!study.finish(trial, second, Outcome::Released).unwrap());
    assert!(study.reap(policy).unwrap().is_empty());
}

#[test]
fn a_released_trial_can_be_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = study(&folder);
    let trial = study.suggest(params(0.5), "test", None).unwrap().unwrap();
    let attempt = study.start(trial, Worker::elsewhere(None)).unwrap().unwrap();
    assert!(study.finish(trial, attempt, Outcome::Released).unwrap());
    assert_eq!(study.start(trial, Worker::elsewhere(None)).unwrap(), Some(2));
}

#[test]
fn front_and_hypervolume_follow_goals_and_thresholds() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = study(&folder);
    for (error, speed) in [(1.0, 1.0), (3.0, 3.0), (3.0, 2.0)] {
        complete(&mut study, error, speed);
    }
    assert_eq!(study.front(), [0, 1]);
    // The reference lies at error 3.2 and speed 0.8.
    assert!(study.reference().iter().zip([3.2, -0.8]).all(|(a, b)| (a - b).abs() < 1e-9));
    let volume = 2.2 * 0.2 + 0.2 * 2.0;
    assert!((study.hypervolume() - volume).abs() < 1e-9);
    let by_trial = study.hypervolume_by_trial();
    assert!((by_trial[0].1 - 2.2 * 0.2).abs() < 1e-9 && by_trial[2].1 == by_trial[1].1);
}

#[test]
fn without_thresholds_the_reference_lies_behind_the_better_half() {
    let written = "[metrics.a]\ngoal = 'minimize'\n[metrics.b]\ngoal = 'minimize'";
    let metrics = Metric::all_from_toml(&written.parse().unwrap()).unwrap();
    let near = |losses: &[[f64; 2]], expected: [f64; 2]| {
        let losses: Vec<Vec<f64>> = losses.iter().map(|l| l.to_vec()).collect();
        let found = reference(&metrics, &losses);
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
    };
    near(&[[2.0, -3.0]], [2.2, -2.7]);
    // The front is one point; the second is the next rank and still of the better half.
    let chain = [[1.0, 2.0], [3.0, 3.0], [4.0, 4.0], [90.0, 90.0]];
    near(&chain, [3.2, 3.1]);
    // The front is more than half: nothing behind it counts.
    near(&[[1.0, 2.0], [2.0, 1.0], [3.0, 1.5]], [2.1, 2.1]);
    near(&[], [0.0, 0.0]);
}

#[test]
fn wrong_input_is_refused_and_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = study(&folder);
    assert!(study.suggest(params(2.0), "test", None).is_err());
    let trial = study.suggest(params(0.5), "test", None).unwrap().unwrap();
    let attempt = study.start(trial, Worker::elsewhere(None)).unwrap().unwrap();
    let missing = Metrics::from([("error".to_owned(), 1.0)]);
    let error = study.finish(trial, attempt, Outcome::Complete(missing)).unwrap_err();
    assert!(error.to_string().contains("`speed`"), "{error}");
    assert!(study.start(7, Worker::elsewhere(None)).is_err());
    assert_eq!(Study::open(study.path()).unwrap().trials().len(), 1);
    let other = WRITTEN.replace("high = 1", "high = 2");
    let other = Description::from_toml(&other.parse().unwrap()).unwrap();
    let error = Study::open_or_create(study.path(), &other).unwrap_err().to_string();
    assert!(error.contains("another space"), "{error}");
}
