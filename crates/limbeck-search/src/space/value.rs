//! The value of a parameter, as it goes into files and on command lines.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The value of one parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A whole number.
    Integer(i64),
    /// A finite number.
    Real(f64),
    /// `true` or `false`.
    Switch(bool),
    /// A word.
    Text(String),
    /// The members of an ordered tuple, or a choice that is itself a list.
    List(Vec<Value>),
}

/// The values of a trial by the names of their parameters; a parameter whose condition does
/// not hold is absent.
pub type Params = BTreeMap<String, Value>;

impl Value {
    /// As a number, where it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Integer(n) => Some(*n as f64),
            Self::Real(x) => Some(*x),
            _ => None,
        }
    }

    /// Whether it is a number.
    pub(super) fn is_number(&self) -> bool {
        self.as_number().is_some()
    }

    /// Whether it is the same as another; whole numbers may be written in both ways.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self.as_number(), other.as_number()) {
            (Some(a), Some(b)) => a == b,
            _ => self == other,
        }
    }

    /// A choice written in TOML. Dates and tables are none.
    pub(super) fn from_toml(value: &toml::Value) -> Option<Self> {
        Some(match value {
            toml::Value::Integer(n) => Self::Integer(*n),
            toml::Value::Float(x) if x.is_finite() => Self::Real(*x),
            toml::Value::Boolean(b) => Self::Switch(*b),
            toml::Value::String(text) => Self::Text(text.clone()),
            toml::Value::Array(all) => {
                Self::List(all.iter().map(Self::from_toml).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }
}

/// As an argument of a command: numbers in their shortest exact form, lists with commas.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(n) => write!(f, "{n}"),
            Self::Real(x) => write!(f, "{x:?}"),
            Self::Switch(b) => write!(f, "{b}"),
            Self::Text(text) => f.write_str(text),
            Self::List(all) => {
                for (i, value) in all.iter().enumerate() {
                    write!(f, "{}{value}", if i == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_survives_json_with_its_kind() {
        for value in [
            Value::Integer(3),
            Value::Real(3.0),
            Value::Real(1.0 / 3.0),
            Value::Switch(true),
            Value::Text("a,b".into()),
            Value::List(vec![Value::Integer(1), Value::Real(0.5)]),
        ] {
            let text = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn a_list_is_written_as_settings_take_it() {
        let list = Value::List(vec![Value::Integer(0), Value::Integer(2), Value::Real(5.0)]);
        assert_eq!(list.to_string(), "0,2,5.0");
    }
}
