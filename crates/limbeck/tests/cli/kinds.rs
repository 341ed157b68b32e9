//! Files as real people have them: every form of a question, a text, a label and a model folder
//! goes through the program once.

use serde_json::{Value, json};

use crate::world::{train, world};

const CONTEXT: &str = "ana lives in rome. ben lives in oslo.";

/// One flat row, as `datasets` writes it.
fn flat(id: Value, question: &str, answers: Value) -> Value {
    json!({"id": id, "context": CONTEXT, "question": question, "answers": answers})
}

/// Two good flat rows.
fn rows() -> [Value; 2] {
    let answer = |text: &str, start: usize| json!({"text": [text], "answer_start": [start]});
    [
        flat(json!("a"), "where does ana live?", answer("rome", 13)),
        flat(json!("b"), "where does ben live?", answer("oslo", 32)),
    ]
}

/// A SQuAD file whose only paragraph has these questions.
fn nested(qas: Value) -> Value {
    json!({"version": 1.1, "data": [{"title": null,
        "paragraphs": [{"context": CONTEXT, "qas": qas}]}]})
}

/// UTF-16 with its mark, little-endian.
fn utf_16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

fn lines(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value}\n")).collect()
}

#[test]
fn questions_are_read_in_every_form_that_scripts_write() {
    let folder = world();
    let rows = rows();
    let qas = json!([
        {"id": "a", "question": "where does ana live?",
         "answers": [{"text": "rome", "answer_start": 13}]},
        {"id": "b", "question": "where does ben live?",
         "answers": [{"text": "oslo", "answer_start": "32"}]},
    ]);
    let paragraph = json!({"context": CONTEXT, "qas": qas});
    let table = |separator: char| {
        let quoted = |answers: &Value| format!("\"{}\"", answers.to_string().replace('"', "\"\""));
        let line = |row: &Value| {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            let answers = quoted(&row["answers"]);
            [text("id"), text("context"), text("question"), answers].join(&separator.to_string())
        };
        let header = ["id", "context", "question", "answers"].join(&separator.to_string());
        format!("{header}\n{}\n{}\n", line(&rows[0]), line(&rows[1]))
    };
    let whole = nested(qas.clone()).to_string();
    let forms: Vec<(&str, Vec<u8>)> = vec![
        ("nested.json", whole.clone().into()),
        ("mark.json", format!("\u{feff}{whole}").into()),
        ("utf_16.json", utf_16(&whole)),
        ("articles.json", nested(qas)["data"].to_string().into()),
        ("paragraphs.json", json!([paragraph]).to_string().into()),
        ("flat_data.json", json!({"data": rows}).to_string().into()),
        ("flat_list.json", json!(rows).to_string().into()),
        ("flat.jsonl", lines(&rows).into()),
        ("flat.csv", table(',').into()),
        ("flat.tsv", table('\t').into()),
    ];
    for (name, bytes) in forms {
        folder.write(name, bytes);
        let (out, run) = (format!("out-{name}"), format!("run-{name}"));
        let predict = ["predict", "--model", "model", "--data", name, "--out", &out, "--quiet"];
        let outcome = folder.run(&predict);
        assert_eq!(outcome.code, 0, "{name}: {}", outcome.err);
        let predictions = std::fs::read(folder.path().join(&out).join("predictions.json")).unwrap();
        let predictions: Value = serde_json::from_slice(&predictions).unwrap();
        let ids: Vec<&String> = predictions.as_object().unwrap().keys().collect();
        assert_eq!(ids, ["a", "b"], "{name}");
        let own = ["--train", name, "--model", "model", "--max-steps", "1", "--out", &run];
        let begun = train(&folder, "finetune", &own);
        assert_eq!(begun.code, 0, "{name}: {}", begun.err);
        assert!(!folder.path().join(&run).join("left_out.jsonl").exists(), "{name}");
    }
}

#[test]
fn odd_questions_are_left_out_and_named_and_the_others_are_learnt() {
    let folder = world();
    let answers = |answers: Value| json!({"id": "odd", "question": "where does ana live?", "answers": answers});
    let at = |start: Value| answers(json!([{"text": "rome", "answer_start": start}]));
    let twice = json!({"id": "odd", "question": "who lives?",
        "answers": [{"text": "lives in", "answer_start": 0}]});
    // What is odd, and whether it can still be learnt from.
    let cases = [
        (
            json!({"id": 7, "question": "q?", "answers": [{"text": "rome", "answer_start": 13}]}),
            true,
        ),
        (at(json!(-1)), true),
        (at(json!(null)), true),
        (at(json!("13")), true),
        (at(json!(13.0)), true),
        (answers(json!([{"text": "rome"}])), true),
        (answers(json!(["rome"])), true),
        (answers(json!([{"text": "", "answer_start": 0}])), false),
        (answers(json!([{"text": 5, "answer_start": 0}])), false),
        (answers(json!([{"text": "bern", "answer_start": 13}])), false),
        (answers(json!(null)), false),
        (twice, false),
    ];
    for (number, (odd, is_learnt)) in cases.into_iter().enumerate() {
        let good = json!({"id": "good", "question": "where does ben live?",
            "answers": [{"text": "oslo", "answer_start": 32}]});
        let (name, out) = (format!("odd-{number}.json"), format!("odd-{number}"));
        folder.write(&name, nested(json!([odd, good])).to_string());
        let own = ["finetune", "--task", "squad", "--train", &name, "--model", "model"];
        let how = ["--max-length", "32", "--max-query-length", "8", "--doc-stride", "4"];
        let outcome = folder.run(&[&own[..], &how, &["--max-steps", "1", "--out", &out]].concat());
        assert_eq!(outcome.code, 0, "{odd}: {}", outcome.err);
        let left_out = folder.path().join(&out).join("left_out.jsonl");
        let left_out = std::fs::read_to_string(left_out).unwrap_or_default();
        assert_eq!(outcome.err.contains("left out"), !is_learnt, "{odd}: {}", outcome.err);
        assert!(is_learnt || left_out.contains("odd"), "{odd}: {left_out}");
        // Who predicts looks at no answer.
        let out = format!("predicted-{number}");
        let predict = ["predict", "--model", "model", "--data", &name, "--out", &out, "--quiet"];
        let outcome = folder.run(&predict);
        assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{odd}");
        let predictions = std::fs::read(folder.path().join(&out).join("predictions.json")).unwrap();
        let predictions: Value = serde_json::from_slice(&predictions).unwrap();
        assert_eq!(predictions.as_object().unwrap().len(), 2, "{odd}: {predictions}");
    }
}

