use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use prost::Message;

use super::*;
use crate::config::{Activation, ModelConfig};
use crate::testing;
use proto::{GraphProto, TensorProto, data_location, data_type};

/// A BERT with a layer of one head less.
fn pruned() -> ModelConfig {
    ModelConfig { pruned_heads: BTreeMap::from([(1, vec![0])]), ..testing::bert() }
}

fn configs() -> Vec<ModelConfig> {
    let with = |hidden_act| ModelConfig { hidden_act, ..testing::bert() };
    let segments = ModelConfig { type_vocab_size: 3, ..testing::distilbert() };
    let activations = [Activation::Gelu, Activation::GeluTanh, Activation::Relu].map(with);
    [&activations[..], &[segments, pruned()], &testing::all()[1..]].concat()
}

/// The file that the model becomes, read back.
fn exported(model: &Model, limit: usize) -> (tempfile::TempDir, ModelProto) {
    let folder = tempfile::tempdir().unwrap();
    model.save_onnx_limited(folder.path(), limit).unwrap();
    let bytes = fs::read(folder.path().join(ONNX_FILE)).unwrap();
    (folder, ModelProto::decode(bytes.as_slice()).unwrap())
}

fn graph_of(config: ModelConfig) -> GraphProto {
    exported(&Model::initialise(config, 5), INLINE_LIMIT).1.graph.unwrap()
}

fn find<'a>(graph: &'a GraphProto, name: &str) -> &'a TensorProto {
    graph.initializer.iter().find(|tensor| tensor.name == name).unwrap()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

#[test]
fn the_file_says_who_wrote_it_and_what_it_needs() {
    let (_folder, model) = exported(&Model::initialise(testing::bert(), 5), INLINE_LIMIT);
    assert_eq!((model.producer_name.as_str(), model.ir_version), ("limbeck", 8));
    assert_eq!(model.producer_version, env!("CARGO_PKG_VERSION"));
    assert_eq!(model.opset_import.len(), 1);
    assert_eq!(model.opset_import[0].version, 17);
}

#[test]
fn every_value_has_one_name_and_is_known_before_it_is_used_and_used() {
    for config in configs() {
        let graph = graph_of(config);
        let mut known = BTreeSet::new();
        let inputs = graph.input.iter().map(|value| &value.name);
        for name in inputs.chain(graph.initializer.iter().map(|tensor| &tensor.name)) {
            assert!(known.insert(name), "{name} is there twice");
        }
        let mut used: BTreeSet<_> = graph.output.iter().map(|value| &value.name).collect();
        let mut nodes = BTreeSet::new();
        for node in &graph.node {
            for name in &node.input {
                assert!(known.contains(name), "{} reads {name}, which is not there", node.name);
                used.insert(name);
            }
            for name in &node.output {
                assert!(known.insert(name), "{name} is there twice");
            }
            assert!(nodes.insert(&node.name), "two nodes are called {}", node.name);
        }
        assert_eq!(known, used);
    }
}

#[test]
fn only_a_model_with_segments_asks_for_them() {
    let inputs = |config| -> Vec<String> {
        graph_of(config).input.iter().map(|value| value.name.clone()).collect()
    };
    let three = ["input_ids", "attention_mask", "token_type_ids"];
    assert_eq!(inputs(testing::bert()), three);
    assert_eq!(inputs(testing::distilbert()), three[..2]);
    let segments = ModelConfig { type_vocab_size: 3, ..testing::distilbert() };
    assert_eq!(inputs(segments), three);
}

#[test]
fn inputs_and_outputs_have_free_sizes_and_their_types() {
    let graph = graph_of(testing::bert());
    let outputs: Vec<_> = graph.output.iter().map(|value| value.name.as_str()).collect();
    assert_eq!(outputs, ["start_logits", "end_logits"]);
    let all = graph.input.iter().map(|value| (value, data_type::INT64));
    for (value, elem_type) in all.chain(graph.output.iter().map(|v| (v, data_type::FLOAT))) {
        let tensor = value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
        assert_eq!(tensor.elem_type, elem_type, "{}", value.name);
        let dims = &tensor.shape.as_ref().unwrap().dim;
        let names: Vec<_> = dims.iter().map(|dim| dim.dim_param.as_str()).collect();
        assert_eq!(names, ["batch_size", "sequence_length"]);
    }
}

#[test]
fn a_classifier_gives_one_logit_a_label() {
    let graph = graph_of(testing::classifier(testing::bert(), &["no", "yes"]));
    let [output] = graph.output.as_slice() else { panic!("{:?}", graph.output) };
    let tensor = output.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
    let dims = &tensor.shape.as_ref().unwrap().dim;
    let names: Vec<_> = dims.iter().map(|dim| dim.dim_param.as_str()).collect();
    assert_eq!((output.name.as_str(), names), ("logits", vec!["batch_size", "labels"]));
}

