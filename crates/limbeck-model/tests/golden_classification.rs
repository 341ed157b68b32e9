//! Models with a classification head agree with Hugging Face Transformers, number by number,
//! and what is saved of them is what Transformers saves.
//!
//! `tools/golden.py` made the values.

mod support;

use limbeck_kernels::loss;
use limbeck_model::encoder::{self, Activations, BackwardBuffers, Mode};
use limbeck_model::heads::classification::{self, ClassLogits};
use limbeck_model::inference::{InferenceMemory, InferenceModel};
use limbeck_model::{Head, HeadKind, Model};
use safetensors::SafeTensors;
use serde_json::Value;

use support::{Batch, Golden, assert_close};

const FOLDERS: [&str; 2] = ["bert-classification", "distilbert-classification"];
const LABELS: [&str; 3] = ["NEGATIVE", "NEUTRAL", "POSITIVE"];

fn infer(model: &InferenceModel<'_>, batch: &Batch) -> Vec<f32> {
    model.class_logits(batch.tokens(), &mut InferenceMemory::default()).unwrap().to_vec()
}

#[test]
fn logits_agree_with_transformers() {
    for name in FOLDERS {
        let golden = Golden::open(name);
        let Head::Classification(classes) = &golden.model.config.head else { panic!("{name}") };
        assert_eq!(classes.labels, LABELS);
        let logits = infer(&InferenceModel::of(&golden.model), &Batch::of(&golden));
        assert_close(&logits, &golden.floats("logits"), 1e-5, name);
    }
}

#[test]
fn the_loss_and_every_gradient_agree_with_transformers() {
    for name in FOLDERS {
        let golden = Golden::open(name);
        let (model, batch) = (&golden.model, Batch::of(&golden));
        let (mode, starts) = (Mode::Evaluate, &batch.starts);
        let mut activations = Activations::default();
        let mut logits = ClassLogits::default();
        encoder::forward(model, batch.tokens(), mode, &mut activations);
        let hidden = activations.last_hidden_state();
        classification::forward(model, starts, hidden, mode, &mut logits).unwrap();

        let targets = golden.integers("labels");
        let mut d_logits = vec![0.0; logits.values.len()];
        let rows = logits.values.chunks(LABELS.len()).zip(d_logits.chunks_mut(LABELS.len()));
        let losses = rows.zip(&targets).map(|((logits, gradient), &target)| {
            loss::cross_entropy(logits, target, 1.0 / targets.len() as f64, gradient)
        });
        let (loss, want) = (losses.sum::<f64>(), f64::from(golden.floats("loss")[0]));
        assert!((loss - want).abs() < 1e-5 * want, "loss {loss}, expected {want}");

        let mut gradients = vec![0.0; model.layout.len];
        let mut buffers = BackwardBuffers::default();
        let (memory, sums) = (&mut buffers, &mut gradients);
        classification::backward(model, starts, mode, &logits, &d_logits, memory, sums).unwrap();
        let (tokens, taps) = (batch.tokens(), &mut encoder::NoTaps);
        encoder::backward(model, tokens, mode, &activations, taps, &mut buffers, &mut gradients);
        for tensor in &model.layout.tensors {
            let want = golden.floats(&format!("grad.{}", tensor.name));
            assert_close(&gradients[tensor.range()], &want, 2e-4, &tensor.name);
        }
    }
}

#[test]
fn what_is_saved_is_what_transformers_saves() {
    for name in FOLDERS {
        let source = support::folder(name);
        let saved = tempfile::tempdir().unwrap();
        Model::open(&source).unwrap().save(saved.path()).unwrap();

        let bytes = |dir: &std::path::Path| std::fs::read(dir.join("model.safetensors")).unwrap();
        let (want, got) = (bytes(&source), bytes(saved.path()));
        let (want, got) =
            (SafeTensors::deserialize(&want).unwrap(), SafeTensors::deserialize(&got).unwrap());
        assert_eq!(want.len(), got.len(), "{name}");
        for (tensor, want) in want.tensors() {
            let got = got.tensor(&tensor).unwrap();
            assert_eq!((got.shape(), got.dtype()), (want.shape(), want.dtype()), "{tensor}");
            assert_eq!(got.data(), want.data(), "{tensor}");
        }

        let config = |dir: &std::path::Path| -> Value {
            serde_json::from_slice(&std::fs::read(dir.join("config.json")).unwrap()).unwrap()
        };
        let (mut want, got) = (config(&source), config(saved.path()));
        want.as_object_mut().unwrap().remove("dtype");
        if want["classifier_dropout"].is_null() && name.starts_with("bert") {
            // Null means this; written out, it stays when the other changes.
            want["classifier_dropout"] = want["hidden_dropout_prob"].clone();
        }
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn a_quantised_classifier_gives_nearly_the_logits_of_its_source() {
    for name in FOLDERS {
        let golden = Golden::open(name);
        let saved = tempfile::tempdir().unwrap();
        golden.model.save_quantized(saved.path()).unwrap();
        let (model, report) = InferenceModel::open(saved.path()).unwrap();
        assert_eq!((report.quantized, report.missing, report.unused), (true, vec![], vec![]));
        assert_eq!(model.config().head, golden.model.config.head);
        let logits = infer(&model, &Batch::of(&golden));
        let want = golden.floats("logits");
        assert_close(&logits, &want, 0.05, name);
        assert_ne!(logits, infer(&InferenceModel::of(&golden.model), &Batch::of(&golden)));
    }
}

#[test]
fn a_span_head_is_drawn_where_one_is_wanted_of_a_classifier() {
    for name in FOLDERS {
        let golden = Golden::open(name);
        let batch = Batch::of(&golden);
        let mut memory = InferenceMemory::default();
        let refused = InferenceModel::of(&golden.model).span_logits(batch.tokens(), &mut memory);
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("needs a span head"), "{message}");

        let (model, report) =
            Model::open_with_head(&support::folder(name), HeadKind::Span).unwrap();
        assert_eq!(report.missing, ["qa_outputs.weight", "qa_outputs.bias"]);
        assert!(report.unused.contains(&"classifier.weight".to_owned()), "{:?}", report.unused);
        InferenceModel::of(&model).span_logits(batch.tokens(), &mut memory).unwrap();
        let encoder = golden.model.layout.slots.head.range().start;
        assert_eq!(model.parameters[..encoder], golden.model.parameters[..encoder]);
    }
}
