use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::safetensors::{NamedValues, write_safetensors};
use super::*;
use crate::testing;

/// A folder with a saved model.
fn saved(config: ModelConfig) -> (TempDir, Model) {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::initialise(config, 1);
    model.save(folder.path()).unwrap();
    (folder, model)
}

/// Writes tensors of a model under other names, or not at all where `rename` says `None`.
fn write_renamed(model: &Model, path: &Path, rename: impl Fn(&str) -> Option<String>) {
    let named: Vec<_> = (model.layout.tensors.iter())
        .filter_map(|tensor| Some((rename(&tensor.name)?, tensor)))
        .collect();
    let tensors: Vec<_> = (named.iter())
        .map(|(name, tensor)| NamedValues {
            name,
            shape: &tensor.shape,
            values: model.values(tensor).into(),
        })
        .collect();
    write_safetensors(path, &tensors, &[]).unwrap();
}

fn error_of(dir: &Path) -> String {
    let message = Model::open(dir).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn a_saved_model_is_read_back_the_same() {
    let mut pruned = testing::bert();
    pruned.pruned_heads.insert(1, vec![0]);
    for config in testing::all().into_iter().chain([pruned]) {
        let (folder, model) = saved(config);
        let (read, report) = Model::open_reporting(folder.path()).unwrap();
        assert_eq!(read.config, model.config);
        assert_eq!(read.parameters, model.parameters);
        assert_eq!(report, LoadReport::default());
        // Saving again gives the same bytes.
        let bytes = fs::read(folder.path().join(WEIGHTS_FILE)).unwrap();
        read.save(folder.path()).unwrap();
        assert_eq!(fs::read(folder.path().join(WEIGHTS_FILE)).unwrap(), bytes);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}

#[test]
fn a_distilbert_with_segments_is_written_as_the_bert_that_it_is() {
    let mut config = testing::distilbert();
    config.type_vocab_size = 16;
    let (folder, model) = saved(config.clone());
    let (read, report) = Model::open_reporting(folder.path()).unwrap();
    assert_eq!(report, LoadReport::default());
    assert_eq!(read.parameters, model.parameters);
    let json: Value = read_json(&folder.path().join(CONFIG_FILE)).unwrap();
    assert_eq!(json["model_type"], "bert");
    assert_eq!(json["architectures"][0], "BertForQuestionAnswering");
    assert_eq!(json["type_vocab_size"], 16);
    assert!(read.layout.find("bert.embeddings.token_type_embeddings.weight").is_some());
    // In its other forms, too.
    for save in [Model::save_quantized, Model::save_sparse] {
        save(&model, folder.path()).unwrap();
        assert_eq!(Model::open(folder.path()).unwrap().config.architecture, Architecture::Bert);
    }
    // A folder of an older version opens as it is.
    let old = format!("{:#}", config.to_json());
    fs::write(folder.path().join(CONFIG_FILE), old).unwrap();
    write_renamed(&model, &folder.path().join(WEIGHTS_FILE), |name| Some(name.into()));
    let read = Model::open(folder.path()).unwrap();
    assert_eq!((read.config, &read.parameters), (model.config.clone(), &model.parameters));
}

#[test]
fn a_distilbert_that_classifies_keeps_its_names_and_its_segments() {
    let mut config = testing::classifier(testing::distilbert(), &["A", "B"]);
    config.type_vocab_size = 2;
    let (folder, model) = saved(config);
    let read = Model::open(folder.path()).unwrap();
    assert_eq!((read.config, read.parameters), (model.config, model.parameters));
}

#[test]
fn old_names_and_names_without_prefix_are_understood() {
    let (folder, model) = saved(testing::bert());
    write_renamed(&model, &folder.path().join(WEIGHTS_FILE), |name| {
        let name = name.strip_prefix("bert.").unwrap_or(name);
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
        Some(name.replace("LayerNorm.bias", "LayerNorm.beta"))
    });
    let (read, report) = Model::open_reporting(folder.path()).unwrap();
    assert_eq!(read.parameters, model.parameters);
    assert_eq!(report, LoadReport::default());
}

#[test]
fn a_bare_encoder_gets_a_new_head_from_the_seed_and_its_pooler_is_reported() {
    let (folder, model) = saved(testing::bert());
    write_renamed(&model, &folder.path().join(WEIGHTS_FILE), |name| match name {
        // The head's tensors stand in for ones that the model has no place for.
        "qa_outputs.weight" => Some("pooler.dense.weight".into()),
        "qa_outputs.bias" => Some("cls.predictions.bias".into()),
        _ => Some(name.into()),
    });
    let (read, report) = Model::open_with_seed(folder.path(), 5).unwrap();
    assert_eq!(report.missing, ["qa_outputs.weight", "qa_outputs.bias"]);
    assert_eq!(report.unused, ["cls.predictions.bias", "pooler.dense.weight"]);
    let head = |model: &Model| model.parameters[model.layout.slots.head.range()].to_vec();
    assert_eq!(head(&read), head(&Model::initialise(testing::bert(), 5)));
    let rest = ..model.layout.slots.head.range().start;
    assert_eq!(read.parameters[rest], model.parameters[rest]);
}

#[test]
fn a_distilbert_can_be_given_segments() {
    let (folder, model) = saved(testing::distilbert());
    let mut config = model.config.clone();
    config.type_vocab_size = 16;
    let (read, report) = Model::open_as(folder.path(), config.clone(), 5).unwrap();
    let name = "distilbert.embeddings.token_type_embeddings.weight";
    assert_eq!(report.missing, [name]);
    let new = Model::initialise(config, 5);
    let tensor = read.layout.find(name).unwrap();
    assert_eq!(read.values(tensor), new.values(tensor));
}

#[test]
fn an_encoder_tensor_that_is_missing_or_of_another_shape_is_an_error() {
    let (folder, model) = saved(testing::bert());
    let path = folder.path().join(WEIGHTS_FILE);
    let lost = "bert.encoder.layer.2.output.dense.bias";
    write_renamed(&model, &path, |name| (name != lost).then(|| name.into()));
    let message = error_of(folder.path());
    assert!(message.contains(&format!("`{lost}` is missing")), "{message}");

    model.save(folder.path()).unwrap();
    let config_path = folder.path().join(CONFIG_FILE);
    let mut config: Value = read_json(&config_path).unwrap();
    config["vocab_size"] = json!(2_000_000);
    fs::write(&config_path, config.to_string()).unwrap();
    let message = error_of(folder.path());
    assert!(message.contains("word_embeddings.weight` has shape [11, 8]"), "{message}");
    assert!(message.contains(WEIGHTS_FILE), "{message}");
}

#[test]
fn one_tensor_under_two_names_is_an_error() {
    let (folder, model) = saved(testing::bert());
    let twin = "bert.embeddings.LayerNorm.bias";
    write_renamed(&model, &folder.path().join(WEIGHTS_FILE), |name| match name {
        "qa_outputs.bias" => Some("embeddings.LayerNorm.beta".into()),
        _ => Some(name.into()),
    });
    let message = error_of(folder.path());
    assert!(message.contains(twin) && message.contains("two names"), "{message}");
}

#[test]
fn shards_are_put_together_by_their_index() {
    let (folder, model) = saved(testing::bert());
    fs::remove_file(folder.path().join(WEIGHTS_FILE)).unwrap();
    let shard_of = |name: &str| format!("model-0000{}-of-00002.safetensors", 1 + name.len() % 2);
    let mut map = serde_json::Map::new();
    for tensor in &model.layout.tensors {
        map.insert(tensor.name.clone(), json!(shard_of(&tensor.name)));
    }
    for shard in [shard_of(""), shard_of("a")] {
        write_renamed(&model, &folder.path().join(&shard), |name| {
            (shard_of(name) == shard).then(|| name.into())
        });
    }
    let index = folder.path().join(INDEX_FILE);
    fs::write(&index, json!({"metadata": {}, "weight_map": map}).to_string()).unwrap();
    let (read, report) = Model::open_reporting(folder.path()).unwrap();
    assert_eq!(read.parameters, model.parameters);
    assert_eq!(report, LoadReport::default());

    for shard in ["../elsewhere.safetensors", "/etc/passwd", "..", ""] {
        map.insert("qa_outputs.bias".into(), json!(shard));
        fs::write(&index, json!({ "weight_map": map }).to_string()).unwrap();
        let message = error_of(folder.path());
        assert!(message.contains("is not the name of a file"), "{message}");
    }
    map.insert("qa_outputs.bias".into(), json!("model-00003-of-00003.safetensors"));
    fs::write(&index, json!({ "weight_map": map }).to_string()).unwrap();
    let message = error_of(folder.path());
    assert!(message.contains("names model-00003-of-00003.safetensors"), "{message}");
    map.insert("qa_outputs.bias".into(), json!(shard_of("qa_outputs.bias.")));
    fs::write(&index, json!({ "weight_map": map }).to_string()).unwrap();
    let message = error_of(folder.path());
    assert!(message.contains("`qa_outputs.bias` is not in the file"), "{message}");
}

#[test]
fn a_folder_without_readable_weights_says_what_to_do() {
    let (folder, _) = saved(testing::bert());
    fs::remove_file(folder.path().join(WEIGHTS_FILE)).unwrap();
    assert!(error_of(folder.path()).contains("has no model.safetensors"));
    fs::write(folder.path().join("pytorch_model.bin"), "PK\x03\x04").unwrap();
    let message = error_of(folder.path());
    assert!(message.contains("python3 -c"), "{message}");
    fs::remove_file(folder.path().join("pytorch_model.bin")).unwrap();
    fs::remove_file(folder.path().join(CONFIG_FILE)).unwrap();
    assert!(error_of(folder.path()).contains("it has no config.json"));
}

#[test]
fn errors_in_config_json_name_the_file_the_key_and_the_place() {
    let (folder, _) = saved(testing::bert());
    let path = folder.path().join(CONFIG_FILE);
    fs::write(&path, "{\"model_type\": \"bert\",\n  \"vocab_size\": }").unwrap();
    let message = error_of(folder.path());
    assert!(message.contains("config.json") && message.contains("line 2"), "{message}");
    fs::write(&path, "{\"model_type\": \"bert\", \"vocab_size\": \"x\"}").unwrap();
    let message = error_of(folder.path());
    assert!(message.contains("config.json: `vocab_size` is \"x\""), "{message}");
}

#[test]
fn a_model_that_could_not_be_read_again_is_not_saved_over_one_that_can() {
    let (folder, mut model) = saved(testing::bert());
    model.config.hidden_dropout = f32::NAN;
    assert!(model.save(folder.path()).unwrap_err().to_string().contains("hidden_dropout_prob"));
    assert!(Model::open(folder.path()).is_ok());
}
