//! `limbeck demo`, cut down to a few questions.

use crate::support::Folder;

const SHORT: [&str; 5] = ["demo", "--out", "d", "--questions", "96"];

#[test]
fn a_demo_leaves_models_metrics_data_and_a_report() {
    let folder = Folder::new();
    let metrics = folder.run(&[&SHORT[..], &["--json"]].concat()).json();
    let written = std::fs::read_to_string(folder.path().join("d/metrics.json")).unwrap();
    assert_eq!(metrics, serde_json::from_str::<serde_json::Value>(&written).unwrap());
    assert!(metrics["seconds"].as_f64().unwrap() > 0.0);
    let page = std::fs::read_to_string(folder.path().join("d/report.html")).unwrap();
    for (model, label) in [
        ("teacher", "teacher"),
        ("student", "student, labels only"),
        ("distilled", "student, distilled"),
    ] {
        for key in ["exact", "f1"] {
            let score = metrics[model][key].as_f64().unwrap();
            assert!((0.0..=100.0).contains(&score), "{model} {key} {score}");
        }
        assert!(metrics[model]["milliseconds_per_question"].as_f64().unwrap() > 0.0);
        for file in ["config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"] {
            assert!(folder.path().join("d").join(model).join(file).is_file(), "{model}/{file}");
        }
        assert!(page.contains(&format!("<th scope=\"row\">{label}</th>")), "{label}");
    }
    let int8 = &metrics["distilled_int8"];
    assert!(
        int8["bytes"].as_u64().unwrap() * 3 < metrics["distilled"]["bytes"].as_u64().unwrap() * 2
    );
    assert!(
        (int8["f1"].as_f64().unwrap() - metrics["distilled"]["f1"].as_f64().unwrap()).abs() < 5.0
    );
    assert!(page.contains("<th scope=\"row\">student, distilled, int8</th>"));
    let parameters = |model: &str| metrics[model]["parameters"].as_u64().unwrap();
    assert_eq!(parameters("student"), parameters("distilled"));
    assert!(parameters("teacher") > 2 * parameters("student"));

    let model = ["--model", "d/teacher", "--data", "d/data/dev.json"];
    let scored = folder.run(&[&["evaluate", "--json"][..], &model].concat()).json();
    assert_eq!(scored["f1"], metrics["teacher"]["f1"]);

    let again = folder.run(&SHORT);
    assert_eq!((again.code, again.out.contains("finished already")), (0, true), "{}", again.err);
    folder.run(&["demo", "--out", "d", "--seed", "7"]).refused(&["seed", "--overwrite"]);
}

#[test]
fn the_command_that_a_demo_ends_with_works_when_it_is_pasted() {
    let folder = Folder::new();
    let outcome = folder.run(&SHORT);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let start = outcome.out.find("limbeck answer").unwrap();
    let script = outcome.out[start..].replacen("limbeck", env!("CARGO_BIN_EXE_limbeck"), 1);
    let status = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(status.status.success(), "{script}: {}", String::from_utf8_lossy(&status.stderr));
}
