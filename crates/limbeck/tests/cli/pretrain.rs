//! From plain text to a pretrained model that can be fine-tuned, with the real binary.

use crate::support::{Folder, Outcome};
use crate::world::{PEOPLE, TOWNS};

/// A folder with a small text, a paragraph a line.
fn world() -> Folder {
    let folder = Folder::new();
    let line = |i: usize| {
        let (person, other) = (PEOPLE[i % 6], PEOPLE[(i / 6 + i + 1) % 6]);
        let (town, second) = (TOWNS[(i * 5 + 1) % 6], TOWNS[(i * 7 + i / 5) % 6]);
        format!("{person} lives in {town}, and {other} lives in {second}.\n")
    };
    folder.write("text.txt", (0..200).map(line).collect::<String>());
    folder
}

const SIZES: [&str; 6] = ["--layers", "1", "--hidden-size", "32", "--heads", "2"];

fn pretrain(folder: &Folder, flags: &[&str]) -> Outcome {
    let common = ["pretrain", "--text", "text.txt", "--max-length", "24", "--json", "--quiet"];
    folder.run(&[&common[..], flags].concat())
}

#[test]
fn a_new_model_is_pretrained_distilled_and_fine_tuned() {
    let folder = world();
    let rhythm = ["--steps", "60", "--batch-size", "8", "--learning-rate", "1e-2"];
    let schedule = ["--schedule", "one-cycle", "--vocab-size", "80", "--cache", "cache"];
    let first = [&SIZES[..], &rhythm, &schedule, &["--out", "bert"]].concat();
    let result = pretrain(&folder, &first).json();
    let perplexity = result["metrics"]["perplexity"].as_f64().unwrap();
    // Blind guesses among 80 words would be at 80.
    assert!(perplexity < 25.0, "{result}");
    for name in ["vocab.txt", "tokenizer.json", "config.json", "metrics.json", "report.html"] {
        assert!(folder.path().join("bert").join(name).is_file(), "{name}");
    }
    let inspection = folder.run(&["inspect", "--model", "bert", "--json"]).json();
    assert_eq!(inspection["head"]["kind"], "masked_word");
    // The same command again leaves a finished folder alone.
    assert!(pretrain(&folder, &first).json()["steps"].is_null());

    let distil = ["--teacher", "bert", "--temperature", "2", "--factor-end", "0.5"];
    let student = [&SIZES[..], &rhythm, &distil, &["--out", "student"]].concat();
    let result = pretrain(&folder, &student).json();
    assert!(result["metrics"]["perplexity"].as_f64().unwrap() < 25.0, "{result}");
    let lines = std::fs::read_to_string(folder.path().join("student/train.jsonl")).unwrap();
    assert!(lines.contains("loss_soft") && lines.contains("loss_hard"), "{lines}");
    let vocabulary =
        |name: &str| std::fs::read(folder.path().join(name).join("vocab.txt")).unwrap();
    assert_eq!(vocabulary("student"), vocabulary("bert"));

    let on = ["--model", "bert", "--steps", "3", "--out", "further"];
    pretrain(&folder, &on).json();
    let cut = ["--model", "bert", "--set", "model.heads=1", "--steps", "1", "--out"];
    let by = |measure| [&cut[..], &[measure, "--set"]].concat();
    let magnitude = [&by("cut")[..], &["model.importance=magnitude"]].concat();
    pretrain(&folder, &magnitude).json();
    let inspection = folder.run(&["inspect", "--model", "cut", "--json"]).json();
    assert_eq!(inspection["layers"][0]["heads"], 1);
    let gradient = [&by("no")[..], &["model.importance=gradient"]].concat();
    pretrain(&folder, &gradient).refused(&["model.importance", "no labels"]);
    folder.write("train.tsv", "sentence\tlabel\nana lives in rome\t1\nben lives in oslo\t0\n");
    let task = ["finetune", "--task", "sst2", "--train", "train.tsv", "--model", "bert"];
    let tuned = folder.run(&[&task[..], &["--out", "tuned", "--epochs", "1", "--quiet"]].concat());
    assert_eq!(tuned.code, 0, "{}", tuned.err);
}

