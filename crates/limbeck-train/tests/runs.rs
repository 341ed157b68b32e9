//! Whole runs on a tiny world: they learn, they resume exactly, they fail cleanly.

// Each test program takes its part of it.
#[allow(dead_code)]
mod support;

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use limbeck_data::{Cache, DecodeOptions, Features, Purpose, SquadData, Tokenizer};
use limbeck_kernels::random::Key;
use limbeck_model::inference::InferenceModel;
use limbeck_train::TrainError;
use limbeck_train::evaluation::EvaluationSet;
use limbeck_train::folder::RunFolder;
use limbeck_train::learner::{Learner, Portion};
use limbeck_train::losses::{HardLoss, Intermediate, SoftLoss, Weighted};
use limbeck_train::objective::Objective;
use limbeck_train::observer::{Observer, Silent, StepReport};
use limbeck_train::options::{
    DistanceKind, DistillOptions, LengthOptions, OptimizerOptions, Projection, Sampling,
    ScheduleOptions, SoftKind, SparseMethod, SparsityOptions, TrainOptions,
};
use limbeck_train::ranks::Ranks;
use limbeck_train::ranks::rendezvous::{Meeting, join, listen};
use limbeck_train::run::{Outcome, Run, total_steps};
use limbeck_train::sandwich::Sandwich;
use limbeck_train::sparsity::{Account, Sparsity};
use limbeck_train::teacher::TeacherLogits;

struct World {
    tokenizer: Tokenizer,
    data: SquadData,
    features: Features,
    dev: EvaluationSet,
    optim: OptimizerOptions,
    schedule: ScheduleOptions,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = support::tokenizer(folder.path());
        let data = support::questions(90);
        let dev = support::questions(12);
        World {
            features: support::features(&data, &tokenizer, Purpose::Train),
            dev: EvaluationSet {
                features: support::features(&dev, &tokenizer, Purpose::Predict),
                data: dev,
                decode: DecodeOptions::default(),
                tune_threshold: false,
            },
            tokenizer,
            data,
            optim: fast(),
            schedule: ScheduleOptions { warmup: 0.1, ..ScheduleOptions::default() },
            _folder: folder,
        }
    }

    fn run(
        &self,
        out: &Path,
        train: &TrainOptions,
        optim: &OptimizerOptions,
        objective: impl Into<Objective>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainError> {
        let sparsity = SparsityOptions::default();
        self.run_sparse(out, (train, optim, &sparsity), objective, observer)
    }

    fn run_sparse(
        &self,
        out: &Path,
        (train, optim, sparsity): (&TrainOptions, &OptimizerOptions, &SparsityOptions),
        objective: impl Into<Objective>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainError> {
        let (mut folder, _) = RunFolder::open(out, serde_json::json!({}), false)?;
        let run = self.prepared(train, objective, Some(&mut folder));
        let steps = total_steps(train, self.features.len());
        let sparsity = Sparsity::new(sparsity, &run.model, steps, train.seed)?;
        Run { sparsity, optim, ..run }.execute(observer)
    }

    fn prepared<'a>(
        &'a self,
        train: &'a TrainOptions,
        objective: impl Into<Objective>,
        folder: Option<&'a mut RunFolder>,
    ) -> Run<'a> {
        Run {
            sparsity: None,
            model: support::model(3),
            tokenizer: &self.tokenizer,
            features: &self.features,
            objective: objective.into(),
            dev: Some(&self.dev),
            train,
            optim: &self.optim,
            schedule: &self.schedule,
            folder,
            ranks: Ranks::alone(),
            notes: Default::default(),
            tensorboard: true,
        }
    }
}

fn hard() -> Vec<Weighted> {
    vec![Weighted::new(1.0, HardLoss)]
}

fn options() -> TrainOptions {
    TrainOptions { epochs: 2.0, batch_size: 8, save_steps: 3, ..TrainOptions::default() }
}

fn fast() -> OptimizerOptions {
    OptimizerOptions { learning_rate: 3e-3, ..OptimizerOptions::default() }
}

