//! The two small languages of a space: linear expressions (`1 - alpha`, `2*a + b <= 10`) and
//! conditions (`layers > 3 and kind == soft`).

use super::parameter::Domain;
use super::value::{Params, Value};

/// `constant + sum of factor * parameter`.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    terms: Vec<(f64, String)>,
    constant: f64,
}

impl Linear {
    /// Reads `2*a - b + 0.5`.
    ///
    /// # Errors
    /// What cannot be understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut linear = Self { terms: Vec::new(), constant: 0.0 };
        let mut tokens = tokens(text)?.into_iter().peekable();
        let mut sign = 1.0;
        loop {
            while let Some(Token::Symbol(symbol)) = tokens.peek() {
                match *symbol {
                    "-" => sign = -sign,
                    "+" => {}
                    other => return Err(format!("`{other}` has no place in `{text}`")),
                }
                tokens.next();
            }
            match tokens.next() {
                Some(Token::Number(number)) => {
                    if tokens.next_if_eq(&Token::Symbol("*")).is_none() {
                        linear.constant += sign * number;
                    } else if let Some(Token::Name(name)) = tokens.next() {
                        linear.terms.push((sign * number, name));
                    } else {
                        return Err(format!("a parameter must follow `*` in `{text}`"));
                    }
                }
                Some(Token::Name(name)) => linear.terms.push((sign, name)),
                _ => return Err(format!("`{text}` ends where a parameter or a number is due")),
            }
            sign = match tokens.next() {
                None => return Ok(linear),
                Some(Token::Symbol("+")) => 1.0,
                Some(Token::Symbol("-")) => -1.0,
                Some(_) => return Err(format!("a sum was expected in `{text}`")),
            };
        }
    }

    /// The names in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().map(|(_, name)| name.as_str())
    }

    /// Its value, unless one of its parameters is absent or no number.
    pub fn value(&self, params: &Params) -> Option<f64> {
        self.terms.iter().try_fold(self.constant, |sum, (factor, name)| {
            Some(sum + factor * params.get(name)?.as_number()?)
        })
    }

    /// The size of the largest number that is added.
    fn size(&self, params: &Params) -> f64 {
        let size = |(factor, name): &(f64, String)| {
            Some(factor.abs() * params.get(name)?.as_number()?.abs())
        };
        self.terms.iter().filter_map(size).fold(self.constant.abs(), f64::max)
    }

    /// The parameter whose value this is, unchanged.
    pub fn plain_name(&self) -> Option<&str> {
        match self.terms.as_slice() {
            [(factor, name)] if *factor == 1.0 && self.constant == 0.0 => Some(name),
            _ => None,
        }
    }
}

/// `left <= right`, both linear.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraint {
    lower: Linear,
    upper: Linear,
}

impl Constraint {
    /// Reads `left <= right` or `left >= right`.
    ///
    /// # Errors
    /// What cannot be understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some((lower, upper)) = text.split_once("<=") {
            Ok(Self { lower: Linear::parse(lower)?, upper: Linear::parse(upper)? })
        } else if let Some((upper, lower)) = text.split_once(">=") {
            Ok(Self { lower: Linear::parse(lower)?, upper: Linear::parse(upper)? })
        } else {
            Err(format!("`{text}` has neither <= nor >="))
        }
    }

    /// The names in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lower.names().chain(self.upper.names())
    }

    /// Whether it is kept. One that speaks of an absent parameter is.
    pub fn holds(&self, params: &Params) -> bool {
        match (self.lower.value(params), self.upper.value(params)) {
            (Some(lower), Some(upper)) => {
                // What rounding may do to the sums.
                lower <= upper + 1e-12 * self.lower.size(params).max(self.upper.size(params))
            }
            _ => true,
        }
    }
}

/// Comparisons that must all hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(Vec<Comparison>);

#[derive(Debug, Clone, PartialEq)]
struct Comparison {
    name: String,
    operator: &'static str,
    value: Value,
}

impl Condition {
    /// Reads `layers > 3 and kind == soft`.
    ///
    /// # Errors
    /// What cannot be understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let advice =
            || format!("`{text}` is no condition; write `NAME > NUMBER` or `NAME == WORD`");
        let mut tokens = tokens(text)?.into_iter();
        let mut comparisons = Vec::new();
        loop {
            let (Some(Token::Name(name)), Some(Token::Symbol(operator))) =
                (tokens.next(), tokens.next())
            else {
                return Err(advice());
            };
            let value = match tokens.next() {
                Some(Token::Number(number)) => Value::Real(number),
                Some(Token::Symbol("-")) => match tokens.next() {
                    Some(Token::Number(number)) => Value::Real(-number),
                    _ => return Err(advice()),
                },
                Some(Token::Name(word)) if word == "true" => Value::Switch(true),
                Some(Token::Name(word)) if word == "false" => Value::Switch(false),
                Some(Token::Name(word) | Token::Text(word)) => Value::Text(word),
                _ => return Err(advice()),
            };
            let can_be_compared = match operator {
                "==" | "!=" => true,
                "<" | ">" | "<=" | ">=" => value.as_number().is_some(),
                _ => false,
            };
            if !can_be_compared {
                return Err(advice());
            }
            comparisons.push(Comparison { name, operator, value });
            match tokens.next() {
                None => return Ok(Self(comparisons)),
                Some(Token::Name(word)) if word == "and" => {}
                Some(_) => return Err(advice()),
            }
        }
    }

    /// The names in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|comparison| comparison.name.as_str())
    }

    /// Refuses comparisons that make no sense with the values that their parameters may take.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn check<'a>(
        &self,
        domain: impl Fn(&str) -> Option<&'a Domain>,
    ) -> Result<(), String> {
        for Comparison { name, operator, value } in &self.0 {
            let is_equality = matches!(*operator, "==" | "!=");
            let may_be_a_number = match domain(name) {
                None => continue,
                Some(Domain::Falling { .. }) => return Err(format!("`{name}` is a tuple")),
                Some(Domain::Categorical(choices)) if is_equality => {
                    match choices.iter().any(|choice| choice.is(value)) {
                        true => continue,
                        false => return Err(format!("`{name}` has no choice `{value}`")),
                    }
                }
                Some(Domain::Categorical(choices)) => choices.iter().all(Value::is_number),
                Some(Domain::Real(_) | Domain::Integer(_) | Domain::Ordinal(_)) => true,
            };
            if !may_be_a_number {
                return Err(format!("`{name}` is no number, and `{operator}` needs one"));
            }
            if !value.is_number() {
                return Err(format!("`{name}` is a number, and `{value}` is none"));
            }
        }
        Ok(())
    }

    /// Whether all comparisons hold. One with an absent parameter does not.
    pub fn holds(&self, params: &Params) -> bool {
        self.0.iter().all(|comparison| {
            params.get(&comparison.name).is_some_and(|value| comparison.holds(value))
        })
    }
}

