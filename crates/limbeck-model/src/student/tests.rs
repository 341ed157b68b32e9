use super::*;
use crate::config::Classes;
use crate::testing;

/// A model in which no two floats are the same.
fn model() -> Model {
    let mut model = Model::initialise(testing::bert(), 1);
    for tensor in &model.layout.tensors {
        for index in tensor.range() {
            model.parameters[index] = index as f32 + 1.0;
        }
    }
    model
}

fn values<'a>(model: &'a Model, name: &str) -> &'a [f32] {
    model.values(model.layout.find(name).unwrap())
}

#[test]
fn chosen_layers_keep_their_weights_and_their_pruned_heads() {
    let teacher = prune_heads(&model(), &BTreeMap::from([(2, vec![1])])).unwrap();
    let student = select_layers(&teacher, &[2, 0, 2]).unwrap();
    assert_eq!(student.config.pruned_heads, BTreeMap::from([(0, vec![1]), (2, vec![1])]));
    for tensor in &student.layout.tensors {
        let source = (tensor.name)
            .replace("layer.0.", "layer.A.")
            .replace("layer.1.", "layer.0.")
            .replace("layer.2.", "layer.A.")
            .replace("layer.A.", "layer.2.");
        assert_eq!(student.values(tensor), values(&teacher, &source), "{}", tensor.name);
    }
}

#[test]
fn a_student_of_a_classifier_keeps_its_head() {
    for config in [testing::bert(), testing::distilbert()] {
        let teacher = Model::initialise(testing::classifier(config, &["A", "B", "C"]), 1);
        let student = with_layers_and_pruned_heads(&teacher, 2, 1, 0, 0).unwrap();
        assert_eq!(student.config.head, teacher.config.head);
        let head = |model: &Model| model.parameters[model.layout.slots.head.range()].to_vec();
        assert_eq!(head(&student), head(&teacher));
    }
}

#[test]
fn another_head_takes_the_encoder_and_what_fits_of_the_old_head() {
    let teacher = Model::initialise(testing::classifier(testing::bert(), &["A", "B", "C"]), 1);
    let other = testing::classifier(testing::bert(), &["X", "Y"]).head;
    let (student, drawn) = with_head(&teacher, other.clone(), 7).unwrap();
    assert_eq!(student.config.head, other);
    assert_eq!(drawn, ["classifier.weight", "classifier.bias"]);
    for tensor in student.layout.tensors.iter().filter(|tensor| !drawn.contains(&tensor.name)) {
        assert_eq!(student.values(tensor), values(&teacher, &tensor.name), "{}", tensor.name);
    }
    assert!(values(&student, "classifier.weight").iter().any(|&value| value != 0.0));
    assert!(with_head(&teacher, Head::Classification(Classes::unnamed(0)), 7).is_err());
}

#[test]
fn layers_that_are_not_there_or_none_are_errors() {
    assert!(select_layers(&model(), &[0, 3]).unwrap_err().to_string().contains("layer 3"));
    assert!(select_layers(&model(), &[]).unwrap_err().to_string().contains("num_hidden_layers"));
}

#[test]
fn pruning_takes_out_the_rows_and_columns_of_the_head_only() {
    let whole = model();
    let pruned = prune_heads(&whole, &BTreeMap::from([(1, vec![0])])).unwrap();
    assert_eq!(pruned.layout.slots.layers[1].heads, 1);
    for tensor in &pruned.layout.tensors {
        let before = values(&whole, &tensor.name);
        let part = tensor.name.strip_prefix("bert.encoder.layer.1.attention.").unwrap_or("");
        let expected: Vec<f32> = match part {
            // Head 1 is rows 4 to 8 of 8, each of 8 floats.
            "self.query.weight" | "self.key.weight" | "self.value.weight" => before[32..].to_vec(),
            "self.query.bias" | "self.key.bias" | "self.value.bias" => before[4..].to_vec(),
            "output.dense.weight" => before.chunks(8).flat_map(|row| row[4..].to_vec()).collect(),
            _ => before.to_vec(),
        };
        assert_eq!(pruned.values(tensor), expected, "{}", tensor.name);
    }
}

#[test]
fn heads_pruned_before_keep_their_numbers() {
    let mut config = testing::bert();
    config.num_attention_heads = 4;
    let mut whole = Model::zeros(config);
    whole.parameters.iter_mut().enumerate().for_each(|(i, value)| *value = i as f32);
    let heads = |heads: &[usize]| BTreeMap::from([(0, heads.to_vec())]);

    let twice = prune_heads(&prune_heads(&whole, &heads(&[1])).unwrap(), &heads(&[2])).unwrap();
    let once = prune_heads(&whole, &heads(&[2, 1])).unwrap();
    assert_eq!(twice.config.pruned_heads, heads(&[1, 2]));
    assert_eq!(twice.parameters, once.parameters);
    let again = prune_heads(&once, &heads(&[1])).unwrap();
    assert_eq!(again.parameters, once.parameters);
}