/// Stops after so many steps or evaluations' batches.
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
fn a_run_that_was_stopped_at_any_point_ends_with_the_same_bytes() {
    let world = World::new();
    let whole = tempfile::tempdir().unwrap();
    world.run(whole.path(), &options(), &fast(), hard(), &mut Silent).unwrap();
    let want = std::fs::read(whole.path().join("model.safetensors")).unwrap();
    for after in [0, 4, 12, 13, 20] {
        let out = tempfile::tempdir().unwrap();
        let mut stop = StopAfter { asked: Cell::new(0), after };
        let outcome = world.run(out.path(), &options(), &fast(), hard(), &mut stop).unwrap();
        assert!(matches!(outcome, Outcome::Interrupted { .. }), "stopped after {after}");
        world.run(out.path(), &options(), &fast(), hard(), &mut Silent).unwrap();
        let got = std::fs::read(out.path().join("model.safetensors")).unwrap();
        assert!(got == want, "stopped after {after}");
        let lines = |folder: &Path| -> Vec<u64> {
            let text = std::fs::read_to_string(folder.join("train.jsonl")).unwrap();
            let step = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
            text.lines().map(|line| step(line)["step"].as_u64().unwrap()).collect()
        };
        assert_eq!(lines(out.path()), lines(whole.path()));
    }
}

/// Numbers of `train.jsonl`, a step each.
fn logged(out: &Path, key: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(out.join("train.jsonl")).unwrap();
    let line = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
    text.lines().filter_map(|text| line(text)[key].as_f64()).collect()
}

/// Runs whose batches do not divide evenly into steps: 90 features, six batches of 16 or less.
fn uneven(gradient_accumulation_steps: usize) -> TrainOptions {
    TrainOptions {
        gradient_accumulation_steps,
        batch_size: 16,
        logging_steps: 1,
        save_steps: 1,
        ..options()
    }
}

#[test]
fn a_step_that_takes_what_is_left_is_the_mean_over_what_it_took() {
    let world = World::new();
    assert_eq!(world.features.len(), 90);
    let of = |batch_size, gradient_accumulation_steps| {
        let out = tempfile::tempdir().unwrap();
        let train = TrainOptions { epochs: 1.0, dropout: false, batch_size, ..uneven(1) };
        let train = TrainOptions { gradient_accumulation_steps, ..train };
        world.run(out.path(), &train, &fast(), of_sequences(&world), &mut Silent).unwrap();
        ["loss", "gradient_norm", "epoch"].map(|key| logged(out.path(), key))
    };
    // One step each over all features, whatever the batches, the last of which has 10.
    let [losses, norms, epochs] = of(90, 1);
    assert_eq!((losses.len(), &epochs), (1, &vec![1.0]));
    for (batch_size, accumulation) in [(16, 8), (16, 6), (40, 3), (1, 500)] {
        let [loss, norm, epoch] = of(batch_size, accumulation);
        assert_eq!((loss.len(), &epoch), (1, &epochs), "{batch_size} times {accumulation}");
        assert!((loss[0] - losses[0]).abs() < 1e-5 * losses[0], "{loss:?} for {losses:?}");
        assert!((norm[0] - norms[0]).abs() < 1e-4 * norms[0], "{norm:?} for {norms:?}");
    }
}

#[test]
fn a_run_with_short_steps_goes_on_with_the_same_bytes() {
    let world = World::new();
    for accumulation in [4, 8] {
        let train = uneven(accumulation);
        let whole = tempfile::tempdir().unwrap();
        world.run(whole.path(), &train, &fast(), hard(), &mut Silent).unwrap();
        let steps =
            if accumulation == 4 { vec![4.0 / 6.0, 1.0, 10.0 / 6.0, 2.0] } else { vec![1.0, 2.0] };
        assert_eq!(logged(whole.path(), "epoch"), steps);
        let model = |out: &Path| std::fs::read(out.join("model.safetensors")).unwrap();
        for after in [1, 5, 6, 7, 9] {
            let out = tempfile::tempdir().unwrap();
            let mut stop = StopAfter { asked: Cell::new(0), after };
            let outcome = world.run(out.path(), &train, &fast(), hard(), &mut stop).unwrap();
            assert!(matches!(outcome, Outcome::Interrupted { .. }), "stopped after {after}");
            world.run(out.path(), &train, &fast(), hard(), &mut Silent).unwrap();
            assert!(model(out.path()) == model(whole.path()), "stopped after {after}");
        }
    }
}

