//! A trained student at work: from a model folder and a text to an answer or a label.
//!
//! This crate joins `limbeck-model` and `limbeck-data` for everything that only runs a
//! model. It is what another program embeds:
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # let corpus = limbeck_data::demo::DemoCorpus::generate(&Default::default())?;
//! # corpus.save_tokenizer(folder.path())?;
//! # let json = serde_json::json!({"model_type": "bert", "vocab_size": corpus.vocabulary.len(),
//! #     "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
//! #     "intermediate_size": 16, "max_position_embeddings": 512});
//! # let config = limbeck_model::ModelConfig::from_json(&json)?;
//! # limbeck_model::Model::initialise(config, 1).save(folder.path())?;
//! # let dir = folder.path();
//! use limbeck_runtime::Answerer;
//!
//! let mut answerer = Answerer::open(dir)?;
//! let answered = answerer.answer("Who wrote it?", "Ada wrote it in 1843.")?;
//! for candidate in &answered.decoded.candidates {
//!     println!("{:.3} {}", candidate.probability, candidate.text);
//! }
//! # assert!(!answered.decoded.candidates.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! and for a model with a classification head:
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # let corpus = limbeck_data::demo::DemoCorpus::generate(&Default::default())?;
//! # corpus.save_tokenizer(folder.path())?;
//! # let json = serde_json::json!({"architectures": ["BertForSequenceClassification"],
//! #     "vocab_size": corpus.vocabulary.len(),
//! #     "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
//! #     "intermediate_size": 16, "max_position_embeddings": 512});
//! # let config = limbeck_model::ModelConfig::from_json(&json)?;
//! # limbeck_model::Model::initialise(config, 1).save(folder.path())?;
//! # let dir = folder.path();
//! use limbeck_runtime::Classifier;
//!
//! let mut classifier = Classifier::open(dir)?;
//! let classified = classifier.classify("Ada wrote it in 1843.", None)?;
//! for label in &classified.labels {
//!     println!("{:.3} {}", label.score, label.label);
//! }
//! # assert_eq!(classified.labels.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//! - [`folder`]: a model folder, opened: weights, tokenizer, and how it wants to be asked
//! - [`logits`]: the logits of many features or texts, in ragged batches of a bounded size
//! - [`question`]: questions made ready for a model, and their answers out of its logits
//! - [`text`]: texts to classify, and their labels out of a classifier's logits
//! - [`answerer`], [`classifier`]: all of this behind one call

pub mod answerer;
pub mod classifier;
mod error;
pub mod folder;
pub mod logits;
pub mod question;
pub mod text;

pub use answerer::Answerer;
pub use classifier::Classifier;
pub use error::RuntimeError;
pub use folder::{OpenClassifier, OpenModel};
pub use question::{Answered, Asked, Prepared};
pub use text::{Classified, Label, Text};
