//! What the flags of a script's line say together: what is done, with which files, how often.

mod command;
mod files;
mod schedule;

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::{ArgAction, Command};

use super::defaults::Family;
use super::line::{Given, Line, find};
use super::table::{MODEL_KIND, Meaning};
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
        let command = command::command(line, typed, &mut notes)?;
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
