//! `limbeck demo`, cut short: everything it promises is there.

use crate::support::Folder;

#[test]
fn a_demo_leaves_three_models_their_metrics_and_a_report() {
    let folder = Folder::new();
    let metrics = folder.run(&["demo", "--out", "demo", "--steps", "2", "--json"]).json();
    for model in ["teacher", "student", "distilled"] {
        for key in ["exact", "f1", "parameters", "milliseconds_per_question"] {
            assert!(metrics[model][key].is_number(), "{model}.{key} in {metrics}");
        }
        for name in ["config.json", "model.safetensors", "vocab.txt"] {
            assert!(folder.path().join("demo").join(model).join(name).is_file(), "{model}/{name}");
        }
    }
    let size = |model: &str| metrics[model]["parameters"].as_u64().unwrap();
    assert!(size("student") == size("distilled") && size("student") < size("teacher"));
    let report = std::fs::read_to_string(folder.path().join("demo/report.html")).unwrap();
    for model in ["teacher", "student", "distilled"] {
        assert!(report.contains(model), "the report does not name the {model}");
    }

    let again = folder.run(&["demo", "--out", "demo", "--steps", "2"]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(format!("{}{}", again.out, again.err).contains("finished already"));
}
