use super::*;
use crate::testing;

fn read(json: Value) -> ModelConfig {
    ModelConfig::from_json(&json).unwrap()
}

fn classes(config: &ModelConfig) -> &Classes {
    match &config.head {
        Head::Classification(classes) => classes,
        other => panic!("{:?}", other.kind()),
    }
}

/// A classifier's `config.json` with these keys in addition.
fn classifier(more: Value) -> Value {
    let class = "BertForSequenceClassification";
    let mut json = json!({ "model_type": "bert", "architectures": [class] });
    for (key, value) in more.as_object().unwrap() {
        json[key] = value.clone();
    }
    json
}

#[test]
fn the_class_decides_the_head_and_everything_else_becomes_a_span_head() {
    for (class, head) in [
        ("BertForSequenceClassification", HeadKind::Classification),
        ("BertForQuestionAnswering", HeadKind::Span),
        ("BertForTokenClassification", HeadKind::Span),
        ("BertForMaskedLM", HeadKind::MaskedWord),
        ("BertModel", HeadKind::Span),
    ] {
        for class in [class.to_owned(), format!("Distil{class}")] {
            let config = read(json!({ "architectures": [class] }));
            assert_eq!(config.head.kind(), head, "{class}");
        }
    }
    assert_eq!(read(json!({"model_type": "bert"})).head, Head::Span);
}

#[test]
fn labels_are_two_without_names_unless_the_file_says_otherwise() {
    let labels = |more| classes(&read(classifier(more))).labels.clone();
    assert_eq!(labels(json!({})), ["LABEL_0", "LABEL_1"]);
    assert_eq!(labels(json!({ "id2label": null })), ["LABEL_0", "LABEL_1"]);
    assert_eq!(labels(json!({ "num_labels": 3 })), ["LABEL_0", "LABEL_1", "LABEL_2"]);
    assert_eq!(labels(json!({ "id2label": {"1": "b", "0": "a"}, "num_labels": 5 })), ["a", "b"]);
    assert_eq!(labels(json!({ "id2label": {"0": 0, "1": 1} })), ["0", "1"]);
    // Keys of older versions mean nothing beside these.
    assert_eq!(labels(json!({ "_num_labels": 7 })).len(), 2);
}

#[test]
fn the_problem_is_what_the_file_says_or_follows_from_the_number_of_labels() {
    let problem = |more| classes(&read(classifier(more))).problem();
    assert_eq!(problem(json!({ "num_labels": 1 })), ProblemType::Regression);
    assert_eq!(problem(json!({})), ProblemType::SingleLabelClassification);
    for name in ["regression", "single_label_classification", "multi_label_classification"] {
        assert_eq!(problem(json!({ "problem_type": name })).name(), name);
    }
}

#[test]
fn a_classifier_is_written_back_as_transformers_writes_it() {
    let json = json!({
        "architectures": ["DistilBertForSequenceClassification"], "model_type": "distilbert",
        "vocab_size": 50, "dim": 96, "n_layers": 3, "n_heads": 4, "hidden_dim": 192,
        "activation": "gelu", "dropout": 0.3, "attention_dropout": 0.2,
        "seq_classif_dropout": 0.4, "max_position_embeddings": 64, "initializer_range": 0.02,
        "pad_token_id": 0, "id2label": {"0": "NEGATIVE", "1": "NEUTRAL", "2": "POSITIVE"},
        "label2id": {"NEGATIVE": 0, "NEUTRAL": 1, "POSITIVE": 2},
        "problem_type": "multi_label_classification", "qa_dropout": 0.1
    });
    let config = read(json.clone());
    assert_eq!(config.head_dropout, 0.4);
    assert_eq!(config.to_json(), json);
    for config in testing::all() {
        assert_eq!(read(config.to_json()), config);
    }
}

#[test]
fn the_dropout_of_a_classifier_is_its_own_key_or_what_transformers_takes() {
    let bert = |more| read(classifier(more)).head_dropout;
    assert_eq!(bert(json!({ "hidden_dropout_prob": 0.3 })), 0.3);
    assert_eq!(bert(json!({ "hidden_dropout_prob": 0.3, "classifier_dropout": null })), 0.3);
    assert_eq!(bert(json!({ "hidden_dropout_prob": 0.3, "classifier_dropout": 0.0 })), 0.0);
    let distilbert = json!({ "architectures": ["DistilBertForSequenceClassification"] });
    assert_eq!(read(distilbert).head_dropout, 0.2);
}

#[test]
fn a_wanted_head_replaces_the_file_s_own_and_its_labels() {
    let json = classifier(json!({ "num_labels": 0, "classifier_dropout": 0.3 }));
    let span = ModelConfig::from_json_with_head(&json, HeadKind::Span).unwrap();
    assert_eq!((&span.head, span.head_dropout), (&Head::Span, 0.0));
    assert_eq!(span.extra["classifier_dropout"], 0.3);
    assert!(!span.extra.contains_key("num_labels"));
    let two = classifier(json!({ "id2label": {"0": "NO", "1": "YES"} }));
    let span = ModelConfig::from_json_with_head(&two, HeadKind::Span).unwrap();
    assert!(span.extra.is_empty(), "{:?}", span.extra);

    let tokens = json!({
        "architectures": ["BertForTokenClassification"], "id2label": {"0": "O", "1": "B", "2": "I"}
    });
    let whole = ModelConfig::from_json_with_head(&tokens, HeadKind::Classification).unwrap();
    assert_eq!(classes(&whole), &Classes::unnamed(2));
}

#[test]
fn labels_that_cannot_be_used_are_named_with_their_key() {
    for (key, value) in [
        ("num_labels", json!(0)),
        ("num_labels", json!(-1)),
        ("num_labels", json!("two")),
        ("num_labels", json!(u64::MAX)),
        ("id2label", json!({})),
        ("id2label", json!(["NO", "YES"])),
        ("id2label", json!({"1": "NO", "2": "YES"})),
        ("id2label", json!({"0": "NO", "00": "YES"})),
        ("id2label", json!({"0": "NO", "-1": "YES"})),
        ("id2label", json!({"zero": "NO", "one": "YES"})),
        ("id2label", json!({"0": "NO", "1": null})),
        ("problem_type", json!("ranking")),
        ("problem_type", json!(1)),
    ] {
        let json = classifier(json!({ key: value }));
        let message = ModelConfig::from_json(&json).unwrap_err().to_string();
        assert!(message.starts_with(&format!("`{key}` is ")), "{key}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
    let alone = json!({ "num_labels": 1, "problem_type": "single_label_classification" });
    let message = ModelConfig::from_json(&classifier(alone)).unwrap_err().to_string();
    assert!(message.contains("`problem_type`") && message.contains("two labels"), "{message}");
}
