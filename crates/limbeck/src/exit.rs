//! Exit codes and the one line on standard error that goes with them.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use limbeck_data::DataError;
use limbeck_model::ModelError;
use limbeck_remote::hub::HubError;
use limbeck_remote::store::StoreError;
use limbeck_runtime::RuntimeError;
use limbeck_search::SearchError;
use limbeck_train::TrainError;
use limbeck_train::ranks::RanksError;

/// Something failed that the user did not cause.
pub const FAILURE: u8 = 1;
/// The user's input is wrong: flags, recipes, data, models.
pub const INPUT: u8 = 2;
/// Interrupted by Ctrl-C or a signal; what was under way is saved.
pub const INTERRUPTED: u8 = 130;

/// How a command that did not fail has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All is done.
    Done,
    /// The command went through, but a part of the input was refused; each part was
    /// reported where it stood.
    PartlyRefused,
    /// Stopped early on request, after saving.
    Interrupted,
    /// The command went through, but nothing came of it; why was told.
    Fruitless,
}

/// A mistake in what the user gave: what is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputError {
    /// What is wrong.
    pub what: String,
    /// A file with its line, a key, a flag or a command.
    pub place: String,
    /// What to do about it; empty when `what` says it all.
    pub advice: String,
}

impl InputError {
    /// An error of the form `what: place: advice`.
    pub fn new(
        what: impl Into<String>,
        place: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { what: what.into(), place: place.into(), advice: advice.into() }
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.what, &self.place, &self.advice];
        for (i, part) in parts.into_iter().filter(|part| !part.is_empty()).enumerate() {
            write!(f, "{}{part}", if i == 0 { "" } else { ": " })?;
        }
        Ok(())
    }
}

impl std::error::Error for InputError {}

/// Several mistakes in what the user gave, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputErrors(pub Vec<String>);

impl fmt::Display for InputErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for InputErrors {}

/// Says on one line of standard error what went wrong and returns the exit code.
pub fn finish(result: anyhow::Result<Ending>) -> ExitCode {
    let error = match result {
        Ok(Ending::Done) => return ExitCode::SUCCESS,
        Ok(Ending::PartlyRefused) => return ExitCode::from(INPUT),
        Ok(Ending::Fruitless) => return ExitCode::from(FAILURE),
        Ok(Ending::Interrupted) => return ExitCode::from(INTERRUPTED),
        Err(error) => error,
    };
    if is_broken_pipe(&error) {
        return ExitCode::SUCCESS;
    }
    match error.downcast_ref::<InputErrors>() {
        Some(InputErrors(lines)) => lines.iter().for_each(|line| complain(&one_line(line))),
        None => complain(&line_of(&error)),
    }
    ExitCode::from(code_of(&error))
}

/// Writes `limbeck: {line}` to standard error, at once, so that lines of several processes do not
/// mix; nobody reading it is no error.
pub fn complain(line: &str) {
    let _ = io::stderr().write_all(format!("limbeck: {line}\n").as_bytes());
}

/// The whole chain of an error on one line, without saying anything twice.
pub fn line_of(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = one_line(&cause.to_string());
        if !line.ends_with(&text) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&text);
        }
    }
    line
}

/// Text with every line break and control character replaced by a space.
pub fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the reader of our output has gone away, which is how `| head` ends.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    })
}

fn code_of(error: &anyhow::Error) -> u8 {
    if error.chain().any(is_an_interrupt) {
        INTERRUPTED
    } else if error.chain().any(is_the_users) {
        INPUT
    } else {
        FAILURE
    }
}

/// A wait for other processes that the user has ended.
fn is_an_interrupt(cause: &(dyn std::error::Error + 'static)) -> bool {
    let of_training = match cause.downcast_ref::<TrainError>() {
        Some(TrainError::Ranks(error)) => error.is_interrupt(),
        _ => false,
    };
    of_training || cause.downcast_ref().is_some_and(RanksError::is_interrupt)
}

/// Files that cannot be read or understood are the user's input; files that cannot be
/// written are not.
fn is_the_users(cause: &(dyn std::error::Error + 'static)) -> bool {
    let data =
        |error: &DataError| !matches!(error, DataError::Io { action, .. } if *action != "read");
    let model =
        |error: &ModelError| !matches!(error, ModelError::Io { action, .. } if *action != "read");
    let runtime = |error: &RuntimeError| match error {
        RuntimeError::Data(error) => data(error),
        RuntimeError::Model(error) => model(error),
        RuntimeError::Folder { .. } => true,
    };
    if let Some(error) = cause.downcast_ref::<TrainError>() {
        return match error {
            TrainError::Data(error) => data(error),
            TrainError::Model(error) => model(error),
            TrainError::Runtime(error) => runtime(error),
            TrainError::Io { action, .. } => *action == "read",
            TrainError::Ranks(_) | TrainError::Tracker(_) | TrainError::Diverged { .. } => false,
            TrainError::File { .. } | TrainError::Option { .. } | TrainError::Folder { .. } => true,
        };
    }
    let search = |error: &SearchError| match error {
        SearchError::Io { action, .. } => matches!(*action, "open" | "read"),
        SearchError::Space { .. } | SearchError::Study { .. } | SearchError::Trial { .. } => true,
    };
    let hub = |error: &HubError| matches!(error, HubError::NotFound { .. });
    let store = |error: &StoreError| matches!(error, StoreError::Address { .. });
    // A file stands where a folder was to be.
    let in_the_way = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory)
    };
    cause.downcast_ref().is_some_and(in_the_way)
        || cause.downcast_ref().is_some_and(data)
        || cause.downcast_ref().is_some_and(model)
        || cause.downcast_ref().is_some_and(runtime)
        || cause.downcast_ref().is_some_and(search)
        || cause.downcast_ref().is_some_and(hub)
        || cause.downcast_ref().is_some_and(store)
        || cause.is::<InputError>()
        || cause.is::<InputErrors>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn the_users_mistake_exits_with_2_even_under_context() {
        let error = anyhow::Error::from(InputError::new("a", "b", "c")).context("reading");
        assert_eq!(code_of(&error), INPUT);
        assert_eq!(line_of(&error), "reading: a: b: c");
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_the_users_mistake() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path().to_owned(), file.path().join("below")] {
            let error = std::fs::create_dir_all(&path).context("cannot create it").unwrap_err();
            assert_eq!(code_of(&error), INPUT, "{error:?}");
        }
    }

    #[test]
    fn anything_else_exits_with_1() {
        assert_eq!(code_of(&anyhow!("the disk is full")), FAILURE);
    }

    #[test]
    fn an_error_stays_on_one_line_and_repeats_nothing() {
        let error = Err::<(), _>(anyhow!("b\nc")).context("a: b c").unwrap_err();
        assert_eq!(line_of(&error), "a: b c");
    }

    #[test]
    fn a_broken_pipe_is_success() {
        let gone = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&anyhow::Error::from(gone).context("writing the answer")));
    }
}
