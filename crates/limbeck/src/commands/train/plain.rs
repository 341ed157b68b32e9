//! Plain text to learn a language from, with the vocabulary and the model of a pretraining.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use limbeck_data::corpus::{Corpus, Masking, Texts, Windows, fingerprint, vocabulary};
use limbeck_data::{Cache, Examples, Tokenizer, files};
use limbeck_model::{Head, HeadKind, Model, ModelConfig};
use limbeck_runtime::folder::check_vocabulary;
use limbeck_train::evaluation::{DevelopmentSet, WordEvaluationSet};
use limbeck_train::folder::RunFolder;
use limbeck_train::observer::{Observer, advance};
use serde_json::{Value, json};

use super::student::{adapt, open};
use super::{Lesson, Start, last_or_only, refuse_own_folder};
use crate::commands::models::resolve;
use crate::commands::subject::check_length;
use crate::config::{ModelSection, RunConfig};
use crate::exit::InputError;
use crate::progress::Progress;

/// The fewest positions of a new model that is given by its sizes.
const POSITIONS: usize = 512;

/// What a pretraining begins with; `None` when it was asked to stop while the text was read.
/// A process that only helps has no folder, and reads the text for itself.
pub(super) fn start(
    config: &RunConfig,
    cache: Option<&Cache>,
    out: &Path,
    folder: Option<&mut RunFolder>,
    progress: &mut Progress,
) -> Result<Option<Start>> {
    let documents = config.text.documents;
    let texts = |paths: &[PathBuf]| Texts { paths: paths.to_vec(), documents };
    let train = texts(&config.data.train);
    let dev = config.data.dev.as_ref().map(|path| texts(std::slice::from_ref(path)));
    let bytes = train.bytes()?;
    if let Some(dev) = &dev {
        dev.bytes()?;
    }
    let dir = config.model.path.as_ref().map(|path| resolve(&last_or_only(path))).transpose()?;
    if let Some(dir) = &dir {
        refuse_own_folder(out, dir, "model.path")?;
    }
    let teacher = config.teacher.first().map(|name| resolve(&last_or_only(name))).transpose()?;
    // What is made of the text goes into the folder, where what an earlier run left must have
    // gone before.
    let aside;
    let own = match folder {
        Some(folder) => {
            folder.begin()?;
            out.join("checkpoint")
        }
        None => {
            // What is mapped stays when the folder goes.
            aside = tempfile::tempdir().context("cannot create a folder for tokens")?;
            aside.path().to_owned()
        }
    };
    let cache = &cache.cloned().unwrap_or_else(|| Cache::folder(own));

    let source = config.text.tokenizer.as_deref();
    let mut tokenizer = match source.or(dir.as_deref()).or(teacher.as_deref()) {
        Some(source) => given_tokenizer(source, cache)?,
        None => match trained_tokenizer(config, &train, bytes, cache, progress)? {
            Some(tokenizer) => tokenizer,
            None => return Ok(None),
        },
    };
    let seed = config.train.seed;
    let (model, place) = match &dir {
        Some(dir) => (open(&config.model, Head::MaskedWord, dir, seed, progress)?, dir.clone()),
        None => {
            if teacher.is_none() {
                tokenizer.fit_to(usize::MAX);
            }
            new_model(config, &tokenizer, teacher.as_deref())?
        }
    };
    check_vocabulary(&mut tokenizer, &model.config, &place)?;
    check_length(&config.features, &model.config, &place)?;
    let masking = Masking::new(config.text.masking, config.text.mask_probability, &tokenizer)?;
    let Some(learnt) = corpus(&train, &tokenizer, cache, progress)? else { return Ok(None) };
    let dev = match dev {
        Some(dev) => match corpus(&dev, &tokenizer, cache, progress)? {
            Some(dev) => Some(dev),
            None => return Ok(None),
        },
        None => None,
    };
    let lesson = lesson(config, learnt, dev, &masking, progress)?;
    Ok(Some(Start { model, tokenizer, lesson }))
}

/// A tokenizer from a folder, or from a file that is put where a folder has it.
fn given_tokenizer(source: &Path, cache: &Cache) -> Result<Tokenizer> {
    if !source.is_file() {
        return Ok(Tokenizer::from_folder(source)?);
    }
    let bytes =
        std::fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
    let is_json = source.extension().is_some_and(|end| end == "json");
    let folder = cache.path_of(&format!("tokenizer-{}", name(&bytes)));
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    files::replace(&folder.join(if is_json { "tokenizer.json" } else { "vocab.txt" }), &bytes)?;
    Ok(Tokenizer::from_folder(&folder)?)
}

/// Names some bytes.
fn name(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}

