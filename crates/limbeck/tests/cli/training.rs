//! From a model folder and a SQuAD file to a student that answers, with the real binary.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Folder;
use crate::world::{TOWNS, arguments, train, world};

#[test]
fn what_is_left_out_or_moved_is_told_and_named_in_the_folder() {
    let folder = world();
    let row = |id: Value, answers: Value| {
        let context = "ana lives in rome. bo lives in rome.";
        let question = "where does ana live?";
        json!({"id": id, "context": context, "question": question, "answers": answers}).to_string()
    };
    let rows = [
        row(json!(0), json!({"text": ["rome"], "answer_start": [13]})),
        row(json!("moved"), json!({"text": ["rome"], "answer_start": [12]})),
        row(json!("undecided"), json!(["rome"])),
        row(json!("nowhere"), json!([{"text": "oslo", "answer_start": 13}])),
        row(json!("empty"), json!([])),
        row(json!("null"), Value::Null),
    ];
    // The rows have one question and one context: only their ids tell them apart.
    folder.write("train.json", rows.join("\n"));
    let options = ["--model", "model", "--max-steps", "1", "--out", "out"];
    let trained = train(&folder, "finetune", &options);
    assert_eq!(trained.code, 0, "{}", trained.err);
    let names = std::fs::read_to_string(folder.path().join("out/left_out.jsonl")).unwrap();
    let names: Vec<Value> = names.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named: Vec<_> = names
        .iter()
        .map(|line| (line["id"].as_str().unwrap(), line["what"].as_str().unwrap()))
        .collect();
    assert_eq!(
        named,
        [
            ("null", "left_out"),
            ("undecided", "left_out"),
            ("nowhere", "left_out"),
            ("empty", "left_out"),
            ("moved", "answer_moved"),
        ]
    );
    assert_eq!((&names[4]["answer_start"], &names[4]["moved_to"]), (&json!(12), &json!(13)));
}

#[test]
fn a_teacher_is_trained_distilled_evaluated_and_asked() {
    let folder = world();
    let dev = ["--dev", "dev.json", "--epochs", "30", "--json"];
    let teacher = [&["--model", "model", "--out", "teacher"], &dev[..]].concat();
    let first = train(&folder, "finetune", &teacher).json();
    assert!(first["metrics"]["exact"].as_f64().unwrap() > 90.0, "{first}");
    for name in ["train.jsonl", "metrics.json", "predictions.json", "limbeck.json", "run.toml"] {
        assert!(folder.path().join("teacher").join(name).is_file(), "{name}");
    }

    // The same command again leaves a finished folder alone.
    let bytes = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let before = bytes("teacher/model.safetensors");
    let again = train(&folder, "finetune", &teacher);
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(bytes("teacher/model.safetensors"), before);
    let other = [&teacher[..], &["--seed", "7"]].concat();
    train(&folder, "finetune", &other).refused(&["teacher", "train.seed", "--overwrite"]);

    let student =
        [&["--teacher", "teacher", "--student-layers", "0", "--out", "student"], &dev[..]].concat();
    train(&folder, "distill", &student).json();

    let scores =
        folder.run(&["evaluate", "--model", "teacher", "--data", "dev.json", "--json", "--quiet"]);
    assert_eq!(scores.json()["exact"], first["metrics"]["exact"]);

    let context = "ben lives in oslo. ana lives in rome.";
    let answer = folder.run(&[
        "answer",
        "--model",
        "teacher",
        "--question",
        "where does ana live?",
        "--context",
        context,
        "--json",
        "--logits",
        "--quiet",
    ]);
    let answer = answer.json();
    let (start, end) = (answer["start"].as_u64().unwrap(), answer["end"].as_u64().unwrap());
    assert_eq!(answer["answer"], context[start as usize..end as usize]);
    assert!(TOWNS.contains(&answer["answer"].as_str().unwrap()), "{answer}");
    let length = |key: &str| answer[key].as_array().unwrap().len();
    assert_eq!(length("start_logits"), length("offsets"));
    assert!(length("n_best") > 0);

    let inspection = folder.run(&["inspect", "--model", "student", "--json"]).json();
    assert_eq!(inspection["layers"].as_array().unwrap().len(), 1);
    let figures = folder.run(&[
        "bench",
        "train",
        "--model",
        "model",
        "--data",
        "train.json",
        "--batch-size",
        "4",
        "--steps",
        "2",
        "--teacher",
        "teacher",
        "--json",
    ]);
    let figures = figures.json();
    for key in ["tokens_per_second", "seconds_per_distillation_step", "distillation_cost"] {
        assert!(figures[key].as_f64().unwrap() > 0.0, "{key} of {figures}");
    }
}

#[test]
fn measuring_needs_no_training() {
    let folder = world();
    let features = ["bench", "features", "--model", "model", "--data", "train.json", "--json"];
    let features = folder.run(&features).json();
    assert!(features["features"].as_u64().unwrap() > 0);
    assert!(features["second_start_seconds"].as_f64().unwrap() > 0.0);
    let sweep = ["bench", "sweep", "--model", "model", "--json"];
    let sizes = ["--lengths", "8,16", "--batch-sizes", "1,3", "--steps", "1"];
    let sweep = folder.run(&[&sweep[..], &sizes].concat()).json();
    let sizes = sweep["sizes"].as_array().unwrap();
    assert_eq!(sizes.len(), 4);
    assert_eq!((&sizes[3]["length"], &sizes[3]["batch_size"]), (&16.into(), &3.into()));
    folder
        .run(&["bench", "sweep", "--model", "model", "--lengths", "100000"])
        .refused(&["--lengths"]);
    let bare = ["bench", "sweep", "--model", "model", "--batch-sizes", "1", "--json"];
    assert!(!folder.run(&bare).json()["sizes"].as_array().unwrap().is_empty());
}