#[test]
fn heads_that_are_not_there_or_the_last_one_are_errors() {
    for heads in [(0, vec![2]), (3, vec![0]), (0, vec![0, 1])] {
        let result = prune_heads(&model(), &BTreeMap::from([heads.clone()]));
        assert!(result.unwrap_err().to_string().contains("pruned_heads"), "{heads:?}");
    }
}

#[test]
fn restored_heads_are_zero_and_the_others_as_before() {
    let whole = model();
    let heads = BTreeMap::from([(1, vec![0]), (2, vec![1])]);
    let restored = restore_pruned_heads(&prune_heads(&whole, &heads).unwrap());
    assert_eq!(restored.layout, whole.layout);
    assert!(restored.config.pruned_heads.is_empty());
    let query = values(&restored, "bert.encoder.layer.1.attention.self.query.weight");
    assert!(query[..32].iter().all(|&value| value == 0.0));
    assert_eq!(
        query[32..],
        values(&whole, "bert.encoder.layer.1.attention.self.query.weight")[32..]
    );
    let again = prune_heads(&restored, &heads).unwrap();
    assert_eq!(again.parameters, prune_heads(&whole, &heads).unwrap().parameters);
}

#[test]
fn a_student_with_fewer_layers_keeps_the_first_ones() {
    let student = with_layers_and_pruned_heads(&model(), 2, 2, 0, 0).unwrap();
    assert_eq!(student.parameters, select_layers(&model(), &[0, 1]).unwrap().parameters);
}

#[test]
fn layers_past_the_last_are_new_and_the_rest_is_kept() {
    let student = with_layers_and_pruned_heads(&model(), 5, 2, 0, 9).unwrap();
    let new = Model::initialise(student.config.clone(), 9);
    for tensor in &student.layout.tensors {
        let is_new = tensor.name.contains("layer.3.") || tensor.name.contains("layer.4.");
        let before = model();
        let expected = if is_new { new.values(tensor) } else { values(&before, &tensor.name) };
        assert_eq!(student.values(tensor), expected, "{}", tensor.name);
    }
}

#[test]
fn the_pruning_seed_decides_the_neurons_of_every_layer() {
    let whole = model();
    let size = whole.config.intermediate_size;
    let student = |count, seed| with_random_neurons(&whole, count, seed).unwrap();
    assert_eq!(student(size, 3).parameters, whole.parameters);
    let narrow = student(size / 2, 3);
    assert_eq!(narrow.config.intermediate_size, size / 2);
    assert_eq!(narrow.parameters, student(size / 2, 3).parameters);
    assert_ne!(narrow.parameters, student(size / 2, 4).parameters);
    let error = with_random_neurons(&whole, size + 1, 3).unwrap_err().to_string();
    assert!(error.contains("a layer has"), "{error}");
    assert!(with_random_neurons(&whole, 0, 3).is_err());
}

#[test]
fn the_pruning_seed_decides_the_heads_of_every_layer() {
    let mut config = testing::bert();
    (config.hidden_size, config.num_attention_heads) = (24, 12);
    let pretrained = Model::initialise(config, 1);
    let student = |seed| with_layers_and_pruned_heads(&pretrained, 4, 5, seed, 0).unwrap();
    let first = student(11);
    assert_eq!(first.config.pruned_heads.len(), 4);
    assert!(first.config.pruned_heads.values().all(|heads| heads.len() == 7));
    assert!(first.layout.slots.layers.iter().all(|layer| layer.heads == 5));
    assert_eq!(first.config.pruned_heads, student(11).config.pruned_heads);
    assert_ne!(first.config.pruned_heads, student(12).config.pruned_heads);
    assert_ne!(first.config.pruned_heads[&0], first.config.pruned_heads[&1]);
}

#[test]
fn every_head_is_pruned_about_equally_often() {
    let mut counts = [0; 12];
    for seed in 0..1200 {
        for head in choose((0..12).collect(), 3, Key::new(seed)) {
            counts[head] += 1;
        }
    }
    assert!(counts.iter().all(|&count| (240..360).contains(&count)), "{counts:?}");
}

#[test]
fn more_heads_than_there_are_cannot_be_left_and_none_means_all_that_are_there() {
    let message = with_layers_and_pruned_heads(&model(), 2, 3, 0, 0).unwrap_err().to_string();
    assert!(message.contains("cannot leave 3 heads"), "{message}");
    let uneven = prune_heads(&model(), &[(0, vec![1])].into()).unwrap();
    let student = with_layers_and_pruned_heads(&uneven, 4, 0, 0, 0).unwrap();
    assert_eq!(student.config.pruned_heads, uneven.config.pruned_heads);
}
