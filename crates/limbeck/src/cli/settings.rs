//! Flags made from the table of settings.

use std::marker::PhantomData;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use toml::Value;

use crate::config::settings::{Group, Kind, Setting};
use crate::config::{Layer, RunConfig, settings};

/// The groups of settings that a command has flags for.
pub trait Groups {
    /// In the order of help.
    const GROUPS: &'static [&'static Group];
}

/// What the flags of the groups `G` set: one layer of configuration.
#[derive(Debug, Clone)]
pub struct Settings<G> {
    /// The keys that were given, and only those.
    pub layer: Layer,
    groups: PhantomData<G>,
}

impl<G: Groups> Args for Settings<G> {
    fn augment_args(command: Command) -> Command {
        let defaults = Layer::of(&RunConfig::default()).unwrap_or_default();
        G::GROUPS.iter().fold(command, |command, group| {
            group.settings.iter().fold(command, |command, setting| {
                command.arg(arg(setting, &defaults).help_heading(group.heading))
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<G: Groups> FromArgMatches for Settings<G> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut layer = Layer::default();
        for setting in G::GROUPS.iter().flat_map(|group| group.settings) {
            if let Some(value) = value(setting, matches)? {
                layer.set(setting.key, value);
            }
        }
        Ok(Self { layer, groups: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flag of a setting. Its text is read by [`value`], so that flags and `--set`
/// understand the same.
fn arg(setting: &Setting, defaults: &Layer) -> Arg {
    let arg = Arg::new(setting.flag)
        .long(setting.flag)
        .value_name(setting.value_name)
        .help(help(setting, defaults))
        .allow_negative_numbers(true);
    match setting.kind {
        Kind::Choice(words) => arg.value_parser(PossibleValuesParser::new(words)),
        Kind::Switch => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(["true", "false"])
            .hide_possible_values(true),
        Kind::Paths => arg.action(ArgAction::Append),
        _ => arg,
    }
}

/// The meaning of a setting and its default.
fn help(setting: &Setting, defaults: &Layer) -> String {
    match default_text(setting.key, defaults) {
        Some(default) => format!("{} [default: {default}]", setting.help),
        None => setting.help.to_owned(),
    }
}

/// The default of a key, when it has one worth showing.
pub fn default_text(key: &str, defaults: &Layer) -> Option<String> {
    match defaults.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Array(_) => None,
        Value::Float(x) => Some(format!("{x:?}")),
        other => Some(other.to_string()),
    }
}

fn value(setting: &Setting, matches: &ArgMatches) -> Result<Option<Value>, clap::Error> {
    let Some(texts) = matches.get_many::<String>(setting.flag) else { return Ok(None) };
    let texts: Vec<&str> = texts.map(String::as_str).collect();
    if setting.kind == Kind::Paths {
        let all = texts.into_iter().map(|text| Value::String(text.to_owned())).collect();
        return Ok(Some(Value::Array(all)));
    }
    let text = texts.last().copied().unwrap_or_default();
    setting.kind.parse(text).map(Some).map_err(|expected| {
        let message = format!("invalid value '{text}' for '--{}': {expected}", setting.flag);
        clap::Error::raw(clap::error::ErrorKind::InvalidValue, message)
    })
}

/// Names a set of groups as a type.
macro_rules! groups {
    ($(#[$doc:meta])* $name:ident: $($group:ident),+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;
        impl Groups for $name {
            const GROUPS: &'static [&'static Group] = &[$(&settings::$group),+];
        }
    };
}

groups!(
    /// Of `limbeck finetune`.
    Finetuning: DATA, MODEL, OUTPUT, OPTIMISER, TRAINING, LENGTHS, SPARSITY, FEATURES, EVALUATION,
        ARCHITECTURE
);
groups!(
    /// Of `limbeck distill`.
    Distilling: DATA, TEACHER_AND_STUDENT, OUTPUT, DISTILLATION, INTERMEDIATE, LENGTHS, SPARSITY,
        OPTIMISER, TRAINING, FEATURES, EVALUATION, ARCHITECTURE
);
groups!(
    /// Of `limbeck pretrain`.
    Pretraining: PLAIN_TEXT, NEW_MODEL, MODEL, OUTPUT, TEXT, TEACHERS, SOFTENING, INTERMEDIATE,
        SPARSITY, OPTIMISER, SCHEDULE, TRAINING, WINDOW, ARCHITECTURE
);
groups!(
    /// Of `limbeck prune`.
    Pruning: TASK, FEATURES
);
groups!(
    /// Of the commands that run a model.
    Predicting: TASK, FEATURES, ANSWERING
);
