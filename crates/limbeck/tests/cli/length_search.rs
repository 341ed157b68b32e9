//! `limbeck lengths`: the search for length plans.

use serde_json::{Value, json};

use crate::glue;
use crate::support::Folder;
use crate::world::{train, world};

const SEARCH: [&str; 16] = [
    "lengths",
    "--model",
    "teacher",
    "--data",
    "train.json",
    "--population",
    "4",
    "--mutations",
    "5",
    "--crossovers",
    "5",
    "--drop-bound",
    "0.5",
    "--sample",
    "40",
    "--quiet",
];

fn teacher() -> Folder {
    let folder = world();
    train(&folder, "finetune", &["--model", "model", "--epochs", "40", "--out", "teacher"]);
    folder
}

fn search(folder: &Folder, out: &str, more: &[&str]) -> Value {
    folder.run(&[&SEARCH[..], &["--out", out, "--json"], more].concat()).json()
}

fn read_json(folder: &Folder, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder.path().join(name)).unwrap()).unwrap()
}

/// The front without what the clock says.
fn front(folder: &Folder, out: &str) -> Vec<Value> {
    let mut front = read_json(folder, &format!("{out}/front.json"))["front"].clone();
    for plan in front.as_array_mut().unwrap() {
        plan.as_object_mut().unwrap().remove("seconds");
    }
    front.as_array().unwrap().clone()
}

#[test]
fn a_search_leaves_a_front_and_plans_that_the_model_can_be_asked_for_by_name() {
    let folder = teacher();
    folder.write("teacher/limbeck.json", {
        let mut notes = read_json(&folder, "teacher/limbeck.json");
        notes["length_plans"] =
            json!({"mine": {"lengths": [0.5, 0.5]}, "half": {"lengths": [1, 1]}});
        notes.to_string()
    });
    let told = search(&folder, "found", &["--generations", "2", "--teacher", "teacher"]);
    // Four and the two bounds to start from, then ten more each time.
    assert_eq!((&told["tried"], &told["questions"]), (&json!(26), &json!(90)));
    let front = front(&folder, "found");
    let of = |plan: &Value, key: &str| plan[key].as_f64().unwrap();
    for pair in front.windows(2) {
        assert!(
            of(&pair[0], "macs") < of(&pair[1], "macs") && of(&pair[0], "f1") < of(&pair[1], "f1")
        );
    }
    let csv = std::fs::read_to_string(folder.path().join("found/lengths.csv")).unwrap();
    assert!(csv.starts_with("x0,x1,f1,evalTime,macs\n"), "{csv}");
    assert_eq!(csv.lines().count(), 1 + front.len());
    let page = std::fs::read_to_string(folder.path().join("found/report.html")).unwrap();
    for part in ["within-1-percent", ">front<", ">its hull<", ">all tokens<", ">teacher<"] {
        assert!(page.contains(part), "{part}");
    }

    let plans = read_json(&folder, "teacher/limbeck.json")["length_plans"].clone();
    assert_eq!(plans["mine"], json!({"lengths": [0.5, 0.5]}));
    for name in ["within-1-percent", "fastest", "best"] {
        assert_eq!(plans[name]["lengths"], told["plans"][name]["lengths"], "{name}");
        let evaluate = ["evaluate", "--model", "teacher", "--data", "train.json", "--json"];
        let metrics = folder.run(&[&evaluate[..], &["--lengths", name]].concat()).json();
        assert_eq!(metrics["f1"], plans[name]["f1"], "{name}");
    }
    assert_eq!(plans["half"].is_null(), told["plans"]["half"].is_null());
    assert!(plans["best"]["milliseconds"].is_null());
    let whole = &told["whole"];
    assert!(of(&plans["within-1-percent"], "f1") >= 0.99 * of(whole, "f1"));
    assert_eq!(of(whole, "f1"), of(&told, "reference_f1"));
}

