//! What the flags of a script's line say together: what is done, with which files, how often.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Command};
use limbeck_remote::store;

use super::defaults::Family;
use super::line::{Given, Line, find};
use super::table::{DATASET, MODEL_KIND, Meaning, TOKENIZER};
use super::words::asks_for_nothing;
use crate::exit::InputError;

/// What a line has become.
#[derive(Debug)]
pub struct Read {
    /// The command that it is.
    pub command: &'static str,
    /// The words behind it.
    pub words: Vec<OsString>,
    /// What is told.
    pub notes: Vec<String>,
}

/// A line while it is read.
#[derive(Debug)]
pub struct Reading<'a> {
    pub(super) line: &'a Line,
    pub(super) command: &'static str,
    known: &'a Command,
    family: Option<Family>,
    /// It became another command than the one that was typed.
    switched: bool,
    words: Vec<OsString>,
    set: Vec<String>,
    /// Reasons, and the flags that are not needed for them.
    unneeded: BTreeMap<&'static str, Vec<String>>,
    notes: Vec<String>,
}

const NOT_TRAINED: &str = "nothing is trained";

/// Steps between evaluations that no run has: the last model is evaluated, and kept.
const AT_THE_END: &str = "1000000000";

impl<'a> Reading<'a> {
    /// Begins with what the line asks for. `typed` is the command that was typed.
    pub fn new(line: &'a Line, typed: &str, root: &'a Command) -> Result<Self, InputError> {
        let mut notes = Vec::new();
        let command = command(line, typed, &mut notes)?;
        let Some(known) = root.find_subcommand(command) else {
            return Err(InputError::new(format!("no command {command}"), "", ""));
        };
        let family = Family::of(line);
        let (words, set, unneeded) = Default::default();
        let switched = command != typed;
        Ok(Self { line, command, known, family, switched, words, set, unneeded, notes })
    }

    /// Reads the whole line.
    pub fn done(mut self) -> Result<Read, InputError> {
        self.own();
        self.one_by_one()?;
        self.kinds()?;
        let task = self.task()?;
        self.model()?;
        self.files(&task)?;
        self.rhythm()?;
        self.weights()?;
        self.intermediate()?;
        self.lengths()?;
        self.defaults(&task);
        let unneeded = self
            .unneeded
            .iter()
            .map(|(why, flags)| format!("not needed here: {}: {why}", flags.join(", ")));
        let notes = self.notes.into_iter().chain(unneeded).collect();
        Ok(Read { command: self.command, words: self.words, notes })
    }

    /// Whether the command trains.
    pub(super) fn trains(&self) -> bool {
        matches!(self.command, "finetune" | "distill" | "pretrain")
    }

    fn knows(&self, flag: &str) -> bool {
        self.known.get_arguments().any(|arg| arg.get_long() == Some(flag))
    }

    fn is_set(&self, flag: &str) -> bool {
        self.set.iter().any(|set| set == flag)
    }

    /// Sets one of our flags.
    pub(super) fn set(&mut self, flag: &str, value: impl Into<OsString>) {
        let mut word = OsString::from(format!("--{flag}="));
        word.push(value.into());
        self.words.push(word);
        self.set.push(flag.to_owned());
    }

    /// Sets one of our flags, unless it was given.
    fn set_else(&mut self, flag: &str, value: impl Into<OsString>) {
        if !self.is_set(flag) {
            self.set(flag, value);
        }
    }

    fn not_needed(&mut self, given: &Given, why: &'static str) {
        let flags = self.unneeded.entry(why).or_default();
        if !flags.contains(&given.typed) {
            flags.push(given.typed.clone());
        }
    }

    /// Our own flags: as they are, or by the name that they have in the command that it became.
    fn own(&mut self) {
        const RENAMED: [(&str, &str); 4] =
            [("model", "student"), ("student", "model"), ("dev", "data"), ("train", "text")];
        for own in &self.line.own {
            let new = RENAMED.iter().find(|(old, new)| *old == own.flag && self.knows(new));
            let new = new.filter(|_| self.switched || self.family.is_some());
            match (self.knows(&own.flag), new, &own.value) {
                (false, Some((_, new)), Some(value)) => self.set(new, value.clone()),
                (false, None, _) if self.family.is_some() && !self.trains() => {
                    self.unneeded.entry(NOT_TRAINED).or_default().push(format!("--{}", own.flag));
                }
                _ => {
                    self.words.extend(own.words.iter().cloned());
                    self.set.push(own.flag.clone());
                }
            }
        }
    }

