//! A command line in parts: our flags, those of a script, and the rest as it is.

use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command};

use super::table::{Row, Takes};
use super::words::truth;
use crate::exit::InputError;

/// A command line in parts.
#[derive(Debug, Default)]
pub struct Line {
    /// Our flags, by our names or the underscored ones.
    pub own: Vec<Own>,
    /// Flags of scripts.
    pub theirs: Vec<Given>,
    /// What is no flag that anybody knows, and what stands behind `--`.
    pub rest: Vec<OsString>,
}

/// One of our flags.
#[derive(Debug)]
pub struct Own {
    /// Its name without dashes in front.
    pub flag: String,
    /// What stands behind it.
    pub value: Option<OsString>,
    /// The words as they are handed on.
    pub words: Vec<OsString>,
}

/// One flag of a script.
#[derive(Debug)]
pub struct Given {
    /// What the lists say of it.
    pub row: &'static Row,
    /// As it was typed, without a value.
    pub typed: String,
    /// What stands behind it; several words with commas between.
    pub value: Option<OsString>,
}

impl Given {
    /// Its value as text.
    pub fn text(&self) -> String {
        self.value.as_deref().map(OsStr::to_string_lossy).unwrap_or_default().into_owned()
    }

    /// Whether a switch is on.
    pub fn is_on(&self) -> Result<bool, InputError> {
        match &self.value {
            None => Ok(true),
            Some(_) => truth(&self.text()).ok_or_else(|| {
                let what = format!("invalid value '{}' for '{}'", self.text(), self.typed);
                InputError::new(what, "", "expected True or False")
            }),
        }
    }
}

impl Line {
    /// Splits the words behind a command. `commands` know our flags, the one that was typed first.
    pub fn split(words: &[OsString], commands: &[&Command]) -> Result<Line, InputError> {
        let mut line = Line::default();
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            let Some((typed, inline)) = flag(word) else {
                line.rest.push(word.clone());
                if word == "--" {
                    line.rest.extend(words.by_ref().cloned());
                }
                continue;
            };
            let key = typed.trim_start_matches('-').replace('_', "-");
            let ours = commands.iter().find_map(|command| find(command, &key));
            let exact = ours.is_some_and(|arg| arg.get_long() == Some(key.as_str()));
            if let Some(row) = super::row(&key).filter(|_| !exact) {
                let value = match row.takes {
                    _ if inline.is_some() => inline,
                    Takes::Switch => words
                        .next_if(|next| next.to_str().is_some_and(|t| truth(t).is_some()))
                        .cloned(),
                    Takes::Value => Some(
                        words.next_if(|next| flag(next).is_none()).cloned().ok_or_else(|| {
                            InputError::new(
                                format!("'{typed}' has no value"),
                                "",
                                "give one behind it",
                            )
                        })?,
                    ),
                    Takes::Values => {
                        let mut all = OsString::new();
                        while let Some(next) = words.next_if(|next| flag(next).is_none()) {
                            if !all.is_empty() {
                                all.push(",");
                            }
                            all.push(next);
                        }
                        Some(all)
                    }
                };
                line.theirs.push(Given { row, typed, value });
            } else if let Some(arg) = ours {
                let next = words.peek().copied().filter(|next| flag(next).is_none());
                let (own, took) = own(arg, word, inline, next);
                if took {
                    words.next();
                }
                line.own.extend(own);
            } else {
                line.rest.push(word.clone());
            }
        }
        Ok(line)
    }

    /// A flag of a script that was given; the last one wins.
    pub fn given(&self, name: &str) -> Option<&Given> {
        self.theirs.iter().rev().find(|given| given.row.name == name)
    }

    /// The value of a flag of a script.
    pub fn value(&self, name: &str) -> Option<&OsString> {
        self.given(name).and_then(|given| given.value.as_ref()).filter(|value| !value.is_empty())
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(|value| value.to_string_lossy().into_owned())
    }

    /// Whether a switch of a script is on; none where it was not given.
    pub fn is_on(&self, name: &str) -> Result<Option<bool>, InputError> {
        self.given(name).map(Given::is_on).transpose()
    }

    /// Whether a switch of a script was given and is on.
    pub fn on(&self, name: &str) -> Result<bool, InputError> {
        Ok(self.is_on(name)? == Some(true))
    }

    /// One of our flags that was given.
    pub fn own(&self, flag: &str) -> Option<&Own> {
        self.own.iter().rev().find(|own| own.flag == flag)
    }
}

/// The flag of this name, or with this other spelling.
pub fn find<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| {
        arg.get_long() == Some(key) || arg.get_all_aliases().unwrap_or_default().contains(&key)
    })
}

/// A word that begins a flag, and what stands behind its `=`.
fn flag(word: &OsStr) -> Option<(String, Option<OsString>)> {
    let text = word.to_str()?;
    let name =
        text.strip_prefix("--").filter(|name| name.starts_with(|c: char| c.is_alphabetic()))?;
    match name.split_once('=') {
        Some((name, value)) => Some((format!("--{name}"), Some(value.into()))),
        None => Some((text.to_owned(), None)),
    }
}

/// One of our flags as it is handed on, none where it says nothing, and whether it took `next`.
fn own(
    arg: &Arg,
    word: &OsStr,
    inline: Option<OsString>,
    next: Option<&OsString>,
) -> (Option<Own>, bool) {
    let name = arg.get_long().unwrap_or_default().to_owned();
    let as_is = |words: Vec<OsString>, value| Own { flag: name.clone(), value, words };
    let plain = matches!(arg.get_action(), ArgAction::SetTrue);
    let switch = arg.get_possible_values().iter().any(|value| value.matches("true", true));
    if !plain && !switch {
        let takes = arg.get_action().takes_values() && !arg.is_require_equals_set();
        if let Some(value) = inline {
            return (keep(as_is(vec![word.to_owned()], Some(value))), false);
        }
        return match next.filter(|_| takes) {
            Some(next) => {
                (keep(as_is(vec![word.to_owned(), next.clone()], Some(next.clone()))), true)
            }
            None => (Some(as_is(vec![word.to_owned()], None)), false),
        };
    }
    let behind = inline.as_ref().or(next).and_then(|value| value.to_str());
    // SigOpt's --dropout is a rate.
    if let Some(rate) = behind.filter(|text| name == "dropout" && text.parse::<f64>().is_ok()) {
        let words = vec![OsString::from(format!("--hidden-dropout={rate}"))];
        let rate = Own { flag: "hidden-dropout".to_owned(), value: Some(rate.into()), words };
        return (Some(rate), inline.is_none());
    }
    let is_word =
        |text: &&str| ["true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word));
    let on = behind.filter(is_word).map(|text| text.eq_ignore_ascii_case("true"));
    let took = on.is_some() && inline.is_none();
    let own = match on {
        None => Some(as_is(vec![word.to_owned()], inline)),
        Some(true) if plain => Some(as_is(vec![format!("--{name}").into()], None)),
        Some(false) if plain => None,
        Some(on) => Some(as_is(vec![format!("--{name}={on}").into()], Some(on.to_string().into()))),
    };
    (own, took)
}

/// Minus one step is what the scripts call no limit, and this program leaves out.
fn keep(own: Own) -> Option<Own> {
    let value =
        own.value.as_deref().and_then(OsStr::to_str).and_then(|text| text.parse::<f64>().ok());
    (own.flag != "max-steps" || value.is_none_or(|steps| steps >= 0.0)).then_some(own)
}