#[test]
fn a_search_that_was_killed_goes_on_and_ends_as_one_that_was_not() {
    let folder = teacher();
    search(&folder, "whole", &["--generations", "3"]);
    search(&folder, "killed", &["--generations", "1"]);
    let ledger = folder.path().join("killed/plans.jsonl");
    let text = std::fs::read_to_string(&ledger).unwrap();
    // In the middle of a line, as a kill leaves it.
    std::fs::write(&ledger, &text[..text.len() * 2 / 3]).unwrap();
    search(&folder, "killed", &["--generations", "3"]);
    assert_eq!(front(&folder, "killed"), front(&folder, "whole"));

    let again = |more: &[&str]| folder.run(&[&SEARCH[..], &["--out", "whole"], more].concat());
    again(&["--seed", "7"]).refused(&["another configuration", "seed"]);
    again(&["--generations", "0", "--seed", "7", "--overwrite"]);
    assert_eq!(
        std::fs::read_to_string(folder.path().join("whole/plans.jsonl")).unwrap().lines().count(),
        {
            let found = read_json(&folder, "whole/front.json");
            assert_eq!(found["generations"].as_array().unwrap().len(), 1);
            // Each of the six on the sample; of the front and the whole one on all.
            let front = found["front"].as_array().unwrap();
            let whole_is_on_it = front.iter().any(|plan| plan["lengths"] == json!([1.0, 1.0]));
            let on_sample = found["generations"][0]["on_front"].as_u64().unwrap() as usize;
            assert!(on_sample >= front.len() - usize::from(whole_is_on_it));
            let lines = std::fs::read_to_string(folder.path().join("whole/plans.jsonl")).unwrap();
            let on_all = lines.lines().filter(|line| line.contains("\"all\"")).count();
            assert!((on_sample..=on_sample + 1).contains(&on_all));
            6 + on_all
        }
    );
}

