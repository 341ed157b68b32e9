//! One parameter: what values it may take, and how they lie between 0 and 1.

use super::expression::{Condition, Linear};
use super::value::Value;

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
    pub(super) fn at(self, unit: f64) -> f64 {
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
