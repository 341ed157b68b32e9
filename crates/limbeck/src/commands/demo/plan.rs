//! What `demo` makes and trains. All numbers that decide its outcome are here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use limbeck_data::FeatureOptions;
use limbeck_data::demo::{DemoCorpus, DemoOptions};
use limbeck_model::{Activation, Architecture, Model, ModelConfig};
use limbeck_train::options::{DistillOptions, OptimizerOptions, ScheduleOptions, TrainOptions};

use crate::cli::demo::DemoArgs;
use crate::config::{DataSection, EvalSection, ModelSection, OutputSection, RunConfig, Task};

/// The three models, in the order of training, by the names of their folders.
pub const MODELS: [&str; 3] = ["teacher", "student", "distilled"];

/// Tokens that the models can read at once; the paragraphs are shorter.
const MAX_LENGTH: usize = 128;

/// How often each model is evaluated while it is trained.
const EVALUATIONS: usize = 10;

/// A demo in its folder.
pub struct Plan {
    /// The folder of everything.
    pub out: PathBuf,
    /// The questions.
    pub corpus: DemoOptions,
    /// Optimiser steps of every model, where they are cut short.
    steps: Option<usize>,
}

/// How long and how fast a model is trained.
struct Rhythm {
    epochs: f64,
    batch_size: usize,
    learning_rate: f64,
}

const TEACHER: Rhythm = Rhythm { epochs: 4.0, batch_size: 32, learning_rate: 2e-3 };
const STUDENT: Rhythm = Rhythm { epochs: 4.0, batch_size: 32, learning_rate: 2e-3 };

impl Plan {
    /// The demo that was asked for.
    pub fn new(args: &DemoArgs) -> Plan {
        let corpus = DemoOptions { seed: args.seed, ..DemoOptions::default() };
        Plan { out: args.out.clone(), corpus, steps: args.steps.map(|steps| steps as usize) }
    }

    /// Writes the questions, and the models with random weights that training starts
    /// from.
    pub fn prepare(&self) -> Result<DemoCorpus> {
        let corpus = DemoCorpus::generate(&self.corpus)?;
        corpus.save_data(&self.out.join("data"))?;
        let vocab_size = corpus.vocabulary.len();
        let sizes = [("teacher", 3, 96), ("student", 2, 48)];
        for (name, num_hidden_layers, hidden_size) in sizes {
            let folder = self.untrained(name);
            corpus.save_tokenizer(&folder)?;
            let config = bert(vocab_size, num_hidden_layers, hidden_size);
            Model::initialise(config, self.corpus.seed).save(&folder)?;
        }
        Ok(corpus)
    }

    /// The three runs with their names, each as `limbeck run` would take it.
    pub fn runs(&self) -> [(&'static str, RunConfig); 3] {
        let soft = DistillOptions {
            alpha_soft: 0.9,
            alpha_hard: 0.1,
            temperature: 2.0,
            ..DistillOptions::default()
        };
        let student = self.config("student", "student", &STUDENT);
        let distilled = RunConfig {
            teacher: vec![self.out.join("teacher").display().to_string()],
            distill: soft,
            output: OutputSection { dir: Some(self.out.join("distilled")) },
            ..student.clone()
        };
        let [first, second, third] = MODELS;
        [(first, self.config(first, "teacher", &TEACHER)), (second, student), (third, distilled)]
    }

    fn config(&self, name: &str, untrained: &str, rhythm: &Rhythm) -> RunConfig {
        let data = |file: &str| Some(self.out.join("data").join(file));
        let whole = rhythm.epochs * self.corpus.train_questions as f64 / rhythm.batch_size as f64;
        let steps = self.steps.unwrap_or(whole.ceil() as usize);
        RunConfig {
            task: Task::SquadV2,
            model: ModelSection {
                path: Some(self.untrained(untrained).display().to_string()),
                ..ModelSection::default()
            },
            data: DataSection {
                train: data("train.json"),
                dev: data("dev.json"),
                ..DataSection::default()
            },
            features: FeatureOptions {
                max_length: MAX_LENGTH,
                doc_stride: 32,
                max_query_length: 32,
                ..FeatureOptions::default()
            },
            optim: OptimizerOptions {
                learning_rate: rhythm.learning_rate,
                // Shorter memory than usual: these runs are short.
                beta_2: 0.98,
                ..OptimizerOptions::default()
            },
            schedule: ScheduleOptions { warmup: 0.1, ..ScheduleOptions::default() },
            train: TrainOptions {
                max_steps: steps,
                batch_size: rhythm.batch_size,
                seed: self.corpus.seed,
                eval_steps: steps.div_ceil(EVALUATIONS).max(1),
                save_steps: 0,
                logging_steps: steps.div_ceil(80).max(1),
                ..TrainOptions::default()
            },
            // A fixed threshold: nothing but the choice of the best step is fitted to
            // the questions that are scored.
            eval: EvalSection { null_score_diff_threshold: Some(0.0), ..EvalSection::default() },
            output: OutputSection { dir: Some(self.out.join(name)) },
            ..RunConfig::default()
        }
    }

    fn untrained(&self, name: &str) -> PathBuf {
        self.out.join("untrained").join(name)
    }
}

fn bert(vocab_size: usize, num_hidden_layers: usize, hidden_size: usize) -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Bert,
        vocab_size,
        hidden_size,
        num_hidden_layers,
        num_attention_heads: 4,
        intermediate_size: 2 * hidden_size,
        max_position_embeddings: MAX_LENGTH,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        hidden_act: Activation::Gelu,
        // The corpus is read a few times only: there is nothing to learn by heart.
        hidden_dropout: 0.0,
        attention_dropout: 0.0,
        head_dropout: 0.0,
        // Larger than BERT's 0.02, which is made for wider layers.
        initializer_range: 0.05,
        pad_token_id: 0,
        pruned_heads: BTreeMap::new(),
        extra: serde_json::Map::new(),
    }
}
