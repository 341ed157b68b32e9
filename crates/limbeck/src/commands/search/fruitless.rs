//! A search in which no trial came to its end with metrics.

use anyhow::Result;
use limbeck_search::execute::Finish;
use limbeck_search::study::{Alike, Study, Trial};

use super::folder_of;
use crate::console::Console;
use crate::exit::{complain, one_line};

/// Has the trials that failed alike before run again, where no trial has come to its end: what they
/// lacked may be there now.
pub fn run_again(study: &mut Study, console: Console) -> Result<()> {
    let Some(Alike { trials, reason }) = study.alike_failures() else { return Ok(()) };
    let again = study.reopen(&trials)?;
    if !again.is_empty() {
        console.message(&format!(
            "{} trials that failed alike are run again: {}",
            again.len(),
            one_line(&reason)
        ));
    }
    Ok(())
}

/// Says why nothing came of a search, where nothing did.
pub fn tell(study: &Study, finish: &Finish) -> bool {
    let ran = study.trials().iter().any(Trial::was_run);
    if !ran || study.trials().iter().any(Trial::went) {
        return false;
    }
    complain(&line(study, finish));
    true
}

/// `no trial was complete; ...` in one line.
fn line(study: &Study, finish: &Finish) -> String {
    let place = study.path().display();
    let log = |number: usize| {
        let log = folder_of(study.path()).join(number.to_string()).join("output.log");
        match log.exists() {
            true => format!("; its log is {}", log.display()),
            false => String::new(),
        }
    };
    if let Finish::Alike(Alike { trials, reason }) = finish {
        let last = trials.last().copied().unwrap_or_default();
        return format!(
            "no trial was complete, the first {} failed alike: {place}: {}{}; mend that and give the \
             same command again, which runs them again, or add --stop-after-failures 0",
            trials.len(),
            one_line(reason),
            log(last),
        );
    }
    let failed = study.trials().iter().rfind(|trial| trial.reason.is_some());
    let why = failed.map(|trial| {
        let reason = one_line(trial.reason.as_deref().unwrap_or_default());
        format!(": the last reason, of trial {}: {reason}{}", trial.number, log(trial.number))
    });
    format!("no trial was complete: {place}{}", why.unwrap_or_default())
}
