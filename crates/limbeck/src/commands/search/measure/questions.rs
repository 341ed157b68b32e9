//! What questions say of a model that answers them.

use std::path::Path;

use anyhow::Result;
use limbeck_data::{Features, Gold, Purpose, SquadData};
use limbeck_train::evaluation::EvaluationSet;
use limbeck_train::ranks::Ranks;

use super::{Measured, median_latency, scores};
use crate::cli::lengths::LengthArgs;
use crate::commands::answer;
use crate::commands::questions::read;
use crate::commands::subject::Subject;
use crate::config::Layer;
use crate::console::Console;
use crate::progress::Progress;

/// A trained model at a length plan; none when it was interrupted.
pub(super) fn measured(
    name: &str,
    data: &Path,
    plan: &LengthArgs,
    console: Console,
) -> Result<Option<Measured>> {
    let data = read(data, Gold::Read, 0, console)?;
    let subject = Subject::open(name, &Layer::default(), plan, console)?;
    let (features, _) =
        Features::build(&data, &subject.tokenizer, &subject.features, Purpose::Predict)?;
    let decode = subject.decode(subject.task_for(&data));
    let max_length = subject.features.max_length;
    let set = EvaluationSet { data, features, decode, tune_threshold: false };
    let mut progress = Progress::new(console);
    let Some(evaluation) = set.evaluate(&subject.model, &mut Ranks::alone(), &mut progress)? else {
        return Ok(None);
    };
    drop(progress);
    let latency = latency(name, &set.data, plan, console)?;
    Ok(Some(Measured { scores: scores(&evaluation.metrics)?, max_length, latency }))
}

/// Milliseconds from a question to its answer, one at a time.
pub(super) fn latency_of_run(folder: &Path, data: &Path, console: Console) -> Result<f64> {
    let data = read(data, Gold::Ignored, 0, console)?;
    latency(&folder.to_string_lossy(), &data, &LengthArgs::default(), console)
}

fn latency(name: &str, data: &SquadData, plan: &LengthArgs, console: Console) -> Result<f64> {
    let mut answerer = answer::open(name, &Layer::default(), plan, console)?;
    median_latency(data.questions.len(), |index| {
        let question = &data.questions[index];
        answerer.answer(&question.text, data.context(question))?;
        Ok(())
    })
}