    /// The flags that mean something each by itself.
    fn one_by_one(&mut self) -> Result<(), InputError> {
        for given in &self.line.theirs {
            match &given.row.meaning {
                Meaning::Whole => {}
                Meaning::Off(why) => self.not_needed(given, why),
                Meaning::Refused(_) if given.value.is_some() && asks_for_nothing(&given.text()) => {
                }
                Meaning::Refused(cure) => {
                    return Err(InputError::new(
                        format!("{} has no meaning here", given.typed),
                        "",
                        *cure,
                    ));
                }
                Meaning::As(flag, words) => {
                    if !self.knows(flag) {
                        self.unknown(given);
                        continue;
                    }
                    let text = given.text();
                    let value = words(&text).map_err(|expected| {
                        InputError::new(
                            format!("invalid value '{text}' for '{}'", given.typed),
                            "",
                            expected,
                        )
                    })?;
                    value.into_iter().for_each(|value| self.set(flag, value));
                }
                Meaning::Is(flags) => {
                    let flag = flags.iter().find_map(|flag| find(self.known, flag));
                    let Some(arg) = flag else {
                        self.unknown(given);
                        continue;
                    };
                    let flag = arg.get_long().unwrap_or_default().to_owned();
                    let is_switch = given.row.takes == super::table::Takes::Switch;
                    if matches!(arg.get_action(), ArgAction::SetTrue) {
                        if given.is_on()? && !self.is_set(&flag) {
                            self.words.push(format!("--{flag}").into());
                            self.set.push(flag);
                        }
                    } else if is_switch {
                        let on = given.is_on()?;
                        self.set(&flag, on.to_string());
                    } else if flag != "max-steps" || !asks_for_nothing(&given.text()) {
                        self.set(&flag, given.value.clone().unwrap_or_default());
                    }
                }
            }
        }
        Ok(())
    }

    /// A flag that the command has nothing for: of training, where nothing is trained; else an
    /// error that is told where all others of the kind are.
    fn unknown(&mut self, given: &Given) {
        if self.family.is_some() && !self.trains() {
            self.not_needed(given, NOT_TRAINED);
            return;
        }
        self.words.push(given.typed.clone().into());
        self.words.extend(given.value.clone());
    }

    /// The kinds of models, of which there are two.
    fn kinds(&mut self) -> Result<(), InputError> {
        for name in ["model-type", "teacher-type", "teacher-model-type"] {
            let Some(given) = self.line.given(name) else { continue };
            let kind = given.text();
            if !asks_for_nothing(&kind)
                && !["bert", "distilbert"].contains(&kind.to_ascii_lowercase().as_str())
            {
                let what = format!("'{} {kind}' is no kind of model that limbeck has", given.typed);
                return Err(InputError::new(what, "", "it has bert and distilbert"));
            }
            self.not_needed(given, MODEL_KIND);
        }
        if let Some(given) = self.line.given("dim") {
            if given.text() != "768" {
                let what = format!(
                    "'{} {}': a student keeps the width that it starts with",
                    given.typed,
                    given.text()
                );
                return Err(InputError::new(what, "", "give --student a model of that width"));
            }
            self.not_needed(given, MODEL_KIND);
        }
        Ok(())
    }

    /// The task that the line names, which is set where it is not our flag that names it.
    fn task(&mut self) -> Result<String, InputError> {
        let own = self.line.own("task").and_then(|own| own.value.as_ref());
        let named = own.map(|task| task.to_string_lossy().into_owned());
        let of_script = || {
            let word = self.words.iter().find_map(|word| word.to_str()?.strip_prefix("--task="));
            word.map(str::to_owned)
        };
        let named = named.or_else(of_script);
        let by_default = (self.family == Some(Family::SigOpt) && self.line.own("task").is_none())
            .then_some(true);
        let negative = self.line.is_on("version-2-with-negative")?;
        Ok(match (named, negative.or(by_default)) {
            (Some(task), Some(true)) if task == "squad" => {
                let what = "--task squad and --version_2_with_negative contradict one another";
                return Err(InputError::new(what, "", "give one of them"));
            }
            (Some(task), _) => task,
            (None, Some(negative)) if self.knows("task") => {
                let task = if negative { "squad_v2" } else { "squad" };
                self.set("task", task);
                task.to_owned()
            }
            (None, _) => "squad".to_owned(),
        })
    }

