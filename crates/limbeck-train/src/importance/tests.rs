//! Importance against what it is meant to foretell: the loss when a part is turned down.

use std::collections::BTreeMap;

use limbeck_data::glue::{Example, TextData, TextFeatures, TextTask};
use limbeck_data::squad::{Answer, Paragraph, Question};
use limbeck_data::{FeatureOptions, Features, Purpose, SquadData, Tokenizer};
use limbeck_model::{ModelConfig, student};

use super::*;
use crate::observer::Silent;

/// What a model learns, and the model.
type Case = (Model, Box<dyn Examples>);

fn tokenizer() -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nwho\nada\nbob\nsat\nhere\n";
    std::fs::write(folder.path().join("vocab.txt"), words).unwrap();
    Tokenizer::from_folder(folder.path()).unwrap()
}

/// Windows of two questions over a vocabulary of ten words.
fn features() -> Features {
    let mut data = SquadData::default();
    for (i, (context, name)) in
        [("ada sat here bob", "ada"), ("here sat bob", "bob")].into_iter().enumerate()
    {
        data.paragraphs.push(Paragraph { title: String::new(), context: context.into() });
        data.questions.push(Question {
            id: i.to_string(),
            text: "who sat".into(),
            paragraph: i,
            answers: vec![Answer { text: name.into(), start: context.find(name) }],
            ..Question::default()
        });
    }
    let options =
        FeatureOptions { max_length: 16, doc_stride: 4, max_query_length: 4, ..Default::default() };
    Features::build(&data, &tokenizer(), &options, Purpose::Train).unwrap().0
}

/// Three texts of the same words.
fn texts(task: TextTask, labels: [f32; 3]) -> Box<dyn Examples> {
    let example =
        |text: &str, label: f32| Example { text: text.to_owned(), pair: None, label: Some(label) };
    let texts = ["ada sat here bob", "who sat", "here here bob"];
    let examples = texts.into_iter().zip(labels).map(|(text, label)| example(text, label));
    let examples = examples.collect();
    let data = TextData { task, labels: vec![], examples, left_out: vec![], notices: vec![] };
    Box::new(TextFeatures::build(&data, &tokenizer(), 16).unwrap())
}

fn model() -> Model {
    model_with(&serde_json::json!({}))
}

fn model_with(head: &serde_json::Value) -> Model {
    let mut json = serde_json::json!({
        "model_type": "bert", "vocab_size": 10, "hidden_size": 12, "num_hidden_layers": 2,
        "num_attention_heads": 3, "intermediate_size": 10, "max_position_embeddings": 16,
        "initializer_range": 0.4,
    });
    for (key, value) in head.as_object().unwrap() {
        json[key] = value.clone();
    }
    Model::initialise(ModelConfig::from_json(&json).unwrap(), 3)
}

/// A model of each kind of head and loss, with what it learns.
fn cases() -> [Case; 3] {
    let classifier = |labels: usize| {
        let architectures = ["BertForSequenceClassification"];
        model_with(&serde_json::json!({ "architectures": architectures, "num_labels": labels }))
    };
    [
        (model(), Box::new(features())),
        (classifier(3), texts(TextTask::Mnli, [2.0, 0.0, 1.0])),
        (classifier(1), texts(TextTask::Stsb, [0.5, -1.0, 3.0])),
    ]
}

/// Sums of the loss of single examples, each with some columns of a weight scaled by `gate`.
fn losses((model, examples): &Case, gate: impl Fn(&mut Model)) -> Vec<f64> {
    let mut gated = model.clone();
    gate(&mut gated);
    let losses = vec![Weighted::new(1.0, HardLoss)];
    let mut learner = Learner::new(gated, &OptimizerOptions::default(), losses);
    learner.dropout = false;
    let mut batch = Batch::default();
    let mut loss = |example: usize| {
        examples.batch(&[example], &mut batch);
        learner.accumulate(&batch, Portion::whole(Key::new(0), 1.0), &mut [0.0]).unwrap()
    };
    (0..examples.len()).map(&mut loss).collect()
}

fn scale_columns(
    model: &mut Model,
    range: std::ops::Range<usize>,
    width: usize,
    columns: std::ops::Range<usize>,
    by: f32,
) {
    for row in model.parameters[range].chunks_exact_mut(width) {
        row[columns.clone()].iter_mut().for_each(|value| *value *= by);
    }
}

fn assert_is_slope(found: f64, case: &Case, gate: impl Fn(&mut Model, f32)) {
    const STEP: f32 = 0.02;
    let at = |by: f32| losses(case, |model| gate(model, by));
    let slopes = at(1.0 + STEP).into_iter().zip(at(1.0 - STEP));
    let sizes: f64 = slopes.map(|(up, down)| ((up - down) / (2.0 * f64::from(STEP))).abs()).sum();
    let expected = sizes / case.1.len() as f64;
    assert!((found - expected).abs() < 2e-3 * expected.max(0.05), "{found} {expected}");
}

