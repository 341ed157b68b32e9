//! The forms in which other programs write labelled texts: quoted tables, JSON, what `datasets` has.

use serde_json::{Value, json};

use super::*;

fn read_as(name: &str, content: &[u8], task: TextTask, purpose: Use) -> Result<TextData, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    TextData::read(&[path], task, purpose, ModelLabels::None).map_err(|error| error.to_string())
}

/// Text, pair and label of each example.
fn examples(data: &TextData) -> Vec<(&str, Option<&str>, Option<f32>)> {
    let all = data.examples.iter();
    all.map(|one| (one.text.as_str(), one.pair.as_deref(), one.label)).collect()
}

#[track_caller]
fn own(name: &str, content: &str) -> TextData {
    read_as(name, content.as_bytes(), TextTask::Classify, Use::Learn).unwrap()
}

#[test]
fn quotes_of_tables_are_no_part_of_texts_labels_and_names() {
    for (name, content) in [
        ("a.tsv", "text\tlabel\n\"bad, \"\"really\"\" bad\"\tbad\ngood one\tgood\n"),
        (
            "a.tsv",
            "\"text\"\t\"label\"\n\"bad, \"\"really\"\" bad\"\t\"bad\"\n\"good one\"\t\"good\"\n",
        ),
        ("a.csv", "text,label\r\n\"bad, \"\"really\"\" bad\",bad\r\ngood one,good\r\n"),
        ("a.csv", "label;text\nbad;\"bad, \"\"really\"\" bad\"\ngood;good one\n"),
        ("a.csv", ",sentence1,label\n0,\"bad, \"\"really\"\" bad\",bad\n1,good one,good\n"),
        ("a.txt", "\u{feff}Text\tLabel\n\"bad, \"\"really\"\" bad\"\tbad\ngood one\tgood"),
    ] {
        let data = own(name, content);
        assert_eq!(data.labels, ["bad", "good"], "{content}");
        let want = [("bad, \"really\" bad", None, Some(0.0)), ("good one", None, Some(1.0))];
        assert_eq!(examples(&data), want, "{content}");
        assert!(data.told().is_empty(), "{:?}", data.told());
    }
    let data = own("a.tsv", "text\tlabel\na 5\" pipe\tx\n\"two\nlines\"\ty\n");
    assert_eq!(data.examples[0].text, "a 5\" pipe");
    assert_eq!(data.examples[1].text, "two\nlines");
    // Where they are not meant so they stay, and that is told.
    let data = own("a.tsv", "text\tlabel\n\"open\tx\n\"Fine\" it is\ty\n");
    assert_eq!(data.examples[0].text, "\"open");
    assert!(data.told()[0].contains("quotes are read as characters: line 2"), "{:?}", data.told());
}

#[test]
fn quotes_of_glue_s_own_tables_are_characters() {
    let sst2 = "sentence\tlabel\n\"a\" film\t1\n\"whole\"\t0\n";
    let data = read_as("train.tsv", sst2.as_bytes(), TextTask::Sst2, Use::Learn).unwrap();
    let want = [("\"a\" film", None, Some(1.0)), ("\"whole\"", None, Some(0.0))];
    assert_eq!((examples(&data), data.told().is_empty()), (want.to_vec(), true));
    // What looks as if a program had quoted it is told of.
    let quoted = "sentence\tlabel\n\"a \"\"fine\"\" film\"\t1\nplain\t0\n";
    let data = read_as("train.tsv", quoted.as_bytes(), TextTask::Sst2, Use::Learn).unwrap();
    assert_eq!(data.examples[0].text, "\"a \"\"fine\"\" film\"");
    assert!(data.told()[0].contains("1 texts look quoted"), "{:?}", data.told());
    let rte = "sentence1\tsentence2\tlabel\n\"a \"\"b\"\"\"\tc\t1\n";
    for (content, text) in [
        (rte.to_owned(), "a \"b\""),
        (
            rte.replace("sentence1", "index\tsentence1").replace("\n\"a", "\n0\t\"a"),
            "\"a \"\"b\"\"\"",
        ),
    ] {
        let data = read_as("train.tsv", content.as_bytes(), TextTask::Rte, Use::Learn).unwrap();
        assert_eq!(data.examples[0].text, text);
    }
    // Names that GLUE's files do not have are another program's, and so are quoted names.
    for other in ["text\tlabel\n", "sentence\tlabel\tidx\n", "\"sentence\"\t\"label\"\n"] {
        let idx = if other.contains("idx") { "\t0" } else { "" };
        let content = format!("{other}\"a \"\"fine\"\" film\"\t1{idx}\n");
        let data = read_as("train.tsv", content.as_bytes(), TextTask::Sst2, Use::Learn).unwrap();
        assert_eq!(data.examples[0].text, "a \"fine\" film", "{other}");
    }
    let csv = "sentence,label\n\"a \"\"fine\"\" film, really\",1\n";
    for name in ["train.csv", "train.tsv"] {
        let data = read_as(name, csv.as_bytes(), TextTask::Cola, Use::Learn).unwrap();
        assert_eq!(examples(&data), [("a \"fine\" film, really", None, Some(1.0))]);
    }
}