#[test]
fn an_unfinished_run_of_steps_that_crossed_epochs_is_refused_and_others_go_on() {
    let world = World::new();
    let even = TrainOptions { batch_size: 15, ..uneven(3) };
    for (train, goes_on) in [(uneven(4), false), (uneven(1), true), (even, true)] {
        let out = tempfile::tempdir().unwrap();
        let mut stop = StopAfter { asked: Cell::new(0), after: 7 };
        world.run(out.path(), &train, &fast(), hard(), &mut stop).unwrap();
        // As an earlier version left it.
        let state = out.path().join("checkpoint").join("state.safetensors");
        let mut bytes = std::fs::read(&state).unwrap();
        let key = b"steps_end_with_epochs";
        let place = bytes.windows(key.len()).position(|window| window == key).unwrap();
        bytes[place] = b'S';
        std::fs::write(&state, bytes).unwrap();
        let outcome = world.run(out.path(), &train, &fast(), hard(), &mut Silent);
        match goes_on {
            true => assert!(matches!(outcome, Ok(Outcome::Finished { .. }))),
            false => assert!(outcome.unwrap_err().to_string().contains("--overwrite")),
        }
    }
}

#[test]
fn processes_divide_a_short_step_too() {
    let world = World::new();
    let train = TrainOptions { epochs: 1.0, ..uneven(4) };
    let alone = tempfile::tempdir().unwrap();
    world.run(alone.path(), &train, &fast(), everything(), &mut Silent).unwrap();
    let out = tempfile::tempdir().unwrap();
    let (listener, address) = listen("127.0.0.1:0").unwrap();
    let mut listener = Some(listener);
    let count = 3;
    std::thread::scope(|scope| {
        for rank in 0..count {
            let listener = listener.take_if(|_| rank == 0);
            let meeting =
                Meeting { rank, count, address: address.to_string(), secret: "ours".to_owned() };
            let (world, out, train) = (&world, out.path(), &train);
            scope.spawn(move || {
                let ranks = Ranks::start(move || join(&meeting, listener, || Ok(()))).unwrap();
                let mut folder = (rank == 0)
                    .then(|| RunFolder::open(out, serde_json::json!({}), false).unwrap().0);
                let run = world.prepared(train, everything(), folder.as_mut());
                Run { ranks, ..run }.execute(&mut Silent).unwrap();
            });
        }
    });
    for key in ["loss", "gradient_norm", "epoch", "loss_in_place", "eval_f1"] {
        let (alone, together) = (logged(alone.path(), key), logged(out.path(), key));
        assert!(!alone.is_empty() && alone.len() == together.len(), "{key}");
        for (step, (alone, together)) in alone.iter().zip(&together).enumerate() {
            // Adam makes much of roundings from the second step on, and which tokens leave is a
            // matter of them.
            let exact = step == 0 && key != "loss_in_place";
            let most = if exact { 1e-4 } else { 2e-2 } * alone;
            assert!((alone - together).abs() <= most, "{key}: {together} for {alone}");
        }
    }
}

#[test]
fn a_sparse_run_that_was_stopped_at_any_point_ends_with_the_same_bytes() {
    let world = World::new();
    let train = TrainOptions { gradient_accumulation_steps: 2, epochs: 3.0, ..options() };
    for method in [SparseMethod::Rigl, SparseMethod::Gmp] {
        let sparsity = SparsityOptions {
            level: 0.7,
            method,
            period: 3,
            warmup: 2.0,
            cooldown: 3.0,
            reset_moments: true,
            ..SparsityOptions::default()
        };
        let run = |out: &Path, observer: &mut dyn Observer| {
            world.run_sparse(out, (&train, &fast(), &sparsity), hard(), observer).unwrap()
        };
        let whole = tempfile::tempdir().unwrap();
        run(whole.path(), &mut Silent);
        let files = ["model.safetensors", "sparsity.json"];
        let read = |out: &Path| files.map(|name| std::fs::read(out.join(name)).unwrap());
        let account: Account = serde_json::from_slice(&read(whole.path())[1]).unwrap();
        assert!((account.sparsity - 0.7).abs() < 0.02, "{method:?}: {account}");
        for after in [5, 8, 14] {
            let out = tempfile::tempdir().unwrap();
            let mut stop = StopAfter { asked: Cell::new(0), after };
            let outcome = run(out.path(), &mut stop);
            assert!(matches!(outcome, Outcome::Interrupted { .. }), "stopped after {after}");
            run(out.path(), &mut Silent);
            assert!(read(out.path()) == read(whole.path()), "{method:?} stopped after {after}");
            let changes = |out: &Path| -> Vec<f64> {
                let text = std::fs::read_to_string(out.join("train.jsonl")).unwrap();
                let line = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
                text.lines().filter_map(|text| line(text)["mask_changes"].as_f64()).collect()
            };
            assert_eq!(changes(out.path()), changes(whole.path()));
            assert!(changes(out.path()).iter().sum::<f64>() > 0.0);
        }
    }
}

