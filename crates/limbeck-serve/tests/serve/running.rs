//! A server for one test.

use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;

use limbeck_data::{DecodeOptions, FeatureOptions, Tokenizer};
use limbeck_model::folder::NamedPlans;
use limbeck_model::inference::InferenceModel;
use limbeck_model::{Head, LoadReport, Model, ModelConfig};
use limbeck_runtime::{Answerer, Classifier, OpenClassifier};
use limbeck_serve::{ServeOptions, Server, Skill, Student, Students};
use tokio::sync::oneshot;

const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nwho\nwhere\ncat\nsat\nmat\non\nthe\n\
                          .\n?\nada\nlives\nin\noslo\n";

/// The length plans of the models that answer.
pub const PLANS: &str = r#"{"half": {"lengths": [0.5, 0.25], "f1": 80.5, "share_of_macs": 0.5}}"#;

pub struct Running {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

fn tokenizer() -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(Path::new(folder.path()).join("vocab.txt"), VOCABULARY).unwrap();
    Tokenizer::from_folder(folder.path()).unwrap()
}

/// Drawn at random: what it answers means nothing, but is always the same.
fn model(seed: u64, architecture: &str) -> InferenceModel<'static> {
    let json = serde_json::json!({
        "architectures": [architecture], "id2label": {"0": "bad", "1": "fair", "2": "good"},
        "model_type": "bert", "vocab_size": 18, "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 64,
        "initializer_range": 0.5,
    });
    InferenceModel::new(Model::initialise(ModelConfig::from_json(&json).unwrap(), seed))
}

fn features() -> FeatureOptions {
    FeatureOptions { max_length: 48, doc_stride: 8, max_query_length: 16, ..Default::default() }
}

/// The model of that number, answering without a server.
pub fn alone(seed: u64) -> Answerer {
    Answerer::new(
        model(seed, "BertForQuestionAnswering"),
        tokenizer(),
        features(),
        DecodeOptions::default(),
    )
}

fn student(name: &str, seed: u64) -> Student {
    Student {
        name: name.to_owned(),
        model: model(seed, "BertForQuestionAnswering"),
        tokenizer: tokenizer(),
        skill: Skill::Answer { features: features(), decode: DecodeOptions::default() },
        quantized: false,
        plans: serde_json::from_str(PLANS).unwrap(),
    }
}

/// A classifier that answers without a server.
pub fn classifier() -> Classifier {
    let model = model(3, "BertForSequenceClassification");
    let Head::Classification(classes) = model.config().head.clone() else { unreachable!() };
    let (tokenizer, load) = (tokenizer(), LoadReport::default());
    let plans = NamedPlans::default();
    Classifier::new(OpenClassifier { model, tokenizer, load, classes, max_length: 24, plans })
}

/// The same for a server.
fn classifying(name: &str) -> Student {
    let model = model(3, "BertForSequenceClassification");
    let Head::Classification(classes) = model.config().head.clone() else { unreachable!() };
    Student {
        name: name.to_owned(),
        model,
        tokenizer: tokenizer(),
        skill: Skill::Classify { classes, max_length: 24 },
        quantized: false,
        plans: NamedPlans::default(),
    }
}

impl Running {
    /// A server of the models `one` (the default), `two` and `three`, a classifier, on a free
    /// port.
    pub fn start(options: ServeOptions) -> Running {
        let (stop, stopped) = oneshot::channel();
        let (told, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let options = ServeOptions { port: 0, ..options };
                let students = vec![student("one", 1), student("two", 2), classifying("three")];
                let students = Students::new(students).unwrap();
                let server = Server::bind(options, students).await.unwrap();
                told.send(server.address()).unwrap();
                server.run(async { drop(stopped.await) }).await;
            });
        });
        let address = address.recv().unwrap();
        Running { address, stop: Some(stop), thread: Some(thread) }
    }

    /// Asks it to stop; it goes on with what is under way.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has ended.
    pub fn join(mut self) {
        self.stop();
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}
