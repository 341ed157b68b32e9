//! A tiny world to train in: a vocabulary, questions, a model.

use std::ops::ControlFlow;
use std::path::Path;

use limbeck_data::corpus::{Corpus, Masking, MaskingKind, Texts, Windows};
use limbeck_data::glue::{Example, TextData, TextFeatures, TextTask};
use limbeck_data::squad::{Answer, Paragraph, Question};
use limbeck_data::{Cache, FeatureOptions, Features, Purpose, SquadData, Tokenizer};
use limbeck_model::{Activation, Architecture, Classes, Head, Model, ModelConfig, ProblemType};

const NAMES: [&str; 6] = ["ana", "ben", "cleo", "dov", "eli", "fay"];
const TOWNS: [&str; 6] = ["rome", "oslo", "bonn", "lima", "kyiv", "bern"];

/// Writes a vocabulary into `folder` and opens its tokenizer.
pub fn tokenizer(folder: &Path) -> Tokenizer {
    let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "where", "does", "live", "lives"];
    let words = words.iter().chain(&["in", ".", "?"]).chain(&NAMES).chain(&TOWNS);
    let text: String = words.map(|word| format!("{word}\n")).collect();
    std::fs::write(folder.join("vocab.txt"), text).unwrap();
    Tokenizer::from_folder(folder).unwrap()
}

/// `count` questions: two people live in two towns, where does one of them live?
pub fn questions(count: usize) -> SquadData {
    let mut data = SquadData { version: "1.1".into(), paragraphs: vec![], questions: vec![] };
    for i in 0..count {
        let (a, b) = (i % 6, (i / 6 + i + 1) % 6);
        let (t, u) = ((i * 5 + 1) % 6, (i * 7 + i / 5) % 6);
        let context =
            format!("{} lives in {}. {} lives in {}.", NAMES[a], TOWNS[t], NAMES[b], TOWNS[u]);
        let start = NAMES[a].len() + " lives in ".len();
        data.paragraphs.push(Paragraph { title: "towns".into(), context });
        data.questions.push(Question {
            id: i.to_string(),
            text: format!("where does {} live?", NAMES[a]),
            paragraph: i,
            answers: vec![Answer { text: TOWNS[t].into(), start: Some(start) }],
            ..Question::default()
        });
    }
    data
}

/// Features of `data` to train on.
pub fn features(data: &SquadData, tokenizer: &Tokenizer, purpose: Purpose) -> Features {
    let options = FeatureOptions {
        max_length: 32,
        doc_stride: 4,
        max_query_length: 8,
        ..FeatureOptions::default()
    };
    Features::build(data, tokenizer, &options, purpose).unwrap().0
}

/// `count` pairs of texts. Of a task with labels: whether the first one's person is among the
/// first three; of a regression: the number of the first one's town.
pub fn texts(task: TextTask, count: usize) -> TextData {
    let example = |i: usize| {
        let (a, b) = (i % 6, (i / 6 + i + 1) % 6);
        let (town, other) = ((i * 5 + i / 6) % 6, (i * 7 + 1) % 6);
        let label = if task.is_regression() { town } else { usize::from(a < 3) };
        Example {
            text: format!("{} lives in {}.", NAMES[a], TOWNS[town]),
            pair: Some(format!("{} lives in {}.", NAMES[b], TOWNS[other])),
            label: Some(label as f32),
        }
    };
    TextData {
        task,
        labels: classes(task).labels,
        examples: (0..count).map(example).collect(),
        left_out: Vec::new(),
        notices: Vec::new(),
    }
}

/// Features of `data`, all of it.
pub fn text_features(data: &TextData, tokenizer: &Tokenizer) -> TextFeatures {
    TextFeatures::build(data, tokenizer, 32).unwrap()
}

/// Windows of the questions' contexts, to learn from and to evaluate on.
pub fn windows(folder: &Path, tokenizer: &Tokenizer) -> (Windows, Windows) {
    let path = folder.join("text.txt");
    let data = questions(200);
    let lines = data.paragraphs.iter().map(|paragraph| format!("{}\n", paragraph.context));
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    let texts = Texts { paths: vec![path], documents: Default::default() };
    let go_on = |_| ControlFlow::Continue(());
    let corpus =
        Corpus::open_or_build(&Cache::folder(folder), &texts, tokenizer, go_on).unwrap().unwrap();
    let masking = Masking::new(MaskingKind::WholeWord, 0.15, tokenizer).unwrap();
    Windows::split(corpus, &masking, 24, 0.2, (1, 2)).unwrap()
}

/// A new model of two small layers that guesses masked words.
pub fn guesser(seed: u64) -> Model {
    Model::initialise(ModelConfig { head: Head::MaskedWord, ..config() }, seed)
}

/// A new classifier of two small layers for a task.
pub fn classifier(task: TextTask, seed: u64) -> Model {
    Model::initialise(ModelConfig { head: Head::Classification(classes(task)), ..config() }, seed)
}

fn classes(task: TextTask) -> Classes {
    let (labels, problem) = match task.is_regression() {
        true => (&["score"][..], ProblemType::Regression),
        false => (&["later", "early"][..], ProblemType::SingleLabelClassification),
    };
    let labels = labels.iter().map(|&label| label.to_owned()).collect();
    Classes { labels, problem_type: Some(problem) }
}

/// A new model of two small layers.
pub fn model(seed: u64) -> Model {
    Model::initialise(config(), seed)
}

/// One with more layers and heads, and wider.
pub fn teacher(seed: u64) -> Model {
    let config =
        ModelConfig { num_hidden_layers: 3, hidden_size: 48, num_attention_heads: 3, ..config() };
    Model::initialise(config, seed)
}

fn config() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Bert,
        vocab_size: 24,
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 64,
        max_position_embeddings: 32,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        hidden_act: Activation::Gelu,
        hidden_dropout: 0.1,
        attention_dropout: 0.1,
        head_dropout: 0.0,
        initializer_range: 0.05,
        pad_token_id: 0,
        pruned_heads: Default::default(),
        head: Head::Span,
        extra: Default::default(),
    }
}