#[test]
fn steps_of_pretraining_are_measured_without_a_text() {
    let folder = Folder::new();
    let small = ["--hidden-size", "8", "--vocab-size", "50", "--length", "16", "--steps", "2"];
    let bench = |more: &[&str]| folder.run(&[&["bench", "pretrain"], &small[..], more].concat());
    let figures = bench(&["--json", "--profile"]).json();
    assert!(figures["tokens_per_second"].as_f64().unwrap() > 0.0, "{figures}");
    // 15 % of 32 windows of 16 tokens.
    assert!((40..=120).contains(&figures["masked_tokens"].as_u64().unwrap()), "{figures}");
    assert!(!figures["profile"]["kernels"].as_array().unwrap().is_empty(), "{figures}");
    assert!(bench(&["--mask-probability", "0.5"]).out.contains("tokens a second"));
    bench(&["--mask-probability", "0"]).refused(&["--mask-probability"]);
    bench(&["--heads", "3"]).refused(&["num_attention_heads"]);
    bench(&["--batch-size", "10000000"]).refused(&["--batch-size"]);
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_with_the_same_bytes() {
    let folder = world();
    let options = ["--model", "model", "--epochs", "60", "--save-steps", "20"];
    let with_out = |out: &'static str| [&options[..], &["--out", out]].concat();
    assert_eq!(train(&folder, "finetune", &with_out("whole")).code, 0);
    for wait in [30, 60, 90, 120] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_limbeck"))
            .args(arguments("finetune", &with_out("killed")))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        // SIGKILL: the run has no chance to save.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let end = train(&folder, "finetune", &with_out("killed"));
    assert_eq!(end.code, 0, "{}", end.err);
    let read =
        |out: &str| std::fs::read(folder.path().join(out).join("model.safetensors")).unwrap();
    assert!(read("killed") == read("whole"));
}

#[test]
fn nothing_is_overwritten_that_is_read_or_not_a_runs() {
    let folder = world();
    let before = std::fs::read(folder.path().join("model/model.safetensors")).unwrap();
    for more in [&[][..], &["--overwrite"]] {
        let args = [&["--model", "model", "--out", "model"], more].concat();
        train(&folder, "finetune", &args).refused(&["model"]);
    }
    train(&folder, "finetune", &["--model", "model", "--out", ""]).refused(&["output.dir"]);
    assert_eq!(std::fs::read(folder.path().join("model/model.safetensors")).unwrap(), before);

    // A finished run survives a slip in the command that was to replace it.
    let run = ["--model", "model", "--epochs", "1", "--out", "run"];
    assert_eq!(train(&folder, "finetune", &run).code, 0);
    let slip = ["--model", "no-such-model", "--epochs", "1", "--out", "run", "--overwrite"];
    assert_eq!(train(&folder, "finetune", &slip).code, 2);
    assert!(folder.path().join("run/model.safetensors").is_file());
}

#[test]
fn what_is_read_is_not_written_over() {
    let folder = world();
    let data = std::fs::read(folder.path().join("dev.json")).unwrap();
    folder.write("run/predictions.json", &data);
    let own = ["--model", "model", "--data", "run/predictions.json", "--out", "run"];
    for command in ["evaluate", "predict"] {
        let refused = folder.run(&[&[command][..], &own].concat());
        refused.refused(&["run/predictions.json", "written over"]);
    }
    let dev = ["--model", "model", "--dev", "run/predictions.json", "--out", "run", "--overwrite"];
    train(&folder, "finetune", &dev).refused(&["predictions.json", "another --out"]);
    let lengths = ["lengths", "--data", "dev.json", "--overwrite", "--out", "model", "--model"];
    folder.run(&[&lengths[..], &["model"]].concat()).refused(&["model", "another --out"]);
    assert_eq!(std::fs::read(folder.path().join("run/predictions.json")).unwrap(), data);
    assert!(folder.path().join("model/model.safetensors").is_file());
}

#[test]
fn a_run_whose_last_step_diverges_does_not_end_well() {
    let folder = world();
    let steep = ["--model", "model", "--max-steps", "1", "--out", "run"];
    let steep = [&steep[..], &["--learning-rate", "1e300"]].concat();
    let mut args = arguments("finetune", &steep);
    args.retain(|arg| *arg != "3e-3");
    let first = args.iter().position(|arg| *arg == "--learning-rate").unwrap();
    args.remove(first);
    let run = folder.run(&args);
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(run.err.contains("step 1: the largest weight is"), "{}", run.err);
    assert!(!folder.path().join("run/model.safetensors").exists());
}

#[test]
fn logits_that_are_no_numbers_are_no_answer() {
    let folder = world();
    let path = folder.path().join("model/model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for value in bytes[header..].chunks_exact_mut(4) {
        value.copy_from_slice(&3e38_f32.to_le_bytes());
    }
    std::fs::write(&path, bytes).unwrap();
    let ask = ["answer", "--model", "model", "--question", "q", "--context", "c"];
    folder.run(&ask).refused(&["no finite numbers"]);
    let none = ["--n-best-size", "0"];
    folder.run(&[&ask[..], &none].concat()).refused(&["--n-best-size 0"]);
}

#[test]
fn a_model_with_a_value_that_is_not_a_number_is_refused() {
    let folder = world();
    let path = folder.path().join("model/model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let args = ["answer", "--model", "model", "--question", "q", "--context", "c"];
    folder.run(&args).refused(&["not finite", "model.safetensors"]);
}