impl Comparison {
    fn holds(&self, value: &Value) -> bool {
        let numbers = value.as_number().zip(self.value.as_number());
        match self.operator {
            "==" => value.is(&self.value),
            "!=" => !value.is(&self.value),
            "<" => numbers.is_some_and(|(a, b)| a < b),
            ">" => numbers.is_some_and(|(a, b)| a > b),
            "<=" => numbers.is_some_and(|(a, b)| a <= b),
            _ => numbers.is_some_and(|(a, b)| a >= b),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Text(String),
    Symbol(&'static str),
}

const SYMBOLS: [&str; 9] = ["<=", ">=", "==", "!=", "<", ">", "+", "-", "*"];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let taken = if first.is_ascii_digit() || first == '.' {
            let end = number_end(rest);
            let number =
                rest[..end].parse().map_err(|_| format!("{} is no number", &rest[..end]))?;
            tokens.push(Token::Number(number));
            end
        } else if super::starts_a_name(first) {
            let end = rest.find(|c| !super::continues_a_name(c)).unwrap_or(rest.len());
            tokens.push(Token::Name(rest[..end].to_owned()));
            end
        } else if first == '\'' || first == '"' {
            let inner = &rest[1..];
            let end = inner.find(first).ok_or_else(|| format!("a quote is open in `{text}`"))?;
            tokens.push(Token::Text(inner[..end].to_owned()));
            end + 2
        } else {
            let symbol = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol));
            let symbol = symbol.ok_or_else(|| format!("`{first}` has no meaning in `{text}`"))?;
            tokens.push(Token::Symbol(symbol));
            symbol.len()
        };
        rest = rest[taken..].trim_start();
    }
    Ok(tokens)
}

/// Where the number at the start of `text` ends: `1e-3` is one, `1-e` is not.
fn number_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_part = |i: usize| match bytes[i] {
        b'0'..=b'9' | b'.' => true,
        b'e' | b'E' => bytes.get(i + 1).is_some_and(|b| b.is_ascii_digit() || b"+-".contains(b)),
        b'-' | b'+' => i > 0 && matches!(bytes[i - 1], b'e' | b'E'),
        _ => false,
    };
    (0..bytes.len()).find(|&i| !is_part(i)).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Params {
        let values = [
            ("a", Value::Integer(4)),
            ("b.c", Value::Real(0.5)),
            ("kind", Value::Text("soft".into())),
            ("on", Value::Switch(true)),
        ];
        values.map(|(name, value)| (name.to_owned(), value)).into()
    }

    #[test]
    fn a_linear_expression_is_a_sum_of_multiples() {
        let value = |text| Linear::parse(text).unwrap().value(&params());
        assert_eq!(value("1 - b.c"), Some(0.5));
        assert_eq!(value("2*a + 1e1 - -b.c"), Some(18.5));
        assert_eq!(value("1e+1 + 1e-1"), Some(10.1));
        assert_eq!(value("a + gone"), None);
        assert_eq!(value("kind"), None);
        assert_eq!(Linear::parse("a").unwrap().plain_name(), Some("a"));
        for wrong in ["", "a +", "a b", "2 * 3", "a <= b", "a % b", "3 * "] {
            assert!(Linear::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_constraint_compares_two_sums() {
        let holds = |text| Constraint::parse(text).unwrap().holds(&params());
        assert!(holds("b.c <= a") && holds("a >= 2*b.c") && holds("a <= 4"));
        assert!(!holds("a + b.c <= 4") && holds("gone <= 0"));
        assert!(!holds("1e-9*a <= 3e-9") && holds("0.1*a + 0.2*a <= 1.2"));
        assert!(Constraint::parse("a < 3").is_err());
    }

    #[test]
    fn a_condition_holds_when_all_its_comparisons_do() {
        let holds = |text| Condition::parse(text).unwrap().holds(&params());
        assert!(holds("a > 3 and kind == soft") && holds("kind != 'hard'") && holds("on == true"));
        assert!(holds("b.c >= -0.5") && holds("a == 4"));
        assert!(!holds("a > 3 and kind == hard") && !holds("gone == 1") && !holds("on != true"));
        for wrong in ["a", "a >", "a > soft", "a + 3", "a > 3 or a < 1", "'a' == 3", "a == 'x"] {
            assert!(Condition::parse(wrong).is_err(), "{wrong}");
        }
    }
}
