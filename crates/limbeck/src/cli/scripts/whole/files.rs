//! The models and the files of data that a line names.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use limbeck_remote::store;

use super::{NOT_TRAINED, Reading};
use crate::cli::scripts::table::{DATASET, TOKENIZER};
use crate::cli::scripts::words::asks_for_nothing;
use crate::exit::InputError;

impl Reading<'_> {
    /// The model and the teacher.
    pub(super) fn model(&mut self) -> Result<(), InputError> {
        let flag = if self.knows("student") { "student" } else { "model" };
        let named = self.line.value("model-name-or-path");
        if let Some(model) = named {
            self.set(flag, checkpoint(model));
        }
        if let Some(given) = self.line.given("init-checkpoint") {
            if !self.is_set(flag) {
                let what =
                    format!("{} names a checkpoint of TensorFlow, which is not read", given.typed);
                let cure = format!(
                    "give --{flag} distilbert-base-uncased, or a folder that Transformers saved"
                );
                return Err(InputError::new(what, "", cure));
            }
            self.not_needed(given, "the model is the one that is named otherwise");
        }
        for name in ["teacher-name-or-path", "teacher-model-name-or-path"] {
            let Some(given) = self.line.given(name) else { continue };
            match &given.value {
                _ if asks_for_nothing(&given.text()) => {}
                Some(teacher) if self.knows("teacher") => self.set("teacher", checkpoint(teacher)),
                _ => self.not_needed(given, NOT_TRAINED),
            }
        }
        for (name, flag) in [("tokenizer-name", "tokenizer"), ("config-name", "config")] {
            let Some(given) = self.line.given(name) else { continue };
            if self.knows(flag) {
                if let Some(value) = self.line.value(name) {
                    self.set(flag, value.clone());
                }
            } else if asks_for_nothing(&given.text()) || given.value.as_ref() == named {
                self.not_needed(given, TOKENIZER);
            } else {
                let what = format!("'{} {}' is not the model", given.typed, given.text());
                let cure =
                    "a model's folder holds its config.json and its tokenizer: put them there";
                return Err(InputError::new(what, "", cure));
            }
        }
        Ok(())
    }

    /// What is read.
    pub(super) fn files(&mut self, task: &str) -> Result<(), InputError> {
        let folder = self.line.value("data-dir").map(PathBuf::from);
        let placed = |name: &OsString| match &folder {
            Some(folder) if !name.to_str().is_some_and(store::is_url) => {
                folder.join(name).into_os_string()
            }
            _ => name.clone(),
        };
        let theirs =
            |names: &[&str]| names.iter().find_map(|name| self.line.value(name)).map(placed);
        let of_folder =
            |name: &str| folder.as_ref().map(|folder| folder.join(name).into_os_string());
        let names = Names::of(task);
        let asks = self.asks();
        let evaluates = self.evaluates()?;
        let test = theirs(&["test-file"]);
        let dev = theirs(&["validation-file", "predict-file"]);
        let train = theirs(&["train-file"]);
        if self.trains() {
            let flag = if self.knows("text") { "text" } else { "train" };
            if let Some(train) =
                train.or_else(|| of_folder(names.train).filter(|_| !self.is_set(flag)))
            {
                self.set(flag, train);
            }
            if let Some(given) = self.line.given("dataset-name") {
                if !self.is_set(flag) {
                    let what =
                        format!("'{} {}': no data set is fetched", given.typed, given.text());
                    return Err(InputError::new(what, "", DATASET));
                }
                self.not_needed(given, DATASET);
            }
            if evaluates {
                let second = names.second.filter(|_| dev.is_none() && !self.is_set("dev"));
                if let Some(dev) =
                    dev.or_else(|| of_folder(names.dev).filter(|_| !self.is_set("dev")))
                {
                    self.set("dev", dev);
                }
                if let Some(second) =
                    second.and_then(of_folder).filter(|_| self.knows("dev-mismatched"))
                {
                    self.set_else("dev-mismatched", second);
                }
            } else if let Some(given) =
                self.line.given("validation-file").or(self.line.given("predict-file"))
            {
                self.not_needed(given, "the line asks for no evaluation: --do_eval does, or --dev");
            }
            if asks && self.line.on("do-predict")? || test.is_some() {
                self.notes.push(
                    "`limbeck predict --model DIR --data FILE` predicts with what was trained"
                        .into(),
                );
            }
            if self.line.on("do-search")? || self.line.on("do-sigopt-search")? {
                self.notes.push("`limbeck lengths --model DIR --data FILE` searches lengths for what was trained".into());
            }
        } else {
            let data = match self.command {
                "predict" => test.or(dev).or_else(|| of_folder(names.test)),
                _ => dev.or(test).or_else(|| of_folder(names.dev)),
            };
            if let Some(second) = names.second.and_then(of_folder).filter(|_| {
                self.command == "evaluate" && self.line.given("validation-file").is_none()
            }) {
                self.set_else("mismatched", second);
            }
            if let Some(data) = data.filter(|_| !self.is_set("data")) {
                self.set("data", data);
            }
            if let Some(given) = self.line.given("train-file") {
                self.not_needed(given, NOT_TRAINED);
            }
            if let Some(given) = self.line.given("dataset-name") {
                if !self.is_set("data") {
                    let what =
                        format!("'{} {}': no data set is fetched", given.typed, given.text());
                    return Err(InputError::new(what, "", DATASET));
                }
                self.not_needed(given, DATASET);
            }
        }
        let counts: &[&str] = match self.command {
            "predict" => &["max-predict-samples", "max-test-samples"],
            _ => &["max-eval-samples", "max-val-samples"],
        };
        let count = counts.iter().find_map(|name| self.line.text(name));
        let flag = if self.trains() { "max-dev-questions" } else { "limit" };
        if let Some(count) = count.filter(|count| !asks_for_nothing(count) && self.knows(flag)) {
            self.set_else(flag, count);
        }
        Ok(())
    }
}

/// The files that the scripts look for in a folder of data.
struct Names {
    train: &'static str,
    dev: &'static str,
    second: Option<&'static str>,
    test: &'static str,
}

impl Names {
    fn of(task: &str) -> Names {
        let (train, dev, second, test) = match task {
            "squad" => ("train-v1.1.json", "dev-v1.1.json", None, "dev-v1.1.json"),
            "squad_v2" => ("train-v2.0.json", "dev-v2.0.json", None, "dev-v2.0.json"),
            "mnli" => {
                ("train.tsv", "dev_matched.tsv", Some("dev_mismatched.tsv"), "test_matched.tsv")
            }
            _ => ("train.tsv", "dev.tsv", None, "test.tsv"),
        };
        Names { train, dev, second, test }
    }
}

/// Where a model lies: LAT's `checkpoint-best` is the folder of results itself here, and
/// `checkpoint-last` the folder `last` in it.
fn checkpoint(model: &OsString) -> OsString {
    let path = Path::new(model);
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(parent) = path.parent().filter(|parent| parent.join("config.json").is_file()) else {
        return model.clone();
    };
    match name {
        _ if path.exists() => model.clone(),
        Some("checkpoint-best") => parent.as_os_str().to_owned(),
        Some("checkpoint-last") if parent.join("last").is_dir() => parent.join("last").into(),
        Some("checkpoint-last") => parent.as_os_str().to_owned(),
        _ => model.clone(),
    }
}
