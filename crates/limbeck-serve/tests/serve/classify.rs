//! `/v1/classify`.

use limbeck_serve::ServeOptions;
use serde_json::{Value, json};

use crate::client::{JSON, Response, ask, get, raw, request};
use crate::running::{Running, classifier};

fn classify(server: &Running, body: &Value) -> Response {
    let body = body.to_string();
    raw(server.address, &request("POST", "/v1/classify", &[JSON], body.as_bytes())).unwrap()
}

#[test]
fn labels_are_those_of_the_classifier_alone() {
    let server = Running::start(ServeOptions::default());
    let long = "the cat sat on the mat . ".repeat(20);
    let texts = [("the cat", None), ("ada lives in oslo", Some("where ?")), (&*long, None)];
    let mut alone = classifier();
    let body = texts.map(|(text, pair)| json!({"text": text, "pair": pair}));
    let results = classify(&server, &json!({"texts": body})).json()["results"].clone();
    for ((text, pair), seen) in texts.into_iter().zip(results.as_array().unwrap()) {
        let expected = alone.classify(text, pair).unwrap();
        assert_eq!(seen["label"], expected.labels[0].label);
        assert_eq!(seen["labels"], serde_json::to_value(&expected.labels).unwrap());
        assert_eq!(seen["truncated"], expected.truncated);
        let single = classify(&server, &json!({"text": text, "pair": pair, "model": "three"}));
        assert_eq!(single.json()["labels"], seen["labels"]);
        assert_eq!(single.json()["model"], "three");
    }
    assert_eq!(results[2]["truncated"], true);
}

#[test]
fn every_model_is_asked_only_what_it_has_learnt() {
    let server = Running::start(ServeOptions::default());
    assert_eq!(classify(&server, &json!({"text": "cat", "model": "one"})).status, 404);
    let question = json!({"question": "who ?", "context": "cat", "model": "three"});
    assert_eq!(ask(server.address, &question).status, 404);
    let models = get(server.address, "/info").json()["models"].clone();
    assert_eq!((&models[2]["task"], &models[2]["default"]), (&json!("classify"), &json!(true)));
    assert_eq!(models[2]["labels"], json!(["bad", "fair", "good"]));
    assert_eq!((&models[1]["task"], &models[1]["default"]), (&json!("answer"), &json!(false)));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let server = Running::start(ServeOptions::default());
    for body in [
        json!({}),
        json!({"pair": "a"}),
        json!({"texts": []}),
        json!({"text": "a", "texts": [{"text": "a"}]}),
        json!({"texts": ["a"]}),
        json!({"text": 1}),
        json!({"text": "a", "labels": 3}),
        json!({"text": "a", "reply": "b"}),
        json!({"text": "a", "pair": "b", "text_pair": "c"}),
        json!({"texts": [{"text": "a", "id": 1}]}),
        json!({"texts": [{"text": null}]}),
        json!({"text": "a", "budget": "b"}),
    ] {
        let response = classify(&server, &body);
        assert_eq!(response.status, 422, "{body}: {response:?}");
    }
    assert_eq!(classify(&server, &json!({"text": ""})).status, 200);
    let many: Vec<_> = (0..65).map(|_| json!({"text": "a"})).collect();
    assert_eq!(classify(&server, &json!({"texts": many})).status, 413);
}

#[test]
fn texts_may_have_the_names_that_files_use() {
    let server = Running::start(ServeOptions::default());
    let labels = |body: &Value| classify(&server, body).json()["labels"].clone();
    let expected = labels(&json!({"text": "the cat", "pair": "sat"}));
    for (first, second) in
        [("text", "text_pair"), ("premise", "hypothesis"), ("sentence1", "sentence2")]
    {
        let body = json!({first: "the cat", second: "sat"});
        assert_eq!(labels(&body), expected, "{first}");
        let several = classify(&server, &json!({"texts": [body], "model": "three"})).json();
        assert_eq!(several["results"][0]["labels"], expected, "{first}");
    }
    assert_ne!(labels(&json!({"sentence": "the cat", "timeout_ms": 9000})), expected);
}
