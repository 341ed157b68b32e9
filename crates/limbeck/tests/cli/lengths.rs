//! `--lengths` and `--budget`, wherever a model answers.

use serde_json::json;

use crate::world::world;

const ASKED: [&str; 7] = [
    "answer",
    "--model",
    "model",
    "--question",
    "where does ana live?",
    "--context",
    "ana lives in rome. ben lives in oslo. cleo lives in bonn.",
];

#[test]
fn tokens_leave_as_the_flags_say_in_every_command() {
    let folder = world();
    let answer = |more: &[&str]| {
        folder.run(&[&ASKED[..], more, &["--json", "--logits"]].concat()).json()["start_logits"]
            .clone()
    };
    let whole = answer(&[]);
    assert_eq!(answer(&["--lengths", "1,1"]), whole);
    assert_eq!(answer(&["--lengths", "400,400"]), whole);
    assert_eq!(answer(&["--budget", "1"]), whole);
    assert_ne!(answer(&["--lengths", "0.6,0.3"]), whole);
    assert_ne!(answer(&["--lengths", "12,6"]), whole);
    assert_ne!(answer(&["--budget", "0.7"]), whole);

    let on = ["--model", "model", "--data", "dev.json", "--json"];
    let scores = folder.run(&[&["evaluate", "--lengths", "0.6,0.3"][..], &on].concat()).json();
    assert_eq!(scores["total"], 12);
    let bench = folder.run(&[&["bench", "answer", "--budget", "0.7"][..], &on].concat()).json();
    assert_eq!(bench["questions"], 12);
    folder.run(&["quantize", "--model", "model", "--out", "int8", "--quiet"]);
    let int8 =
        folder.run(&[&["answer", "--model", "int8", "--budget", "0.7"], &ASKED[3..]].concat());
    assert_eq!(int8.code, 0, "{}", int8.err);
}

#[test]
fn a_plan_of_the_model_can_be_named_and_goes_with_it() {
    let folder = world();
    let notes = r#"{"version": "0", "length_plans": {"short": {"lengths": [0.6, 0.3], "f1": 9}}}"#;
    folder.write("model/limbeck.json", notes);
    let logits = |model: &str, lengths: &str| {
        let flags = ["--model", model, "--lengths", lengths, "--json", "--logits"];
        folder.run(&[&["answer"], &flags[..], &ASKED[3..]].concat()).json()["start_logits"].clone()
    };
    assert_eq!(logits("model", "short"), logits("model", "0.6,0.3"));
    let on = ["--model", "model", "--data", "dev.json", "--lengths", "short", "--json"];
    for command in [&["evaluate"][..], &["predict"], &["bench", "answer"]] {
        folder.run(&[command, &on].concat()).json();
    }
    folder.run(&["quantize", "--model", "model", "--out", "int8", "--quiet"]);
    assert_eq!(logits("int8", "short"), logits("int8", "0.6,0.3"));
    folder.run(&["export", "--model", "model", "--out", "exported", "--quiet"]);
    assert_eq!(logits("exported", "short"), logits("model", "short"));
    let kept = |model: &str| {
        let text = std::fs::read(folder.path().join(model).join("limbeck.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()["length_plans"]["short"].clone()
    };
    // The score is that of the float weights.
    assert_eq!((&kept("int8")["f1"], &kept("exported")["f1"]), (&json!(null), &json!(9.0)));

    let missing = [&ASKED[..], &["--lengths", "long"]].concat();
    folder.run(&missing).refused(&["no length plan `long`", "the model has short", "--lengths"]);
    folder.write("model/limbeck.json", r#"{"length_plans": {"bad": {"lengths": [0.5, -1]}}}"#);
    folder.run(&missing).refused(&["limbeck.json", "-1"]);
    folder.write("model/limbeck.json", r#"{"length_plans": {"three": {"lengths": [1, 1, 1]}}}"#);
    folder.run(&[&ASKED[..], &["--lengths", "three"]].concat()).refused(&["3 lengths", "2 layers"]);
}

#[test]
fn lengths_that_make_no_sense_are_refused() {
    let folder = world();
    for (flags, parts) in [
        (&["--lengths", "0.5"][..], &["1 lengths", "2 layers"][..]),
        (&["--lengths", "0.5,0.6"], &["cannot keep more"]),
        (&["--lengths", "0.5,-1"], &["-1", "no length"]),
        (&["--lengths", "0.5,20"], &["0.5", "neither a share nor a number"]),
        (&["--lengths", "a,b"], &["--lengths"]),
        (&["--budget", "0"], &["budget of 0"]),
        (&["--budget", "1.5"], &["budget of 1.5"]),
        (&["--budget", "0.0001"], &["below what the first layer takes"]),
        (&["--budget", "0.5", "--lengths", "1,1"], &["--lengths", "--budget"]),
    ] {
        folder.run(&[&ASKED[..], flags].concat()).refused(parts);
    }
}