#[test]
fn several_processes_pretrain_the_model_of_one() {
    let folder = world();
    let run = |out: &str, more: &[&str]| {
        let steps = ["--steps", "6", "--batch-size", "5", "--vocab-size", "80", "--threads", "1"];
        let steady = ["--set", "optim.epsilon=0.01", "--set", "train.logging_steps=1"];
        pretrain(&folder, &[&SIZES[..], &steps, &steady, &["--out", out], more].concat()).json();
        let text = std::fs::read_to_string(folder.path().join(out).join("train.jsonl")).unwrap();
        let lines = text.lines().map(serde_json::from_str::<serde_json::Value>);
        let losses: Vec<f64> = lines.filter_map(|line| line.unwrap()["loss"].as_f64()).collect();
        losses
    };
    let (one, two) = (run("one", &[]), run("two", &["--ranks", "2"]));
    assert_eq!(one.len(), 6);
    for (a, b) in one.iter().zip(&two) {
        assert!((a - b).abs() < 1e-5 * a, "{one:?} {two:?}");
    }
}

#[test]
fn a_range_test_says_where_the_loss_turns_up() {
    let folder = world();
    let range = ["--range-test", "--steps", "40", "--range-start", "1e-5", "--vocab-size", "80"];
    let rest = ["--learning-rate", "10", "--batch-size", "8", "--out", "range"];
    let flags = [&SIZES[..], &range, &rest].concat();
    pretrain(&folder, &flags).json();
    let bytes = std::fs::read(folder.path().join("range/range.json")).unwrap();
    let finding: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let rate = finding["suggested_learning_rate"].as_f64().unwrap();
    assert!(rate > 1e-5 && rate < 10.0, "{finding}");
    let page = std::fs::read_to_string(folder.path().join("range/report.html")).unwrap();
    assert!(page.contains("Range test") && page.contains("suggested maximum"));
}

#[test]
fn a_mistake_that_shows_after_the_text_was_read_is_mended_by_the_next_command() {
    let folder = world();
    let options = ["--steps", "2", "--vocab-size", "80", "--out", "bert", "--sparsity", "0.5"];
    let with = |sparse: &[&str]| pretrain(&folder, &[&SIZES[..], &options, sparse].concat());
    let all = ["--sparse-method", "gmp", "--sparse-warmup", "0.5", "--sparse-cooldown", "0.6"];
    with(&all).refused(&["sparsity.cooldown"]);
    // Steps that are more than the run has are shortened, and that is said.
    let run = with(&["--sparse-method", "rigl"]);
    assert_eq!(run.code, 0, "{}", run.err);
}

#[test]
fn wrong_input_is_refused_with_what_to_do() {
    let folder = world();
    let out = ["--out", "o"];
    pretrain(&folder, &out).refused(&["no model is given", "--config"]);
    pretrain(&folder, &[&["--layers", "2"], &out[..]].concat()).refused(&["not all given"]);
    let with = |out: &str, flags: &[&str]| {
        let flags = [&SIZES[..], &["--out", out], flags].concat();
        pretrain(&folder, &flags)
    };
    with("a", &["--text", "no.txt"]).refused(&["no.txt"]);
    with("b", &["--vocab-size", "9"]).refused(&["text.vocab_size"]);
    folder.write("v.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nana\n");
    let given = ["--tokenizer", "v.txt", "--mask-probability", "1"];
    with("c", &given).refused(&["text.mask_probability"]);
    folder.write("empty.txt", "\n \n");
    let empty = ["pretrain", "--text", "empty.txt", "--tokenizer", "v.txt", "--quiet"];
    let empty = [&empty[..], &SIZES, &["--out", "d"]].concat();
    folder.run(&empty).refused(&["there is no text", "empty.txt"]);
    folder.write("v.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nana\n");
    with("e", &["--tokenizer", "v.txt"]).refused(&["has no [MASK]"]);
}
