//! `--lengths` and `--budget`, wherever a model answers.

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