#[test]
fn a_moved_answer_is_told_with_its_question() {
    let folder = world();
    let moved = json!([{"id": "moved", "question": "where does ben live?",
        "answers": [{"text": "oslo", "answer_start": 5}]}]);
    folder.write("moved.json", nested(moved).to_string());
    let own = ["finetune", "--task", "squad", "--train", "moved.json", "--model", "model"];
    let how = ["--max-length", "32", "--max-query-length", "8", "--doc-stride", "4"];
    let outcome = folder.run(&[&own[..], &how, &["--max-steps", "1", "--out", "run"]].concat());
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    assert!(outcome.err.contains("moved"), "{}", outcome.err);
    let told = std::fs::read_to_string(folder.path().join("run/left_out.jsonl")).unwrap();
    assert!(told.contains("\"moved\"") && told.contains("32"), "{told}");
}

#[test]
fn an_epoch_is_one_however_many_batches_a_step_gathers() {
    let folder = world();
    let own = ["--model", "model", "--gradient-accumulation-steps", "64"];
    let how = ["--epochs", "1", "--logging-steps", "1", "--out", "run", "--json"];
    // 90 questions are 12 batches, fewer than one step would gather.
    let result = train(&folder, "finetune", &[&own[..], &how].concat()).json();
    assert_eq!(result["steps"], 1, "{result}");
    let lines = std::fs::read_to_string(folder.path().join("run/train.jsonl")).unwrap();
    let line: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(line["epoch"], 1.0, "{line}");
}

#[test]
fn texts_with_labels_are_read_in_every_form_that_scripts_write() {
    let folder = world();
    let rows = [("ana lives in rome", "good"), ("ben lives in oslo", "bad")];
    let objects = rows.map(|(text, label)| json!({"text": text, "label": label}));
    let quoted = |separator: &str| {
        let line = |(text, label): &(&str, &str)| format!("\"{text}\"{separator}\"{label}\"\n");
        let header = format!("\"text\"{separator}\"label\"\n");
        header + &rows.iter().map(line).collect::<String>()
    };
    let pairs = rows.map(|(text, label)| {
        json!({"premise": text, "hypothesis": "ana lives", "label": label, "idx": 3})
    });
    let forms: Vec<(&str, Vec<u8>)> = vec![
        ("quoted.tsv", quoted("\t").into()),
        ("quoted.csv", quoted(",").into()),
        ("semicolons.csv", quoted(";").into()),
        ("utf_16.tsv", utf_16(&quoted("\t"))),
        ("plain.tsv", quoted("\t").replace('"', "").into()),
        ("array.json", json!(objects).to_string().into()),
        ("data.json", json!({"data": objects}).to_string().into()),
        ("lines.jsonl", lines(&objects).into()),
        ("pairs.jsonl", lines(&pairs).into()),
    ];
    for (name, bytes) in forms {
        folder.write(name, bytes);
        let out = format!("run-{name}");
        let own = ["finetune", "--task", "classify", "--model", "model", "--train", name];
        let how = ["--max-length", "32", "--max-steps", "1", "--quiet", "--out", &out];
        let outcome = folder.run(&[&own[..], &how].concat());
        assert_eq!(outcome.code, 0, "{name}: {}", outcome.err);
        let config = std::fs::read(folder.path().join(&out).join("config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        let mut labels: Vec<&str> =
            config["id2label"].as_object().unwrap().values().filter_map(Value::as_str).collect();
        labels.sort_unstable();
        assert_eq!(labels, ["bad", "good"], "{name}");
    }
}

#[test]
fn lists_of_predictions_are_scored_like_objects_of_them() {
    let folder = world();
    let rows = rows();
    folder.write("data.json", json!(rows).to_string());
    folder.write("object.json", json!({"a": "rome", "b": "rome"}).to_string());
    let row = |id: &str| json!({"id": id, "prediction_text": "rome"});
    folder.write("list.json", json!([row("a"), row("b")]).to_string());
    folder.write("lines.jsonl", lines(&[row("a"), row("b")]));
    let score = |predictions: &str| {
        let args = ["score", "--data", "data.json", "--predictions", predictions, "--json"];
        folder.run(&args).json()
    };
    let whole = score("object.json");
    assert_eq!(whole["exact"], 50.0, "{whole}");
    assert_eq!((score("list.json"), score("lines.jsonl")), (whole.clone(), whole));
}

#[test]
fn a_pointer_in_the_place_of_weights_is_told_with_its_cure() {
    let folder = world();
    folder.write(
        "model/model.safetensors",
        "version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 1000\n",
    );
    folder.run(&["inspect", "--model", "model"]).refused(&["Git LFS pointer", "git lfs pull"]);
}
