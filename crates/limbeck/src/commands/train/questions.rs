//! Questions to learn from.

use std::path::PathBuf;

use anyhow::Result;
use limbeck_data::features::CacheUse;
use limbeck_data::{BuildReport, Cache, Features, Gold, Purpose, SquadData, Tokenizer};
use limbeck_train::evaluation::{DevelopmentSet, EvaluationSet};
use limbeck_train::observer::Observer;

use super::Lesson;
use crate::commands::questions::{Notes, read_noting};
use crate::commands::subject::decode_options;
use crate::config::{DataSection, RunConfig, Task};
use crate::exit::{InputError, one_line};
use crate::progress::Progress;

/// The features of the questions that the configuration names.
pub(super) fn lesson(
    config: &RunConfig,
    cache: Option<&Cache>,
    tokenizer: &Tokenizer,
    notes: &mut Notes,
    progress: &mut Progress,
) -> Result<Lesson> {
    let features = training_features(config, cache, tokenizer, notes, progress)?;
    let dev = development_set(config, cache, tokenizer, notes, progress)?;
    let dev = dev.map(|dev| Box::new(dev) as Box<dyn DevelopmentSet>);
    Ok(Lesson { features: Box::new(features), dev })
}

fn training_features(
    config: &RunConfig,
    cache: Option<&Cache>,
    tokenizer: &Tokenizer,
    notes: &mut Notes,
    progress: &mut Progress,
) -> Result<Features> {
    let DataSection { train, max_train_questions, .. } = &config.data;
    let (mut data, place) = read(train, *max_train_questions, notes, progress)?;
    if config.task == Task::SquadV2 {
        data.take_empty_lists_as_no_answer();
    }
    let without_answer = data.questions.iter().filter(|q| q.is_impossible).count();
    if config.task == Task::Squad && without_answer > 0 {
        progress.message(&format!(
            "{place}: {without_answer} questions have no answer; --task squad_v2 learns to say \
             so, squad will always give one"
        ));
    }
    progress.stage("features", None);
    let (features, report) =
        Features::open_or_build(cache, &data, tokenizer, &config.features, Purpose::Train)?;
    tell(&place, &report, progress);
    notes.built(&place, &report);
    if features.is_empty() {
        let what = "there is no question to learn from";
        let why = report.left_out.first().map(|first| format!("{} {}", first.id, first.reason));
        return Err(InputError::new(what, place, why.unwrap_or_default()).into());
    }
    Ok(features)
}

fn development_set(
    config: &RunConfig,
    cache: Option<&Cache>,
    tokenizer: &Tokenizer,
    notes: &mut Notes,
    progress: &mut Progress,
) -> Result<Option<EvaluationSet>> {
    let DataSection { dev, max_dev_questions, .. } = &config.data;
    let Some(path) = dev else { return Ok(None) };
    let (data, place) = read(std::slice::from_ref(path), *max_dev_questions, notes, progress)?;
    let options = &config.features;
    let (features, report) =
        Features::open_or_build(cache, &data, tokenizer, options, Purpose::Predict)?;
    tell(&place, &report, progress);
    let decode = decode_options(&config.eval, config.task);
    let tune_threshold = config.eval.null_score_diff_threshold.is_none();
    Ok(Some(EvaluationSet { data, features, decode, tune_threshold }))
}

/// The first `limit` questions of the files, or all; and how messages call the files.
fn read(
    paths: &[PathBuf],
    limit: usize,
    notes: &mut Notes,
    progress: &mut Progress,
) -> Result<(SquadData, String)> {
    let mut data = SquadData::default();
    for path in paths {
        data.append(read_noting(path, Gold::Read, 0, notes, |text| progress.message(text))?);
    }
    let place = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    if limit > 0 {
        data.limit(limit);
    }
    if data.questions.is_empty() {
        return Err(InputError::new("there is no question", place, "").into());
    }
    Ok((data, place))
}

/// Says what became of a data file.
fn tell(place: &str, report: &BuildReport, progress: &mut Progress) {
    progress.message(&format!(
        "{place}: {} questions, {} windows, {} tokens",
        report.questions, report.features, report.rows
    ));
    for message in report.messages() {
        progress.message(&one_line(&format!("{place}: {message}")));
    }
    if report.truncated_questions > 0 {
        progress.message(&format!(
            "{place}: {} questions cut to features.max_query_length",
            report.truncated_questions
        ));
    }
    if let CacheUse::Failed(reason) = &report.cache {
        progress.message(&format!("features are not kept: {reason}"));
    }
}
