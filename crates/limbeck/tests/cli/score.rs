//! `limbeck score` on small literal files.

use serde_json::json;

use crate::support::Folder;

const ONE_ONE: &str = r#"{"version": "1.1", "data": [{"title": "t", "paragraphs": [{
    "context": "Ada Lovelace wrote the first program in 1843.",
    "qas": [
        {"id": "a", "question": "Who?", "answers": [{"text": "Ada Lovelace", "answer_start": 0}]},
        {"id": "b", "question": "When?", "answers": [{"text": "1843", "answer_start": 40}]},
        {"id": "c", "question": "What?", "answers": [{"text": "the first program", "answer_start": 19}]}
    ]}]}]}"#;

const TWO_ZERO: &str = r#"{"version": "v2.0", "data": [{"title": "t", "paragraphs": [{
    "context": "Ada Lovelace wrote the first program in 1843.",
    "qas": [
        {"id": "a", "question": "Who?", "answers": [{"text": "Ada Lovelace", "answer_start": 0}], "is_impossible": false},
        {"id": "b", "question": "Where?", "answers": [], "is_impossible": true}
    ]}]}]}"#;

#[test]
fn scores_are_those_of_the_official_script() {
    let folder = Folder::new();
    folder.write("data.json", ONE_ONE);
    folder.write("p.json", r#"{"a": "ada lovelace!", "b": "in 1843", "c": "a program"}"#);
    let scores =
        folder.run(&["score", "--data", "data.json", "--predictions", "p.json", "--json"]).json();
    // "in 1843" against "1843": precision 1/2, recall 1. "program" against "first program".
    let f1 = 100.0 * (1.0 + 2.0 / 3.0 + 2.0 / 3.0) / 3.0;
    assert!((scores["exact"].as_f64().unwrap() - 100.0 / 3.0).abs() < 1e-9, "{scores}");
    assert!((scores["f1"].as_f64().unwrap() - f1).abs() < 1e-9, "{scores}");
    assert_eq!(scores["total"], 3);
    assert_eq!(scores["HasAns_total"], 3);
    assert!(scores.get("NoAns_total").is_none() && scores.get("missing").is_none(), "{scores}");
}

#[test]
fn rows_and_lists_are_scored_as_their_nested_forms() {
    let folder = Folder::new();
    folder.write("data.json", TWO_ZERO);
    folder.write("p.json", r#"{"a": "Ada Lovelace", "b": "1843"}"#);
    folder.write("odds.json", r#"{"a": 0.25, "b": 0.75}"#);
    let context = "Ada Lovelace wrote the first program in 1843.";
    folder.write(
        "data.csv",
        format!(
            "id,context,question,answers\n\
             a,{context},Who?,\"{{'text': ['Ada Lovelace'], 'answer_start': array([0])}}\"\n\
             b,{context},Where?,\"{{'text': [], 'answer_start': []}}\"\n"
        ),
    );
    folder.write(
        "p.jsonl",
        "\u{feff}{\"id\": \"a\", \"prediction_text\": \"Ada Lovelace\", \"no_answer_probability\": 0.25}\n\
         {\"id\": \"b\", \"prediction_text\": \"1843\", \"no_answer_probability\": 0.75}\n",
    );
    let nested = [
        "score",
        "--data",
        "data.json",
        "--predictions",
        "p.json",
        "--null-odds",
        "odds.json",
        "--json",
    ];
    let rows = ["score", "--data", "data.csv", "--predictions", "p.jsonl", "--json"];
    assert_eq!(folder.run(&rows).json(), folder.run(&nested).json());
}

#[test]
fn null_odds_add_the_best_thresholds() {
    let folder = Folder::new();
    folder.write("data.json", TWO_ZERO);
    folder.write("p.json", r#"{"a": "Ada Lovelace", "b": "1843"}"#);
    folder.write("odds.json", r#"{"a": -3.0, "b": 2.5}"#);
    let args = ["score", "--data", "data.json", "--predictions", "p.json", "--json"];
    let plain = folder.run(&args).json();
    assert_eq!(plain["exact"], 50.0);
    assert_eq!((&plain["HasAns_exact"], &plain["NoAns_exact"]), (&json!(100.0), &json!(0.0)));
    assert!(plain.get("best_exact").is_none());
    let scored = folder.run(&[&args[..], &["--null-odds", "odds.json"]].concat()).json();
    assert_eq!(scored["exact"], 50.0, "the predictions are final");
    assert_eq!(scored["best_exact"], 100.0);
    assert_eq!(scored["best_exact_thresh"], -3.0);
}

#[test]
fn a_threshold_that_is_told_gives_its_score_back() {
    let folder = Folder::new();
    folder.write("data.json", TWO_ZERO);
    folder.write("p.json", r#"{"a": "wrong", "b": "1843"}"#);
    folder.write("odds.json", r#"{"a": -0.39, "b": -0.62}"#);
    let args = ["score", "--data", "data.json", "--predictions", "p.json", "--null-odds"];
    let score = |rest: &[&str]| folder.run(&[&args[..], rest].concat());
    let scored = score(&["odds.json", "--json"]).json();
    assert_eq!((&scored["exact"], &scored["best_exact"]), (&json!(0.0), &json!(50.0)));
    assert_eq!(scored["best_exact_thresh"], -1.0);
    assert!(score(&["odds.json"]).out.contains("-1.0\n"));
    let at = score(&["odds.json", "--na-prob-thresh", "-1.0", "--json"]).json();
    assert_eq!((&at["exact"], &at["NoAns_exact"]), (&json!(50.0), &json!(100.0)));
    // Of probabilities the search begins where the official script begins.
    folder.write("probabilities.json", r#"{"a": 0.0, "b": 0.5}"#);
    assert_eq!(score(&["probabilities.json", "--json"]).json()["best_exact_thresh"], 0.0);
}

#[test]
fn questions_without_a_prediction_are_told_and_counted() {
    let folder = Folder::new();
    folder.write("data.json", ONE_ONE);
    folder.write("p.json", r#"{"a": "Ada Lovelace"}"#);
    let outcome =
        folder.run(&["score", "--data", "data.json", "--predictions", "p.json", "--json"]);
    assert_eq!((&outcome.json()["total"], &outcome.json()["missing"]), (&json!(1), &json!(2)));
    assert!(outcome.err.contains("2 of 3 questions"), "{}", outcome.err);
}

#[test]
fn text_shows_the_same_scores() {
    let folder = Folder::new();
    folder.write("data.json", TWO_ZERO);
    folder.write("p.json", r#"{"a": "Ada Lovelace", "b": ""}"#);
    let outcome = folder.run(&["score", "--data", "data.json", "--predictions", "p.json"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let first = outcome.out.lines().next().unwrap();
    assert_eq!(first.split_whitespace().collect::<Vec<_>>(), ["exact", "100.00"]);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = Folder::new();
    folder.write("data.json", ONE_ONE);
    folder.write("p.json", r#"{"a": "Ada"}"#);
    let score =
        |data, predictions| folder.run(&["score", "--data", data, "--predictions", predictions]);
    score("absent.json", "p.json").refused(&["absent.json"]);
    folder.write("cut.json", &ONE_ONE[..200]);
    score("cut.json", "p.json").refused(&["cut.json", "line"]);
    folder.write("deep.json", "[".repeat(200_000));
    score("deep.json", "p.json").refused(&["deep.json"]);
    folder.write("latin.json", b"{\"data\": \"caf\xe9\"}");
    score("latin.json", "p.json").refused(&["latin.json"]);
    folder.write("list.json", "[1, 2]");
    score("data.json", "list.json").refused(&["list.json"]);
    folder.write("numbers.json", r#"{"a": [3]}"#);
    score("data.json", "numbers.json").refused(&["numbers.json"]);
    folder.write("other.json", r#"{"x": "y"}"#);
    score("data.json", "other.json").refused(&["other.json", "no prediction"]);
    folder.write("empty.json", "");
    score("empty.json", "p.json").refused(&["empty.json"]);
    score(".", "p.json").refused(&["."]);
}
