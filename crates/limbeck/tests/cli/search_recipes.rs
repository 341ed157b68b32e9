//! Searches whose trials train recipes and run length plans, and their interruption.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::glue;
use crate::support::Folder;
use crate::world::{arguments, world};

/// A space that is a recipe too.
const RECIPE: &str = "
task = 'squad'
model.path = 'model'
data.train = 'train.json'
data.dev = 'dev.json'
features = { max_length = 32, max_query_length = 8, doc_stride = 4 }
train = { max_steps = 6, batch_size = 8, eval_steps = 3 }
[search]
trials = 4
sampler = 'sobol'
[parameters.rate]
type = 'real'
low = 1e-4
high = 1e-2
scale = 'log'
set = 'optim.learning_rate'
[parameters.'model.num_layers']
type = 'integer'
low = 1
high = 3
[metrics.exact]
goal = 'maximize'
[metrics.parameters]
goal = 'minimize'
[metrics.latency]
goal = 'minimize'
role = 'store'
";

#[test]
fn a_recipe_is_trained_with_parameters_as_settings_and_measured() {
    let folder = world();
    folder.write("space.toml", RECIPE);
    let args = ["search", "--space", "space.toml", "--study", "s.study", "--json", "--quiet"];
    let study = folder.run(&[&args[..], &["--parallel", "2"]].concat()).json();
    let trials = study["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 4);
    let mut sizes: Vec<(i64, f64)> = Vec::new();
    for trial in trials {
        assert_eq!(trial["state"], "complete", "{trial}");
        let metrics = &trial["metrics"];
        assert!(metrics["latency"].as_f64().unwrap() > 0.0 && metrics["f1"].is_number());
        assert!(metrics["macs"].as_f64().unwrap() > 0.0);
        let layers = trial["params"]["model.num_layers"].as_i64().unwrap();
        sizes.push((layers, metrics["parameters"].as_f64().unwrap()));
    }
    sizes.sort_by(|a, b| a.partial_cmp(b).unwrap());
    assert!(sizes.windows(2).all(|pair| (pair[0].0 < pair[1].0) == (pair[0].1 < pair[1].1)));
    // What a trial has learnt lies in its folder, and evaluations were told on the way.
    let trial = folder.path().join("s.study.trials/2");
    assert!(trial.join("model.safetensors").is_file());
    let output = std::fs::read_to_string(trial.join("output.log")).unwrap();
    let report: Value = serde_json::from_str(output.lines().next().unwrap()).unwrap();
    assert_eq!(report["step"], 0.5);
    let parameters = |value: &Value| value["parameters"].as_f64();
    assert_eq!(parameters(&report), parameters(&trials[2]["metrics"]));
}

#[test]
fn head_counts_that_do_not_divide_the_hidden_size_are_drawn_by_the_published_space_alone() {
    let drawn = |recipe: &str| -> Vec<i64> {
        let folder = Folder::new();
        let space = format!("{}/../../recipes/{recipe}.toml", env!("CARGO_MANIFEST_DIR"));
        let ask = ["study", "ask", "--study", "s", "--space", &space, "--sampler", "sobol"];
        let ask = || folder.run(&[&ask[..], &["--json"]].concat()).json();
        let trials: Vec<Value> = (0..24).map(|_| ask()).collect();
        assert_eq!(trials[0]["params"].as_object().unwrap().len(), 17);
        trials.iter().map(|trial| trial["params"]["n_heads"].as_i64().unwrap()).collect()
    };
    let divides = |heads: &i64| 768 % heads == 0;
    assert!(drawn("sigopt-multimetric").iter().all(divides));
    assert!(!drawn("sigopt-multimetric-published").iter().all(divides));
}

#[test]
fn a_search_that_extends_another_has_its_recipe_and_its_other_parameters_too() {
    let folder = world();
    folder.write("base.toml", RECIPE);
    folder.write(
        "space.toml",
        "extends = 'base.toml'\nsearch.trials = 1\n[parameters.rate]\ntype = 'real'\nlow = 0.5\n\
         high = 0.6\nset = {}\n",
    );
    let args = ["search", "--space", "space.toml", "--study", "s.study"];
    folder
        .run(&[&args[..], &["--set", "train.max_stps=3"]].concat())
        .refused(&["`train.max_steps`"]);
    folder.run(&[&args[..], &["--set", "a=1", "--command", "true"]].concat()).refused(&["--set"]);
    let set = ["--set", "train.max_steps=3", "--json", "--quiet"];
    let study = folder.run(&[&args[..], &set].concat()).json();
    let trials = study["trials"].as_array().unwrap();
    assert_eq!((trials.len(), &trials[0]["state"]), (1, &json!("complete")), "{study}");
    assert!(trials[0]["params"]["rate"].as_f64().unwrap() >= 0.5);
    assert!(trials[0]["params"]["model.num_layers"].is_i64());
    let run = std::fs::read_to_string(folder.path().join("s.study.trials/0/run.toml")).unwrap();
    assert!(run.contains("max_steps = 3\n"), "{run}");
}

#[test]
fn settings_that_the_recipe_does_not_have_are_refused_before_anything_runs() {
    let folder = world();
    folder.write("space.toml", RECIPE.replace("'optim.learning_rate'", "'optim.lerning_rate'"));
    let args = ["search", "--space", "space.toml", "--study", "s.study"];
    folder.run(&args).refused(&["`optim.lerning_rate`", "did you mean"]);
    folder.write("space.toml", RECIPE.replace("data.dev = 'dev.json'", ""));
    folder.run(&args).refused(&["measure nothing", "`data.dev`"]);
    assert!(!folder.path().join("s.study").exists());
}

#[test]
fn length_plans_of_a_trained_model_are_searched() {
    let folder = world();
    let more = ["--model", "model", "--dev", "dev.json", "--out", "student", "--max-steps", "4"];
    assert_eq!(folder.run(&arguments("finetune", &more)).code, 0);
    folder.write(
        "space.toml",
        "[parameters.lengths]\ntype = 'falling_reals'\nsize = 2\nlow = 0.2\nhigh = 1\n\
         [metrics.f1]\ngoal = 'maximize'\n[metrics.macs]\ngoal = 'minimize'\n",
    );
    let args = ["search", "--space", "space.toml", "--study", "s.study", "--json", "--quiet"];
    let more = ["--trials", "3", "--model", "student", "--data", "dev.json", "--sampler", "random"];
    let study = folder.run(&[&args[..], &more].concat()).json();
    for trial in study["trials"].as_array().unwrap() {
        assert_eq!(trial["state"], "complete", "{trial}");
        assert_eq!(trial["metrics"]["total"], json!(12.0));
    }
}

#[test]
fn classifiers_are_searched_too_as_recipes_and_by_length_plans() {
    let folder = glue::texts();
    folder.write(
        "recipe.toml",
        "task = 'sst2'\nmodel.path = 'model'\nfeatures.max_length = 24\n\
         data = { train = 'sst2/train.tsv', dev = 'sst2/dev.tsv' }\ntrain.max_steps = 4\n\
         [search]\ntrials = 1\nsampler = 'random'\n\
         [parameters.'optim.learning_rate']\ntype = 'real'\nlow = 1e-3\nhigh = 3e-3\n\
         [metrics.accuracy]\ngoal = 'maximize'\n[metrics.latency]\ngoal = 'minimize'\n",
    );
    let complete = |args: &[&str]| {
        let study = folder.run(&[&["search", "--json", "--quiet"], args].concat()).json();
        let trial = study["trials"][0].clone();
        assert_eq!(trial["state"], "complete", "{trial}");
        assert!(trial["metrics"]["latency"].as_f64().unwrap() > 0.0, "{trial}");
        trial
    };
    let trained = complete(&["--space", "recipe.toml", "--study", "r.study"]);
    folder.write(
        "space.toml",
        "[parameters.lengths]\ntype = 'falling_reals'\nsize = 2\nlow = 0.2\nhigh = 0.6\n\
         [metrics.accuracy]\ngoal = 'maximize'\n[metrics.macs]\ngoal = 'minimize'\n",
    );
    let model = ["--model", "r.study.trials/0", "--data", "sst2/dev.tsv", "--trials", "1"];
    let planned =
        complete(&[&["--space", "space.toml", "--study", "l.study"], &model[..]].concat());
    let macs = |trial: &Value| trial["metrics"]["macs"].as_f64().unwrap();
    assert!(macs(&planned) < macs(&trained));
    assert!(planned["metrics"]["accuracy"].is_number());
}

#[test]
fn ctrl_c_gives_running_trials_back_and_the_same_command_goes_on() {
    let folder = Folder::new();
    folder.write(
        "space.toml",
        "[parameters.x]\ntype='real'\nlow=0\nhigh=1\n[metrics.m]\ngoal='minimize'\n",
    );
    // Slow until a file says otherwise. Asked to end it does so without fault, but what it said
    // last is how far it was.
    let report = r#"echo "{\"step\": 1, \"m\": -9}""#;
    let slow = format!(r#"test -e fast || {{ trap "exit 0" TERM; {report}; sleep 60 & wait; }}"#);
    let command = &format!(r#"sh -c '{slow}; echo "{{\"m\": {{x}}}}"'"#);
    let args = ["search", "--space", "space.toml", "--study", "s.study", "--sampler", "random"];
    let args = [&args[..], &["--trials", "3", "--parallel", "2", "--command", command]].concat();
    let mut child = Command::new(env!("CARGO_BIN_EXE_limbeck"))
        .args(&args)
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let states = || {
        let study = folder.run(&["study", "show", "--study", "s.study", "--json"]);
        let study: Value = serde_json::from_str(&study.out).unwrap_or_default();
        let trials = study["trials"].as_array().cloned().unwrap_or_default();
        trials.iter().map(|trial| trial["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let begun = Instant::now();
    while states() != ["running", "running"] {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", states());
        thread::sleep(Duration::from_millis(50));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(states(), ["suggested", "suggested"]);
    folder.write("fast", "");
    let study = folder.run(&[&args[..], &["--json"]].concat()).json();
    let attempts: Vec<&Value> =
        study["trials"].as_array().unwrap().iter().map(|trial| &trial["attempts"]).collect();
    assert_eq!(attempts, [&json!(2), &json!(2), &json!(1)]);
}

#[test]
fn a_study_is_drawn_and_exported() {
    let folder = Folder::new();
    folder.write(
        "space.toml",
        "[parameters.x]\ntype='real'\nlow=0\nhigh=1\n[parameters.k]\ntype='categorical'\n\
         choices=['a,b','c']\n[metrics.m]\ngoal='minimize'\n[metrics.n]\ngoal='maximize'\nthreshold=0.1\n",
    );
    let command = "sh -c 'test {x} != 0.5 && test $LIMBECK_TRIAL != 3 && echo \"{\\\"m\\\": {x}, \\\"n\\\": {x}}\"'";
    let args = ["search", "--space", "space.toml", "--study", "s.study", "--json", "--quiet"];
    let more = ["--trials", "12", "--sampler", "sobol", "--command", command];
    folder.run(&[&args[..], &more].concat()).json();
    folder.run(&["study", "plot", "--study", "s.study", "--out", "s.html", "--json"]).json();
    let page = std::fs::read_to_string(folder.path().join("s.html")).unwrap();
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("src="));
    for part in
        ["m and n", "Hypervolume", "What decides m", "All parameters", "m over x", "Failures"]
    {
        assert!(page.contains(&format!("<h2>{part}</h2>")), "{part}");
    }
    for number in 0..12 {
        assert!(page.contains(&format!("id=\"trial-{number}\"")), "{number}");
        assert_eq!(page.contains(&format!("href=\"#trial-{number}\"")), number != 3);
    }
    let export = |format, out| {
        let args =
            ["study", "export", "--study", "s.study", "--json", "--format", format, "--out", out];
        folder.run(&args).json();
        std::fs::read_to_string(folder.path().join(out)).unwrap()
    };
    let table = export("csv", "s.csv");
    assert_eq!(table.lines().count(), 13);
    assert_eq!(table.lines().next().unwrap(), "number,state,front,k,x,m,n,seconds,origin,reason");
    assert!(table.contains(",\"a,b\",") && table.contains("exit code 1"));
    let journal = export("optuna", "s.log");
    let lines: Vec<Value> =
        journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 14);
    assert_eq!(lines[0]["directions"], json!([1, 2]));
    assert_eq!((&lines[5]["state"], &lines[6]["state"]), (&json!(3), &json!(1)));
    // Optuna does not read the end of a trial that has none.
    folder.run(&["study", "ask", "--study", "s.study", "--sampler", "random", "--json"]).json();
    let journal = export("optuna", "s.log");
    let last: Value = serde_json::from_str(journal.lines().last().unwrap()).unwrap();
    assert_eq!((&last["state"], last.get("datetime_complete")), (&json!(0), None));
    assert!(lines[13]["datetime_complete"].is_string());
}
