//! Who is told of a run, beside its own `train.jsonl`.

use std::path::Path;

use anyhow::Result;
use limbeck_train::trackers::follow::{Ending, Follower, Service};
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
    services: Vec<(String, Box<dyn Service>)>,
}

/// Those that are told while the run goes on.
pub struct Told(Vec<Follower>);

impl Tracking {
    /// Reads the setting, so that a mistake in it is found before anything begins.
    pub fn read(output: &OutputSection, configuration: &Value) -> Result<Self> {
        let mut tracking = Self { tensorboard: false, services: Vec::new() };
        let name = output.dir.as_deref().map_or_else(|| "run".into(), Path::to_string_lossy);
        let mut has_models = false;
        let words = output.track.iter().flat_map(|text| text.split(','));
        for word in words.map(str::trim).filter(|word| !word.is_empty()) {
            match word.split_once('=') {
                None if word == "none" => {}
                None if word == "tensorboard" => tracking.tensorboard = true,
                Some(("mlflow", address)) => {
                    let register = output.register_model.clone();
                    let service =
                        Mlflow::new(address, name.clone().into_owned(), configuration, register);
                    let service = service.map_err(|error| {
                        InputError::new(error.to_string(), "`output.track`", "")
                    })?;
                    has_models = true;
                    tracking.services.push((word.to_owned(), Box::new(service)));
                }
                Some(("cloudwatch", group)) => {
                    let service = cloudwatch(group, &name, configuration)?;
                    tracking.services.push((word.to_owned(), service));
                }
                _ => {
                    let what = format!("`output.track` names {word}");
                    let advice = "expected tensorboard, mlflow=http://HOST:PORT, cloudwatch=GROUP \
                                  or none";
                    return Err(InputError::new(what, "", advice).into());
                }
            }
        }
        if output.register_model.is_some() && !has_models {
            let what = "`output.register_model` is given";
            let advice = "it needs --track mlflow=http://HOST:PORT";
            return Err(InputError::new(what, "", advice).into());
        }
        Ok(tracking)
    }

    /// Begins to tell of the run in a folder.
    pub fn start(self, folder: &Path) -> Told {
        let start =
            |(name, service): (String, Box<dyn Service>)| Follower::start(&name, folder, service);
        Told(self.services.into_iter().map(start).collect())
    }
}

#[cfg(feature = "cloudwatch")]
fn cloudwatch(group: &str, name: &str, configuration: &Value) -> Result<Box<dyn Service>> {
    use limbeck_train::trackers::cloudwatch::CloudWatch;

    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/#".contains(c);
    if group.is_empty() || !group.chars().all(is_plain) {
        let what = format!("`output.track`: {group} is no name of a log group");
        return Err(InputError::new(what, "", "letters, digits and . _ - / # make one").into());
    }
    let service = CloudWatch::new(group, name, configuration);
    let wrong = |error| InputError::new(format!("{error}"), "`output.track`", "");
    Ok(Box::new(service.map_err(wrong)?))
}

#[cfg(not(feature = "cloudwatch"))]
fn cloudwatch(_: &str, _: &str, _: &Value) -> Result<Box<dyn Service>> {
    let what = "this program was built without CloudWatch";
    let advice = "build limbeck with `--features cloudwatch`";
    Err(InputError::new(what, "`output.track`", advice).into())
}

impl Told {
    /// Tells how the run ended; what could not be told is said in a line each.
    pub fn finish(self, ending: Ending, console: Console) {
        for line in self.0.into_iter().filter_map(|follower| follower.finish(ending)) {
            console.message(&line);
        }
    }
}
