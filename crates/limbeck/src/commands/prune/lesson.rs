//! What the parts of a model are weighed on: what it has learnt.

use std::path::Path;

use anyhow::Result;
use limbeck_data::glue::{TextFeatures, Use};
use limbeck_data::{Examples, FeatureOptions, Features, Gold, Purpose, Tokenizer};
use limbeck_model::folder::Limbeck;
use limbeck_model::{HeadKind, ModelConfig};
use limbeck_runtime::folder::Habits;

use crate::cli::prune::HowArgs;
use crate::commands::questions;
use crate::commands::subject::texts::{Reading, length_of_texts};
use crate::commands::subject::{check_length, task_of};
use crate::config::{Layer, RunConfig, Task};
use crate::console::Console;
use crate::exit::{InputError, one_line};

/// What a model has learnt, as flags or its notes say.
pub enum Lesson<'a> {
    /// Questions, cut into windows.
    Questions(Option<Task>, FeatureOptions),
    /// Texts with labels.
    Texts(Texts<'a>),
}

/// A classifier whose task is not asked for before its texts are read: who measures nothing need
/// not name it.
pub struct Texts<'a> {
    dir: &'a Path,
    config: &'a ModelConfig,
    flags: &'a Layer,
    max_length: usize,
}

impl<'a> Lesson<'a> {
    /// That of the model in `dir`.
    pub fn of(flags: &'a Layer, config: &'a ModelConfig, dir: &'a Path) -> Result<Lesson<'a>> {
        let notes = Limbeck::open(dir)?.unwrap_or_default();
        if config.head.kind() == HeadKind::Classification {
            let max_length = length_of_texts(dir, &notes, config, flags)?;
            return Ok(Lesson::Texts(Texts { dir, config, flags, max_length }));
        }
        if config.head.kind() == HeadKind::MaskedWord {
            let (what, place) = ("the model has a masked-word head", dir.display().to_string());
            let advice = "fine-tune it first: what it can spare depends on its task";
            return Err(InputError::new(what, place, advice).into());
        }
        let Habits { task, features, .. } = Habits::of(&notes, config, dir)?;
        let base = RunConfig { features, ..RunConfig::default() };
        let merged: RunConfig = Layer::of(&base)?.under(flags).into_table().try_into()?;
        check_length(&merged.features, config, dir)?;
        merged.features.validate()?;
        let task = if flags.get("task").is_some() { Some(merged.task) } else { task };
        Ok(Lesson::Questions(task, merged.features))
    }

    /// Tokens of the longest sequence.
    pub fn max_length(&self) -> usize {
        match self {
            Lesson::Questions(_, options) => options.max_length,
            Lesson::Texts(texts) => texts.max_length,
        }
    }

    /// The windows or texts to measure on.
    pub fn sample(
        &self,
        how: &HowArgs,
        tokenizer: &Tokenizer,
        console: Console,
    ) -> Result<Box<dyn Examples>> {
        let Some(path) = &how.data else {
            let things = match self {
                Lesson::Questions(..) => "questions",
                Lesson::Texts(_) => "labelled texts",
            };
            let what = format!("importance is measured on {things}");
            let advice = "give --data FILE, or choose by --importance magnitude or random and \
                          --layer-choice uniform";
            return Err(InputError::new(what, "prune", advice).into());
        };
        match self {
            Lesson::Questions(task, options) => {
                Ok(Box::new(windows(path, *task, options, how, tokenizer, console)?))
            }
            Lesson::Texts(Texts { dir, config, flags, .. }) => {
                let reading = Reading::of(dir, config, flags)?;
                let mut data = reading.read(path, Use::Learn, 0, console)?;
                if how.sample > 0 {
                    data.sample(how.sample, how.seed);
                }
                Ok(Box::new(TextFeatures::build(&data, tokenizer, reading.max_length)?))
            }
        }
    }
}

/// The windows of some questions of a file.
fn windows(
    path: &Path,
    task: Option<Task>,
    options: &FeatureOptions,
    how: &HowArgs,
    tokenizer: &Tokenizer,
    console: Console,
) -> Result<Features> {
    let mut data = questions::read(path, Gold::Read, 0, console)?;
    if task.unwrap_or_else(|| task_of(&data)) == Task::Squad {
        // A model that always answers has nothing to say of them.
        data.questions.retain(|question| !question.is_impossible);
    } else {
        data.take_empty_lists_as_no_answer();
    }
    if how.sample > 0 {
        data.sample(how.sample, how.seed);
    }
    let (features, report) = Features::build(&data, tokenizer, options, Purpose::Train)?;
    for message in report.messages() {
        console.message(&one_line(&format!("{}: {message}", path.display())));
    }
    if features.is_empty() {
        let what = "there is no question with an answer to measure on";
        return Err(InputError::new(what, path.display().to_string(), "").into());
    }
    Ok(features)
}