#[test]
fn a_run_that_was_killed_resumes_from_its_last_checkpoint() {
    let world = World::new();
    let whole = tempfile::tempdir().unwrap();
    world.run(whole.path(), &options(), &fast(), hard(), &mut Silent).unwrap();

    /// Panics at a step, as a kill would end the process: nothing is saved.
    struct Die;
    impl Observer for Die {
        fn step(&mut self, report: &StepReport) {
            assert!(report.step < 8, "killed");
        }
    }
    let out = tempfile::tempdir().unwrap();
    let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = world.run(out.path(), &options(), &fast(), hard(), &mut Die);
    }));
    assert!(killed.is_err());
    world.run(out.path(), &options(), &fast(), hard(), &mut Silent).unwrap();
    let read = |folder: &Path| std::fs::read(folder.join("model.safetensors")).unwrap();
    assert!(read(out.path()) == read(whole.path()));
}

#[test]
fn a_small_model_learns_where_people_live_and_answers() {
    let world = World::new();
    let out = tempfile::tempdir().unwrap();
    let train = TrainOptions { epochs: 30.0, batch_size: 8, dropout: false, ..options() };
    let outcome = world.run(out.path(), &train, &fast(), hard(), &mut Silent).unwrap();
    let Outcome::Finished { summary } = outcome else { panic!("{outcome:?}") };
    let metrics = summary.metrics.unwrap();
    assert!(metrics.get("exact").unwrap() > 90.0, "{metrics:?}");
    assert!(!out.path().join("checkpoint").exists());

    let model = limbeck_model::Model::open(out.path()).unwrap();
    let tokenizer = Tokenizer::from_folder(out.path()).unwrap();
    let features = limbeck_data::FeatureOptions {
        max_length: 32,
        doc_stride: 4,
        max_query_length: 8,
        ..Default::default()
    };
    let mut answerer = limbeck_runtime::Answerer::new(
        InferenceModel::new(model),
        tokenizer,
        features,
        DecodeOptions::default(),
    );
    let question = &world.data.questions[1];
    let context = world.data.context(question);
    let answered = answerer.answer(&question.text, context).unwrap();
    assert_eq!(answered.decoded.text, question.answers[0].text);
    let best = answered.decoded.predicted().unwrap();
    assert_eq!(&context[best.start..best.end], question.answers[0].text);
    assert!(best.probability > 0.3, "{best:?}");
    assert_eq!(answered.first_window.offsets.len(), answered.first_window.start_logits.len());
}

