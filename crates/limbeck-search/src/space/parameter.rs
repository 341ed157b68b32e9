//! One parameter: what values it may take, and how they lie between 0 and 1.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::expression::{Condition, Linear};
use super::value::Value;
use crate::error::{Result, SearchError};

/// A parameter of a space.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// The values it may take.
    pub domain: Domain,
    /// It has a value only where this holds.
    pub when: Option<Condition>,
    /// What an objective with keys of its own sets from it: key and value; none where that was
    /// left open.
    pub sets: Option<Vec<(String, Linear)>>,
}

/// The values that a parameter may take.
#[derive(Debug, Clone, PartialEq)]
pub enum Domain {
    /// All numbers of a range.
    Real(Range),
    /// All whole numbers of a range.
    Integer(Range),
    /// One of several values in their order, as steps of equal size.
    Ordinal(Vec<Value>),
    /// One of several values without order.
    Categorical(Vec<Value>),
    /// Numbers of one range, none larger than the one before it.
    Falling {
        /// How many.
        size: usize,
        /// Whether they are whole.
        whole: bool,
        /// Their range.
        range: Range,
    },
}

/// A range of numbers with the scale on which it is searched evenly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// The scale.
    pub scale: Scale,
}

/// On what scale a range is even.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// On its own.
    Linear,
    /// In its logarithm.
    Log,
    /// In its root of this degree, so that with more than 1 small values are searched more.
    Power(f64),
}

/// How one coordinate behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Every place is a value of its own.
    Continuous,
    /// So many values in order, each at the middle of its cell.
    Steps(usize),
    /// So many values without order.
    Unordered(usize),
}

impl Scale {
    fn forward(self, x: f64) -> f64 {
        match self {
            Self::Linear => x,
            Self::Log => x.ln(),
            Self::Power(power) => x.max(0.0).powf(1.0 / power),
        }
    }

    fn backward(self, x: f64) -> f64 {
        match self {
            Self::Linear => x,
            Self::Log => x.exp(),
            Self::Power(power) => x.max(0.0).powf(power),
        }
    }
}

impl Range {
    fn at(self, unit: f64) -> f64 {
        let (low, high) = (self.scale.forward(self.low), self.scale.forward(self.high));
        self.scale.backward(low + unit.clamp(0.0, 1.0) * (high - low)).clamp(self.low, self.high)
    }

    fn place(self, value: f64) -> f64 {
        let (low, high) = (self.scale.forward(self.low), self.scale.forward(self.high));
        if high > low {
            ((self.scale.forward(value) - low) / (high - low)).clamp(0.0, 1.0)
        } else {
            0.5
        }
    }

    /// The range in which every whole number has a cell of its own around it.
    fn cells(self) -> Self {
        let low = if self.scale == Scale::Linear {
            self.low - 0.5
        } else {
            (self.low - 0.5).max(0.5 * self.low)
        };
        Self { low, high: self.high + 0.5, ..self }
    }

    fn whole_at(self, unit: f64) -> i64 {
        self.cells().at(unit).round().clamp(self.low, self.high) as i64
    }

    fn count(self) -> usize {
        (self.high - self.low) as usize + 1
    }
}

impl Domain {
    /// Coordinates that it takes.
    pub fn width(&self) -> usize {
        if let Self::Falling { size, .. } = self { *size } else { 1 }
    }

    /// How each of its coordinates behaves.
    pub fn axis(&self) -> Axis {
        match self {
            Self::Real(_) | Self::Falling { whole: false, .. } => Axis::Continuous,
            Self::Integer(range) | Self::Falling { whole: true, range, .. } => {
                Axis::Steps(range.count())
            }
            Self::Ordinal(values) => Axis::Steps(values.len()),
            Self::Categorical(values) => Axis::Unordered(values.len()),
        }
    }

    /// The places next to one coordinate, those of the values one and two away, and a twentieth of
    /// the range; of choices without order all. None where every place is a value.
    pub(super) fn next_to(&self, unit: f64) -> Vec<f64> {
        const FAR: f64 = 0.05;
        match self {
            Self::Real(_) | Self::Falling { whole: false, .. } => Vec::new(),
            Self::Integer(range) | Self::Falling { whole: true, range, .. } => {
                let cells = range.cells();
                let value = range.whole_at(unit) as f64;
                let near = [-2.0, -1.0, 1.0, 2.0].map(|by| value + by).into_iter();
                let near = near.filter(|near| (range.low..=range.high).contains(near));
                let mut places: Vec<f64> = near.map(|near| cells.place(near)).collect();
                if FAR * range.count() as f64 > 2.0 {
                    places.extend([unit - FAR, unit + FAR].map(|far| far.clamp(0.0, 1.0)));
                }
                places
            }
            Self::Ordinal(values) => {
                let step = 1.0 / values.len() as f64;
                let near = [-2.0, -1.0, 1.0, 2.0].map(|by| unit + by * step).into_iter();
                near.filter(|near| (0.0..=1.0).contains(near)).collect()
            }
            Self::Categorical(values) => {
                (0..values.len()).map(|i| (i as f64 + 0.5) / values.len() as f64).collect()
            }
        }
    }

    /// The value at these coordinates, each from 0 to 1.
    pub(super) fn decode(&self, units: &[f64]) -> Value {
        let unit = units.first().copied().unwrap_or(0.5);
        match self {
            Self::Real(range) => Value::Real(range.at(unit)),
            Self::Integer(range) => Value::Integer(range.whole_at(unit)),
            Self::Ordinal(values) | Self::Categorical(values) => {
                let index = (unit.clamp(0.0, 1.0) * values.len() as f64) as usize;
                values[index.min(values.len() - 1)].clone()
            }
            Self::Falling { whole, range, .. } => {
                let mut sorted = units.to_vec();
                sorted.sort_by(|a, b| b.total_cmp(a));
                let one = |unit: &f64| match whole {
                    true => Value::Integer(range.whole_at(*unit)),
                    false => Value::Real(range.at(*unit)),
                };
                Value::List(sorted.iter().map(one).collect())
            }
        }
    }

    /// The coordinates of a value; none when it is not one of this domain's.
    pub(super) fn encode(&self, value: &Value) -> Option<Vec<f64>> {
        let real = |range: &Range, value: &Value| {
            let x = value.as_number()?;
            let slack = 1e-9 * range.low.abs().max(range.high.abs());
            (x >= range.low - slack && x <= range.high + slack).then(|| range.place(x))
        };
        let whole = |range: &Range, value: &Value| {
            let x = value.as_number()?;
            let is_member = x.fract() == 0.0 && x >= range.low && x <= range.high;
            is_member.then(|| range.cells().place(x))
        };
        match self {
            Self::Real(range) => Some(vec![real(range, value)?]),
            Self::Integer(range) => Some(vec![whole(range, value)?]),
            Self::Ordinal(values) | Self::Categorical(values) => {
                let index = values.iter().position(|known| known.is(value))?;
                Some(vec![(index as f64 + 0.5) / values.len() as f64])
            }
            Self::Falling { size, whole: is_whole, range } => {
                let Value::List(members) = value else { return None };
                let one = |value| if *is_whole { whole(range, value) } else { real(range, value) };
                let units: Vec<f64> = members.iter().map(one).collect::<Option<_>>()?;
                let falls = units.is_sorted_by(|a, b| a >= b);
                (units.len() == *size && falls).then_some(units)
            }
        }
    }
}

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