#[test]
fn a_gaussian_process_suggests_as_many_plans_as_it_may_and_goes_on_after_a_kill() {
    let folder = teacher();
    // With little room, nearly all that it suggests is the shortest plan again.
    let flags = SEARCH.map(|flag| if flag == "0.5" { "0.9" } else { flag });
    let gp = |out: &str, trials: &str| {
        let more = ["--out", out, "--json", "--sampler", "gp", "--trials", trials];
        folder.run(&[&flags[..], &more].concat()).json()
    };
    let told = gp("whole", "24");
    assert_eq!(told["tried"], json!(24));
    let found = read_json(&folder, "whole/front.json");
    assert_eq!(found["generations"].as_array().unwrap().last().unwrap()["tried"], json!(24));
    let lines = std::fs::read_to_string(folder.path().join("whole/plans.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let on_sample = || lines.iter().filter(|line| line["trial"] == "sample");
    assert_eq!(on_sample().count(), 24);
    let of = |origin: &str| on_sample().filter(|line| line["origin"] == origin).count();
    assert!(of("seed") == 6 && of("suggestion") >= 12, "{lines:?}");
    let least = on_sample().map(|line| line["macs"].as_f64().unwrap()).fold(f64::MAX, f64::min);
    let shortest = on_sample().next().unwrap();
    assert_eq!((&shortest["lengths"][0], &shortest["macs"]), (&json!(100), &json!(least)));

    gp("killed", "12");
    let ledger = folder.path().join("killed/plans.jsonl");
    let text = std::fs::read_to_string(&ledger).unwrap();
    std::fs::write(&ledger, &text[..text.len() / 2]).unwrap();
    gp("killed", "24");
    assert_eq!(front(&folder, "killed"), front(&folder, "whole"));

    let told = search(&folder, "evolved", &["--trials", "9"]);
    assert_eq!(told["tried"], json!(9), "evolution keeps to a number of plans too");
    let few = [&SEARCH[..], &["--out", "few", "--trials", "5"]].concat();
    folder.run(&few).refused(&["--trials", "6 plans", "--population"]);
    assert!(!folder.path().join("few").exists(), "refused before anything is begun");
    let other = [&flags[..], &["--out", "whole"]].concat();
    folder.run(&other).refused(&["another configuration", "sampler"]);
}

#[test]
fn int8_tokens_and_time_are_searched_too() {
    let folder = teacher();
    folder.run(&["quantize", "--model", "teacher", "--out", "int8", "--quiet"]);
    let flags =
        ["lengths", "--model", "int8", "--data", "train.json", "--unit", "tokens", "--json"];
    let more = ["--objective", "time", "--rounds", "2", "--generations", "1", "--mutations", "3"];
    let rest = ["--crossovers", "2", "--population", "2", "--teacher-f1", "50", "--out", "found"];
    let told = folder.run(&[&flags[..], &more, &rest, &["--limit", "20"]].concat()).json();
    assert_eq!((&told["reference_f1"], &told["questions"]), (&json!(50.0), &json!(20)));
    let plans = read_json(&folder, "int8/limbeck.json")["length_plans"].clone();
    let best = &plans["best"];
    assert!(best["milliseconds"].as_f64().unwrap() > 0.0);
    assert!(best["lengths"].as_array().unwrap().iter().all(Value::is_u64), "{best}");
    let page = std::fs::read_to_string(folder.path().join("found/report.html")).unwrap();
    assert!(
        page.contains("milliseconds a window") && page.contains("teacher&#39;s F1"),
        "no times"
    );
}

#[test]
fn plans_of_a_classifier_are_scored_by_the_metric_of_its_task() {
    let folder = glue::texts();
    let run = ["--model", "model", "--epochs", "20", "--out", "labels"];
    glue::train(&folder, "finetune", "sst2", &run).json();
    let search = |model: &str, more: &[&str]| {
        let flags = ["lengths", "--model", model, "--population", "3", "--mutations", "4"];
        let rest = ["--crossovers", "3", "--generations", "1", "--drop-bound", "0.6", "--quiet"];
        folder.run(&[&flags[..], &rest, more].concat())
    };
    let on = ["--data", "sst2/dev.tsv", "--sample", "12", "--out", "found", "--json"];
    let told = search("labels", &[&on[..], &["--teacher", "labels"]].concat()).json();
    assert_eq!((&told["tried"], &told["texts"]), (&json!(12), &json!(24)));
    let csv = std::fs::read_to_string(folder.path().join("found/lengths.csv")).unwrap();
    assert!(csv.starts_with("x0,x1,accuracy,evalTime,macs\n"), "{csv}");
    let page = std::fs::read_to_string(folder.path().join("found/report.html")).unwrap();
    assert!(page.contains("million multiply-adds a text") && !page.contains("F1"), "words");

    let plans = read_json(&folder, "labels/limbeck.json")["length_plans"].clone();
    let on_dev = ["--data", "sst2/dev.tsv", "--json", "--quiet", "--lengths"];
    for name in ["within-1-percent", "fastest", "best"] {
        assert_eq!(plans[name]["lengths"], told["plans"][name]["lengths"], "{name}");
        assert_eq!(plans[name]["metric"], "accuracy");
        let evaluate = ["evaluate", "--model", "labels"];
        let metrics = folder.run(&[&evaluate[..], &on_dev, &[name]].concat()).json();
        assert_eq!(metrics["accuracy"], plans[name]["score"], "{name}");
    }
    let cheapest = plans["fastest"]["lengths"].to_string();
    let cheapest = cheapest.trim_matches(['[', ']']);
    let asked = ["--model", "labels", "--text", "ana lives in rome.", "--json", "--logits"];
    let logits = |lengths: &[&str]| {
        folder.run(&[&["classify"], &asked[..], lengths].concat()).json()["logits"].clone()
    };
    assert_eq!(logits(&["--lengths", "fastest"]), logits(&["--lengths", cheapest]));
    assert_ne!(logits(&["--lengths", "fastest"]), logits(&[]));
    assert_ne!(logits(&["--budget", "0.6"]), logits(&[]));
    let predict = ["predict", "--model", "labels", "--data", "sst2/test.tsv", "--quiet", "--json"];
    folder.run(&[&predict[..], &["--lengths", "fastest"]].concat()).json();

    // A correlation that is the mean of two, and a teacher that speaks of something else.
    let run = ["--model", "model", "--epochs", "4", "--out", "similar"];
    glue::train(&folder, "finetune", "stsb", &run).json();
    let on = ["--data", "stsb/dev.tsv", "--out", "similar-plans", "--json"];
    let told = search("similar", &[&on[..], &["--teacher-score", "-0.5"]].concat()).json();
    assert_eq!(told["reference_combined_score"], -0.5);
    let on = ["--data", "stsb/dev.tsv", "--out", "o", "--teacher", "model"];
    search("similar", &on).refused(&["model", "the teacher is for questions", "for stsb"]);
}

#[test]
fn a_sweep_scores_the_model_at_uniform_ratios() {
    let folder = world();
    let args = ["lengths", "--model", "model", "--data", "dev.json", "--out", "sweep", "--json"];
    let sweep = |more: &[&str]| folder.run(&[&args[..], more].concat());
    let value = sweep(&["--sweep", "1.0,0.5"]).json();
    let points = value["sweep"].as_array().unwrap();
    assert_eq!(points.len(), 2);
    assert_eq!(
        (&points[0]["f1"], &points[0]["share_of_macs"]),
        (&value["whole"]["f1"], &1.0.into())
    );
    assert!(points[1]["share_of_macs"].as_f64().unwrap() < 1.0, "{value}");
    assert_eq!(read_json(&folder, "sweep/sweep.json"), value);
    assert!(folder.path().join("sweep/report.html").is_file());
    // More ratios and another unit join what is there.
    let tokens = sweep(&["--sweep", "1,0.5,0.25", "--unit", "tokens"]).json();
    assert_eq!(tokens["sweep"][0]["f1"], value["whole"]["f1"]);
    let csv = std::fs::read_to_string(folder.path().join("sweep/sweep.csv")).unwrap();
    assert_eq!(csv.lines().count(), 4, "{csv}");
    sweep(&["--sweep", "1.5"]).refused(&["--sweep"]);
}

#[test]
fn a_search_that_makes_no_sense_is_refused() {
    let folder = world();
    folder.write("unlabelled.json", {
        let text = std::fs::read_to_string(folder.path().join("dev.json")).unwrap();
        let mut data: Value = serde_json::from_str(&text).unwrap();
        for paragraph in data["data"][0]["paragraphs"].as_array_mut().unwrap() {
            paragraph["qas"][0]["answers"] = json!([]);
        }
        data.to_string()
    });
    for (flags, parts) in [
        (
            &["--model", "nowhere", "--data", "dev.json", "--out", "o"][..],
            &["nowhere", "not a folder"][..],
        ),
        (&["--model", "model", "--data", "absent.json", "--out", "o"], &["absent.json"]),
        (
            &["--model", "model", "--data", "unlabelled.json", "--out", "o"],
            &["no question has an answer"],
        ),
        (
            &["--model", "model", "--data", "dev.json", "--out", "model"],
            &["model", "the folder of `--model`"],
        ),
        (
            &["--model", "model", "--data", "dev.json", "--out", "o", "--drop-bound", "2"],
            &["--drop-bound"],
        ),
        (
            &[
                "--model",
                "model",
                "--data",
                "dev.json",
                "--out",
                "o",
                "--teacher",
                "a",
                "--teacher-f1",
                "9",
            ],
            &["--teacher"],
        ),
    ] {
        folder.run(&[&["lengths"], flags].concat()).refused(parts);
    }
}
