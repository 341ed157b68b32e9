//! `limbeck classify`: texts, pairs, streams, and models that cannot classify.

use limbeck_model::{Model, ModelConfig};
use serde_json::{Value, json};

use crate::support::{Folder, Outcome};
use crate::world::{train, world};

const POSITIONS: usize = 32;

/// Gives the world a classifier of this architecture, with these keys in its `config.json`.
fn write_classifier(folder: &Folder, name: &str, more: &Value) {
    let mut json = json!({
        "architectures": ["BertForSequenceClassification"], "vocab_size": 24, "hidden_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
        "max_position_embeddings": POSITIONS, "initializer_range": 0.3
    });
    for (key, value) in more.as_object().unwrap() {
        json[key] = value.clone();
    }
    let dir = folder.path().join(name);
    Model::initialise(ModelConfig::from_json(&json).unwrap(), 3).save(&dir).unwrap();
    std::fs::copy(folder.path().join("model/vocab.txt"), dir.join("vocab.txt")).unwrap();
}

fn named() -> Value {
    json!({ "id2label": {"0": "HOME", "1": "AWAY", "2": "NOWHERE"} })
}

/// A folder with a classifier of three named labels.
fn classifier() -> Folder {
    let folder = world();
    write_classifier(&folder, "towns", &named());
    folder
}

/// Changes a key of a model's `config.json`; null takes it away.
fn change(folder: &Folder, model: &str, key: &str, value: Value) {
    let path = folder.path().join(model).join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config[key] = value;
    std::fs::write(path, config.to_string()).unwrap();
}

fn classify(folder: &Folder, model: &str, more: &[&str]) -> Outcome {
    folder.run(&[&["classify", "--model", model], more].concat())
}