#[test]
fn every_weight_of_the_model_is_there_as_it_was_or_transposed() {
    for config in configs() {
        let model = Model::initialise(config, 5);
        let graph = exported(&model, INLINE_LIMIT).1.graph.unwrap();
        for tensor in &model.layout.tensors {
            let values = model.values(tensor);
            let linear = tensor.role == crate::Role::Weight;
            let name = format!("{}{}", tensor.name, if linear { ".transposed" } else { "" });
            let found = find(&graph, &name);
            let written = floats(found.raw_data.as_ref().unwrap());
            let mut shape: Vec<_> = tensor.shape.iter().map(|&size| size as i64).collect();
            if linear {
                let [rows, columns] = tensor.shape[..] else { panic!("{name}") };
                shape.reverse();
                let at = |i: usize| values[i % rows * columns + i / rows];
                assert_eq!(written, (0..values.len()).map(at).collect::<Vec<_>>(), "{name}");
            } else {
                assert_eq!(written, values, "{name}");
            }
            assert_eq!(found.dims, shape, "{name}");
            assert_eq!(found.data_type, data_type::FLOAT);
        }
    }
}

#[test]
fn a_matrix_of_more_columns_than_are_gathered_at_once_is_transposed_whole() {
    let config = ModelConfig { hidden_size: 40, intermediate_size: 17, ..testing::bert() };
    let model = Model::initialise(config, 5);
    let graph = exported(&model, INLINE_LIMIT).1.graph.unwrap();
    let tensor = model.layout.find("bert.encoder.layer.0.intermediate.dense.weight").unwrap();
    let written = find(&graph, &format!("{}.transposed", tensor.name));
    let written = floats(written.raw_data.as_ref().unwrap());
    for (i, value) in model.values(tensor).iter().enumerate() {
        assert_eq!(written[i % 40 * 17 + i / 40], *value);
    }
}

#[test]
fn a_layer_with_pruned_heads_has_its_own_shapes() {
    let graph = graph_of(pruned());
    let shape_of = |layer: usize| -> Vec<u8> {
        let name = format!("layer.{layer}/attention/query/Reshape");
        let node = graph.node.iter().find(|node| node.name == name).unwrap();
        find(&graph, &node.input[1]).raw_data.clone().unwrap()
    };
    let bytes = |shape: [i64; 4]| shape.map(i64::to_le_bytes).concat();
    assert_eq!(shape_of(0), bytes([0, 0, 2, 4]));
    assert_eq!(shape_of(1), bytes([0, 0, 1, 4]));
}

#[test]
fn weights_beyond_the_limit_lie_in_a_file_of_their_own() {
    let config = ModelConfig { vocab_size: 90, max_position_embeddings: 70, ..testing::bert() };
    let model = Model::initialise(config, 5);
    let (folder, whole) = exported(&model, INLINE_LIMIT);
    assert!(!folder.path().join(DATA_FILE).exists());
    let (folder, split) = exported(&model, 3000);
    let data = fs::read(folder.path().join(DATA_FILE)).unwrap();
    let (whole, mut split) = (whole.graph.unwrap(), split.graph.unwrap());

    let mut apart = 0;
    for tensor in &mut split.initializer {
        if tensor.data_location.is_none() {
            assert!(tensor.raw_data.as_ref().unwrap().len() < 1024, "{}", tensor.name);
            continue;
        }
        apart += 1;
        assert_eq!(tensor.data_location, Some(data_location::EXTERNAL));
        assert_eq!(tensor.raw_data, None);
        let entries: BTreeMap<_, _> =
            (tensor.external_data.drain(..)).map(|entry| (entry.key, entry.value)).collect();
        assert_eq!(entries["location"], DATA_FILE);
        let number = |key: &str| entries[key].parse::<usize>().unwrap();
        let (offset, length) = (number("offset"), number("length"));
        assert_eq!(offset % 4096, 0);
        tensor.raw_data = Some(data[offset..offset + length].to_vec());
        tensor.data_location = None;
    }
    assert_eq!(apart, 2, "both tables and nothing else are large");
    assert_eq!(split, whole);
}

#[test]
fn the_folder_holds_the_configuration_and_nothing_half_written() {
    let model = Model::initialise(pruned(), 5);
    let (folder, _) = exported(&model, 0);
    assert_eq!(ModelConfig::open(folder.path()).unwrap(), model.config);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    let again = |limit| {
        model.save_onnx_limited(folder.path(), limit).unwrap();
        fs::read(folder.path().join(ONNX_FILE)).unwrap()
    };
    assert_eq!(again(INLINE_LIMIT), again(INLINE_LIMIT));
}
