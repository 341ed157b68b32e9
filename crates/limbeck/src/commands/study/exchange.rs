//! `limbeck study ask` and `tell`: trials that run elsewhere.

use anyhow::Result;
use limbeck_search::metric::Metrics;
use limbeck_search::samplers::{History, SamplerKind};
use limbeck_search::study::{Cause, LossPolicy, Outcome, State, Study, Worker};
use serde_json::json;

use crate::cli::search::{AskArgs, TellArgs};
use crate::commands::search::file::SearchFile;
use crate::console::Console;
use crate::exit::{Ending, InputError};

/// Runs `study ask`.
pub fn ask(args: &AskArgs, console: Console) -> Result<Ending> {
    let mut study = match &args.space {
        Some(path) => Study::open_or_create(&args.study, &SearchFile::read(path)?.description)?,
        None => Study::open(&args.study)?,
    };
    study.reap(LossPolicy { retries: usize::MAX })?;
    // What a vanished asker left is given out first.
    let waiting: Vec<usize> = study
        .trials()
        .iter()
        .filter(|trial| trial.state == State::Suggested)
        .map(|trial| trial.number)
        .collect();
    let mut taken = None;
    for number in waiting {
        if study.start(number, Worker::elsewhere(args.lease))?.is_some() {
            taken = Some(number);
            break;
        }
    }
    let number = match taken {
        Some(number) => number,
        None => suggest(&mut study, args)?,
    };
    let params = &study.trials()[number].params;
    let value = json!({ "trial": number, "params": params });
    console.result(&value, || {
        let each = params.iter().map(|(name, value)| format!("{name} {value}"));
        format!("trial {number}: {}", each.collect::<Vec<_>>().join(", "))
    })?;
    Ok(Ending::Done)
}

/// A new trial, taken at once.
fn suggest(study: &mut Study, args: &AskArgs) -> Result<usize> {
    let sampler = SamplerKind::from(args.sampler).sampler();
    loop {
        let history = History::of(study, args.seed, args.trials);
        let Some(point) = sampler.suggest(&history)? else {
            let place = args.study.display().to_string();
            return Err(InputError::new("every combination was tried", place, "").into());
        };
        let params = study.description().space.decode(&point);
        let number = Some(history.number);
        let number = study.suggest(params, sampler.name(), number)?;
        // Somebody else may have been first, or have taken it between the two lines.
        if let Some(number) = number
            && study.start(number, Worker::elsewhere(args.lease))?.is_some()
        {
            return Ok(number);
        }
    }
}

/// Runs `study tell`.
pub fn tell(args: &TellArgs, console: Console) -> Result<Ending> {
    let mut study = Study::open(&args.study)?;
    let place = format!("trial {}", args.trial);
    let Some(trial) = study.trials().get(args.trial) else {
        return Err(InputError::new("the study has no such trial", place, "").into());
    };
    let attempt = trial.attempts;
    if trial.state != State::Running {
        let what = format!("it is {}, not running", trial.state.name());
        return Err(InputError::new(what, place, "").into());
    }
    let outcome = match (&args.metrics, &args.failed) {
        (Some(text), _) => {
            let metrics: Metrics = serde_json::from_str(text).map_err(|error| {
                let advice = "give an object of numbers";
                InputError::new(error.to_string(), format!("--metrics {text}"), advice)
            })?;
            Outcome::Complete(metrics)
        }
        (None, reason) => {
            Outcome::Failed { cause: Cause::Told, reason: reason.clone().unwrap_or_default() }
        }
    };
    if !study.finish(args.trial, attempt, outcome)? {
        return Err(InputError::new("it was given to somebody else", place, "").into());
    }
    let state = study.trials()[args.trial].state;
    let value = json!({
        "trial": args.trial,
        "state": state,
        "on_front": study.front().contains(&args.trial),
        "hypervolume": study.hypervolume(),
    });
    console.result(&value, || format!("trial {}: {}", args.trial, state.name()))?;
    Ok(Ending::Done)
}