#[test]
fn every_task_is_read_as_datasets_writes_it() {
    let (single, pair, asked) =
        (["sentence"], ["sentence1", "sentence2"], ["question1", "question2"]);
    let (inferred, answered) = (["premise", "hypothesis"], ["question", "sentence"]);
    let tasks: [(TextTask, &[&str], f32); 9] = [
        (TextTask::Cola, &single, 1.0),
        (TextTask::Sst2, &single, 1.0),
        (TextTask::Mrpc, &pair, 1.0),
        (TextTask::Stsb, &pair, 3.8),
        (TextTask::Qqp, &asked, 1.0),
        (TextTask::Mnli, &inferred, 2.0),
        (TextTask::Qnli, &answered, 1.0),
        (TextTask::Rte, &pair, 1.0),
        (TextTask::Wnli, &pair, 1.0),
    ];
    for (task, names, label) in tasks {
        let written = match label {
            whole if whole.fract() == 0.0 => json!(whole as u32),
            // As a 32-bit number looks in 64 bits.
            value => json!(f64::from(value)),
        };
        let row = |label: Value, idx: u32| {
            let mut row = json!({ "label": label, "idx": idx });
            for (name, text) in names.iter().zip(["A \"b\", c.", "D"]) {
                row[*name] = text.into();
            }
            row
        };
        let (first, hidden) = (row(written.clone(), 0), row(json!(-1), 1));
        let second = (names.len() > 1).then_some("D");
        let want = [("A \"b\", c.", second, Some(label)), ("A \"b\", c.", second, None)];
        let header = format!("{},label,idx\n", names.join(","));
        let fields = if names.len() > 1 { "\"A \"\"b\"\", c.\",D" } else { "\"A \"\"b\"\", c.\"" };
        for (name, content) in [
            ("a.jsonl", format!("{first}\n{hidden}\n")),
            ("a.json", json!([first, hidden]).to_string()),
            ("a.json", json!({ "data": [first, hidden] }).to_string()),
            ("a.csv", format!("{header}{fields},{written},0\n{fields},-1,1\n")),
            ("a.tsv", format!("{header}{fields},{written},0\n{fields},-1.0,1\n")),
        ] {
            let data = read_as(name, content.as_bytes(), task, Use::Score).unwrap();
            assert_eq!(examples(&data), want, "{task}: {content}");
            let data = read_as(name, content.as_bytes(), task, Use::Learn).unwrap();
            assert_eq!((data.examples.len(), data.left_out.len()), (1, 1), "{task}: {content}");
            assert!(data.told()[0].contains("there is no label"), "{:?}", data.told());
            let data = read_as(name, content.as_bytes(), task, Use::Predict).unwrap();
            assert_eq!((data.examples.len(), data.told().len()), (2, 0), "{task}: {content}");
        }
    }
}

