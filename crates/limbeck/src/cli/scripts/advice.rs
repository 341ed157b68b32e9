//! What to say of a flag, or of a key of a recipe, that is not there: what it is called here, why
//! it is not needed, or the nearest that there is.

use clap::Command;

use super::line::find;
use super::table::Meaning;
use crate::config::settings::{self, RECIPE};
use crate::config::suggest::nearest;

/// What flags that are read together with others are here, where a command reads none of them.
const TOGETHER: [(&str, &[&str]); 11] = [
    ("model-name-or-path", &["model", "student"]),
    ("teacher-name-or-path", &["teacher"]),
    ("teacher-model-name-or-path", &["teacher"]),
    ("train-file", &["train", "text"]),
    ("predict-file", &["dev", "data"]),
    ("validation-file", &["dev", "data"]),
    ("test-file", &["data"]),
    ("warmup-steps", &["warmup"]),
    ("warmup-ratio", &["warmup"]),
    ("warm-up-steps", &["warmup"]),
    ("warmup-proportion", &["warmup"]),
];

/// Names that many programs use, and ours.
const USUAL: [(&str, &[&str]); 10] = [
    ("lr", &["learning-rate"]),
    ("bs", &["batch-size"]),
    ("num-epochs", &["epochs"]),
    ("output", &["out"]),
    ("output-file", &["out"]),
    ("output-folder", &["out"]),
    ("model-path", &["model", "student"]),
    ("model-dir", &["model", "student"]),
    ("num-threads", &["threads"]),
    ("input", &["data", "train"]),
];

/// Words of flags that are about learning.
const LEARNT: [&str; 4] = ["train", "training", "learn", "text"];
/// Words of flags that are about data which nothing may learn from.
const HELD_OUT: [&str; 9] =
    ["dev", "development", "eval", "evaluation", "valid", "validation", "val", "predict", "test"];

/// Whether a flag is about data that is held out, or about what is learnt from.
fn has_word(name: &str, words: &[&str]) -> bool {
    name.split('-').any(|part| words.contains(&part))
}

/// Advice for a flag that `command` does not have. `all` are commands that may have it.
pub fn for_flag(typed: &str, command: &Command, all: &Command) -> Option<String> {
    let name = typed.split('=').next().unwrap_or_default();
    let key = name.trim_start_matches('-').replace('_', "-");
    let of = |list: &[(&str, &'static [&'static str])]| {
        list.iter().find(|(name, _)| *name == key).map(|(_, flags)| *flags)
    };
    let row = super::row(&key);
    let same: Option<&[&str]> = match row.map(|row| &row.meaning) {
        Some(Meaning::Off(why)) => return Some(format!("it is not needed: {why}")),
        Some(Meaning::Refused(cure)) => return Some((*cure).to_owned()),
        Some(Meaning::Is(flags)) => Some(flags),
        Some(Meaning::As(flag, _)) => Some(std::slice::from_ref(flag)),
        Some(Meaning::Whole) | None => of(&TOGETHER),
    };
    let same = same.or_else(|| of(&USUAL));
    if let Some(flag) =
        same.and_then(|flags| flags.iter().find(|flag| find(command, flag).is_some()))
    {
        return Some(format!("it is --{flag} here"));
    }
    let unknown = same.is_none() && row.is_none();
    if let Some(flag) = near(&key, command).filter(|_| unknown) {
        return Some(format!("did you mean --{flag}?"));
    }
    let wanted: Vec<&str> = same.map_or_else(|| vec![key.as_str()], <[&str]>::to_vec);
    elsewhere(&wanted, row.is_some(), command, all)
}

/// Where else a flag is, or the key that it sets.
fn elsewhere(wanted: &[&str], is_known: bool, command: &Command, all: &Command) -> Option<String> {
    let setting = RECIPE.iter().flat_map(|group| group.settings);
    let setting = setting.into_iter().find(|setting| wanted.contains(&setting.flag));
    if let Some(setting) = setting.filter(|_| find(command, "set").is_some()) {
        return Some(format!("--set {}={} sets it", setting.key, setting.value_name));
    }
    let mut commands = super::COMMANDS.iter().filter_map(|name| all.find_subcommand(name));
    let other = commands.find_map(|other| {
        let flag = wanted.iter().find(|flag| find(other, flag).is_some())?;
        Some(format!("`limbeck {}` has --{flag}", other.get_name()))
    });
    other.or_else(|| is_known.then(|| "`limbeck finetune` understands it".to_owned()))
}