/// A tokenizer trained on the text, or the one that an earlier start trained on the same.
fn trained_tokenizer(
    config: &RunConfig,
    texts: &Texts,
    bytes: u64,
    cache: &Cache,
    progress: &mut Progress,
) -> Result<Option<Tokenizer>> {
    let (size, lower_case) = (config.text.vocab_size, config.text.lower_case);
    let mut key = fingerprint(texts)?.to_vec();
    key.extend_from_slice(format!("{size} {lower_case}").as_bytes());
    let folder = format!("tokenizer-{}", name(&key));
    if let Some(tokenizer) = vocabulary::open(cache, &folder) {
        return Ok(Some(tokenizer));
    }
    progress.stage("vocabulary", Some(bytes));
    let tokenizer = {
        let heard = advance(progress);
        vocabulary::train_into(cache, &folder, texts, size, lower_case, heard)?
    };
    if let Some(tokenizer) = &tokenizer {
        progress.message(&format!("vocabulary: {} entries", tokenizer.vocab_size()));
    }
    Ok(tokenizer)
}

/// A new model of the configuration's file or sizes, and where its sizes are from.
fn new_model(
    config: &RunConfig,
    tokenizer: &Tokenizer,
    teacher: Option<&Path>,
) -> Result<(Model, PathBuf)> {
    let ModelSection { config: file, num_layers, heads, hidden_size, .. } = &config.model;
    let (mut json, place) = match file {
        Some(file) if file.is_dir() => read_json(&file.join("config.json"))?,
        Some(file) => read_json(file)?,
        None => {
            let inner = match config.model.intermediate_size {
                0 => 4 * hidden_size,
                size => size,
            };
            let json = json!({
                "model_type": "bert",
                "hidden_size": hidden_size,
                "num_hidden_layers": num_layers,
                "num_attention_heads": heads,
                "intermediate_size": inner,
                "max_position_embeddings": config.features.max_length.max(POSITIONS),
            });
            (json, PathBuf::from("--layers, --hidden-size, --heads"))
        }
    };
    // A teacher's table may be longer than its vocabulary; the student's must be as long.
    let words = match teacher {
        Some(teacher) => ModelConfig::open(teacher)?.vocab_size,
        None => tokenizer.vocab_size(),
    };
    if let Some(fields) = json.as_object_mut() {
        fields.insert("vocab_size".to_owned(), json!(words));
        let pad = tokenizer.token_id("[PAD]").unwrap_or(0);
        fields.insert("pad_token_id".to_owned(), json!(pad));
    }
    let at = || place.display().to_string();
    let mut model =
        ModelConfig::from_json_with_head(&json, HeadKind::MaskedWord).with_context(at)?;
    adapt(&mut model, &config.model)?;
    model.validate().with_context(at)?;
    Ok((Model::initialise(model, config.train.seed), place))
}

fn read_json(path: &Path) -> Result<(Value, PathBuf)> {
    let place = || path.display().to_string();
    let refused = |error: &dyn std::fmt::Display| {
        InputError::new("cannot read the configuration", place(), error.to_string())
    };
    let bytes = std::fs::read(path).map_err(|error| refused(&error))?;
    let json = serde_json::from_slice(&bytes).map_err(|error| refused(&error))?;
    Ok((json, path.to_owned()))
}

fn corpus(
    texts: &Texts,
    tokenizer: &Tokenizer,
    cache: &Cache,
    progress: &mut Progress,
) -> Result<Option<Corpus>> {
    progress.stage("tokens", Some(texts.bytes()?));
    let corpus = {
        let heard = advance(progress);
        Corpus::open_or_build(cache, texts, tokenizer, heard)?
    };
    let Some(corpus) = corpus else { return Ok(None) };
    let place: Vec<String> = texts.paths.iter().map(|path| path.display().to_string()).collect();
    let place = place.join(", ");
    if corpus.report.tokens == 0 {
        return Err(InputError::new("there is no text", place, "").into());
    }
    let (documents, tokens) = (corpus.report.documents, corpus.report.tokens);
    progress.message(&format!("{place}: {documents} documents, {tokens} tokens"));
    Ok(Some(corpus))
}

fn lesson(
    config: &RunConfig,
    corpus: Corpus,
    dev: Option<Corpus>,
    masking: &Masking,
    progress: &mut Progress,
) -> Result<Lesson> {
    let (text, length) = (&config.text, config.features.max_length);
    let share = if dev.is_some() { 0.0 } else { text.validation_share };
    let seeds = (config.train.seed, text.validation_seed);
    let (train, validation) = Windows::split(corpus, masking, length, share, seeds)?;
    let validation = match dev {
        Some(dev) => Windows::all(dev, masking, length, text.validation_seed)?,
        None => validation,
    };
    let (learnt, kept) = (train.len(), validation.len());
    progress.message(&format!("{learnt} windows to learn from, {kept} to evaluate on"));
    let dev = (kept > 0).then(|| WordEvaluationSet { windows: validation });
    let dev = dev.map(|dev| Box::new(dev) as Box<dyn DevelopmentSet>);
    Ok(Lesson { features: Box::new(train), dev })
}
