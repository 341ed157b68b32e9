//! Addresses in object stores. What needs a store is in `tools/store.sh`.

use crate::support::Folder;
use crate::world::{train, world};

#[test]
fn a_path_may_be_given_as_an_address() {
    let folder = world();
    let address = |name: &str| format!("file://{}/{name}", folder.path().display());
    let (out, cache, data) = (address("run"), address("cache"), address("dev.json"));
    let model = address("model");
    let options = ["--model", &model, "--dev", &data, "--max-steps", "2", "--cache", &cache];
    let trained = train(&folder, "finetune", &[&options[..], &["--out", &out, "--json"]].concat());
    assert_eq!(trained.json()["out"], out);
    assert!(folder.path().join("run/model.safetensors").is_file());
    assert_eq!(std::fs::read_dir(folder.path().join("cache")).unwrap().count(), 2);
    let small = address("small");
    folder.run(&["quantize", "--model", &out, "--out", &small, "--json"]).json();
    let evaluate = ["evaluate", "--model", &small, "--data", &data, "--out", &out, "--json"];
    folder.run(&evaluate).json();
    assert!(folder.path().join("run/predictions.json").is_file());
}

#[test]
fn what_several_processes_write_to_stays_on_this_machine() {
    let folder = Folder::new();
    let search = ["search", "--space", "space.toml", "--study", "s3://b/s", "--trials", "1"];
    folder.run(&search).refused(&["s3://b/s", "--study", "a path of this machine"]);
    folder.run(&["demo", "--out", "s3://b/demo"]).refused(&["a path of this machine"]);
}

#[cfg(not(feature = "cloud"))]
#[test]
fn without_the_feature_an_address_of_a_store_is_refused_before_the_work() {
    let folder = world();
    for option in ["--out", "--cache", "--dev", "--model"] {
        let options = ["--model", "model", "--max-steps", "2", "--out", "run"];
        let options: Vec<&str> = match options.iter().position(|&given| given == option) {
            Some(place) => [&options[..place], &options[place + 2..]].concat(),
            None => options.to_vec(),
        };
        let more = [&options[..], &[option, "s3://bucket/name"]].concat();
        let refused = train(&folder, "finetune", &more);
        refused.refused(&["s3://bucket/name", "--features cloud"]);
    }
    let evaluate = ["evaluate", "--model", "model", "--data", "s3://bucket/dev.json"];
    folder.run(&evaluate).refused(&["s3://bucket/dev.json", "--features cloud"]);
    let quantize = ["quantize", "--model", "model", "--out", "s3://bucket/small"];
    folder.run(&quantize).refused(&["s3://bucket/small", "--features cloud"]);
    assert!(!folder.path().join("s3:").exists());
}
