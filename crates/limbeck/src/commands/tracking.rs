//! Who is told of a run, beside its own `train.jsonl`.

use std::path::Path;

use anyhow::Result;
use limbeck_train::trackers::follow::{Ending, Follower};
use limbeck_train::trackers::mlflow::Mlflow;
use serde_json::Value;

use crate::config::OutputSection;
use crate::console::Console;
use crate::exit::InputError;

/// What `output.track` names.
#[derive(Default)]
pub struct Tracking {
    /// Whether TensorBoard's event files are written.
    pub tensorboard: bool,
    services: Vec<(String, Mlflow)>,
}

/// Those that are told while the run goes on.
pub struct Told(Vec<Follower>);

impl Tracking {
    /// Reads the setting, so that a mistake in it is found before anything begins.
    pub fn read(output: &OutputSection, configuration: &Value) -> Result<Self> {
        let mut tracking = Self { tensorboard: false, services: Vec::new() };
        let words = output.track.iter().flat_map(|text| text.split(','));
        for word in words.map(str::trim).filter(|word| !word.is_empty()) {
            match word.split_once('=') {
                None if word == "none" => {}
                None if word == "tensorboard" => tracking.tensorboard = true,
                Some(("mlflow", address)) => {
                    let name =
                        output.dir.as_deref().map_or_else(|| "run".into(), Path::to_string_lossy);
                    let register = output.register_model.clone();
                    let service = Mlflow::new(address, name.into_owned(), configuration, register);
                    let service = service.map_err(|error| {
                        InputError::new(error.to_string(), "`output.track`", "")
                    })?;
                    tracking.services.push((word.to_owned(), service));
                }
                _ => {
                    let what = format!("`output.track` names {word}");
                    let advice = "expected tensorboard, mlflow=http://HOST:PORT or none";
                    return Err(InputError::new(what, "", advice).into());
                }
            }
        }
        if output.register_model.is_some() && tracking.services.is_empty() {
            let what = "`output.register_model` is given";
            let advice = "it needs --track mlflow=http://HOST:PORT";
            return Err(InputError::new(what, "", advice).into());
        }
        Ok(tracking)
    }

    /// Begins to tell of the run in a folder.
    pub fn start(self, folder: &Path) -> Told {
        let start =
            |(name, service): (String, Mlflow)| Follower::start(&name, folder, Box::new(service));
        Told(self.services.into_iter().map(start).collect())
    }
}

impl Told {
    /// Tells how the run ended; what could not be told is said in a line each.
    pub fn finish(self, ending: Ending, console: Console) {
        for line in self.0.into_iter().filter_map(|follower| follower.finish(ending)) {
            console.message(&line);
        }
    }
}
