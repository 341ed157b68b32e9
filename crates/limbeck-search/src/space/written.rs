//! Parameters as they are written, and what is wrong with them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::expression::{Condition, Linear};
use super::parameter::{Domain, Parameter, Range, Scale};
use super::value::Value;
use crate::error::{Result, SearchError};

/// `[parameters.NAME]` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    r#type: Kind,
    low: Option<f64>,
    high: Option<f64>,
    scale: Option<ScaleName>,
    power: Option<f64>,
    choices: Option<Vec<toml::Value>>,
    size: Option<usize>,
    when: Option<String>,
    set: Option<Sets>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Real,
    Integer,
    Categorical,
    FallingReals,
    FallingIntegers,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ScaleName {
    Linear,
    Log,
    Power,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a key, or a table of keys with expressions")]
enum Sets {
    Key(String),
    Keys(BTreeMap<String, String>),
}

impl Parameter {
    /// Reads `[parameters.NAME]`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn from_toml(name: &str, table: &toml::Value) -> Result<Self> {
        let place = format!("parameters.{name}");
        let wrong = |reason: String| SearchError::space(&place, reason);
        let valid = name.chars().next().is_some_and(super::starts_a_name)
            && name.chars().all(super::continues_a_name);
        if !valid {
            return Err(wrong("a name is made of letters, digits, _ and .".to_owned()));
        }
        let written: Written =
            table.clone().try_into().map_err(|e: toml::de::Error| wrong(e.message().to_owned()))?;
        let domain = written.domain().map_err(wrong)?;
        let when = written.when.as_deref().map(Condition::parse).transpose().map_err(wrong)?;
        let sets = match written.set {
            None => None,
            Some(Sets::Key(key)) => Some(vec![(key, name.to_owned())]),
            Some(Sets::Keys(keys)) => Some(keys.into_iter().collect::<Vec<_>>()),
        };
        let read = |(key, text): (String, String)| Ok((key, Linear::parse(&text)?));
        let read_all = |sets: Vec<_>| sets.into_iter().map(read).collect::<Result<_, String>>();
        let sets = sets.map(read_all).transpose().map_err(wrong)?;
        Ok(Self { name: name.to_owned(), domain, when, sets })
    }
}

impl Written {
    fn domain(&self) -> Result<Domain, String> {
        if self.size.is_some() && !matches!(self.r#type, Kind::FallingReals | Kind::FallingIntegers)
        {
            return Err("`size` is for falling_reals and falling_integers".to_owned());
        }
        if let Some(choices) = &self.choices {
            if self.low.is_some() || self.high.is_some() || self.scale.is_some() {
                return Err("`choices` stand for `low`, `high` and `scale`".to_owned());
            }
            let values: Vec<Value> = choices
                .iter()
                .map(Value::from_toml)
                .collect::<Option<_>>()
                .ok_or("a choice is a number, a word, true, false or a list of these")?;
            if values.is_empty() {
                return Err("there are no choices".to_owned());
            }
            if values.iter().enumerate().any(|(i, value)| values[..i].iter().any(|v| v.is(value))) {
                return Err("a choice stands twice".to_owned());
            }
            return match self.r#type {
                Kind::Categorical => Ok(Domain::Categorical(values)),
                Kind::Real | Kind::Integer => {
                    let numbers: Option<Vec<f64>> = values.iter().map(Value::as_number).collect();
                    let numbers = numbers.ok_or("a choice is no number")?;
                    let whole = numbers.iter().all(|x| x.fract() == 0.0);
                    match numbers.is_sorted() && (whole || self.r#type == Kind::Real) {
                        true => Ok(Domain::Ordinal(values)),
                        false => Err("choices must be whole and rise".to_owned()),
                    }
                }
                _ => Err("this type takes `low` and `high`".to_owned()),
            };
        }
        if self.r#type == Kind::Categorical {
            return Err("give `choices`".to_owned());
        }
        let range = self.range()?;
        let size = self.size.unwrap_or(0);
        let falling = |whole| match size {
            1..=64 => Ok(Domain::Falling { size, whole, range }),
            _ => Err("give `size`, from 1 to 64".to_owned()),
        };
        match self.r#type {
            Kind::Real => Ok(Domain::Real(range)),
            Kind::Integer => Ok(Domain::Integer(range)),
            Kind::FallingReals => falling(false),
            _ => falling(true),
        }
    }

    fn range(&self) -> Result<Range, String> {
        let (Some(low), Some(high)) = (self.low, self.high) else {
            return Err("give `low` and `high`".to_owned());
        };
        if !(high - low).is_finite() {
            return Err("`low` and `high` are too far apart".to_owned());
        }
        if low >= high {
            return Err(format!("`low` {low} is not below `high` {high}"));
        }
        let is_whole = matches!(self.r#type, Kind::Integer | Kind::FallingIntegers);
        if is_whole
            && (low.fract() != 0.0 || high.fract() != 0.0 || low.abs().max(high.abs()) > 1e15)
        {
            return Err("`low` and `high` must be whole, and 1e15 at most".to_owned());
        }
        let scale = match (self.scale, self.power) {
            (Some(ScaleName::Power), Some(power)) if power > 0.0 && power.is_finite() => {
                Scale::Power(power)
            }
            (Some(ScaleName::Power), _) => return Err("scale `power` needs `power` > 0".to_owned()),
            (_, Some(_)) => return Err("`power` needs scale `power`".to_owned()),
            (Some(ScaleName::Log), None) => Scale::Log,
            (Some(ScaleName::Linear) | None, None) => Scale::Linear,
        };
        match scale {
            Scale::Log if low <= 0.0 => Err(format!("scale `log` needs `low` above 0, not {low}")),
            Scale::Power(_) if low < 0.0 => {
                Err(format!("scale `power` needs `low` from 0, not {low}"))
            }
            _ => {
                let range = Range { low, high, scale };
                let middle = range.at(0.5);
                match low < middle && middle < high {
                    true => Ok(range),
                    false => Err(format!("with this scale, nothing lies between {low} and {high}")),
                }
            }
        }
    }
}
