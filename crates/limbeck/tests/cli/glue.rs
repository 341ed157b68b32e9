//! Classifiers from TSV files to predictions, with the real binary.

use serde_json::{Value, json};

use crate::support::{Folder, Outcome};
use crate::world::{PEOPLE, TOWNS, world};

/// A folder with an untrained encoder and the files of a few tasks: of sst2 whether a person is
/// one of the first three, of stsb the number of a town.
pub fn texts() -> Folder {
    let folder = world();
    let rows = |count: usize, row: &dyn Fn(usize) -> String| -> String {
        (0..count).map(row).collect::<Vec<_>>().concat()
    };
    let text = |i: usize| {
        let (person, town) = (PEOPLE[i % 6], TOWNS[(i * 5 + i / 6) % 6]);
        format!("{person} lives in {town}.")
    };
    let sst2 = |i: usize| format!("{}\t{}\n", text(i), u8::from(i % 6 < 3));
    let stsb = |i: usize| format!("{}\t{}\t{}\n", text(i), text(i + 1), (i * 5 + i / 6) % 6);
    let mnli = |i: usize| {
        let label = ["entailment", "neutral", "contradiction"][i % 3];
        format!("{}\t{}\t{label}\n", text(i), text(i + 1))
    };
    let files: [(&str, &str, usize, Line<'_>); 6] = [
        ("sst2/train.tsv", "sentence\tlabel\n", 120, &sst2),
        ("sst2/dev.tsv", "sentence\tlabel\n", 24, &sst2),
        ("stsb/train.tsv", "sentence1\tsentence2\tscore\n", 120, &stsb),
        ("stsb/dev.tsv", "sentence1\tsentence2\tscore\n", 24, &stsb),
        ("mnli/train.tsv", "sentence1\tsentence2\tgold_label\n", 60, &mnli),
        ("mnli/dev.tsv", "sentence1\tsentence2\tgold_label\n", 12, &mnli),
    ];
    for (name, header, count, row) in files {
        folder.write(name, format!("{header}{}", rows(count, row)));
    }
    let hidden = rows(6, &|i| format!("{i}\t{}\n", text(i)));
    folder.write("sst2/test.tsv", format!("index\tsentence\n{hidden}"));
    folder
}

/// `limbeck COMMAND --task TASK` on the files of that task.
pub fn train(folder: &Folder, command: &str, task: &str, more: &[&str]) -> Outcome {
    let (train, dev) = (format!("{task}/train.tsv"), format!("{task}/dev.tsv"));
    let mut args = vec![command, "--task", task, "--train", &train, "--dev", &dev, "--quiet"];
    args.extend(["--max-length", "24", "--learning-rate", "3e-3", "--batch-size", "8", "--json"]);
    args.extend(more);
    folder.run(&args)
}

fn config(folder: &Folder, model: &str) -> Value {
    let path = folder.path().join(model).join("config.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A line of a file, by its number.
type Line<'a> = &'a dyn Fn(usize) -> String;

#[test]
fn a_classifier_is_trained_distilled_evaluated_and_asked() {
    let folder = texts();
    let teacher = ["--model", "model", "--epochs", "20", "--out", "teacher"];
    let first = train(&folder, "finetune", "sst2", &teacher).json();
    assert!(first["metrics"]["accuracy"].as_f64().unwrap() > 0.9, "{first}");
    let json = config(&folder, "teacher");
    assert_eq!(json["architectures"], json!(["BertForSequenceClassification"]));
    assert_eq!(json["id2label"], json!({"0": "negative", "1": "positive"}));
    assert_eq!(json["problem_type"], "single_label_classification");
    for name in ["train.jsonl", "metrics.json", "predictions.tsv", "limbeck.json", "report.html"] {
        assert!(folder.path().join("teacher").join(name).is_file(), "{name}");
    }

    let student = ["--teacher", "teacher", "--student-layers", "1", "--length-adaptive"];
    let more = ["--epochs", "20", "--alpha-hidden", "0.1", "--out", "student"];
    let distilled = train(&folder, "distill", "sst2", &[&student[..], &more].concat()).json();
    assert!(distilled["metrics"]["accuracy"].as_f64().unwrap() > 0.9, "{distilled}");

    let on_dev = ["--data", "sst2/dev.tsv", "--json", "--quiet"];
    let evaluate = |more: &[&str]| folder.run(&[&["evaluate"], more, &on_dev].concat()).json();
    assert_eq!(evaluate(&["--model", "teacher"])["accuracy"], first["metrics"]["accuracy"]);
    let shortened = evaluate(&["--model", "student", "--lengths", "0.6"]);
    assert!(shortened["accuracy"].as_f64().is_some());

    let predict = ["predict", "--model", "teacher", "--data", "sst2/test.tsv", "--quiet"];
    let predicted = folder.run(&[&predict[..], &["--json"]].concat()).json();
    folder.run(&[&predict[..], &["--out", "predictions"]].concat());
    let path = folder.path().join("predictions/predictions.tsv");
    let lines = std::fs::read_to_string(path).unwrap();
    assert_eq!(lines.lines().next(), Some("index\tprediction"));
    assert_eq!(lines.lines().nth(3).unwrap(), format!("2\t{}", predicted["2"].as_str().unwrap()));
    assert_eq!(lines.lines().count(), 7);
    folder.run(&[&predict[..], &["--submission", "to-submit"]].concat());
    let path = folder.path().join("to-submit/SST-2.tsv");
    assert_eq!(std::fs::read_to_string(path).unwrap(), lines);

    let asked = ["classify", "--model", "teacher", "--text", "ana lives in rome.", "--json"];
    let label = if predicted["0"] == "1" { "positive" } else { "negative" };
    assert_eq!(folder.run(&asked).json()["label"], label);
}

#[test]
fn a_regression_is_trained_and_evaluated() {
    let folder = texts();
    let run = ["--model", "model", "--epochs", "20", "--out", "similar"];
    let result = train(&folder, "finetune", "stsb", &run).json();
    assert!(result["metrics"]["spearmanr"].as_f64().unwrap() > 0.8, "{result}");
    assert_eq!(config(&folder, "similar")["problem_type"], "regression");
    let evaluate = ["evaluate", "--model", "similar", "--data", "stsb/dev.tsv", "--quiet"];
    let text = folder.run(&evaluate);
    assert!(text.out.contains("pearson") && text.out.contains("spearmanr"), "{}", text.out);
}

#[test]
fn a_head_of_other_labels_is_drawn_anew_and_the_second_set_is_scored_too() {
    let folder = texts();
    let first = ["--model", "model", "--epochs", "1", "--out", "first"];
    assert_eq!(train(&folder, "finetune", "sst2", &first).code, 0);
    let args = [
        "finetune",
        "--task",
        "mnli",
        "--model",
        "first",
        "--train",
        "mnli/train.tsv",
        "--dev",
        "mnli/dev.tsv",
        "--dev-mismatched",
        "mnli/dev.tsv",
        "--epochs",
        "1",
        "--max-length",
        "24",
        "--out",
        "second",
        "--json",
    ];
    let outcome = folder.run(&args);
    let metrics = &outcome.json()["metrics"];
    assert!(outcome.err.contains("drawn at random: classifier.bias, classifier.weight"));
    assert_eq!(metrics["accuracy"], metrics["accuracy_mm"]);
    let labels = &config(&folder, "second")["id2label"];
    assert_eq!(*labels, json!({"0": "entailment", "1": "neutral", "2": "contradiction"}));
    let both = ["--data", "mnli/dev.tsv", "--mismatched", "mnli/dev.tsv", "--json", "--quiet"];
    let scores = folder.run(&[&["evaluate", "--model", "second"], &both[..]].concat()).json();
    assert_eq!(scores["accuracy_mm"], metrics["accuracy_mm"]);
    let other = ["--task", "sst2", "--data", "sst2/dev.tsv", "--quiet"];
    folder
        .run(&[&["evaluate", "--model", "second"], &other[..]].concat())
        .refused(&["second", "3 labels", "sst2 2"]);
}

#[test]
fn a_teacher_of_another_task_is_refused() {
    let folder = texts();
    let run = ["--model", "model", "--epochs", "1", "--out", "run"];
    assert_eq!(train(&folder, "finetune", "sst2", &run).code, 0);
    let teacher = ["--teacher", "run", "--student", "model", "--epochs", "1", "--out", "student"];
    let stsb = train(&folder, "distill", "stsb", &teacher);
    stsb.refused(&["run", "the teacher is for 2 labels", "the student for 1"]);
}

#[test]
fn several_runs_differ_by_their_seeds_and_are_summed_up() {
    let folder = texts();
    let run = ["--model", "model", "--epochs", "1", "--out", "seeds", "--runs", "2"];
    let result = train(&folder, "finetune", "sst2", &run).json();
    let runs = result["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    let weights = |run: &str| {
        std::fs::read(folder.path().join("seeds").join(run).join("model.safetensors")).unwrap()
    };
    assert!(weights("run-1") != weights("run-2"));
    let scores: Vec<f64> =
        runs.iter().map(|run| run["metrics"]["accuracy"].as_f64().unwrap()).collect();
    let summary = &result["metrics"][0];
    assert_eq!(summary["name"], "accuracy");
    assert_eq!(summary["best"], scores[0].max(scores[1]));
    let mean = summary["mean"].as_f64().unwrap();
    assert!((mean - (scores[0] + scores[1]) / 2.0).abs() < 1e-9, "{result}");
}

#[test]
fn labels_and_texts_of_one_s_own_need_no_task_of_glue() {
    let folder = texts();
    let line = |i: usize| {
        let label = if i % 6 < 3 { "early" } else { "late" };
        format!("{}\n", json!({"text": format!("{} lives.", PEOPLE[i % 6]), "label": label}))
    };
    folder.write("own.jsonl", (0..60).map(line).collect::<String>());
    let args = [
        "finetune",
        "--task",
        "classify",
        "--model",
        "model",
        "--train",
        "own.jsonl",
        "--dev",
        "own.jsonl",
        "--epochs",
        "10",
        "--max-length",
        "16",
        "--learning-rate",
        "3e-3",
        "--out",
        "own",
        "--json",
        "--quiet",
    ];
    let result = folder.run(&args).json();
    assert!(result["metrics"]["accuracy"].as_f64().unwrap() > 0.9, "{result}");
    assert_eq!(config(&folder, "own")["id2label"], json!({"0": "early", "1": "late"}));
}

#[test]
fn broken_rows_and_wrong_tasks_are_refused_on_one_line() {
    let folder = texts();
    let run = |name: &str, content: &str, parts: &[&str]| {
        folder.write("broken.tsv", content);
        let args =
            ["finetune", "--task", name, "--model", "model", "--train", "broken.tsv", "--out", "o"];
        folder.run(&args).refused(parts);
    };
    run("sst2", "sentence\tlabel\na\t1\nb\n", &["broken.tsv", "line 3", "1 columns, of 2"]);
    run("sst2", "sentence\tlabel\na\t2\n", &["broken.tsv", "line 2", "`2`", "negative, positive"]);
    run("rte", "sentence\tlabel\na\t1\n", &["broken.tsv", "rte compares two texts"]);
    run("sst2", "sentence\tlabel\n", &["there is no text", "broken.tsv"]);
    let questions = ["evaluate", "--model", "model", "--data", "dev.json", "--task", "sst2"];
    folder.run(&questions).refused(&["sst2 is a task of texts"]);
    let mismatched = ["evaluate", "--model", "model", "--data", "dev.json", "--mismatched", "x"];
    folder.run(&mismatched).refused(&["--mismatched is for texts"]);
}

/// Adds small files of all nine tasks to a folder of [`texts`].
fn nine_tasks(folder: &Folder) {
    let text = |i: usize| format!("{} lives in {}.", PEOPLE[i % 6], TOWNS[(i * 5) % 6]);
    let named = |i: usize| ["entailment", "not_entailment"][i % 2];
    let single = |i: usize| format!("x\t{}\t\t{}\n", i % 2, text(i));
    let pair = |i: usize| format!("{}\t{}\t{}\n", text(i), text(i + 1), i % 2);
    let inference = |i: usize| format!("{}\t{}\t{}\n", text(i), text(i + 1), named(i));
    let quality = |i: usize| format!("{}\t{}\t{}\n", i % 2, text(i), text(i + 1));
    let tasks: [(&str, &str, Line<'_>); 6] = [
        ("cola", "", &single),
        ("mrpc", "Quality\t#1 String\t#2 String\n", &quality),
        ("qqp", "question1\tquestion2\tis_duplicate\n", &pair),
        ("qnli", "question\tsentence\tlabel\n", &inference),
        ("rte", "sentence1\tsentence2\tlabel\n", &inference),
        ("wnli", "sentence1\tsentence2\tlabel\n", &pair),
    ];
    for (task, header, row) in tasks {
        for name in ["train", "dev"] {
            let rows: String = (0..8).map(row).collect();
            folder.write(&format!("{task}/{name}.tsv"), format!("{header}{rows}"));
        }
    }
}

#[test]
fn a_campaign_over_nine_tasks_is_one_command_and_goes_on_where_it_was() {
    let folder = texts();
    nine_tasks(&folder);
    let stage = |task: &str| {
        let mismatched = if task == "mnli" { "data.dev_mismatched = 'mnli/dev.tsv'\n" } else { "" };
        let runs = if task == "cola" { "runs = 2\n" } else { "" };
        format!(
            "[[stage]]\nname = '{task}'\ntask = '{task}'\n{runs}data.train = '{task}/train.tsv'\n\
             data.dev = '{task}/dev.tsv'\n{mismatched}"
        )
    };
    let tasks = ["cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli"];
    let shared = "summary = 'glue'\nmodel.path = 'model'\nfeatures.max_length = 24\n\
                  train = { max_steps = 2, batch_size = 4 }\noutput.dir = 'nine'\n";
    folder.write("nine.toml", format!("{shared}{}", tasks.map(stage).concat()));
    let run = ["run", "nine.toml", "--quiet", "--json"];
    folder.run(&[&run[..], &["--only", "colo"]].concat()).refused(&["no stage `colo`", "cola"]);
    let some = folder.run(&[&run[..], &["--only", "cola,rte"]].concat()).json();
    let summary = &some["summary"];
    assert!(summary["average_bert"].is_null() && summary["average_glue"].is_null());
    assert_eq!(summary["missing"]["mnli"], "its stage was left out and has not finished");
    assert_eq!(some["runs"][0]["stage"], "cola");
    assert_eq!(some["stages"][1]["run"], 2);

    let all = folder.run(&run).json();
    let stages = all["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 10);
    let trained: Vec<bool> = stages.iter().map(|stage| stage.get("steps").is_some()).collect();
    assert_eq!(trained[..3], [false, false, true], "{all}");
    let score = |stage: &Value| {
        let metrics = stage["metrics"].as_object().unwrap();
        metrics.values().map(|value| value.as_f64().unwrap()).sum::<f64>() / metrics.len() as f64
    };
    let scores: Vec<f64> = stages.iter().map(score).collect();
    let best = scores[0].max(scores[1]);
    let mean = (best + scores[2..].iter().sum::<f64>()) / 9.0;
    let told = all["summary"]["average_glue"].as_f64().unwrap();
    assert!((told - mean).abs() < 1e-9, "{told} {mean}");

    let written = std::fs::read(folder.path().join("nine/metrics.json")).unwrap();
    let written: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(written, all["summary"]);
    assert!(folder.path().join("nine/report.html").is_file());
    let compared = folder.run(&["compare", "--glue", "nine", "--json"]).json();
    assert_eq!(compared["models"][0]["average_glue"], all["summary"]["average_glue"]);
    // The folder of several runs is the best of them.
    let evaluate = ["evaluate", "--model", "nine/cola", "--data", "cola/dev.tsv", "--json"];
    let found = folder.run(&evaluate).json()["matthews_correlation"].as_f64().unwrap();
    assert!((found - best).abs() < 1e-9, "{found} {best}");
}
