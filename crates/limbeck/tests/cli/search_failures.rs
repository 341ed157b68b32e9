//! Searches that lack what their trials need, and those in which nothing comes to its end.

use serde_json::Value;

use crate::support::{Folder, Outcome};
use crate::world::world;

const SPACE: &str = "
[parameters.x]
type = 'real'
low = 0
high = 1
[metrics.m]
goal = 'minimize'
";

fn search(folder: &Folder, more: &[&str]) -> Outcome {
    let args = ["search", "--space", "space.toml", "--study", "s.study", "--json", "--quiet"];
    folder.run(&[&args[..], more].concat())
}

/// The lines of an input that was refused, without the name of the program.
fn lines(outcome: &Outcome) -> Vec<&str> {
    assert_eq!((outcome.code, outcome.out.as_str()), (2, ""), "{}", outcome.err);
    outcome.err.lines().map(|line| line.strip_prefix("limbeck: ").unwrap()).collect()
}

#[test]
fn all_that_trials_lack_is_told_before_the_first_one() {
    let folder = world();
    let space = "# How to get it.
        task = 'squad'
        teacher = 'teacher'
        model.path = 'student'
        data.train = ['train.json', 'more.json']
        data.dev = 'dev.json'
        features = { max_length = 32, max_query_length = 8, doc_stride = 4 }
        search.trials = 9
        [parameters.'model.path']
        type = 'categorical'
        choices = ['model', 'small', 'large']
        [parameters.teacher]
        type = 'categorical'
        choices = ['model', 'strong']
        [metrics.f1]
        goal = 'maximize'";
    folder.write("space.toml", space);
    folder.write("empty.json", "");
    let outcome = search(&folder, &["--set", "data.dev=empty.json"]);
    let told = lines(&outcome);
    let expected = [
        "`data.train` is more.json: No such file",
        "`data.dev` is empty.json: the file is empty",
        "`model.path` is small: there is no such folder",
        "`model.path` is large: there is no such folder",
        "`teacher` is strong: there is no such folder",
    ];
    for part in expected {
        assert!(told.iter().any(|line| line.starts_with(part)), "no {part}: {told:?}");
    }
    let (sum, rest) = told.split_last().unwrap();
    assert_eq!(rest.len(), expected.len(), "{told:?}");
    assert!(sum.starts_with("5 things are missing, and nothing was started: "), "{sum}");
    assert!(sum.contains("the first lines of space.toml say how"), "{sum}");
    assert!(!folder.path().join("s.study").exists());
}

#[test]
fn the_program_of_a_trial_is_looked_for_before_the_first_one() {
    let folder = Folder::new();
    folder.write("space.toml", SPACE);
    folder.write("script.sh", "echo");
    for (command, told) in [
        (
            "no-such-program-9 {x}",
            "the program of --command is no-such-program-9: there is no such",
        ),
        ("./absent.sh", "the program of --command is ./absent.sh: there is no such file"),
        ("./script.sh", "the program of --command is ./script.sh: it cannot be executed"),
        ("sh absent.sh {x}", "--command runs absent.sh: there is no such file"),
    ] {
        let outcome = search(&folder, &["--trials", "5", "--command", command]);
        assert!(lines(&outcome)[0].starts_with(told), "{}", outcome.err);
        outcome.refused(&[]);
    }
    folder.write("a-file", "");
    let args = ["search", "--space", "space.toml", "--study", "a-file/s.study", "--trials", "1"];
    folder.run(&[&args[..], &["--command", "true"]].concat()).refused(&["a-file: it is a file"]);
}

#[test]
fn a_search_stops_when_its_first_trials_fail_alike_and_goes_on_once_that_is_mended() {
    let folder = Folder::new();
    folder.write("space.toml", SPACE);
    let command = r#"sh -c 'if test -e mended; then echo "{\"m\": {x}}"; else echo no model at step $LIMBECK_TRIAL >&2; exit 2; fi'"#;
    let args = ["--sampler", "sobol", "--trials", "8", "--command", command];
    let outcome = search(&folder, &args);
    let trials = |study: &Value| -> Vec<(String, u64)> {
        let trials = study["trials"].as_array().unwrap().iter();
        let each = trials.map(|t| (t["state"].as_str().unwrap(), t["attempts"].as_u64().unwrap()));
        each.map(|(state, attempts)| (state.to_owned(), attempts)).collect()
    };
    assert_eq!(trials(&outcome.json_with(1)), vec![("failed".to_owned(), 1); 3]);
    assert_eq!(outcome.err.lines().count(), 1, "{}", outcome.err);
    for part in ["the first 3 failed alike", "no model at step 2", "s.study.trials/2/output.log"] {
        assert!(outcome.err.contains(part), "{}", outcome.err);
    }
    folder.write("mended", "");
    let study = search(&folder, &args).json();
    let expected = [vec![("complete".to_owned(), 2); 3], vec![("complete".to_owned(), 1); 5]];
    assert_eq!(trials(&study), expected.concat());
}

#[test]
fn failures_go_on_where_that_is_asked_for_and_after_a_trial_that_was_complete() {
    let folder = Folder::new();
    folder.write("space.toml", SPACE);
    let study = search(
        &folder,
        &[
            "--trials",
            "5",
            "--sampler",
            "sobol",
            "--stop-after-failures",
            "0",
            "--command",
            "false",
        ],
    );
    assert_eq!(study.json_with(1)["trials"].as_array().unwrap().len(), 5);
    let folder = Folder::new();
    folder.write("space.toml", format!("search.stop_after_failures = 2\n{SPACE}"));
    let command = r#"sh -c 'test $LIMBECK_TRIAL = 1 && echo "{\"m\": 1}"'"#;
    let study = search(&folder, &["--trials", "6", "--sampler", "sobol", "--command", command]);
    assert_eq!(study.json()["trials"].as_array().unwrap().len(), 6);
}

#[test]
fn a_recipe_of_several_stages_is_looked_through_before_its_first_one() {
    let folder = world();
    folder.write(
        "r.toml",
        "data.train = 'train.json'
        features = { max_length = 32, max_query_length = 8, doc_stride = 4 }
        [[stage]]
        name = 'teacher'
        model.path = 'model'
        [[stage]]
        name = 'student'
        teacher = 'stage:teacher'
        model.path = 'stage:teacher/last'
        data.dev = 'nowhere.json'
        [[stage]]
        name = 'last'
        teacher = 'nobody'
        model.path = 'stage:student'",
    );
    let outcome = folder.run(&["run", "r.toml"]);
    let told = lines(&outcome);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("`data.dev` is nowhere.json: "), "{told:?}");
    assert!(told[1].starts_with("`teacher` is nobody: "), "{told:?}");
    assert!(told[2].contains("give other names in r.toml or with --set"), "{told:?}");
    assert!(!folder.path().join("runs").exists());
}