    /// The model and the teacher.
    fn model(&mut self) -> Result<(), InputError> {
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
    fn files(&mut self, task: &str) -> Result<(), InputError> {
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

    /// Whether the line says what is to be done.
    fn asks(&self) -> bool {
        ["do-train", "do-eval", "do-predict"].iter().any(|name| self.line.given(name).is_some())
    }

    /// Whether a training evaluates.
    fn evaluates(&self) -> Result<bool, InputError> {
        let strategy = self.strategy().is_some_and(|strategy| strategy != "no");
        Ok(!self.asks()
            || self.line.on("do-eval")?
            || self.line.on("evaluate-during-training")?
            || self.line.on("load-best-model-at-end")?
            || strategy)
    }

    /// Whether the line has more than the last model evaluated. Where it does not, the scripts
    /// keep the last one.
    fn keeps_the_best(&self) -> bool {
        let flags = ["evaluate-during-training", "load-best-model-at-end", "save-only-best"];
        self.strategy().is_some_and(|strategy| strategy != "no")
            || flags.iter().any(|name| self.line.is_on(name) == Ok(Some(true)))
    }

    fn strategy(&self) -> Option<String> {
        let strategy =
            self.line.text("eval-strategy").or_else(|| self.line.text("evaluation-strategy"));
        strategy.map(|strategy| strategy.to_ascii_lowercase())
    }

    /// Warm-up, and when is evaluated.
    fn rhythm(&mut self) -> Result<(), InputError> {
        let number = |name: &str| -> Result<Option<f64>, InputError> {
            let Some(given) = self.line.given(name) else { return Ok(None) };
            let text = given.text();
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            let wrong = |rule: &str| {
                InputError::new(format!("invalid value '{text}' for '{}'", given.typed), "", rule)
            };
            let number = number.ok_or_else(|| wrong("expected a number"))?;
            let is_share = matches!(name, "warmup-ratio" | "warmup-proportion");
            if number < 0.0 || is_share && number >= 1.0 {
                return Err(wrong(if is_share {
                    "expected a share of all steps, from 0 to below 1"
                } else {
                    "expected a number of steps"
                }));
            }
            Ok(Some(number))
        };
        let steps = number("warmup-steps")?.or(number("warm-up-steps")?);
        let share = number("warmup-ratio")?.or(number("warmup-proportion")?);
        // As in the Trainer, steps win where both are given.
        let warmup = steps.filter(|steps| *steps > 0.0).or(share).or(steps);
        if let Some(warmup) = warmup {
            let names = ["warmup-steps", "warmup-ratio", "warm-up-steps", "warmup-proportion"];
            let given = names.iter().find_map(|name| self.line.given(name));
            match given.filter(|_| !self.knows("warmup")) {
                None => self.set("warmup", warmup.to_string()),
                Some(given) => self.unknown(given),
            }
        }
        let every = match self.strategy().as_deref() {
            Some("steps") => true,
            Some("no" | "epoch") | None => self.line.on("evaluate-during-training")?,
            Some(other) => {
                let what = format!("invalid value '{other}' for '--eval_strategy'");
                return Err(InputError::new(what, "", "expected no, steps or epoch"));
            }
        };
        if self.strategy().as_deref() == Some("epoch") && self.trains() {
            self.set_else("eval-steps", "0");
        } else if every && self.trains() {
            let steps = self.line.own("logging-steps").and_then(|own| own.value.clone());
            self.set_else("eval-steps", steps.unwrap_or_else(|| "500".into()));
        }
        Ok(())
    }

    /// Lengths of LAT: a plan, the way of a search.
    fn lengths(&mut self) -> Result<(), InputError> {
        if let Some(given) = self.line.given("length-config") {
            let text = given.text();
            let plan: String = text.chars().filter(|c| !"()[] '\"".contains(*c)).collect();
            let plan = plan.trim_end_matches(',').to_owned();
            if asks_for_nothing(&plan) {
            } else if self.knows("lengths") {
                self.set_else("lengths", plan);
            } else {
                let what = format!("'{}': no training is at one plan of lengths", given.typed);
                let cure =
                    "--length_adaptive trains for all; `limbeck evaluate --lengths` answers at one";
                return Err(InputError::new(what, "", cure));
            }
        }
        let by_process = self.line.on("do-sigopt-search")? || self.line.on("do-optuna-search")?;
        if by_process && self.command == "lengths" {
            self.set_else("sampler", "gp");
            self.set_else("objective", "time");
        }
        Ok(())
    }

    /// The script's values for what the line does not say.
    fn defaults(&mut self, task: &str) {
        let Some(family) = self.family else { return };
        let mut all = Vec::new();
        if self.trains() {
            all.extend(family.training());
            if self.is_set("dev") && !self.keeps_the_best() {
                all.push(("eval-steps", AT_THE_END));
            }
        }
        if self.command == "distill" {
            all.extend(family.distilling());
        }
        if task.starts_with("squad") && self.command != "pretrain" {
            all.extend(family.windows());
        }
        let by_steps = self.is_set("max-steps");
        all.retain(|(flag, _)| {
            self.knows(flag) && !self.is_set(flag) && !(by_steps && *flag == "epochs")
        });
        for (flag, value) in &all {
            self.set(flag, *value);
        }
        if family == Family::SigOpt
            && self.line.given("version-2-with-negative").is_none()
            && task == "squad_v2"
        {
            all.insert(0, ("task", "squad_v2"));
        }
        if !all.is_empty() {
            let values: Vec<String> =
                all.iter().map(|(flag, value)| format!("--{flag} {value}")).collect();
            let values = values.join(", ");
            self.notes.push(format!(
                "read as a line of {}, whose own values hold where it gives none: {values}",
                family.script()
            ));
        }
    }
}

/// What the line asks for, beginning with the command that was typed.
fn command(line: &Line, typed: &str, notes: &mut Vec<String>) -> Result<&'static str, InputError> {
    let known = super::COMMANDS.into_iter().find(|name| *name == typed);
    let typed = known.unwrap_or("finetune");
    let train = line.is_on("do-train")?;
    let (eval, predict) = (line.is_on("do-eval")?, line.is_on("do-predict")?);
    let mut search = None;
    for name in ["do-search", "do-sigopt-search", "do-optuna-search"] {
        search = search.max(line.is_on(name)?);
    }
    let says = train.or(eval).or(predict).or(search).is_some();
    if !matches!(typed, "finetune" | "distill" | "pretrain") {
        if train == Some(true) {
            let what = format!("--do_train: `limbeck {typed}` does not train");
            return Err(InputError::new(what, "", "`limbeck finetune` and `limbeck distill` do"));
        }
        return Ok(typed);
    }
    let teacher = ["teacher-name-or-path", "teacher-model-name-or-path"].into_iter();
    let teacher = teacher.filter_map(|name| line.text(name)).any(|name| !asks_for_nothing(&name));
    if says && train != Some(true) {
        let other = match (search, eval, predict) {
            (Some(true), _, _) => "lengths",
            (_, Some(true), _) => "evaluate",
            (_, _, Some(true)) => "predict",
            _ => {
                return Err(InputError::new(
                    "the line asks for nothing",
                    "",
                    "give --do_train, --do_eval or --do_predict",
                ));
            }
        };
        if typed == "pretrain" {
            let what = "the line does not train";
            return Err(InputError::new(
                what,
                "",
                "give --do_train: text that is kept aside is evaluated while training",
            ));
        }
        notes.push(format!("without --do_train nothing is trained: this is `limbeck {other}`"));
        return Ok(other);
    }
    if typed == "finetune" && teacher {
        notes.push("with a teacher this is `limbeck distill`".to_owned());
        return Ok("distill");
    }
    Ok(typed)
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
