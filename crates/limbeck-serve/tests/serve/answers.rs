//! What a well-meant request gets.

use limbeck_data::decode::Candidate;
use limbeck_runtime::Asked;
use limbeck_serve::ServeOptions;
use serde_json::{Value, json};

use crate::client::{ask, get, metric, raw, request};
use crate::running::{Running, alone};

const CONTEXT: &str = "ada lives in oslo . the cat sat on the mat .";

/// As a client reads it: numbers take the way through text.
fn seen(candidates: &[Candidate]) -> Value {
    serde_json::from_str(&serde_json::to_string(candidates).unwrap()).unwrap()
}

/// A context of one window, different for every number.
fn context(number: usize) -> String {
    let words = CONTEXT.split(' ').cycle().skip(number % 7).take(5 + number % 30);
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn an_answer_is_that_of_the_engine_alone() {
    let server = Running::start(ServeOptions::default());
    let (question, context) = ("where lives ada ?", CONTEXT.repeat(12));
    let response = ask(server.address, &json!({"question": question, "context": context}));
    assert_eq!(response.status, 200, "{response:?}");
    let answer = response.json();
    let expected = alone(1).answer(question, &context).unwrap().decoded;
    let best = expected.predicted().unwrap();
    assert_eq!(answer["answer"], best.text);
    assert_eq!(answer["start"], best.start);
    assert_eq!(answer["end"], best.end);
    assert_eq!(answer["n_best"], seen(&expected.candidates));
    assert_eq!(answer["model"], "one");
    assert!(answer["usage"]["windows"].as_u64().unwrap() > 1);
    assert!(answer["timing"]["total_ms"].as_f64().unwrap() > 0.0);
    assert!(response.headers["server-timing"].starts_with("tokenize;dur="));
    let slice: String = context.chars().skip(best.start).take(best.end - best.start).collect();
    assert_eq!(answer["answer"], slice);
}

#[test]
fn several_questions_are_answered_in_order_by_the_model_that_was_named() {
    let server = Running::start(ServeOptions::default());
    let questions = ["who ?", "where ?", "who sat on the mat ?"];
    let body = json!({"questions": questions, "context": CONTEXT, "model": "two", "n_best": 3});
    let answers = ask(server.address, &body).json()["answers"].clone();
    let mut two = alone(2);
    for (question, answer) in questions.iter().zip(answers.as_array().unwrap()) {
        let expected = two.answer(question, CONTEXT).unwrap().decoded;
        assert_eq!(answer["answer"], expected.text);
        assert_eq!(answer["n_best"].as_array().unwrap().len(), 3);
    }
    assert_eq!(answers.as_array().unwrap().len(), 3);
    // One question in a list gets a list.
    let body = json!({"questions": ["who ?"], "context": CONTEXT});
    assert_eq!(ask(server.address, &body).json()["answers"].as_array().unwrap().len(), 1);
}

#[test]
fn of_several_documents_the_best_answer_is_given_with_its_number() {
    let server = Running::start(ServeOptions::default());
    let documents = ["the cat sat", CONTEXT, "", "oslo"];
    let body = json!({"question": "who ?", "documents": documents});
    let answer = ask(server.address, &body).json();
    let asked = documents.map(|context| Asked { question: "who ?", context });
    let best = alone(1).answer_all(&asked).unwrap();
    let score = |i: usize| {
        let best = best[i].decoded.predicted()?;
        Some(best.start_logit + best.end_logit)
    };
    let expected =
        [0, 1, 3].into_iter().max_by(|&a, &b| score(a).unwrap().total_cmp(&score(b).unwrap()));
    assert_eq!(answer["document"], expected.unwrap());
    assert_eq!(answer["n_best"][0]["document"], answer["document"]);
    assert_eq!(answer["n_best"][0]["text"], answer["answer"]);
}

#[test]
fn many_clients_at_once_each_get_their_own_answer() {
    let server = Running::start(ServeOptions { max_batch_tokens: 256, ..Default::default() });
    let expected: Vec<Value> = {
        let mut one = alone(1);
        let answer = |number| one.answer("who sat ?", &context(number)).unwrap().decoded.candidates;
        (0..64).map(answer).map(|candidates| seen(&candidates)).collect()
    };
    std::thread::scope(|scope| {
        for number in 0..64 {
            let (address, expected) = (server.address, &expected);
            scope.spawn(move || {
                for round in 0..4 {
                    let number = (number + 16 * round) % 64;
                    let body = json!({"question": "who sat ?", "context": context(number)});
                    let response = ask(address, &body);
                    assert_eq!(response.status, 200, "{response:?}");
                    assert!(response.json()["n_best"] == expected[number], "another answer");
                }
            });
        }
    });
    assert_eq!(metric(server.address, "limbeck_questions_in_flight"), 0.0);
    let windows = metric(server.address, "limbeck_batch_windows_sum");
    let batches = metric(server.address, "limbeck_batch_windows_count");
    assert!(windows / batches > 1.2, "{windows} windows in {batches} batches");
}

#[test]
fn no_answer_is_given_only_where_it_is_allowed() {
    let server = Running::start(ServeOptions::default());
    let asked = |more: Value| {
        let mut body = json!({"question": "who ?", "context": CONTEXT});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask(server.address, &body).json()
    };
    assert_ne!(asked(json!({}))["answer"], "");
    let always = json!({"allow_no_answer": true, "null_score_diff_threshold": -1e9});
    let none = asked(always);
    assert_eq!((&none["answer"], &none["start"], &none["end"]), (&json!(""), &json!(0), &json!(0)));
    let never = json!({"allow_no_answer": true, "null_score_diff_threshold": 1e9});
    let some = asked(never);
    assert_ne!(some["answer"], "");
    let lists_null = |answer: &Value| {
        answer["n_best"].as_array().unwrap().iter().any(|candidate| candidate["text"] == "")
    };
    assert!(lists_null(&some) && lists_null(&none));
}

#[test]
fn a_length_budget_holds_for_the_request_that_asks_for_it() {
    let server = Running::start(ServeOptions::default());
    let context = CONTEXT.repeat(8);
    let asked = |more: Value| {
        let mut body = json!({"question": "who sat ?", "context": context});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask(server.address, &body)
    };
    let whole = asked(json!({})).json()["n_best"].clone();
    let short = asked(json!({"lengths": [0.6, 0.3]})).json()["n_best"].clone();
    assert_ne!(whole, short);
    assert_eq!(asked(json!({"lengths": [1, 1]})).json()["n_best"], whole);
    let named = asked(json!({"lengths": "half"})).json()["n_best"].clone();
    assert_eq!(named, asked(json!({"lengths": [0.5, 0.25]})).json()["n_best"]);
    assert_ne!(named, whole);
    assert_eq!(asked(json!({"budget": 1})).json()["n_best"], whole);
    assert_ne!(asked(json!({"budget": 0.7})).json()["n_best"], whole);
    assert_eq!(asked(json!({})).json()["n_best"], whole);
    for wrong in [
        json!({"lengths": {}}),
        json!({"lengths": "quarter"}),
        json!({"lengths": []}),
        json!({"lengths": [0.5]}),
        json!({"lengths": [0.5, 0.6]}),
        json!({"lengths": [0.5, -1]}),
        json!({"lengths": [1, 1], "budget": 0.5}),
        json!({"budget": 0}),
        json!({"budget": 1e-9}),
    ] {
        assert_eq!(asked(wrong.clone()).status, 422, "{wrong}");
    }
}

#[test]
fn a_server_tells_of_itself() {
    let server = Running::start(ServeOptions::default());
    assert_eq!(get(server.address, "/health").json(), json!({"status": "ok"}));
    let info = get(server.address, "/info").json();
    assert_eq!(
        (&info["models"][0]["name"], &info["models"][0]["default"]),
        (&json!("one"), &json!(true))
    );
    assert_eq!(info["models"][1]["default"], false);
    let half = json!({"name": "half", "lengths": [0.5, 0.25], "f1": 80.5, "share_of_macs": 0.5});
    assert_eq!(info["models"][0]["length_plans"], json!([half]));
    let api = get(server.address, "/openapi.json").json();
    assert!(api["paths"]["/v1/answer"]["post"].is_object());
    for (path, kind) in [
        ("/", "text/html"),
        ("/docs", "text/html"),
        ("/page.js", "text/javascript"),
        ("/page.css", "text/css"),
    ] {
        let response = get(server.address, path);
        assert_eq!(response.status, 200);
        assert!(response.headers["content-type"].starts_with(kind), "{response:?}");
        assert!(response.headers["content-security-policy"].contains("default-src 'none'"));
    }
}

#[test]
fn a_request_keeps_its_id_and_a_bad_one_is_replaced() {
    let server = Running::start(ServeOptions::default());
    let id_of = |id: &str| {
        let response =
            raw(server.address, &request("GET", "/health", &[("X-Request-Id", id)], b""));
        response.unwrap().headers["x-request-id"].clone()
    };
    assert_eq!(id_of("order-17.a"), "order-17.a");
    for bad in ["", "a b", "a\tb", &"x".repeat(65), "<script>"] {
        let id = id_of(bad);
        assert!(id.len() == 16 && id.bytes().all(|c| c.is_ascii_hexdigit()), "{id}");
    }
}
