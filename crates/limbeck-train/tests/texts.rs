//! Whole runs of classifiers and regressions on a tiny world: they learn, they resume exactly, they
//! learn from teachers.

// Each test program takes its part of it.
#[allow(dead_code)]
mod support;

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use limbeck_data::glue::{TextFeatures, TextTask, predictions};
use limbeck_data::{Batch, Cache, Examples, Tokenizer};
use limbeck_kernels::random::Key;
use limbeck_model::Model;
use limbeck_model::heads::Part;
use limbeck_train::TrainError;
use limbeck_train::evaluation::TextEvaluationSet;
use limbeck_train::folder::RunFolder;
use limbeck_train::learner::{Learner, Portion};
use limbeck_train::losses::{HardLoss, Intermediate, SoftLoss, Weighted};
use limbeck_train::objective::Objective;
use limbeck_train::observer::{Observer, Silent};
use limbeck_train::options::{
    DistillOptions, LengthOptions, OptimizerOptions, ScheduleOptions, SoftKind, TrainOptions,
};
use limbeck_train::ranks::Ranks;
use limbeck_train::run::{Outcome, Run, Summary};
use limbeck_train::sandwich::Sandwich;
use limbeck_train::teacher::TeacherLogits;

struct World {
    task: TextTask,
    tokenizer: Tokenizer,
    features: TextFeatures,
    dev: TextEvaluationSet,
    _folder: tempfile::TempDir,
}

impl World {
    fn new(task: TextTask) -> World {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = support::tokenizer(folder.path());
        let data = support::texts(task, 24);
        World {
            task,
            features: support::text_features(&support::texts(task, 120), &tokenizer),
            dev: TextEvaluationSet {
                features: support::text_features(&data, &tokenizer),
                data,
                mismatched: None,
            },
            tokenizer,
            _folder: folder,
        }
    }