#[test]
fn labels_are_taken_however_they_are_written() {
    let read = |task: TextTask, label: Value| {
        let names = ["sentence", "sentence1"].map(|name| (name, "a"));
        let [single, first] = names;
        let (name, text) = if task.columns().pair.is_empty() { single } else { first };
        let row = json!({ name: text, "sentence2": "b", "label": label });
        let mut row = row.as_object().unwrap().clone();
        if task.columns().pair.is_empty() {
            row.remove("sentence2");
        }
        let content = Value::Object(row).to_string();
        read_as("a.json", content.as_bytes(), task, Use::Score).map(|data| data.examples[0].label)
    };
    for label in [json!(1), json!(1.0), json!("1"), json!("1.0"), json!(true), json!("Positive")] {
        assert_eq!(read(TextTask::Sst2, label.clone()), Ok(Some(1.0)), "{label}");
    }
    for label in [json!(1), json!("not_entailment"), json!("NOT entailment")] {
        assert_eq!(read(TextTask::Rte, label.clone()), Ok(Some(1.0)), "{label}");
    }
    assert_eq!(read(TextTask::Stsb, json!("2.5")), Ok(Some(2.5)));
    for (task, label) in [
        (TextTask::Rte, json!(true)),
        (TextTask::Sst2, json!(2)),
        (TextTask::Sst2, json!(0.5)),
        (TextTask::Sst2, json!([0])),
        (TextTask::Stsb, json!("high")),
    ] {
        assert!(read(task, label.clone()).unwrap_err().contains("row 1: the label"), "{label}");
    }
    // Of one's own, whole numbers with a point are those without; -1 may be a label.
    let data = own("a.csv", "text,label\na,1.0\nb,0\nc,-1\nd,1\n");
    assert_eq!(data.labels, ["-1", "0", "1"]);
    let data =
        own("a.json", "[{\"text\": \"a\", \"label\": true}, {\"text\": \"b\", \"label\": false}]");
    assert_eq!(data.labels, ["false", "true"]);
    let data = own("a.csv", "text,label\na,Good\nb,good\n");
    assert_eq!(examples(&data).iter().map(|(.., label)| *label).collect::<Vec<_>>().len(), 2);
    assert_ne!(data.examples[0].label, data.examples[1].label);
}

#[test]
fn odd_rows_are_left_out_of_training_and_kept_where_every_text_has_a_place() {
    let lines = [
        json!({"text": "a", "label": "x"}),
        json!({"text": "", "label": "x"}),
        json!({"text": null, "label": "x"}),
        json!({"text": "b", "label": null}),
        json!({"text": "c"}),
        json!({"text": "d", "label": "y"}),
    ];
    let content = lines.map(|line| line.to_string()).join("\n");
    let data = own("a.jsonl", &content);
    assert_eq!(data.examples.len(), 2);
    let places: Vec<String> = data.left_out.iter().map(|one| one.place.to_string()).collect();
    assert_eq!(places, ["line 2", "line 3", "line 4", "line 5"]);
    let told = data.told().join("\n");
    assert!(told.contains("4 rows are left out") && told.contains("and 1 more"), "{told}");
    for (purpose, notices) in [(Use::Score, 2), (Use::Predict, 1)] {
        let data = read_as("a.jsonl", content.as_bytes(), TextTask::Classify, purpose).unwrap();
        assert_eq!((data.examples.len(), data.told().len()), (6, notices), "{:?}", data.told());
    }
    let none = "{\"text\": \"a\", \"label\": null}\n{\"text\": \"b\", \"label\": null}\n";
    for purpose in [Use::Learn, Use::Score] {
        let refused = read_as("a.jsonl", none.as_bytes(), TextTask::Classify, purpose).unwrap_err();
        assert!(refused.contains("line 1: there is no label"), "{refused}");
    }
}

#[test]
fn no_column_is_dropped_without_a_word() {
    let refused = |content: &str| {
        read_as("a.csv", content.as_bytes(), TextTask::Classify, Use::Learn).unwrap_err()
    };
    let message = refused("text,reply,label\na b,c,1\na b,not so good,0\n");
    assert!(message.contains("line 3: `reply`"), "{message}");
    let message = refused("review,sentiment\na b,1\n");
    assert!(message.contains("no labels") && message.contains("`sentiment`"), "{message}");
    let message = refused("a fine film it is,label\nanother film,1\n");
    assert!(message.contains("must name the columns"), "{message}");
    let message = refused("title,body,note,label\na b,c d,e f,1\n");
    assert!(message.contains("no text") && message.contains("`body`"), "{message}");

    let data =
        own("a.csv", "id,source,text,pair,why,label\n1,web,a,b,they differ,1\n2,web,c,d,,0\n");
    assert_eq!(data.told().len(), 1);
    assert!(data.told()[0].ends_with("passed over: `source`, `why`"), "{:?}", data.told());
    let data = own("a.csv", "id,review,label\n1,a b,1\n2,c,0\n");
    assert_eq!(examples(&data)[0].0, "a b");
    assert!(data.told()[0].contains("`review` is read as the text"), "{:?}", data.told());
    let data = own("a.csv", "title,content,label\na b,c d e,1\nb,c,0\n");
    assert_eq!(examples(&data)[0], ("a b", Some("c d e"), Some(1.0)));
}
