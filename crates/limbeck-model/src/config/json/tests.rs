use super::*;
use crate::testing;

/// Reads a configuration and returns the error it must give.
fn error_of(json: Value) -> String {
    ModelConfig::from_json(&json).unwrap_err().to_string()
}

#[test]
fn bert_keys_are_read_and_unknown_ones_kept() {
    let json = json!({
        "architectures": ["BertModel"], "model_type": "bert", "attention_probs_dropout_prob": 0.2,
        "hidden_act": "gelu_pytorch_tanh", "hidden_dropout_prob": 0.3, "hidden_size": 384,
        "initializer_range": 0.05, "intermediate_size": 1536, "layer_norm_eps": 1e-12,
        "max_position_embeddings": 256, "num_attention_heads": 12, "num_hidden_layers": 6,
        "pad_token_id": 1, "position_embedding_type": "absolute", "type_vocab_size": 2,
        "vocab_size": 1000, "pruned_heads": {"2": [5, 3, 5]}, "use_cache": true,
        "classifier_dropout": null
    });
    let config = ModelConfig::from_json(&json).unwrap();
    assert_eq!(config.architecture, Architecture::Bert);
    assert_eq!((config.hidden_size, config.intermediate_size), (384, 1536));
    assert_eq!((config.num_hidden_layers, config.num_attention_heads), (6, 12));
    assert_eq!((config.head_size(), config.heads_of(2), config.heads_of(3)), (32, 10, 12));
    assert_eq!(config.kept_heads(2), [0, 1, 2, 4, 6, 7, 8, 9, 10, 11]);
    assert_eq!((config.vocab_size, config.max_position_embeddings), (1000, 256));
    assert_eq!(config.hidden_act, Activation::GeluTanh);
    assert_eq!((config.hidden_dropout, config.attention_dropout), (0.3, 0.2));
    assert_eq!((config.head_dropout, config.initializer_range), (0.0, 0.05));
    assert_eq!((config.layer_norm_eps, config.pad_token_id), (1e-12, 1));

    let written = config.to_json();
    assert_eq!(written["architectures"], json!(["BertForQuestionAnswering"]));
    assert_eq!(written["pruned_heads"], json!({"2": [3, 5]}));
    for key in ["hidden_dropout_prob", "layer_norm_eps", "use_cache", "classifier_dropout"] {
        assert_eq!(written[key], json[key], "{key}");
    }
    assert_eq!(ModelConfig::from_json(&written).unwrap(), config);
}

#[test]
fn distilbert_keys_are_read_and_written_under_their_own_names() {
    let json = json!({
        "model_type": "distilbert", "activation": "relu", "attention_dropout": 0.2, "dim": 96,
        "dropout": 0.3, "hidden_dim": 192, "initializer_range": 0.02, "n_heads": 4,
        "n_layers": 3, "max_position_embeddings": 64, "pad_token_id": 0, "qa_dropout": 0.4,
        "seq_classif_dropout": 0.2, "sinusoidal_pos_embds": true, "vocab_size": 50
    });
    let config = ModelConfig::from_json(&json).unwrap();
    assert_eq!(config.architecture, Architecture::DistilBert);
    assert_eq!((config.hidden_size, config.intermediate_size), (96, 192));
    assert_eq!((config.num_hidden_layers, config.num_attention_heads), (3, 4));
    assert_eq!((config.hidden_dropout, config.attention_dropout), (0.3, 0.2));
    assert_eq!((config.head_dropout, config.type_vocab_size), (0.4, 0));
    assert_eq!(config.hidden_act, Activation::Relu);
    assert!(config.sinusoidal_positions());

    let mut written = config.to_json();
    assert_eq!(ModelConfig::from_json(&written).unwrap(), config);
    let classes = written.as_object_mut().unwrap().remove("architectures");
    assert_eq!(classes, Some(json!(["DistilBertForQuestionAnswering"])));
    assert_eq!(written, json);
}

#[test]
fn absent_and_null_keys_mean_what_transformers_takes_them_for() {
    let config = ModelConfig::from_json(&json!({"model_type": "bert", "pad_token_id": null}));
    let config = config.unwrap();
    assert_eq!((config.vocab_size, config.hidden_size, config.num_hidden_layers), (30522, 768, 12));
    assert_eq!((config.type_vocab_size, config.pad_token_id), (2, 0));
    let config = ModelConfig::from_json(&json!({"model_type": "distilbert"})).unwrap();
    assert_eq!((config.intermediate_size, config.num_hidden_layers), (3072, 6));
    assert_eq!((config.head_dropout, config.type_vocab_size), (0.1, 0));
}

