//! The threshold of "no answer" on its way from the evaluation of a run to whoever answers.

// Each test program takes its part of it.
#[allow(dead_code)]
mod support;

use std::path::Path;

use limbeck_data::decode::pool_documents;
use limbeck_data::{DecodeOptions, FeatureOptions, Purpose, SquadData, predictions};
use limbeck_model::folder::Limbeck;
use limbeck_runtime::{Answerer, Asked, OpenModel};
use limbeck_train::evaluation::EvaluationSet;
use limbeck_train::folder::RunFolder;
use limbeck_train::losses::{HardLoss, Weighted};
use limbeck_train::observer::Silent;
use limbeck_train::options::{OptimizerOptions, ScheduleOptions, TrainOptions};
use limbeck_train::ranks::Ranks;
use limbeck_train::run::{Outcome, Run};
use serde_json::json;

fn windows() -> FeatureOptions {
    let (max_length, doc_stride, max_query_length) = (32, 4, 8);
    FeatureOptions { max_length, doc_stride, max_query_length, ..FeatureOptions::default() }
}

/// Questions of which those that `is_impossible` names have no answer.
fn questions(count: usize, is_impossible: impl Fn(usize) -> bool) -> SquadData {
    let mut data = support::questions(count);
    data.version = "v2.0".into();
    for (number, question) in data.questions.iter_mut().enumerate() {
        if is_impossible(number) {
            question.is_impossible = true;
            question.answers.clear();
        }
    }
    data
}

/// Trains a little and leaves the best model in `out`; says what it was kept for.
fn train(out: &Path, dev: &SquadData, fixed: Option<f64>, seed: u64) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = support::tokenizer(folder.path());
    let data = questions(24, |number| number % 3 == 0);
    let decode = DecodeOptions {
        allow_null: true,
        null_score_diff_threshold: fixed.unwrap_or(0.0),
        ..DecodeOptions::default()
    };
    let dev = EvaluationSet {
        features: support::features(dev, &tokenizer, Purpose::Predict),
        data: dev.clone(),
        decode,
        tune_threshold: fixed.is_none(),
    };
    let train =
        TrainOptions { max_steps: 6, eval_steps: 2, batch_size: 8, seed, ..Default::default() };
    let (mut folder, _) = RunFolder::open(out, json!({}), false).unwrap();
    let eval = match fixed {
        Some(threshold) => json!({"null_score_diff_threshold": threshold}),
        None => json!({}),
    };
    let config = json!({"task": "squad_v2", "features": windows(), "eval": eval});
    let outcome = Run {
        sparsity: None,
        model: support::model(seed),
        tokenizer: &tokenizer,
        features: &support::features(&data, &tokenizer, Purpose::Train),
        objective: vec![Weighted::new(1.0, HardLoss)].into(),
        dev: Some(&dev),
        train: &train,
        optim: &OptimizerOptions { learning_rate: 3e-3, ..OptimizerOptions::default() },
        schedule: &ScheduleOptions::default(),
        folder: Some(&mut folder),
        ranks: Ranks::alone(),
        notes: Limbeck { config, ..Limbeck::default() },
        tensorboard: false,
    }
    .execute(&mut Silent)
    .unwrap();
    let Outcome::Finished { summary } = outcome else { panic!("it was not stopped") };
    let metrics = summary.metrics.unwrap();
    (metrics.get("f1").unwrap(), metrics.get("exact").unwrap())
}

/// The scores of all evaluations, in order.
fn evaluations(out: &Path) -> Vec<f64> {
    let lines = std::fs::read_to_string(out.join("train.jsonl")).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter_map(|line| line["eval_f1"].as_f64()).collect()
}

#[test]
fn what_a_model_is_kept_for_is_what_is_told_stored_and_answered() {
    let sets: [fn(usize) -> bool; 4] = [|n| n % 2 == 0, |n| n % 5 != 0, |_| true, |_| false];
    for (number, set) in sets.into_iter().enumerate() {
        for fixed in [None, Some(0.0), Some(-0.3)] {
            let out = tempfile::tempdir().unwrap();
            let dev = questions(20, set);
            let (f1, exact) = train(out.path(), &dev, fixed, number as u64);
            let best = evaluations(out.path()).into_iter().fold(f64::MIN, f64::max);
            assert_eq!(f1, best, "the model with the best score that is told was kept");

            let OpenModel { model, tokenizer, features, decode, .. } =
                OpenModel::open(out.path()).unwrap();
            assert!(decode.allow_null);
            let set = EvaluationSet {
                features: support::features(&dev, &tokenizer, Purpose::Predict),
                data: dev.clone(),
                decode: decode.clone(),
                tune_threshold: false,
            };
            let again = set.evaluate(&model, &mut Ranks::alone(), &mut Silent).unwrap().unwrap();
            let told = |key| again.metrics.get(key);
            assert_eq!((told("f1"), told("exact")), (Some(f1), Some(exact)));
            if fixed.is_none() {
                assert_eq!(told("f1"), told("best_f1"));
                assert_eq!(told("best_f1_thresh"), Some(decode.null_score_diff_threshold));
            }

            let told = predictions::read(&out.path().join(predictions::PREDICTIONS)).unwrap();
            let mut answerer = Answerer::new(model, tokenizer, features, decode.clone());
            for (question, again) in dev.questions.iter().zip(&again.decoded) {
                let context = dev.context(question);
                let asked = [Asked { question: &question.text, context }];
                let decoded = answerer.answer_all(&asked).unwrap().remove(0).decoded;
                assert_eq!(decoded.text, told.texts[&question.id]);
                assert_eq!(decoded.text, again.text);
                // As the server has it.
                let pooled = pool_documents(vec![decoded], &decode);
                let chosen = &pooled.candidates[pooled.predicted.unwrap()].1;
                assert_eq!(chosen.text, told.texts[&question.id]);
            }
        }
    }
}