#[test]
fn a_student_learns_from_its_teacher_alone() {
    let world = World::new();
    let (teacher_out, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let train = TrainOptions { epochs: 30.0, dropout: false, ..options() };
    world.run(teacher_out.path(), &train, &fast(), hard(), &mut Silent).unwrap();
    let teacher = limbeck_model::Model::open(teacher_out.path()).unwrap();
    let cache = Cache::folder(out.path());
    let logits =
        TeacherLogits::open_or_compute(&cache, &teacher, &world.features, &mut Silent).unwrap();
    let logits = Arc::new(logits.unwrap());
    let losses = vec![Weighted::new(1.0, SoftLoss::new("soft", logits, 2.0, SoftKind::Divergence))];
    let outcome =
        world.run(&out.path().join("student"), &train, &fast(), losses, &mut Silent).unwrap();
    let Outcome::Finished { summary } = outcome else { panic!("{outcome:?}") };
    assert!(summary.metrics.unwrap().get("exact").unwrap() > 90.0);
}

#[test]
fn accumulated_batches_make_the_step_of_one_large_batch() {
    let world = World::new();
    let mut batch = limbeck_data::Batch::default();
    let mut norm = |batches: &[Vec<usize>]| {
        let mut learner = Learner::new(support::model(3), &fast(), hard());
        learner.dropout = false;
        for indices in batches {
            world.features.batch(indices, &mut batch);
            let share = 1.0 / batches.len() as f64;
            learner.accumulate(&batch, Portion::whole(Key::new(1), share), &mut [0.0]).unwrap();
        }
        learner.update(1e-3)
    };
    let one = norm(&[(0..16).collect()]);
    let two = norm(&[(0..8).collect(), (8..16).collect()]);
    assert!((one - two).abs() < 1e-5 * one, "{one} and {two}");
}

/// All that a run can minimise at once; the teacher is wider and deeper than the student.
fn everything() -> Objective {
    everything_with(DistanceKind::Mse, Sampling::Uniform)
}

/// Losses that are means over sequences: labels, two teachers' logits and shortened passes that are
/// the same whatever else is in a batch.
fn of_sequences(world: &World) -> Objective {
    let cache = Cache::folder(world._folder.path().join("cache"));
    let soft = |seed, weight| {
        let teacher = support::model(seed);
        let logits = TeacherLogits::open_or_compute(&cache, &teacher, &world.features, &mut Silent);
        let logits = Arc::new(logits.unwrap().unwrap());
        let loss = SoftLoss::new(format!("soft_{seed}"), logits, 2.0, SoftKind::Divergence);
        Weighted::new(weight, loss)
    };
    let lengths = LengthOptions { sampling: Sampling::Fixed, ..LengthOptions::default() };
    Objective {
        losses: vec![Weighted::new(0.5, HardLoss), soft(8, 0.3), soft(9, 0.2)],
        sandwich: Some(Sandwich::new(&lengths, 2)),
        ..Objective::default()
    }
}

fn everything_with(attention_loss: DistanceKind, sampling: Sampling) -> Objective {
    let options = DistillOptions {
        attention_loss,
        alpha_hidden: 1.0,
        alpha_attention: 1.0,
        projection: Projection::Always,
        ..DistillOptions::default()
    };
    let lengths = LengthOptions { layer_dropout_prob: 0.3, sampling, ..LengthOptions::default() };
    let student = support::model(3);
    Objective {
        losses: hard(),
        intermediate: Some(
            Intermediate::new(&student.config, support::teacher(5), &options, 1).unwrap(),
        ),
        sandwich: Some(Sandwich::new(&lengths, student.config.num_hidden_layers)),
        ..Objective::default()
    }
}

#[test]
fn a_run_with_a_projection_and_shortened_passes_resumes_exactly_and_tells_its_parts() {
    let world = World::new();
    let train = TrainOptions { epochs: 1.0, ..options() };
    let whole = tempfile::tempdir().unwrap();
    world.run(whole.path(), &train, &fast(), everything(), &mut Silent).unwrap();
    let out = tempfile::tempdir().unwrap();
    let mut stop = StopAfter { asked: Cell::new(0), after: 5 };
    let outcome = world.run(out.path(), &train, &fast(), everything(), &mut stop).unwrap();
    assert!(matches!(outcome, Outcome::Interrupted { .. }));
    world.run(out.path(), &train, &fast(), everything(), &mut Silent).unwrap();
    let read = |folder: &Path| std::fs::read(folder.join("model.safetensors")).unwrap();
    assert!(read(out.path()) == read(whole.path()));
    let again = tempfile::tempdir().unwrap();
    let recompute = TrainOptions { recompute: true, ..train.clone() };
    world.run(again.path(), &recompute, &fast(), everything(), &mut Silent).unwrap();
    assert!(read(again.path()) == read(whole.path()), "with layers computed again in backward");

    let log = std::fs::read_to_string(out.path().join("train.jsonl")).unwrap();
    let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let part = |name: &str| line[format!("loss_{name}")].as_f64().unwrap();
    // Four passes weigh the same: the whole one with its losses, three that learn from it.
    let sum = (part("hard") + part("hidden") + part("attention") + 3.0 * part("in_place")) / 4.0;
    let loss = line["loss"].as_f64().unwrap();
    assert!((sum - loss).abs() < 1e-9 * loss, "{sum} and {loss}");
    assert!(part("in_place") > 0.0 && part("hidden") > 0.0 && part("attention") > 0.0);
}

#[test]
fn a_batch_that_goes_through_in_parts_takes_the_same_steps() {
    let world = World::new();
    let longest = (0..world.features.len()).map(|i| world.features.rows_of(i)).max().unwrap();
    let losses = |max_tokens_per_pass: usize, objective: Objective| -> Vec<f64> {
        let out = tempfile::tempdir().unwrap();
        let train = TrainOptions {
            epochs: 1.0,
            gradient_accumulation_steps: 2,
            logging_steps: 1,
            max_tokens_per_pass,
            ..options()
        };
        world.run(out.path(), &train, &fast(), objective, &mut Silent).unwrap();
        let log = std::fs::read_to_string(out.path().join("train.jsonl")).unwrap();
        let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter_map(|line: serde_json::Value| line["loss"].as_f64()).collect()
    };
    for (distance, sampling) in
        [(DistanceKind::Mse, Sampling::Uniform), (DistanceKind::Cosine, Sampling::Binomial)]
    {
        let losses = |limit| losses(limit, everything_with(distance, sampling));
        let whole = losses(0);
        assert!(whole.len() > 3);
        // Two parts, and every sequence by itself.
        for limit in [4 * longest, 1] {
            for (step, (part, whole)) in losses(limit).iter().zip(&whole).enumerate() {
                assert!((part - whole).abs() < 1e-4 * whole, "step {step}: {part} for {whole}");
            }
        }
    }
}

#[test]
fn the_gradient_of_losses_inside_is_their_derivative() {
    let world = World::new();
    let mut batch = limbeck_data::Batch::default();
    world.features.batch(&[0, 1, 2, 3], &mut batch);
    let learner = |moved: Option<(usize, f32)>| {
        let mut model = support::model(3);
        if let Some((place, by)) = moved {
            model.parameters[place] += by;
        }
        let objective = Objective { sandwich: None, ..everything() };
        let mut learner = Learner::new(model, &fast(), objective);
        learner.dropout = false;
        let loss =
            learner.accumulate(&batch, Portion::whole(Key::new(1), 1.0), &mut [0.0; 3]).unwrap();
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
        assert!(error < 2e-2 * expected.abs().max(0.5), "{}: {got}, {expected}", tensor.name);
    }
}

#[test]
fn a_student_trained_at_every_length_says_the_same_when_tokens_leave() {
    let world = World::new();
    let train = TrainOptions { epochs: 30.0, dropout: false, ..options() };
    let lengths = LengthOptions { drop_ratio_bound: 0.6, ..LengthOptions::default() };
    let sandwich = || Some(Sandwich::new(&lengths, 2));
    let mut batch = limbeck_data::Batch::default();
    world.features.batch(&(0..32).collect::<Vec<_>>(), &mut batch);
    let divergence = |objective: Objective| {
        let out = tempfile::tempdir().unwrap();
        world.run(out.path(), &train, &fast(), objective, &mut Silent).unwrap();
        // The best model is the first that was right everywhere, long before the last.
        let model = limbeck_model::Model::open(&out.path().join("last")).unwrap();
        let objective = Objective { sandwich: sandwich(), ..Objective::new(hard()) };
        let mut learner = Learner::new(model, &fast(), objective);
        learner.dropout = false;
        let mut parts = [0.0; 2];
        learner.accumulate(&batch, Portion::whole(Key::new(1), 1.0), &mut parts).unwrap();
        parts[1]
    };
    let plain = divergence(Objective::new(hard()));
    let adaptive = divergence(Objective { sandwich: sandwich(), ..Objective::new(hard()) });
    assert!(adaptive < 0.5 * plain, "{adaptive} against {plain}");
}

#[test]
fn a_loss_that_is_not_a_number_stops_the_run_and_keeps_the_checkpoint() {
    let world = World::new();
    let out = tempfile::tempdir().unwrap();
    let optim = OptimizerOptions { learning_rate: 1e30, max_grad_norm: 0.0, ..fast() };
    let train = TrainOptions { save_steps: 1, ..options() };
    let error = world.run(out.path(), &train, &optim, hard(), &mut Silent).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { .. }), "{error}");
    assert!(out.path().join("checkpoint/state.safetensors").is_file());
}

#[test]
fn early_stopping_ends_a_run_that_no_longer_improves() {
    let world = World::new();
    let out = tempfile::tempdir().unwrap();
    let train = TrainOptions { eval_steps: 1, early_stop_patience: 3, ..options() };
    let still = OptimizerOptions { learning_rate: 0.0, ..fast() };
    let outcome = world.run(out.path(), &train, &still, hard(), &mut Silent).unwrap();
    let Outcome::Finished { summary } = outcome else { panic!("{outcome:?}") };
    assert_eq!((summary.best_step, summary.steps), (1, 4));
    assert!(out.path().join("last/model.safetensors").is_file());
}
