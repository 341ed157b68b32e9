//! `search`, `study` and `trial`: whole searches with commands as trials.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Folder;

const SPACE: &str = "
[parameters.x]
type = 'real'
low = 0
high = 1
[parameters.kind]
type = 'categorical'
choices = ['good', 'bad']
[metrics.error]
goal = 'minimize'
threshold = 2
[metrics.cost]
goal = 'minimize'
threshold = 2
";

/// A trial that takes no time.
const SIMPLE: &str = r#"sh -c 'echo "{\"error\": 1, \"cost\": {x}}"'"#;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("space.toml", SPACE);
    folder
}

fn search<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["search", "--space", "space.toml", "--study", "s.study", "--json", "--quiet"], more].concat()
}

#[test]
fn a_search_shows_trials_front_and_hypervolume_and_goes_on_where_it_was() {
    let folder = folder();
    let args = search(&["--sampler", "sobol", "--command", SIMPLE, "--parallel", "2", "--trials"]);
    let first = folder.run(&[&args[..], &["3"]].concat()).json();
    assert_eq!(first["trials"].as_array().unwrap().len(), 3);
    let second = folder.run(&[&args[..], &["6"]].concat()).json();
    let trials = second["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 6);
    // What was there is what it was, and nothing ran twice.
    assert_eq!(trials[..3], first["trials"].as_array().unwrap()[..]);
    assert!(trials.iter().all(|t| t["state"] == "complete" && t["attempts"] == 1));
    let costs: Vec<f64> = trials.iter().map(|t| t["metrics"]["cost"].as_f64().unwrap()).collect();
    let best = (0..6).min_by(|&a, &b| costs[a].total_cmp(&costs[b])).unwrap();
    assert_eq!(second["front"], json!([best]));
    let volume = second["hypervolume"].as_f64().unwrap();
    assert!((volume - (2.0 - costs[best])).abs() < 1e-9, "{volume}");
    assert_eq!(folder.run(&["study", "show", "--study", "s.study", "--json"]).json(), second);
}

#[test]
fn the_same_seed_suggests_the_same_trials() {
    for sampler in ["gp", "motpe", "nsga2", "sobol", "random", "grid"] {
        let params = |seed| {
            let folder = folder();
            let more = ["--sampler", sampler, "--seed", seed, "--trials", "9", "--command", SIMPLE];
            let study = folder.run(&search(&more)).json();
            let trials = study["trials"].as_array().unwrap().clone();
            trials.into_iter().map(|trial| trial["params"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(params("3"), params("3"), "{sampler}");
        assert!(sampler == "grid" || params("3") != params("4"), "{sampler}");
    }
}

#[test]
fn a_failed_trial_is_an_observation_with_its_reason() {
    for (command, cause, reason) in [
        ("sh -c 'echo out of luck >&2; exit 3'", "exit", "exit code 3: out of luck"),
        ("sh -c 'kill -9 $$'", "signal", "signal 9"),
        ("echo hello", "output", "no JSON object: hello"),
        ("true", "output", "it wrote nothing"),
        ("echo {\\\"error\\\":1}", "output", "no number `cost`"),
        ("echo '{\"error\": NaN, \"cost\": 1}'", "output", "no JSON object"),
        ("./no-interpreter", "start", "no-interpreter"),
        ("sleep 60", "time", "longer than 0.3 s"),
    ] {
        let folder = folder();
        let program = folder.write("no-interpreter", "#!/no/such/interpreter\n");
        std::fs::set_permissions(program, Permissions::from_mode(0o755)).unwrap();
        let more = ["--trials", "1", "--sampler", "random", "--time-limit", "0.3"];
        let outcome = folder.run(&[&search(&more)[..], &["--command", command]].concat());
        assert_eq!(outcome.err.lines().count(), 1, "{}", outcome.err);
        assert!(outcome.err.contains("no trial was complete"), "{}", outcome.err);
        let study = outcome.json_with(1);
        let trial = &study["trials"][0];
        assert_eq!(
            (&trial["state"], &trial["cause"]),
            (&json!("failed"), &json!(cause)),
            "{trial}"
        );
        assert!(trial["reason"].as_str().unwrap().contains(reason), "{trial}");
        folder.run(&["study", "plot", "--study", "s.study", "--out", "s.html", "--json"]).json();
        let page = std::fs::read_to_string(folder.path().join("s.html")).unwrap();
        assert!(page.contains("no points") && !page.contains("inf<"), "{page}");
    }
}

#[test]
fn a_trial_that_takes_too_much_memory_is_ended_with_its_children() {
    let folder = folder();
    let command = "sh -c 'tail /dev/zero & wait'";
    let more = ["--trials", "1", "--memory-limit", "100M", "--command", command];
    let trial = folder.run(&search(&more)).json_with(1)["trials"][0].clone();
    assert_eq!(trial["cause"], "memory", "{trial}");
    assert!(!any_process("tail\0/dev/zero"));
}

fn any_process(part: &str) -> bool {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines =
        entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.into_iter().any(|line| line.contains(part))
}

#[test]
fn a_trial_that_cannot_reach_the_front_is_stopped() {
    let folder = folder();
    // The first six get better by 1 after their report, the seventh starts far behind.
    let command = r#"sh -c 'if [ $LIMBECK_TRIAL -lt 6 ]; then e=3; else e=30; fi; echo "{\"step\": 0.5, \"error\": $e, \"cost\": 1}"; if [ $e = 30 ]; then sleep 20; fi; echo "{\"error\": $((e - 2)), \"cost\": 1}"'"#;
    let begun = Instant::now();
    let more =
        ["--trials", "7", "--sampler", "random", "--early-stop", "0.9", "--command", command];
    let study = folder.run(&search(&more)).json();
    assert_eq!(study["trials"][6]["state"], "stopped", "{}", study["trials"][6]);
    assert_eq!(study["trials"][6]["metrics"], json!({"cost": 1.0, "error": 30.0}));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn other_programs_ask_and_tell() {
    let folder = folder();
    let ask = |more: &[&str]| {
        folder.run(&[&["study", "ask", "--study", "s.study", "--json"], more].concat())
    };
    assert_eq!(ask(&[]).code, 2);
    let first = ask(&["--space", "space.toml"]).json();
    assert_eq!(first["trial"], 0);
    assert!(first["params"]["x"].is_number());
    let tell = |trial: &str, more: &[&str]| {
        folder.run(
            &[&["study", "tell", "--study", "s.study", "--json", "--trial", trial], more].concat(),
        )
    };
    let told = tell("0", &["--metrics", r#"{"error": 1, "cost": 1}"#]).json();
    assert_eq!((&told["state"], &told["hypervolume"]), (&json!("complete"), &json!(1.0)));
    tell("0", &["--metrics", r#"{"error": 1, "cost": 1}"#]).refused(&["complete, not running"]);
    tell("7", &["--failed", "x"]).refused(&["no such trial"]);
    assert_eq!(ask(&[]).json()["trial"], 1);
    tell("1", &["--metrics", r#"{"error": 1}"#]).refused(&["`cost`"]);
    assert_eq!(tell("1", &["--failed", "no reason"]).json()["state"], "failed");
    // A lease that runs out gives the trial to the next who asks.
    assert_eq!(ask(&["--lease", "0.001"]).json()["trial"], 2);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(ask(&[]).json()["trial"], 2);
    assert_eq!(ask(&[]).json()["trial"], 3);
}

#[test]
fn a_trial_that_floods_its_output_is_ended_in_time() {
    let reports = r#"yes '{"step": 1, "error": 2}'"#;
    let one_line = "sh -c 'head -c 30000000 /dev/zero; sleep 60'";
    for flood in [reports, one_line] {
        let folder = folder();
        let more = ["--trials", "1", "--time-limit", "1", "--command", flood];
        let begun = std::time::Instant::now();
        let trial = folder.run(&search(&more)).json_with(1)["trials"][0].clone();
        assert_eq!(trial["cause"], "time", "{trial}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        let bytes = std::fs::metadata(folder.path().join("s.study")).unwrap().len();
        assert!(bytes < 3 << 20, "{bytes}");
    }
}

#[test]
fn a_file_that_is_no_study_and_a_study_itself_are_not_written_over() {
    let folder = folder();
    folder.write("notes.txt", "my only copy");
    let args = ["search", "--space", "space.toml", "--study", "notes.txt", "--trials", "1"];
    folder.run(&[&args[..], &["--command", "true"]].concat()).refused(&["notes.txt", "no study"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("notes.txt")).unwrap(), "my only copy");
    folder.run(&["study", "ask", "--study", "s.study", "--space", "space.toml"]);
    let plot = ["study", "plot", "--study", "s.study", "--out", "./s.study"];
    folder.run(&plot).refused(&["the study itself"]);
    let export = ["study", "export", "--study", "s.study", "--format", "csv", "--out", "s.study"];
    folder.run(&export).refused(&["the study itself"]);
    folder.run(&["study", "show", "--study", "s.study", "--json"]).json();
}

#[test]
fn those_who_ask_at_once_get_different_values() {
    let folder = folder();
    let ask = ["study", "ask", "--study", "s.study", "--space", "space.toml", "--json"];
    let ask = || folder.run(&[&ask[..], &["--sampler", "sobol"]].concat()).json();
    let together = |count: usize| -> Vec<Value> {
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..count).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).collect()
        })
    };
    let mut all = together(12);
    all.sort_by_key(|trial| trial["trial"].as_u64());
    // As somebody who asked for one after the other would have got them.
    std::fs::remove_file(folder.path().join("s.study")).unwrap();
    assert_eq!(all, (0..12).map(|_| ask()).collect::<Vec<_>>());
}

#[test]
fn an_earlier_study_gives_its_trials_to_a_new_one() {
    let folder = folder();
    folder.run(&search(&["--trials", "4", "--sampler", "random", "--command", SIMPLE])).json();
    let warm = |study, from, trials| {
        let args = ["search", "--space", "space.toml", "--study", study, "--json", "--quiet"];
        let more = ["--warm-start", from, "--trials", trials, "--command", SIMPLE];
        folder.run(&[&args[..], &more].concat())
    };
    let origins = |study: &Value| -> Vec<String> {
        let trials = study["trials"].as_array().unwrap().iter();
        trials.map(|trial| trial["origin"].as_str().unwrap().to_owned()).collect()
    };
    let all = ["s.study", "s.study", "s.study", "s.study", "gp", "gp"];
    assert_eq!(origins(&warm("t.study", "s.study", "6").json()), all);
    assert_eq!(origins(&warm("t.study", "s.study", "6").json()), all);
    warm("s.study", "./s.study", "6").refused(&["s.study", "begin with itself"]);
    // Killed while it took them over: all of them are in one line, of which a half does not count.
    let whole = std::fs::read_to_string(folder.path().join("t.study")).unwrap();
    let ends: Vec<usize> = whole.match_indices('\n').map(|(end, _)| end).take(2).collect();
    folder.write("u.study", &whole[..(ends[0] + ends[1]) / 2]);
    let study = warm("u.study", "s.study", "6").json();
    assert_eq!(origins(&study), all);
    assert_eq!(study["trials"].as_array().unwrap().len(), 6);
}

#[test]
fn mistakes_are_one_line_with_their_place() {
    let folder = folder();
    let trials = ["--trials", "1"];
    folder
        .run(&[&search(&trials)[..], &["--command", "sh -c 'x"]].concat())
        .refused(&["a quote is open"]);
    folder.run(&search(&trials)).refused(&["nothing to try", "--command"]);
    folder.run(&search(&["--command", "true"])).refused(&["--trials"]);
    folder
        .run(&search(&["--trials", "1", "--recipe", "r.toml", "--command", "true"]))
        .refused(&["--command"]);
    folder.write("space.toml", "[parameters.x]\ntype = 'real'\n[metrics.a]\ngoal = 'minimize'\n");
    folder.run(&search(&trials)).refused(&["space.toml", "parameters.x", "`low`"]);
    folder.write("space.toml", "a = 1\nb =\n");
    folder.run(&search(&trials)).refused(&["space.toml:2"]);
    folder.write("space.toml", format!("optm.learning_rate = 1\n{SPACE}"));
    folder.run(&search(&trials)).refused(&["`optm.learning_rate`", "space.toml:1"]);
    folder.write("no.study", "{}\n");
    folder.run(&["study", "show", "--study", "no.study"]).refused(&["no.study"]);
    folder.write("space.toml", SPACE);
    folder.run(&search(&["--trials", "1", "--command", SIMPLE])).json();
    folder.write("space.toml", SPACE.replace("high = 1", "high = 2"));
    folder.run(&search(&["--trials", "1", "--command", SIMPLE])).refused(&["another space"]);
}

#[test]
fn a_study_does_not_begin_over_the_trials_of_one_that_is_gone() {
    let folder = folder();
    let args = search(&["--trials", "1", "--command", SIMPLE]);
    folder.run(&args).json();
    std::fs::remove_file(folder.path().join("s.study")).unwrap();
    folder.run(&args).refused(&["s.study.trials", "another --study"]);
    assert!(!folder.path().join("s.study").exists());
    std::fs::remove_dir_all(folder.path().join("s.study.trials")).unwrap();
    folder.run(&args).json();
}

#[test]
fn a_listed_folder_shows_its_studies_and_nothing_else() {
    let folder = folder();
    folder.run(&search(&["--trials", "2", "--sampler", "random", "--command", SIMPLE])).json();
    let list = folder.run(&["study", "list", "--json"]).json();
    let list: Vec<Value> = list.as_array().unwrap().clone();
    assert_eq!(list.len(), 1);
    assert_eq!(Path::new(list[0]["study"].as_str().unwrap()).file_name().unwrap(), "s.study");
    assert_eq!(list[0]["trials"], 2);
}