#[test]
fn every_label_has_its_probability_and_the_best_comes_first() {
    let folder = classifier();
    let asked = ["--text", "ana lives in rome.", "--json", "--logits"];
    let reply = classify(&folder, "towns", &asked).json();
    let labels = reply["labels"].as_array().unwrap();
    let scores: Vec<f64> = labels.iter().map(|label| label["score"].as_f64().unwrap()).collect();
    assert!((scores.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{reply}");
    assert!(scores.is_sorted_by(|a, b| a >= b), "{reply}");
    let mut names: Vec<_> = labels.iter().map(|label| label["label"].as_str().unwrap()).collect();
    assert_eq!((&reply["label"], &reply["score"]), (&labels[0]["label"], &labels[0]["score"]));
    names.sort_unstable();
    assert_eq!(names, ["AWAY", "HOME", "NOWHERE"]);
    assert_eq!(reply["logits"].as_array().unwrap().len(), 3);
    assert_eq!(reply["truncated"], false);

    let text = classify(&folder, "towns", &["--text", "ana lives in rome."]);
    assert_eq!((text.code, text.err.as_str()), (0, ""));
    assert_eq!(text.out.lines().count(), 3);
    assert!(text.out.starts_with(reply["label"].as_str().unwrap()), "{}", text.out);
    assert!(text.out.contains(" %"), "{}", text.out);
}

#[test]
fn the_second_text_of_a_pair_counts() {
    let folder = classifier();
    let logits = |more: &[&str]| {
        let asked = [&["--text", "ana lives in rome.", "--json", "--logits"], more].concat();
        classify(&folder, "towns", &asked).json()["logits"].clone()
    };
    let alone = logits(&[]);
    assert_ne!(alone, logits(&["--pair", "ana lives in rome."]));
    assert_ne!(logits(&["--pair", "bo"]), logits(&["--pair", "rome oslo"]));
    classify(&folder, "towns", &["--pair", "bo"]).refused(&["--text"]);
}

#[test]
fn a_stream_is_answered_in_order_and_as_each_text_alone() {
    let folder = classifier();
    let texts = [("ana lives in rome.", None), ("", None), ("rome", Some("oslo")), ("?", Some(""))];
    let texts: Vec<_> = texts.iter().cycle().take(40).collect();
    let mut input: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(id, (text, pair))| json!({ "id": id, "text": text, "pair": pair }).to_string())
        .collect();
    input.insert(4, "{\"text\": 7}".to_owned());
    input.insert(2, "  ".to_owned());
    let outcome = folder.run_with(&["classify", "--model", "towns"], &input.join("\n"));
    assert_eq!(outcome.code, 2, "{}", outcome.err);
    let mut replies: Vec<Value> =
        outcome.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let refused = replies.remove(4);
    assert!(refused["line"] == 6 && refused["error"].is_string(), "{refused}");
    assert_eq!(replies.len(), texts.len());
    for (id, (reply, (text, pair))) in replies.iter().zip(&texts).enumerate().take(4) {
        assert_eq!(reply["id"], id);
        let mut asked = vec!["--text", text, "--json"];
        asked.extend(pair.iter().flat_map(|pair| ["--pair", *pair]));
        let mut alone = classify(&folder, "towns", &asked).json();
        alone["id"] = reply["id"].clone();
        assert_eq!(*reply, alone);
    }
    for (first, again) in replies.iter().zip(&replies[4..]) {
        assert_eq!(first["labels"], again["labels"]);
    }
}

#[test]
fn lines_may_name_their_texts_as_files_do_and_lose_none() {
    let folder = classifier();
    let input = [
        // A byte order mark is no part of the first line.
        "\u{feff}{\"text\": \"rome\", \"pair\": \"oslo\"}",
        "{\"premise\": \"rome\", \"hypothesis\": \"oslo\", \"label\": 1, \"idx\": 3}",
        "{\"text\": \"rome\", \"text_pair\": \"oslo\", \"source\": \"web\"}",
        "{\"text\": \"rome\", \"text_pair\": \"oslo\", \"pair\": \"bo\", \"source\": \"web\"}",
        "{\"text\": \"rome\", \"reply\": \"oslo or bo\"}",
        "rome",
    ];
    let outcome = folder.run_with(&["classify", "--model", "towns"], &input.join("\n"));
    assert_eq!(outcome.code, 2, "{}", outcome.err);
    let replies: Vec<Value> =
        outcome.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(replies[0]["labels"].is_array(), "{}", outcome.out);
    assert_eq!(replies[1]["id"], 3);
    assert!(replies[1..3].iter().all(|reply| reply["labels"] == replies[0]["labels"]));
    for (line, part) in [(4, "`pair`"), (5, "`reply`"), (6, "column 1")] {
        let reply = &replies[line - 1];
        let error = reply["error"].as_str().unwrap();
        assert!(reply["line"] == line && error.contains(part), "{reply}");
        assert!(!error.contains("line"), "{reply}");
    }
    assert_eq!(outcome.err.matches("`source`").count(), 1, "{}", outcome.err);
}

#[test]
fn what_is_too_long_is_cut_and_says_so() {
    let folder = classifier();
    let huge = "ana lives in rome. ".repeat(200_000);
    let line = json!({ "text": huge, "pair": "oslo" }).to_string();
    let outcome = folder.run_with(&["classify", "--model", "towns"], &line);
    let reply = outcome.json();
    assert_eq!(reply["truncated"], true);
    let one_word = json!({ "text": "x".repeat(1_000_000) }).to_string();
    let reply = folder.run_with(&["classify", "--model", "towns"], &one_word).json();
    assert_eq!(reply["truncated"], false, "an unknown word is one token");

    let long = "ana lives in rome. ".repeat(20);
    let text = classify(&folder, "towns", &["--text", &long]);
    assert!(text.code == 0 && text.err.contains("first 32 tokens"), "{}", text.err);
    let short = ["--text", "ana lives in rome.", "--json", "--max-length"];
    let cut = |length: &str| classify(&folder, "towns", &[&short[..], &[length]].concat());
    assert_eq!(cut("4").json()["truncated"], true);
    assert_eq!(cut("7").json()["truncated"], false);
    cut("2").refused(&["max_length", "at least 3"]);
    cut("33").refused(&["--max-length 33", "reaches 32 tokens"]);
}

#[test]
fn labels_of_their_own_and_plain_scores_are_given_as_the_model_says() {
    let folder = world();
    let several = json!({ "num_labels": 4, "problem_type": "multi_label_classification" });
    write_classifier(&folder, "several", &several);
    let reply = classify(&folder, "several", &["--text", "rome", "--json", "--logits"]).json();
    let number = |label: &str| label.strip_prefix("LABEL_").unwrap().parse::<usize>().unwrap();
    for label in reply["labels"].as_array().unwrap() {
        let logit = reply["logits"][number(label["label"].as_str().unwrap())].as_f64().unwrap();
        let score = label["score"].as_f64().unwrap();
        assert!((score - 1.0 / (1.0 + (-logit).exp())).abs() < 1e-6, "{reply}");
    }

    let distilbert = json!({
        "architectures": ["DistilBertForSequenceClassification"], "num_labels": 1, "dim": 32,
        "n_layers": 2, "n_heads": 2, "hidden_dim": 64
    });
    write_classifier(&folder, "score", &distilbert);
    let reply = classify(&folder, "score", &["--text", "rome", "--json", "--logits"]).json();
    let [score, logit] = [&reply["score"], &reply["logits"][0]].map(|x| x.as_f64().unwrap());
    assert!((score - logit).abs() < 1e-6 * logit.abs(), "{reply}");
    let text = classify(&folder, "score", &["--text", "rome"]);
    assert!(text.out.starts_with("LABEL_0") && !text.out.contains('%'), "{}", text.out);
}

#[test]
fn a_quantised_classifier_classifies_nearly_as_its_source() {
    let folder = classifier();
    folder.run(&["quantize", "--model", "towns", "--out", "small", "--json"]).json();
    let export = ["export", "--model", "small", "--out", "floats", "--json"];
    folder.run(&export).json();
    let logits = |model: &str| -> Vec<f64> {
        let asked = ["--text", "ana lives in rome.", "--json", "--logits"];
        serde_json::from_value(classify(&folder, model, &asked).json()["logits"].clone()).unwrap()
    };
    let want = logits("towns");
    let largest = want.iter().fold(0.0f64, |largest, logit| largest.max(logit.abs()));
    for model in ["small", "floats"] {
        for (got, want) in logits(model).iter().zip(&want) {
            assert!((got - want).abs() < 0.1 * largest, "{model}: {got} and {want}");
        }
    }
}

#[test]
fn inspect_shows_the_head_and_its_labels() {
    let folder = classifier();
    let head = &folder.run(&["inspect", "--model", "towns", "--json"]).json()["head"];
    assert_eq!(head["kind"], "classification");
    assert_eq!(head["problem_type"], "single_label_classification");
    assert_eq!(head["labels"], json!(["HOME", "AWAY", "NOWHERE"]));
    let text = folder.run(&["inspect", "--model", "towns"]).out;
    assert!(text.contains("single_label_classification: HOME, AWAY, NOWHERE"), "{text}");
    let head = &folder.run(&["inspect", "--model", "model", "--json"]).json()["head"];
    assert_eq!(*head, json!({ "kind": "span" }));
}

#[test]
fn commands_for_questions_refuse_a_classifier_and_classify_refuses_other_models() {
    let folder = classifier();
    let question = ["--question", "where?", "--context", "rome"];
    folder
        .run(&[&["answer", "--model", "towns"], &question[..]].concat())
        .refused(&["towns", "classifies whole texts"]);
    for command in ["evaluate", "predict"] {
        let asked = [command, "--model", "towns", "--data", "train.json"];
        folder.run(&asked).refused(&["towns", "labels texts", "--task"]);
    }
    let bench = ["bench", "answer", "--model", "towns", "--data", "train.json"];
    folder.run(&bench).refused(&["towns", "classifies whole texts"]);
    let distil = ["--teacher", "towns", "--student", "model", "--epochs", "1", "--out", "student"];
    train(&folder, "distill", &distil).refused(&["towns", "qa_outputs.weight", "fine-tune"]);
    classify(&folder, "model", &["--text", "rome"]).refused(&["model", "no classifier"]);
    classify(&folder, "absent/model", &["--text", "rome"]).refused(&["absent/model"]);
}

#[test]
fn a_classifier_s_encoder_can_still_be_fine_tuned_on_questions() {
    let folder = classifier();
    let options = ["--model", "towns", "--epochs", "1", "--out", "reader", "--json"];
    let args = crate::world::arguments("finetune", &options);
    let args: Vec<_> = args.into_iter().filter(|arg| *arg != "--quiet").collect();
    let outcome = folder.run(&args);
    outcome.json();
    assert!(outcome.err.contains("drawn at random: qa_outputs.weight"), "{}", outcome.err);
    let config = std::fs::read_to_string(folder.path().join("reader/config.json")).unwrap();
    assert!(config.contains("BertForQuestionAnswering") && !config.contains("HOME"), "{config}");
    let question = ["--question", "where?", "--context", "rome", "--json"];
    folder.run(&[&["answer", "--model", "reader"], &question[..]].concat()).json();
}

#[test]
fn folders_that_contradict_themselves_are_refused_by_name() {
    let asked = ["--text", "rome"];
    for (key, value, part) in [
        ("id2label", json!({}), "id2label"),
        ("id2label", json!({"0": "A", "1": "B", "3": "C"}), "0 to 2"),
        ("id2label", json!({"0": "A", "1": null, "2": "C"}), "label 1"),
        ("id2label", json!({"0": "A", "1": "B"}), "classifier.weight"),
        ("problem_type", json!("guess"), "problem_type"),
    ] {
        let folder = classifier();
        change(&folder, "towns", key, value);
        classify(&folder, "towns", &asked).refused(&["towns", part]);
        folder.run(&["inspect", "--model", "towns"]).refused(&["towns", part]);
    }
    for (count, part) in
        [(json!(0), "num_labels"), (json!(u64::MAX), "num_labels"), (json!(4), "classifier.weight")]
    {
        let folder = classifier();
        change(&folder, "towns", "id2label", Value::Null);
        change(&folder, "towns", "num_labels", count);
        classify(&folder, "towns", &asked).refused(&["towns", part]);
    }
}

#[test]
fn labels_without_names_are_numbered_and_strange_names_stay_on_their_line() {
    let folder = classifier();
    change(&folder, "towns", "id2label", Value::Null);
    change(&folder, "towns", "num_labels", json!(3));
    let reply = classify(&folder, "towns", &["--text", "rome", "--json"]).json();
    assert!(reply["label"].as_str().unwrap().starts_with("LABEL_"), "{reply}");
    change(&folder, "towns", "id2label", json!({"0": "\u{1b}[2J\n", "1": "", "2": "\u{1b}]0;x"}));
    let text = classify(&folder, "towns", &["--text", "rome"]);
    assert_eq!((text.code, text.out.lines().count()), (0, 3), "{}", text.err);
    assert!(!text.out.contains('\u{1b}'), "{:?}", text.out);
}
