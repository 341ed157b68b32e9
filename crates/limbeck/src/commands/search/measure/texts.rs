//! What texts say of a classifier.

use std::path::Path;

use anyhow::Result;
use limbeck_data::glue::{TextData, Use};
use limbeck_runtime::{Classifier, OpenClassifier};
use limbeck_train::ranks::Ranks;

use super::{Measured, TIMED, median_latency, scores};
use crate::cli::lengths::LengthArgs;
use crate::commands::models::resolve;
use crate::commands::subject::texts::{Reading, TextSubject, with_lengths};
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
    let subject = TextSubject::open(name, &Layer::default(), plan, console)?;
    let set = subject.read(data, Use::Score, 0, console)?;
    let mut progress = Progress::new(console);
    let Some(evaluation) = set.evaluate(&subject.model, &mut Ranks::alone(), &mut progress)? else {
        return Ok(None);
    };
    drop(progress);
    let mut opened = OpenClassifier::open(&resolve(name)?)?;
    opened.model = with_lengths(opened.model, plan, opened.max_length, &opened.plans)?;
    let latency = latency(opened, &set.data)?;
    let max_length = subject.reading.max_length;
    Ok(Some(Measured { scores: scores(&evaluation.metrics)?, max_length, latency }))
}

/// Milliseconds from a text to its labels, one at a time.
pub(super) fn latency_of_run(folder: &Path, data: &Path, console: Console) -> Result<f64> {
    let opened = OpenClassifier::open(folder)?;
    let reading = Reading::of(folder, opened.model.config(), &Layer::default())?;
    // The run has told what is odd about the file.
    let quiet = Console { quiet: true, ..console };
    latency(opened, &reading.read(data, Use::Predict, TIMED, quiet)?)
}

fn latency(opened: OpenClassifier, data: &TextData) -> Result<f64> {
    let mut classifier = Classifier::new(opened);
    median_latency(data.examples.len(), |index| {
        let example = &data.examples[index];
        classifier.classify(&example.text, example.pair.as_deref())?;
        Ok(())
    })
}
