//! `limbeck compare`: training runs side by side.

use serde_json::{Value, json};

use crate::glue;
use crate::world::{train, world};

#[test]
fn runs_are_compared_by_what_differs_and_what_came_of_it() {
    let folder = world();
    let dev = ["--model", "model", "--dev", "dev.json"];
    let run = |more: &[&str]| train(&folder, "finetune", &[&dev[..], more].concat());
    assert_eq!(run(&["--epochs", "6", "--out", "runs/a", "--logging-steps", "2"]).code, 0);
    let slow = ["--epochs", "2", "--out", "runs/b", "--seed", "7"];
    assert_eq!(run(&slow).code, 0);

    // As a run leaves it that was killed while it wrote a line.
    let record = folder.path().join("runs/b/run.json");
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replace("\"finished\": true", "\"finished\": false")).unwrap();
    let lines = folder.path().join("runs/b/train.jsonl");
    let text = std::fs::read_to_string(&lines).unwrap();
    std::fs::write(&lines, text + "{\"step\": 99, \"lo").unwrap();

    let told = folder.run(&["compare", "runs/a", "runs/b", "--out", "page.html", "--json"]).json();
    let differences = told["differences"].as_object().unwrap();
    assert_eq!(differences["train.seed"], json!([42, 7]));
    assert_eq!(differences["train.epochs"], json!([6.0, 2.0]));
    assert!(!differences.contains_key("train.batch_size"), "{told}");
    let [a, b] = [&told["runs"][0], &told["runs"][1]];
    assert_eq!(
        (&a["name"], &a["finished"], &b["finished"]),
        (&json!("a"), &true.into(), &false.into())
    );
    let metrics: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("runs/a/metrics.json")).unwrap())
            .unwrap();
    assert_eq!(a["metrics"], metrics);
    assert_eq!(a["steps"], 72);
    assert_eq!(b["steps"], 24);
    assert!(a["best_step"].as_u64().unwrap() % 12 == 0, "{a}");
    assert!(a["tokens_per_second"].as_f64().unwrap() > 0.0);

    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    for part in
        [">Loss<", ">F1<", ">Learning rate<", "train.seed", "Configuration of b", "finished"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<script") && !page.contains("src="), "it loads something");

    // A folder of runs stands for them; the table has a column for each.
    let text = folder.run(&["compare", "runs"]);
    let f1 = text.out.lines().find(|line| line.starts_with("f1 ")).unwrap();
    assert_eq!(f1.split_whitespace().count(), 3, "{}", text.out);
    assert!(text.out.contains("unfinished") && text.out.contains("train.seed"), "{}", text.out);
}

#[test]
fn what_is_no_run_is_refused() {
    let folder = world();
    folder.run(&["compare", "absent"]).refused(&["absent", "no such folder"]);
    folder.run(&["compare", "model"]).refused(&["model", "not the folder of a training run"]);
    folder.write("search/run.json", r#"{"version": "0", "finished": true, "configuration": {}}"#);
    folder.run(&["compare", "search"]).refused(&["search", "not the folder of a training run"]);
    folder.write("broken/run.json", "{");
    folder.run(&["compare", "broken"]).refused(&["broken", "run.json", "damaged"]);
    folder.run(&["compare"]).refused(&["RUN"]);
}

#[test]
fn runs_of_glue_are_summed_up_by_model() {
    let folder = glue::texts();
    let run = ["--model", "model", "--epochs", "1", "--runs", "2", "--out", "sst2-runs"];
    let several = glue::train(&folder, "finetune", "sst2", &run).json();
    let run = ["--model", "model", "--epochs", "1", "--out", "stsb-run"];
    let similar = glue::train(&folder, "finetune", "stsb", &run).json();
    let compare = ["compare", "--glue", "sst2-runs", "stsb-run"];
    let told = folder.run(&[&compare[..], &["--json", "--out", "glue.html"]].concat()).json();
    let card = &told["models"][0];
    assert_eq!((&card["model"], &card["average_bert"]), (&"model".into(), &Value::Null));
    let sst2 = &card["tasks"]["sst2"];
    assert_eq!(sst2["runs"], 2);
    assert_eq!(sst2["best"], several["metrics"][0]["best"]);
    let of = |key: &str| similar["metrics"][key].as_f64();
    match of("pearson").zip(of("spearmanr")) {
        Some((pearson, spearman)) => {
            let (found, mean) = (&card["tasks"]["stsb"]["best"], (pearson + spearman) / 2.0);
            assert!((found.as_f64().unwrap() - mean).abs() < 1e-9, "{found} {mean}");
        }
        None => assert_eq!(card["missing"]["stsb"], "pearson is undefined"),
    }
    let text = folder.run(&compare).out;
    assert!(text.contains("average_bert  none, it lacks cola, mrpc"), "{text}");
    assert!(folder.path().join("glue.html").is_file());
    // What is made sparse on the way is another model.
    let sparse = ["--sparsity", "0.5", "--epochs", "1", "--out", "sparse"];
    glue::train(&folder, "finetune", "sst2", &[&["--model", "model"], &sparse[..]].concat());
    let told = folder.run(&["compare", "--glue", "sst2-runs", "sparse", "--json"]).json();
    assert_eq!(told["models"][0]["tasks"]["sst2"]["runs"], 2);
    assert_eq!(told["models"][1]["model"], "model, 50 % off by static");

    assert_eq!(
        train(&folder, "finetune", &["--model", "model", "--epochs", "1", "--out", "q"]).code,
        0
    );
    folder.run(&["compare", "--glue", "q"]).refused(&["q", "none of GLUE's tasks"]);
}
