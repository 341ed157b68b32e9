//! Pretraining on plain text: it learns, resumes exactly, and distils.

// Each test program takes its part of it.
#[allow(dead_code)]
mod support;

use std::cell::Cell;
use std::path::Path;

use limbeck_data::corpus::Windows;
use limbeck_data::{Batch, Examples, Tokenizer};
use limbeck_kernels::random::Key;
use limbeck_model::{Head, Model};
use limbeck_train::evaluation::WordEvaluationSet;
use limbeck_train::folder::RunFolder;
use limbeck_train::learner::{Learner, Portion};
use limbeck_train::losses::WordLosses;
use limbeck_train::objective::Objective;
use limbeck_train::observer::{Observer, Silent};
use limbeck_train::options::{
    DistillOptions, OptimizerOptions, ScheduleKind, ScheduleOptions, SoftKind, TrainOptions,
};
use limbeck_train::ranks::Ranks;
use limbeck_train::run::{Outcome, Run, Summary};
use support::guesser as model;

struct World {
    tokenizer: Tokenizer,
    train: Windows,
    dev: WordEvaluationSet,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = support::tokenizer(folder.path());
        let (train, validation) = support::windows(folder.path(), &tokenizer);
        let dev = WordEvaluationSet { windows: validation };
        World { tokenizer, train, dev, _folder: folder }
    }

    fn run(
        &self,
        out: &Path,
        train: &TrainOptions,
        words: WordLosses,
        observer: &mut dyn Observer,
    ) -> Outcome {
        let (mut folder, _) = RunFolder::open(out, serde_json::json!({}), false).unwrap();
        let optim = OptimizerOptions { learning_rate: 1e-2, ..OptimizerOptions::default() };
        let kind = ScheduleKind::OneCycle;
        Run {
            model: model(3),
            tokenizer: &self.tokenizer,
            features: &self.train,
            objective: Objective { words: Some(words), ..Objective::default() },
            dev: Some(&self.dev),
            train,
            optim: &optim,
            schedule: &ScheduleOptions { kind, ..ScheduleOptions::default() },
            folder: Some(&mut folder),
            ranks: Ranks::alone(),
            sparsity: None,
            tensorboard: true,
            notes: Default::default(),
        }
        .execute(observer)
        .unwrap()
    }

    fn finish(&self, out: &Path, train: &TrainOptions, words: WordLosses) -> Summary {
        match self.run(out, train, words, &mut Silent) {
            Outcome::Finished { summary } => summary,
            other => panic!("{other:?}"),
        }
    }

    fn batch(&self) -> Batch {
        let mut batch = Batch::default();
        self.train.batch_of_epoch(&[0, 1, 2], 1, &mut batch);
        batch
    }
}

fn hard() -> WordLosses {
    distilled(Vec::new(), &DistillOptions::default(), 1)
}

fn distilled(teachers: Vec<Model>, options: &DistillOptions, steps: usize) -> WordLosses {
    WordLosses::new(&model(3).config, teachers, options, steps).unwrap()
}

fn options() -> TrainOptions {
    TrainOptions { max_steps: 12, batch_size: 8, save_steps: 3, ..TrainOptions::default() }
}

/// Stops when asked for the time after `after`.
struct StopAfter {
    asked: Cell<usize>,
    after: usize,
}

impl Observer for StopAfter {
    fn should_stop(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.asked.get() > self.after
    }
}

#[test]
fn masked_words_are_learnt_and_perplexity_tells() {
    let world = World::new();
    let out = tempfile::tempdir().unwrap();
    let train = TrainOptions { max_steps: 150, dropout: false, ..options() };
    let metrics = world.finish(out.path(), &train, hard()).metrics.unwrap();
    let of = |key: &str| metrics.get(key).unwrap();
    // Blindly guessing among 24 words would be at 24.
    assert!(of("perplexity") < 8.0, "{metrics:?}");
    assert!((of("loss").exp() - of("perplexity")).abs() < 1e-9);
    assert!(of("accuracy") > 0.3 && of("total") > 0.0, "{metrics:?}");
    let lines = std::fs::read_to_string(out.path().join("train.jsonl")).unwrap();
    assert!(lines.contains("eval_perplexity") && lines.contains("loss_hard"));
    let again = Model::open(out.path()).unwrap();
    assert_eq!(again.config.head, Head::MaskedWord);
}

#[test]
fn parts_of_a_batch_weigh_by_their_masked_words() {
    let world = World::new();
    let distil = DistillOptions { factor: 0.5, ..Default::default() };
    let losses = |max_tokens_per_pass: usize| -> Vec<f64> {
        let out = tempfile::tempdir().unwrap();
        let train = TrainOptions { logging_steps: 1, max_tokens_per_pass, ..options() };
        world.finish(out.path(), &train, distilled(vec![model(8)], &distil, 12));
        let log = std::fs::read_to_string(out.path().join("train.jsonl")).unwrap();
        let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter_map(|line: serde_json::Value| line["loss"].as_f64()).collect()
    };
    let whole = losses(0);
    assert_eq!(whole.len(), 12);
    for (step, (part, whole)) in losses(1).iter().zip(&whole).enumerate() {
        assert!((part - whole).abs() < 1e-4 * whole, "step {step}: {part} for {whole}");
    }
}

