//! What `demo` makes and trains. All numbers that decide its outcome are here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use limbeck_data::FeatureOptions;
use limbeck_data::demo::{DemoCorpus, DemoOptions};
use limbeck_model::{Activation, Architecture, Head, ModelConfig};
use limbeck_train::options::{DistillOptions, OptimizerOptions, ScheduleOptions, TrainOptions};

use super::weights;
use crate::cli::demo::DemoArgs;
use crate::config::{DataSection, ModelSection, OutputSection, RunConfig, Task};

/// The three models, in the order of training, by the names of their folders.
pub const MODELS: [&str; 3] = ["teacher", "student", "distilled"];

/// Tokens that the models can read at once; the paragraphs are shorter.
const MAX_LENGTH: usize = 128;

/// How often each model is evaluated while it is trained.
const EVALUATIONS: usize = 10;

/// Questions in one optimiser step.
const BATCH_SIZE: usize = 16;

/// A demo in its folder.
pub struct Plan {
    /// The folder of everything.
    pub out: PathBuf,
    /// The questions.
    pub corpus: DemoOptions,
}

/// A model's sizes, and the learning rate that suits them.
pub(super) struct Size {
    name: &'static str,
    num_hidden_layers: usize,
    hidden_size: usize,
    initializer_range: f32,
    learning_rate: f64,
}

const TEACHER: Size = Size {
    name: "teacher",
    num_hidden_layers: 3,
    hidden_size: 64,
    initializer_range: 0.06,
    learning_rate: 1e-3,
};

pub(super) const STUDENT: Size = Size {
    name: "student",
    num_hidden_layers: 2,
    hidden_size: 40,
    initializer_range: 0.08,
    learning_rate: 1.5e-3,
};

impl Plan {
    /// The demo that was asked for.
    pub fn new(args: &DemoArgs) -> Plan {
        let mut corpus = DemoOptions { seed: args.seed, ..DemoOptions::default() };
        if let Some(questions) = args.questions {
            corpus.train_questions = questions as usize;
            corpus.dev_questions = corpus.dev_questions.min(questions as usize);
        }
        Plan { out: args.out.clone(), corpus }
    }

    /// Writes the questions, and the models that training starts from.
    pub fn prepare(&self) -> Result<DemoCorpus> {
        let corpus = DemoCorpus::generate(&self.corpus)?;
        corpus.save_data(&self.out.join("data"))?;
        for size in [&TEACHER, &STUDENT] {
            let folder = self.untrained(size);
            corpus.save_tokenizer(&folder)?;
            let config = bert(size, corpus.vocabulary.len());
            weights::initialise(config, self.corpus.seed).save(&folder)?;
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
        let student = self.config(&STUDENT);
        let distilled = RunConfig {
            teacher: vec![self.out.join("teacher").display().to_string()],
            distill: soft,
            output: OutputSection {
                dir: Some(self.out.join("distilled")),
                ..OutputSection::default()
            },
            ..student.clone()
        };
        let [first, second, third] = MODELS;
        [(first, self.config(&TEACHER)), (second, student), (third, distilled)]
    }

    /// A run of one pass over the questions.
    fn config(&self, size: &Size) -> RunConfig {
        let data = |file: &str| self.out.join("data").join(file);
        let steps = self.corpus.train_questions.div_ceil(BATCH_SIZE);
        RunConfig {
            task: Task::SquadV2,
            model: ModelSection {
                path: Some(self.untrained(size).display().to_string()),
                ..ModelSection::default()
            },
            data: DataSection {
                train: vec![data("train.json")],
                dev: Some(data("dev.json")),
                ..DataSection::default()
            },
            features: FeatureOptions {
                max_length: MAX_LENGTH,
                doc_stride: 32,
                max_query_length: 32,
                ..FeatureOptions::default()
            },
            optim: OptimizerOptions {
                learning_rate: size.learning_rate,
                // Shorter memory than usual: these runs are short.
                beta_2: 0.98,
                ..OptimizerOptions::default()
            },
            schedule: ScheduleOptions { warmup: 0.05, ..ScheduleOptions::default() },
            train: TrainOptions {
                epochs: 1.0,
                batch_size: BATCH_SIZE,
                seed: self.corpus.seed,
                eval_steps: steps.div_ceil(EVALUATIONS).max(1),
                save_steps: 0,
                logging_steps: steps.div_ceil(80).max(1),
                ..TrainOptions::default()
            },
            output: OutputSection {
                dir: Some(self.out.join(size.name)),
                ..OutputSection::default()
            },
            ..RunConfig::default()
        }
    }

    fn untrained(&self, size: &Size) -> PathBuf {
        self.out.join("untrained").join(size.name)
    }
}

/// A model of one family with the two sizes.
pub(super) fn bert(size: &Size, vocab_size: usize) -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Bert,
        vocab_size,
        hidden_size: size.hidden_size,
        num_hidden_layers: size.num_hidden_layers,
        num_attention_heads: 4,
        intermediate_size: 2 * size.hidden_size,
        max_position_embeddings: MAX_LENGTH,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        hidden_act: Activation::Gelu,
        // The corpus is read once only: nothing can be learnt by heart.
        hidden_dropout: 0.0,
        attention_dropout: 0.0,
        head_dropout: 0.0,
        initializer_range: size.initializer_range,
        pad_token_id: 0,
        pruned_heads: BTreeMap::new(),
        head: Head::Span,
        extra: serde_json::Map::new(),
    }
}
