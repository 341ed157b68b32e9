//! A classifier at work: texts alone and together, and folders that are none.

use std::path::Path;

use limbeck_data::{Sequence, Tokenizer};
use limbeck_model::folder::Limbeck;
use limbeck_model::{Model, ModelConfig};
use limbeck_runtime::logits::{BATCH_ROWS, Memory, class_logits};
use limbeck_runtime::{Answerer, Classified, Classifier, OpenClassifier, Text};
use serde_json::json;
use tempfile::TempDir;

const POSITIONS: usize = 12;

fn write(dir: &Path, class: &str) {
    let words = "[PAD] [UNK] [CLS] [SEP] [MASK] good bad film book the a is was".split(' ');
    let vocabulary: String = words.map(|word| format!("{word}\n")).collect();
    std::fs::write(dir.join("vocab.txt"), vocabulary).unwrap();
    let config = json!({
        "architectures": [class], "vocab_size": 13, "hidden_size": 8, "dim": 8,
        "num_hidden_layers": 2, "n_layers": 2, "num_attention_heads": 2, "n_heads": 2,
        "intermediate_size": 16, "hidden_dim": 16, "max_position_embeddings": POSITIONS,
        "initializer_range": 0.5, "id2label": {"0": "BAD", "1": "FAIR", "2": "GOOD"}
    });
    let mut config = config.as_object().unwrap().clone();
    let other = if class.starts_with("Distil") {
        ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"]
    } else {
        ["dim", "n_layers", "n_heads", "hidden_dim"]
    };
    for key in other {
        config.remove(key);
    }
    let config = ModelConfig::from_json(&config.into()).unwrap();
    Model::initialise(config, 3).save(dir).unwrap();
}

fn folder(class: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), class);
    folder
}

#[test]
fn texts_together_give_what_each_gives_alone() {
    for class in ["BertForSequenceClassification", "DistilBertForSequenceClassification"] {
        let folder = folder(class);
        let mut classifier = Classifier::open(folder.path()).unwrap();
        let long = "the film was good ".repeat(9);
        let texts = [
            Text { text: "the film was good", pair: None },
            Text { text: "", pair: None },
            Text { text: &long, pair: Some("the book is bad") },
            Text { text: "a book", pair: Some("") },
        ];
        let together = classifier.classify_all(&texts).unwrap();
        for (together, text) in together.iter().zip(texts) {
            let alone = classifier.classify(text.text, text.pair).unwrap();
            assert_eq!(*together, alone);
            assert_eq!((alone.labels.len(), alone.logits.len()), (3, 3));
            let sum: f64 = alone.labels.iter().map(|label| label.score).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{alone:?}");
            assert!(alone.labels.is_sorted_by(|a, b| a.score >= b.score));
            assert_eq!(alone.truncated, text.text == long);
        }
        assert!(classifier.classify_all(&[]).unwrap().is_empty());
        assert_ne!(together[0].logits, together[1].logits);
    }
}

#[test]
fn prepared_sequences_of_several_requests_may_fill_many_batches() {
    let folder = folder("BertForSequenceClassification");
    let OpenClassifier { model, tokenizer, classes, max_length, .. } =
        OpenClassifier::open(folder.path()).unwrap();
    let sequence = |text: &str| Sequence::new(&tokenizer, text, None, max_length).unwrap();
    let kinds = [sequence("the film was good"), sequence("a bad book"), sequence("")];
    let count = 2 * BATCH_ROWS / kinds[0].rows();
    let many: Vec<&Sequence> = (0..count).map(|i| &kinds[i % 3]).collect();
    let mut memory = Memory::default();
    let logits = class_logits(&model, &many, &mut memory).unwrap();
    assert_eq!(logits.len(), count);
    let alone = class_logits(&model, &kinds, &mut memory).unwrap();
    let mut classifier = Classifier::open(folder.path()).unwrap();
    for (i, logits) in logits.iter().enumerate() {
        assert_eq!(logits, &alone[i % 3]);
    }
    let direct = classifier.classify("a bad book", None).unwrap();
    assert_eq!(Classified::new(&classes, &alone[1], false), direct);
}

#[test]
fn texts_are_cut_to_the_notes_length_or_to_the_positions() {
    let folder = folder("BertForSequenceClassification");
    let open = || OpenClassifier::open(folder.path()).unwrap().max_length;
    assert_eq!(open(), POSITIONS);
    for (length, want) in [(6, 6), (1000, POSITIONS)] {
        let notes = Limbeck { max_length: Some(length), ..Limbeck::default() };
        notes.save(folder.path()).unwrap();
        assert_eq!(open(), want);
    }
}

#[test]
fn each_way_of_asking_refuses_the_other_s_model() {
    let classifier = folder("BertForSequenceClassification");
    let reader = folder("BertForQuestionAnswering");
    let message = Answerer::open(classifier.path()).err().unwrap().to_string();
    assert!(message.contains("classifies") && message.contains("questions"), "{message}");
    let message = Classifier::open(reader.path()).err().unwrap().to_string();
    assert!(message.contains("no classifier") && message.contains("architectures"), "{message}");
}

#[test]
fn sequences_of_another_tokenizer_are_an_error() {
    let folder = folder("BertForSequenceClassification");
    let OpenClassifier { model, .. } = OpenClassifier::open(folder.path()).unwrap();
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    let mut memory = Memory::default();
    let mut sequence = Sequence::new(&tokenizer, "a book", None, 8).unwrap();
    sequence.input_ids[1] = 99;
    let message = class_logits(&model, &[sequence], &mut memory).unwrap_err().to_string();
    assert!(message.contains("token id 99"), "{message}");
    let long = Sequence::new(&tokenizer, &"a ".repeat(50), None, 40).unwrap();
    let message = class_logits(&model, &[long], &mut memory).unwrap_err().to_string();
    assert!(message.contains("40 tokens"), "{message}");
    let empty = Sequence::default();
    let message = class_logits(&model, &[empty], &mut memory).unwrap_err().to_string();
    assert!(message.contains("no tokens"), "{message}");
}