#[test]
fn a_run_that_was_stopped_in_an_epoch_ends_with_the_same_bytes() {
    let world = World::new();
    let distil = DistillOptions { factor: 0.9, factor_end: Some(0.1), ..Default::default() };
    let words = || distilled(vec![model(8)], &distil, 12);
    // Longer than an epoch, so that masks are drawn anew.
    let train = TrainOptions { gradient_accumulation_steps: 2, ..options() };
    assert!(world.train.len() < 12 * 2 * 8 && world.train.len() > 16, "{}", world.train.len());
    let read = |out: &Path| std::fs::read(out.join("model.safetensors")).unwrap();
    let whole = tempfile::tempdir().unwrap();
    let summary = world.finish(whole.path(), &train, words());
    for after in [1, 4, 9, 14] {
        let stopped = tempfile::tempdir().unwrap();
        let mut observer = StopAfter { asked: Cell::new(0), after };
        let outcome = world.run(stopped.path(), &train, words(), &mut observer);
        assert!(matches!(outcome, Outcome::Interrupted { .. }), "{after}: {outcome:?}");
        let again = world.finish(stopped.path(), &train, words());
        assert_eq!(again.metrics, summary.metrics, "{after}");
        assert!(read(stopped.path()) == read(whole.path()), "{after}");
    }
}

/// The objective and the gradients of one batch without dropout.
fn learnt(world: &World, student: &Model, words: WordLosses, steps: usize) -> (f64, Vec<f32>) {
    let objective = Objective { words: Some(words), ..Objective::default() };
    let mut learner = Learner::new(student.clone(), &OptimizerOptions::default(), objective);
    learner.dropout = false;
    learner.optimizer.steps = steps;
    let mut parts = vec![0.0; 2];
    let portion = Portion::whole(Key::new(1), 1.0);
    let loss = learner.accumulate(&world.batch(), portion, &mut parts).unwrap();
    (loss, learner.gradients().to_vec())
}

#[test]
fn gradients_of_every_soft_loss_are_derivatives() {
    let world = World::new();
    let mut student = model(3);
    // Larger weights, so that differences are not rounding.
    student.parameters.iter_mut().for_each(|value| *value *= 3.0);
    for soft_loss in [SoftKind::Divergence, SoftKind::CrossEntropy, SoftKind::OneSided] {
        let options = DistillOptions {
            factor: 0.6,
            temperature: 2.0,
            teacher_weights: vec![3.0, 1.0],
            soft_loss,
            ..DistillOptions::default()
        };
        let words = || distilled(vec![model(8), model(9)], &options, 10);
        let (_, gradients) = learnt(&world, &student, words(), 0);
        let slots = &student.layout.slots;
        let (head, words_table) = (slots.head.range(), slots.word_embeddings.clone());
        let layer = slots.layers[0].output_weight.clone();
        for range in [head.start..head.start + 200, words_table, layer] {
            // The derivative along the gradient itself is its squared norm.
            let norm: f64 = gradients[range.clone()].iter().map(|&g| f64::from(g).powi(2)).sum();
            let length = norm.sqrt();
            let at = |step: f64| {
                let mut moved = student.clone();
                for (value, gradient) in
                    moved.parameters[range.clone()].iter_mut().zip(&gradients[range.clone()])
                {
                    *value += (step * f64::from(*gradient) / length) as f32;
                }
                learnt(&world, &moved, words(), 0).0
            };
            let step = 1e-2;
            let slope = (at(step) - at(-step)) / (2.0 * step);
            assert!((slope - length).abs() < 0.02 * length, "{soft_loss:?}: {slope}, {length}");
        }
    }
}

#[test]
fn factor_and_temperature_go_from_their_first_value_to_their_last() {
    let options = DistillOptions {
        factor: 1.0,
        factor_end: Some(0.5),
        temperature: 4.0,
        temperature_end: Some(2.0),
        ..DistillOptions::default()
    };
    let words = distilled(Vec::new(), &options, 11);
    assert_eq!(words.factor_and_temperature(0), (1.0, 4.0));
    assert_eq!(words.factor_and_temperature(5), (0.75, 3.0));
    assert_eq!(words.factor_and_temperature(10), (0.5, 2.0));
    assert_eq!(distilled(Vec::new(), &options, 1).factor_and_temperature(0), (1.0, 4.0));
}

#[test]
fn a_teacher_alone_is_learnt_at_factor_1_and_not_heard_at_factor_0() {
    let world = World::new();
    let of = |factor: f64, teacher: u64| {
        let options = DistillOptions { factor, temperature: 1.0, ..DistillOptions::default() };
        learnt(&world, &model(3), distilled(vec![model(teacher)], &options, 10), 0)
    };
    assert_eq!(of(0.0, 8), learnt(&world, &model(3), hard(), 0));
    assert_ne!(of(0.0, 8), of(1.0, 8));
    // Who is their own teacher has nothing to learn.
    let (loss, gradients) = of(1.0, 3);
    assert!(loss.abs() < 1e-5, "{loss}");
    assert!(gradients.iter().all(|gradient| gradient.abs() < 1e-5));
}

#[test]
fn a_teacher_of_other_words_is_refused() {
    let mut config = model(3).config;
    config.vocab_size += 8;
    let teacher = Model::initialise(config, 1);
    let refused = WordLosses::new(&model(3).config, vec![teacher], &DistillOptions::default(), 1);
    assert!(refused.err().unwrap().to_string().contains("vocabulary of 32 words"));
}
