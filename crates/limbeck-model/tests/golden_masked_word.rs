//! Models with a masked-word head agree with Hugging Face Transformers, number by number, and what
//! is saved of them is what Transformers saves.
//!
//! `tools/golden.py` made the values.

mod support;

use std::ops::Range;

use limbeck_kernels::vocabulary::{self, RowLoss, Soft};
use limbeck_model::encoder::{self, Activations, BackwardBuffers, Mode};
use limbeck_model::heads::{Words, masked_word};
use limbeck_model::inference::{InferenceMemory, InferenceModel};
use limbeck_model::{Head, HeadKind, Model, ModelError};
use safetensors::SafeTensors;

use support::{Batch, Golden, assert_close};

const FOLDERS: [&str; 2] = ["bert-masked-word", "distilbert-masked-word"];

/// Those of `tools/golden.py`.
const ALPHA_SOFT: f64 = 0.7;
const ALPHA_HARD: f64 = 0.3;
const TEMPERATURE: f64 = 2.0;
const TEACHER_SHARES: [f64; 2] = [0.75, 0.25];

fn masked(golden: &Golden, name: &str) -> Vec<u32> {
    golden.integers(name).iter().map(|&value| value as u32).collect()
}

#[test]
fn logits_agree_with_transformers() {
    for name in FOLDERS {
        let golden = Golden::open(name);
        assert_eq!(golden.model.config.head, Head::MaskedWord);
        let (model, batch) = (InferenceModel::of(&golden.model), Batch::of(&golden));
        let (rows, mut memory) = (masked(&golden, "masked_rows"), InferenceMemory::default());
        model.read_words(batch.tokens(), &rows, &mut memory).unwrap();
        let logits = model.word_logits(0..rows.len(), &mut memory).unwrap();
        assert_close(logits, &golden.floats("logits"), 1e-5, name);
    }
}

/// Runs a model forward and back with a loss over chunks of its logits, and compares what comes of
/// it with the golden values of this prefix.
fn compare(
    name: &str,
    prefix: &str,
    mut loss: impl FnMut(&Golden, Range<usize>, &mut [f32]) -> f64,
) {
    let golden = Golden::open(name);
    let (model, batch, mode) = (&golden.model, Batch::of(&golden), Mode::Evaluate);
    let mut activations = Activations::default();
    encoder::forward(model, batch.tokens(), mode, &mut activations);
    let (mut words, mut buffers) = (Words::default(), BackwardBuffers::default());
    let mut gradients = vec![0.0; model.layout.len];
    let rows = masked(&golden, "masked_rows");
    masked_word::forward(model, &rows, activations.last_hidden_state(), &mut words.vectors)
        .unwrap();
    let mut sum = 0.0;
    words
        .learn(model, &mut buffers, &mut gradients, |chunk, logits| {
            sum += loss(&golden, chunk, logits);
            Ok::<_, ModelError>(())
        })
        .unwrap();
    let want = f64::from(golden.floats(&format!("{prefix}loss"))[0]);
    assert!((sum - want).abs() < 1e-5 * want, "{prefix}loss {sum}, expected {want}");

    let count = batch.input_ids.len();
    masked_word::backward(model, count, &mut words.vectors, &mut buffers, &mut gradients).unwrap();
    let (tokens, taps) = (batch.tokens(), &mut encoder::NoTaps);
    encoder::backward(model, tokens, mode, &mut activations, taps, &mut buffers, &mut gradients);
    for tensor in &model.layout.tensors {
        let want = golden.floats(&format!("{prefix}grad.{}", tensor.name));
        assert_close(&gradients[tensor.range()], &want, 2e-4, &tensor.name);
    }
}

#[test]
fn the_loss_and_every_gradient_agree_with_transformers() {
    for name in FOLDERS {
        compare(name, "", |golden, chunk, logits| {
            let labels = masked(golden, "masked_ids");
            let mut losses = vec![RowLoss::default(); chunk.len()];
            let weight = 1.0 / labels.len() as f64;
            vocabulary::learn(logits, &labels[chunk], weight, None, &mut losses);
            losses.iter().map(|loss| weight * loss.hard).sum()
        });
    }
}

#[test]
fn two_teachers_teach_as_in_pytorch_by_the_usual_form_and_by_the_one_sided_one() {
    for (prefix, temperature, factor) in
        [("distill_", TEMPERATURE, TEMPERATURE * TEMPERATURE), ("one_sided_", 1.0, 1.0)]
    {
        for name in FOLDERS {
            compare(name, prefix, |golden, chunk, logits| {
                let labels = masked(golden, "masked_ids");
                let words = logits.len() / chunk.len();
                let (mut targets, mut entropies) =
                    (vec![0.0; logits.len()], vec![0.0; chunk.len()]);
                for (index, share) in TEACHER_SHARES.into_iter().enumerate() {
                    let teacher = golden.floats(&format!("teacher_logits.{index}"));
                    let teacher = &teacher[chunk.start * words..chunk.end * words];
                    let (targets, entropies) = (&mut targets, &mut entropies);
                    let first = index == 0;
                    vocabulary::add_teacher(teacher, TEMPERATURE, share, first, targets, entropies);
                }
                let each = 1.0 / labels.len() as f64;
                let weight = ALPHA_SOFT * each;
                let soft = Soft { weight, temperature, factor, targets: &targets };
                let mut losses = vec![RowLoss::default(); chunk.len()];
                let hard = ALPHA_HARD * each;
                vocabulary::learn(logits, &labels[chunk], hard, Some(soft), &mut losses);
                let divergence = prefix == "distill_";
                let excess = |entropy: f64| if divergence { factor * entropy } else { 0.0 };
                let of_row = |(loss, entropy): (&RowLoss, &f64)| {
                    hard * loss.hard + weight * (loss.soft - excess(*entropy))
                };
                losses.iter().zip(&entropies).map(of_row).sum()
            });
        }
    }
}

#[test]
fn what_is_saved_is_what_transformers_saves() {
    for name in FOLDERS {
        let source = support::folder(name);
        let saved = tempfile::tempdir().unwrap();
        let (model, report) = Model::open_reporting(&source).unwrap();
        assert_eq!((report.missing, report.unused), (vec![], vec![]), "{name}");
        model.save(saved.path()).unwrap();
        let bytes = |dir: &std::path::Path| std::fs::read(dir.join("model.safetensors")).unwrap();
        let (want, got) = (bytes(&source), bytes(saved.path()));
        let (want, got) =
            (SafeTensors::deserialize(&want).unwrap(), SafeTensors::deserialize(&got).unwrap());
        assert_eq!(want.len(), got.len(), "{name}");
        for (tensor, want) in want.tensors() {
            assert_eq!(got.tensor(&tensor).unwrap().data(), want.data(), "{tensor}");
        }
    }
}

#[test]
fn the_encoder_opens_under_another_head() {
    for name in FOLDERS {
        let golden = Golden::open(name);
        let (model, report) =
            Model::open_with_head(&support::folder(name), HeadKind::Classification).unwrap();
        assert!(report.missing.contains(&"classifier.weight".to_owned()), "{:?}", report.missing);
        assert!(
            report
                .unused
                .iter()
                .all(|name| name.contains("predictions") || name.contains("vocab_"))
        );
        let encoder = golden.model.layout.slots.head.range().start;
        assert_eq!(model.parameters[..encoder], golden.model.parameters[..encoder]);
    }
}