    fn run(
        &self,
        out: &Path,
        train: &TrainOptions,
        objective: impl Into<Objective>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainError> {
        let (mut folder, _) = RunFolder::open(out, serde_json::json!({}), false)?;
        Run {
            model: support::classifier(self.task, 3),
            tokenizer: &self.tokenizer,
            features: &self.features,
            objective: objective.into(),
            dev: Some(&self.dev),
            train,
            optim: &fast(),
            schedule: &ScheduleOptions { warmup: 0.1, ..ScheduleOptions::default() },
            sparsity: None,
            folder: Some(&mut folder),
            ranks: Ranks::alone(),
            notes: Default::default(),
            tensorboard: true,
        }
        .execute(observer)
    }

    /// Trains to the end.
    fn finish(&self, out: &Path, train: &TrainOptions, objective: impl Into<Objective>) -> Summary {
        match self.run(out, train, objective, &mut Silent).unwrap() {
            Outcome::Finished { summary } => summary,
            other => panic!("{other:?}"),
        }
    }

    /// What the model in `teacher` says of the training texts.
    fn logits(&self, teacher: &Path) -> Arc<TeacherLogits> {
        let model = Model::open(teacher).unwrap();
        let logits = TeacherLogits::open_or_compute(
            &Cache::folder(teacher),
            &model,
            &self.features,
            &mut Silent,
        )
        .unwrap();
        Arc::new(logits.unwrap())
    }

    fn batch(&self) -> Batch {
        let mut batch = Batch::default();
        self.features.batch(&[0, 1, 2, 3, 4], &mut batch);
        batch
    }
}

fn hard() -> Vec<Weighted> {
    vec![Weighted::new(1.0, HardLoss)]
}

fn fast() -> OptimizerOptions {
    OptimizerOptions { learning_rate: 3e-3, ..OptimizerOptions::default() }
}

fn options() -> TrainOptions {
    TrainOptions { epochs: 2.0, batch_size: 8, save_steps: 3, ..TrainOptions::default() }
}

fn long() -> TrainOptions {
    TrainOptions { epochs: 30.0, dropout: false, ..options() }
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
fn a_classifier_and_a_regression_learn_and_leave_their_predictions() {
    for (task, metric) in [(TextTask::Classify, "accuracy"), (TextTask::Regress, "spearmanr")] {
        let world = World::new(task);
        let out = tempfile::tempdir().unwrap();
        let metrics = world.finish(out.path(), &long(), hard()).metrics.unwrap();
        assert!(metrics.get(metric).unwrap() > 0.9, "{metrics:?}");
        let lines = std::fs::read_to_string(out.path().join(predictions::PREDICTIONS)).unwrap();
        assert_eq!(lines.lines().count(), 1 + world.dev.data.examples.len());
        let model = Model::open(out.path()).unwrap();
        assert_eq!(model.config.head, support::classifier(task, 3).config.head);
    }
}

#[test]
fn a_student_learns_from_the_logits_of_its_teacher_alone() {
    for (task, metric) in [(TextTask::Classify, "accuracy"), (TextTask::Regress, "pearson")] {
        let world = World::new(task);
        let (teacher, student) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        world.finish(teacher.path(), &long(), hard());
        let logits = world.logits(teacher.path());
        let soft = SoftLoss::new("soft", logits, 2.0, SoftKind::Divergence);
        let losses = vec![Weighted::new(1.0, soft)];
        let metrics = world.finish(student.path(), &long(), losses).metrics.unwrap();
        assert!(metrics.get(metric).unwrap() > 0.9, "{metrics:?}");
    }
}

#[test]
fn a_teacher_s_logits_are_those_of_a_forward_pass() {
    let world = World::new(TextTask::Classify);
    let folder = tempfile::tempdir().unwrap();
    let model = support::classifier(world.task, 9);
    model.save(folder.path()).unwrap();
    let logits = world.logits(folder.path());
    let model = limbeck_model::inference::InferenceModel::new(model);
    let all = world.dev.logits(&model, &mut Ranks::alone(), &mut Silent).unwrap().unwrap();
    // The first development texts are the first training texts.
    for (index, wanted) in all.iter().enumerate() {
        let got = logits.part(index, Part::Class);
        assert!(got.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{index}");
        assert_eq!(got.len(), 2);
    }
}

/// All that a run can minimise at once, the teacher's logits among it.
fn everything(world: &World, teacher: &Path) -> Objective {
    let distill =
        DistillOptions { alpha_hidden: 1.0, alpha_attention: 1.0, ..DistillOptions::default() };
    let student = support::classifier(world.task, 3);
    let soft = SoftLoss::new("soft", world.logits(teacher), 2.0, SoftKind::Divergence);
    Objective {
        losses: vec![Weighted::new(0.5, HardLoss), Weighted::new(0.5, soft)],
        intermediate: Some(
            Intermediate::new(&student.config, support::teacher(5), &distill, 1).unwrap(),
        ),
        sandwich: Some(Sandwich::new(&LengthOptions::default(), student.config.num_hidden_layers)),
        ..Objective::default()
    }
}

#[test]
fn a_run_that_minimises_everything_and_was_stopped_ends_with_the_same_bytes() {
    for task in [TextTask::Classify, TextTask::Regress] {
        let world = World::new(task);
        let teacher = tempfile::tempdir().unwrap();
        support::classifier(task, 9).save(teacher.path()).unwrap();
        let read = |out: &Path| std::fs::read(out.join("model.safetensors")).unwrap();
        let train = TrainOptions { epochs: 1.0, ..options() };
        let whole = tempfile::tempdir().unwrap();
        world.finish(whole.path(), &train, everything(&world, teacher.path()));
        for after in [0, 5, 14] {
            let out = tempfile::tempdir().unwrap();
            let mut stop = StopAfter { asked: Cell::new(0), after };
            let objective = everything(&world, teacher.path());
            let outcome = world.run(out.path(), &train, objective, &mut stop).unwrap();
            assert!(matches!(outcome, Outcome::Interrupted { .. }), "stopped after {after}");
            world.finish(out.path(), &train, everything(&world, teacher.path()));
            assert!(read(out.path()) == read(whole.path()), "{task} stopped after {after}");
        }
    }
}

#[test]
fn a_batch_that_goes_through_in_parts_takes_the_same_steps() {
    let world = World::new(TextTask::Classify);
    let losses = |max_tokens_per_pass: usize| -> Vec<f64> {
        let out = tempfile::tempdir().unwrap();
        let train = TrainOptions { logging_steps: 1, max_tokens_per_pass, ..options() };
        world.finish(out.path(), &train, hard());
        let log = std::fs::read_to_string(out.path().join("train.jsonl")).unwrap();
        let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter_map(|line: serde_json::Value| line["loss"].as_f64()).collect()
    };
    let whole = losses(0);
    assert!(whole.len() > 3);
    for (step, (part, whole)) in losses(1).iter().zip(&whole).enumerate() {
        assert!((part - whole).abs() < 1e-4 * whole, "step {step}: {part} for {whole}");
    }
}

#[test]
fn other_labels_are_other_data_and_refuse_to_resume() {
    let mut world = World::new(TextTask::Classify);
    let out = tempfile::tempdir().unwrap();
    let mut stop = StopAfter { asked: Cell::new(0), after: 4 };
    world.run(out.path(), &options(), hard(), &mut stop).unwrap();
    let mut data = support::texts(world.task, 120);
    data.examples[7].label = data.examples[7].label.map(|label| 1.0 - label);
    world.features = support::text_features(&data, &world.tokenizer);
    let error = world.run(out.path(), &options(), hard(), &mut Silent).unwrap_err().to_string();
    assert!(error.contains("the data, the model or a teacher changed"), "{error}");
}

#[test]
fn the_gradient_of_every_loss_is_its_derivative() {
    for task in [TextTask::Classify, TextTask::Regress] {
        let world = World::new(task);
        let teacher = tempfile::tempdir().unwrap();
        support::classifier(task, 9).save(teacher.path()).unwrap();
        let batch = world.batch();
        let learner = |moved: Option<(usize, f32)>| {
            let mut model = support::classifier(task, 3);
            if let Some((place, by)) = moved {
                model.parameters[place] += by;
            }
            // The shortened passes learn from the whole one, through which no gradient goes.
            let objective = Objective { sandwich: None, ..everything(&world, teacher.path()) };
            let mut learner = Learner::new(model, &fast(), objective);
            learner.dropout = false;
            let loss = learner
                .accumulate(&batch, Portion::whole(Key::new(1), 1.0), &mut [0.0; 4])
                .unwrap();
            (loss, learner)
        };
        let (_, whole) = learner(None);
        let step = 1e-3;
        for tensor in &whole.model.layout.tensors {
            let place = tensor.offset + tensor.size() / 2;
            let (above, below) = (learner(Some((place, step))).0, learner(Some((place, -step))).0);
            let expected = (above - below) / (2.0 * f64::from(step));
            let got = f64::from(whole.gradients()[place]);
            let error = (got - expected).abs();
            let bound = 2e-2 * expected.abs().max(0.5);
            assert!(error < bound, "{task}: {}: {got}, {expected}", tensor.name);
        }
    }
}

#[test]
fn a_second_set_s_metrics_have_mm_behind_their_names_and_count() {
    let mut world = World::new(TextTask::Classify);
    let data = support::texts(world.task, 12);
    let features = support::text_features(&data, &world.tokenizer);
    let second = TextEvaluationSet { data, features, mismatched: None };
    world.dev.mismatched = Some(Box::new(second));
    let out = tempfile::tempdir().unwrap();
    let metrics = world.finish(out.path(), &options(), hard()).metrics.unwrap();
    let keys: Vec<&str> = metrics.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["accuracy", "accuracy_mm"]);
}

#[test]
fn labels_that_are_not_for_the_model_are_refused() {
    let world = World::new(TextTask::Classify);
    let refused = |model: Model, batch: &Batch| {
        let mut learner = Learner::new(model, &fast(), hard());
        learner
            .accumulate(batch, Portion::whole(Key::new(1), 1.0), &mut [0.0])
            .unwrap_err()
            .to_string()
    };
    let mut batch = world.batch();
    let message = refused(support::model(1), &batch);
    assert!(message.contains("not for a span head"), "{message}");
    batch.labels[2] = 2.0;
    assert!(refused(support::classifier(world.task, 1), &batch).contains("classification head"));
    batch.labels.clear();
    assert!(refused(support::classifier(world.task, 1), &batch).contains("classification head"));
}