fn by_gradient((model, examples): &Case) -> Importance {
    Importance::by_gradient(model.clone(), &**examples, &mut Silent).unwrap().unwrap().0
}

#[test]
fn the_importance_of_a_head_is_the_slope_of_the_loss_when_it_is_turned_down() {
    for case in cases() {
        for (layer, heads) in by_gradient(&case).heads.iter().enumerate() {
            for (head, &found) in heads.iter().enumerate() {
                assert_is_slope(found, &case, |model, by| {
                    let slots = model.layout.slots.layers[layer].clone();
                    let columns = head * slots.head_size..(head + 1) * slots.head_size;
                    scale_columns(model, slots.attention_output_weight, 12, columns, by);
                });
            }
        }
    }
}

#[test]
fn the_importance_of_a_neuron_is_the_slope_of_the_loss_when_it_is_turned_down() {
    for case in cases() {
        for (layer, neurons) in by_gradient(&case).neurons.iter().enumerate() {
            for (neuron, &found) in neurons.iter().enumerate() {
                assert_is_slope(found, &case, |model, by| {
                    let slots = model.layout.slots.layers[layer].clone();
                    scale_columns(model, slots.output_weight, 10, neuron..neuron + 1, by);
                });
            }
        }
    }
}

#[test]
fn the_loss_over_all_examples_is_the_mean_of_the_loss_of_each() {
    for case in cases() {
        let found = layers::loss(&case.0, &*case.1, &mut Silent).unwrap().unwrap();
        let expected = losses(&case, |_| {}).iter().sum::<f64>() / case.1.len() as f64;
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
    let [(span, _), (_, texts), _] = cases();
    assert!(layers::loss(&span, &*texts, &mut Silent).is_err(), "labels of another head");
}

#[test]
fn parts_that_nothing_listens_to_weigh_nothing_and_can_go() {
    let features = features();
    let mut deaf = model();
    for slots in deaf.layout.slots.layers.clone() {
        let width = slots.heads * slots.head_size;
        scale_columns(&mut deaf, slots.attention_output_weight, width, 4..8, 0.0);
        scale_columns(&mut deaf, slots.output_weight, 10, 2..6, 0.0);
    }
    let before = layers::loss(&deaf, &features, &mut Silent).unwrap().unwrap();
    let (importance, deaf) =
        Importance::by_gradient(deaf, &features, &mut Silent).unwrap().unwrap();
    assert!(importance.heads.iter().all(|heads| heads[1] == 0.0 && heads[0] > 0.0));
    assert!(importance.neurons.iter().all(|n| n[2..6] == [0.0; 4] && n[0] > 0.0));
    let heads: BTreeMap<usize, Vec<usize>> = (0..2).map(|layer| (layer, vec![1])).collect();
    let kept: Vec<_> = importance.neurons.iter().map(|n| select::largest(n, 6)).collect();
    assert_eq!(kept[0], [0, 1, 6, 7, 8, 9]);
    let pruned = student::prune_heads(&student::keep_neurons(&deaf, &kept).unwrap(), &heads);
    let after = layers::loss(&pruned.unwrap(), &features, &mut Silent).unwrap().unwrap();
    assert!((before - after).abs() < 1e-5, "{before} {after}");
}

#[test]
fn a_part_with_larger_weights_has_the_larger_magnitude_and_chance_follows_its_seed() {
    let mut large = model();
    let slots = large.layout.slots.layers[1].clone();
    scale_columns(&mut large, slots.attention_output_weight, 12, 4..8, 9.0);
    scale_columns(&mut large, slots.output_weight, 10, 7..8, 9.0);
    let importance = Importance::by_magnitude(&large);
    assert_eq!(select::largest(&importance.heads[1], 1), [1]);
    assert_eq!(select::largest(&importance.neurons[1], 1), [7]);
    let random = |seed| Importance::at_random(&model(), seed);
    assert_eq!(random(1), random(1));
    assert_ne!(random(1), random(2));
}

#[test]
fn the_layer_goes_without_which_the_loss_is_least() {
    let features = features();
    let three = student::select_layers(&model(), &[0, 1, 0]).unwrap();
    let loss = |layers: &[usize]| {
        let model = student::select_layers(&three, layers).unwrap();
        layers::loss(&model, &features, &mut Silent).unwrap().unwrap()
    };
    let pairs = [[0, 1], [0, 2], [1, 2]];
    let best = pairs.into_iter().min_by(|a, b| loss(a).total_cmp(&loss(b))).unwrap();
    assert!(pairs.iter().any(|pair| loss(pair) > loss(&best)));
    let spared = |count| layers::spared(&three, count, &features, &mut Silent).unwrap().unwrap();
    assert_eq!(spared(2), best);
    assert_eq!(spared(3), [0, 1, 2]);
    let one = spared(1)[0];
    assert!(best.contains(&one) && best.iter().all(|&other| loss(&[one]) <= loss(&[other])));
}