#[test]
fn an_old_file_without_model_type_is_known_by_its_class() {
    let of = |class: &str| ModelConfig::from_json(&json!({ "architectures": [class] }));
    assert_eq!(of("BertForMaskedLM").unwrap().architecture, Architecture::Bert);
    assert_eq!(of("DistilBertForMaskedLM").unwrap().architecture, Architecture::DistilBert);
    assert!(of("BertGenerationEncoder").unwrap_err().to_string().contains("model_type"));
}

#[test]
fn second_names_of_distilbert_sizes_count_unless_they_contradict() {
    let config = ModelConfig::from_json(&json!({"model_type": "distilbert", "hidden_size": 96}));
    assert_eq!(config.unwrap().hidden_size, 96);
    let message = error_of(json!({"model_type": "distilbert", "dim": 768, "hidden_size": 96}));
    assert!(message.contains("`hidden_size` is 96") && message.contains("768"), "{message}");
}

#[test]
fn segments_of_a_distilbert_survive_writing() {
    let mut config = testing::distilbert();
    config.type_vocab_size = 16;
    assert_eq!(ModelConfig::from_json(&config.to_json()).unwrap(), config);
}

#[test]
fn keys_that_would_contradict_the_saved_weights_are_dropped() {
    let json = json!({
        "model_type": "bert", "torch_dtype": "float16", "dtype": "bfloat16",
        "id2label": {"0": "A", "1": "B", "2": "C"}, "label2id": {"A": 0, "B": 1, "C": 2}
    });
    let config = ModelConfig::from_json(&json).unwrap();
    assert!(config.extra.is_empty(), "{:?}", config.extra);
    let json = json!({"model_type": "bert", "id2label": {"0": "start", "1": "end"}});
    assert!(ModelConfig::from_json(&json).unwrap().extra.contains_key("id2label"));
}

#[test]
fn what_is_not_supported_is_named_with_its_value() {
    for (key, value) in [
        ("position_embedding_type", json!("relative_key")),
        ("is_decoder", json!(true)),
        ("add_cross_attention", json!(true)),
        ("hidden_act", json!("silu")),
        ("model_type", json!("roberta")),
        ("hidden_size", json!(-1)),
        ("hidden_size", json!("768")),
        ("vocab_size", json!(1.5)),
        ("hidden_dropout_prob", json!(1.0)),
        ("hidden_dropout_prob", json!("0.1")),
        ("layer_norm_eps", json!(0)),
        ("layer_norm_eps", json!(1e300)),
        ("initializer_range", json!(-0.02)),
        ("pad_token_id", json!(30522)),
        ("quantization_config", json!({"bits": 8})),
    ] {
        let mut config = json!({"model_type": "bert"});
        config[key] = value;
        let message = error_of(config);
        assert!(message.starts_with(&format!("`{key}` is ")), "{key}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
    assert!(error_of(json!([1])).contains("object"));
}

#[test]
fn sizes_that_are_zero_do_not_fit_or_overflow_are_errors() {
    for (key, value) in [
        ("vocab_size", json!(0)),
        ("num_attention_heads", json!(0)),
        ("num_attention_heads", json!(7)),
        ("num_hidden_layers", json!(0)),
        ("num_hidden_layers", json!(1_000_000_000)),
        ("type_vocab_size", json!(0)),
        ("vocab_size", json!(u64::MAX)),
        ("hidden_size", json!(u64::MAX - 3)),
        ("intermediate_size", json!(1_u64 << 63)),
        ("max_position_embeddings", json!(1_u64 << 40)),
    ] {
        let mut config = json!({"model_type": "bert", "num_attention_heads": 1});
        config[key] = value;
        let message = error_of(config);
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn pruned_heads_must_exist_and_leave_one() {
    for pruned in [json!({"12": [0]}), json!({"0": [12]}), json!({"x": [1]}), json!([1])] {
        let message = error_of(json!({"model_type": "bert", "pruned_heads": pruned}));
        assert!(message.contains("`pruned_heads`"), "{message}");
    }
    let all: Vec<usize> = (0..12).collect();
    let message = error_of(json!({"model_type": "bert", "pruned_heads": {"3": all}}));
    assert!(message.contains("at least one head"), "{message}");
    let none = json!({"model_type": "bert", "pruned_heads": {"0": []}});
    assert!(ModelConfig::from_json(&none).unwrap().pruned_heads.is_empty());
}

#[test]
fn the_bound_on_parameters_is_no_lower_than_what_a_layout_takes() {
    for config in testing::all() {
        let len = crate::Layout::new(&config).len as u64;
        let bound = config.padded_parameters().unwrap();
        assert!(bound >= len, "{bound} < {len}");
        assert!(bound < len + 1000, "{bound} is far from {len}");
    }
}
