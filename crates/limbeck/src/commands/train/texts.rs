//! Texts with labels to learn from.

use std::path::{Path, PathBuf};

use anyhow::Result;
use limbeck_data::Tokenizer;
use limbeck_data::glue::{ModelLabels, TextData, TextFeatures, TextTask, Use};
use limbeck_model::{Classes, Head, HeadKind, ModelConfig, ProblemType};
use limbeck_train::evaluation::{DevelopmentSet, TextEvaluationSet};
use limbeck_train::observer::Observer;

use super::Lesson;
use crate::commands::questions::Notes;
use crate::config::{DataSection, RunConfig};
use crate::exit::InputError;
use crate::progress::Progress;

/// How the one label of a regression is called in `config.json`.
const VALUE: &str = "score";

/// The texts of a run.
pub(super) struct Texts {
    train: TextData,
    dev: Option<TextData>,
    mismatched: Option<TextData>,
}

impl Texts {
    /// Reads the files that the configuration names, for a model that starts from `dir`.
    pub fn read(config: &RunConfig, task: TextTask, dir: &Path) -> Result<Texts> {
        let DataSection { train, dev, dev_mismatched, .. } = &config.data;
        let (limit, dev_limit) = (config.data.max_train_questions, config.data.max_dev_questions);
        let former = ModelConfig::open_with_head(dir, HeadKind::Classification)?.head;
        let former = match &former {
            Head::Classification(classes) => ModelLabels::Former(&classes.labels),
            Head::Span | Head::MaskedWord => ModelLabels::None,
        };
        let train = read(train, task, Use::Learn, former, limit)?;
        let learnt = ModelLabels::Learnt(&train.labels);
        let read_one =
            |path: &PathBuf| read(std::slice::from_ref(path), task, Use::Score, learnt, dev_limit);
        let dev = dev.as_ref().map(read_one).transpose()?;
        let mismatched = dev_mismatched.as_ref().map(read_one).transpose()?;
        Ok(Texts { train, dev, mismatched })
    }

    /// The head that learns them.
    pub fn head(&self) -> Head {
        let (labels, problem) = match self.train.task.is_regression() {
            true => (vec![VALUE.to_owned()], ProblemType::Regression),
            false => (self.train.labels.clone(), ProblemType::SingleLabelClassification),
        };
        Head::Classification(Classes { labels, problem_type: Some(problem) })
    }

    /// The features of the texts.
    pub fn lesson(
        self,
        config: &RunConfig,
        tokenizer: &Tokenizer,
        notes: &mut Notes,
        progress: &mut Progress,
    ) -> Result<Lesson> {
        let max_length = config.features.max_length;
        let mut build = |data: &TextData, name: &str| -> Result<TextFeatures> {
            progress.stage("features", None);
            let features = TextFeatures::build(data, tokenizer, max_length)?;
            let (count, rows) = (data.examples.len(), features.rows());
            progress.message(&format!("{name}: {count} texts, {rows} tokens"));
            if features.truncated() > 0 {
                let cut = features.truncated();
                progress.message(&format!("{name}: {cut} texts cut to features.max_length"));
            }
            notes.texts(data);
            data.told().iter().for_each(|line| progress.message(&format!("{name}: {line}")));
            Ok(features)
        };
        let features = build(&self.train, "data.train")?;
        let mut set = |data: Option<TextData>, name: &str| -> Result<Option<TextEvaluationSet>> {
            let Some(data) = data else { return Ok(None) };
            let features = build(&data, name)?;
            Ok(Some(TextEvaluationSet { data, features, mismatched: None }))
        };
        let mut dev = set(self.dev, "data.dev")?;
        let mismatched = set(self.mismatched, "data.dev_mismatched")?;
        if let Some(dev) = &mut dev {
            dev.mismatched = mismatched.map(Box::new);
        }
        let dev = dev.map(|dev| Box::new(dev) as Box<dyn DevelopmentSet>);
        Ok(Lesson { features: Box::new(features), dev })
    }
}

/// The first `limit` texts of the files, or all.
fn read(
    paths: &[PathBuf],
    task: TextTask,
    purpose: Use,
    labels: ModelLabels<'_>,
    limit: usize,
) -> Result<TextData> {
    let mut data = TextData::read(paths, task, purpose, labels)?;
    if limit > 0 {
        data.limit(limit);
    }
    if data.examples.is_empty() {
        let place: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(InputError::new("there is no text", place.join(", "), "").into());
    }
    Ok(data)
}
