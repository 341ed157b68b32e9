//! `limbeck answer`: one question, and streams of them.

use serde_json::{Value, json};

use crate::world::{train, world};

#[test]
fn a_stream_is_answered_in_order_and_as_each_question_alone() {
    let folder = world();
    let options = ["--model", "model", "--epochs", "20", "--out", "teacher", "--json"];
    train(&folder, "finetune", &options).json();
    let asked: Vec<(&str, &str)> = ["ana", "bo", "cy"]
        .iter()
        .flat_map(|_| {
            [
                ("where does ana live?", "ana lives in rome."),
                ("where does bo live?", "ana lives in rome. bo lives in oslo."),
                ("where does bo live?", ""),
            ]
        })
        .collect();
    let mut input: Vec<String> = asked
        .iter()
        .enumerate()
        .map(|(id, (question, context))| {
            json!({ "id": id, "question": question, "context": context }).to_string()
        })
        .collect();
    input.insert(4, "{\"question\": 7}".to_owned());
    input.insert(2, String::new());
    let model = ["answer", "--model", "teacher"];
    let replies = folder.run_with(&model, &input.join("\n"));
    assert_eq!(replies.code, 2, "{}", replies.err);
    let mut replies: Vec<Value> =
        replies.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let refused = replies.remove(4);
    assert!(refused["line"] == 6 && refused["error"].is_string(), "{refused}");
    assert_eq!(replies.len(), asked.len());
    for (id, (reply, (question, context))) in replies.iter().zip(&asked).enumerate() {
        assert_eq!(reply["id"], id);
        let alone = ["--question", question, "--context", context, "--json"];
        let mut alone = folder.run(&[&model[..], &alone].concat()).json();
        alone["id"] = reply["id"].clone();
        assert_eq!(*reply, alone);
    }
}