/// The nearest flag of a command; never one to learn from for data that is held out.
fn near(key: &str, command: &Command) -> Option<String> {
    let names = names(command);
    let about = |(name, ours): &(&str, &str), words: &[&str]| {
        has_word(name, words) || has_word(ours, words)
    };
    let clashes = |pair: &(&str, &str)| {
        has_word(key, &HELD_OUT) && about(pair, &LEARNT)
            || has_word(key, &LEARNT) && about(pair, &HELD_OUT)
    };
    let fitting = || names.iter().filter(|pair| !clashes(pair)).copied();
    let ours = |name: &str| fitting().find(|(known, _)| *known == name).map(|(_, ours)| ours);
    let begun = || {
        let mut begun: Vec<&str> = fitting()
            .filter(|(name, _)| name.starts_with(key) && key.len() > 2)
            .map(|(_, ours)| ours)
            .collect();
        begun.dedup();
        (begun.len() == 1).then(|| begun[0])
    };
    let found = nearest(key, fitting().map(|(name, _)| name)).and_then(ours).or_else(begun);
    if let Some(flag) = found {
        return Some(flag.to_owned());
    }
    let held_out = has_word(key, &HELD_OUT) && !has_word(key, &LEARNT);
    let flags = if held_out { ["dev", "data"] } else { ["train", "text"] };
    let is_file = has_word(key, &["file", "files", "data", "dataset", "set", "path"]);
    let is_known = held_out || has_word(key, &LEARNT);
    flags.into_iter().filter(|_| is_file && is_known).find_map(ours).map(str::to_owned)
}

/// Every name by which a flag of a command is known, to it or to a script, and our name for it.
fn names(command: &Command) -> Vec<(&str, &str)> {
    let mut names = Vec::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let Some(long) = arg.get_long() else { continue };
        names.push((long, long));
        let aliases = arg.get_all_aliases().unwrap_or_default();
        names.extend(
            aliases.into_iter().filter(|name| !name.contains('_')).map(|name| (name, long)),
        );
    }
    let of_lists = super::LISTS.iter().copied().flatten().filter_map(|row| match &row.meaning {
        Meaning::Is(flags) => Some((row.name, *flags)),
        Meaning::As(flag, _) => Some((row.name, std::slice::from_ref(flag))),
        _ => None,
    });
    for (name, flags) in TOGETHER.iter().copied().chain(of_lists) {
        let arg = flags.iter().find_map(|flag| find(command, flag));
        names.extend(arg.and_then(|arg| arg.get_long()).map(|long| (name, long)));
    }
    names
}

/// Advice for a key that recipes do not have, by the name that a script knows it by.
pub fn for_key(key: &str) -> Option<String> {
    let name = key.rsplit('.').next().unwrap_or_default().replace('_', "-");
    let flags: &[&str] = match super::row(&name).map(|row| &row.meaning) {
        Some(Meaning::Is(flags)) => flags,
        Some(Meaning::As(flag, _)) => std::slice::from_ref(flag),
        Some(Meaning::Off(why)) => return Some(format!("it is not needed: {why}")),
        Some(Meaning::Refused(cure)) => return Some((*cure).to_owned()),
        Some(Meaning::Whole) | None => {
            TOGETHER.iter().find(|(together, _)| *together == name).map(|(_, flags)| *flags)?
        }
    };
    let all = || RECIPE.iter().flat_map(|group| group.settings);
    let setting = flags.iter().find_map(|flag| all().find(|setting| setting.flag == *flag));
    let key = setting.map(|setting| setting.key).filter(|key| settings::find(key).is_some())?;
    Some(format!("it is `{key}` here"))
}
