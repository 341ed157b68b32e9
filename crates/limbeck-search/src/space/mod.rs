//! What is searched: parameters, conditions under which they exist, and constraints between
//! them. Samplers see a space as points of the unit cube.
//!
//! # Layout
//! - [`Parameter`] and its [`Domain`]; `written`: one `[parameters.NAME]`.
//! - `expression`: linear expressions, constraints, conditions.
//! - [`Value`]: what a parameter is set to.

mod expression;
mod parameter;
mod value;
mod written;

pub use expression::{Condition, Constraint, Linear};
pub use parameter::{Axis, Domain, Parameter, Range, Scale};
pub use value::{Params, Value};

use crate::error::{Result, SearchError};
use crate::numeric::random::Random;

/// Draws that may miss the constraints before a space is called empty.
const MOST_DRAWS: usize = 200_000;

/// The coordinate of a parameter that a point does not have. A choice without order that is absent
/// is at the edge, half a cell from the nearest one, and like none of them.
const ABSENT: f64 = 0.5;
pub(crate) const NO_CHOICE: f64 = 0.0;

/// A space of parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    parameters: Vec<Parameter>,
    constraints: Vec<Constraint>,
}

impl Space {
    /// Reads `[parameters.NAME]` and `constraints` out of a table, other keys untouched.
    ///
    /// # Errors
    /// [`SearchError::Space`] names the key and what is wrong with it.
    pub fn from_toml(table: &toml::Table) -> Result<Self> {
        let Some(toml::Value::Table(written)) = table.get("parameters") else {
            return Err(SearchError::space("parameters", "write `[parameters.NAME]` for each"));
        };
        let parameters = written
            .iter()
            .map(|(name, table)| Parameter::from_toml(name, table))
            .collect::<Result<Vec<_>>>()?;
        if parameters.is_empty() {
            return Err(SearchError::space("parameters", "there is none"));
        }
        let place = "constraints";
        let texts: Vec<String> = match table.get(place) {
            None => Vec::new(),
            Some(texts) => texts
                .clone()
                .try_into()
                .map_err(|_| SearchError::space(place, "write a list of `left <= right`"))?,
        };
        let constraints = texts
            .iter()
            .map(|text| Constraint::parse(text))
            .collect::<Result<_, String>>()
            .map_err(|reason| SearchError::space(place, reason))?;
        let space = Self { parameters: in_order(parameters)?, constraints };
        space.check_names()?;
        Ok(space)
    }

    fn check_names(&self) -> Result<()> {
        let known = |name: &str| self.parameters.iter().find(|p| p.name == name);
        let number = |place: &str, name: &str| match known(name).map(|p| &p.domain) {
            None => Err(SearchError::space(place, format!("there is no parameter `{name}`"))),
            Some(Domain::Real(_) | Domain::Integer(_) | Domain::Ordinal(_)) => Ok(()),
            Some(_) => Err(SearchError::space(place, format!("`{name}` is no number"))),
        };
        for name in self.constraints.iter().flat_map(Constraint::names) {
            number("constraints", name)?;
        }
        for parameter in &self.parameters {
            if let Some(when) = &parameter.when {
                let domain = |name: &str| known(name).map(|p| &p.domain);
                when.check(domain).map_err(|reason| {
                    SearchError::space(format!("parameters.{}.when", parameter.name), reason)
                })?;
            }
            for (key, value) in parameter.sets.iter().flatten() {
                // A value that goes over unchanged may be anything.
                if value.plain_name().and_then(known).is_none() {
                    let place = format!("parameters.{}.set.{key}", parameter.name);
                    value.names().try_for_each(|name| number(&place, name))?;
                }
            }
        }
        Ok(())
    }

    /// The parameters, each after those that its condition names.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Coordinates of a point.
    pub fn dimensions(&self) -> usize {
        self.parameters.iter().map(|parameter| parameter.domain.width()).sum()
    }

    /// How each coordinate behaves.
    pub fn axes(&self) -> Vec<Axis> {
        let each = |p: &Parameter| vec![p.domain.axis(); p.domain.width()];
        self.parameters.iter().flat_map(each).collect()
    }

    /// Whether any two points of the cube may break a constraint.
    pub fn is_constrained(&self) -> bool {
        !self.constraints.is_empty()
    }

    /// The values at a point of the unit cube, whatever the constraints say.
    pub fn decode(&self, point: &[f64]) -> Params {
        let mut params = Params::new();
        let mut rest = point;
        for parameter in &self.parameters {
            let (own, others) = rest.split_at(parameter.domain.width().min(rest.len()));
            rest = others;
            if parameter.when.as_ref().is_none_or(|when| when.holds(&params)) {
                params.insert(parameter.name.clone(), parameter.domain.decode(own));
            }
        }
        params
    }

    /// The point of these values: the middle of a cell for whole numbers and choices; for what is
    /// absent the middle of the range, or the edge where there is no order. None when the values
    /// are not of this space.
    pub fn encode(&self, params: &Params) -> Option<Vec<f64>> {
        let mut point = Vec::with_capacity(self.dimensions());
        for parameter in &self.parameters {
            match params.get(&parameter.name) {
                Some(value) => point.extend(parameter.domain.encode(value)?),
                None if matches!(parameter.domain, Domain::Categorical(_)) => point.push(NO_CHOICE),
                None => point.extend(std::iter::repeat_n(ABSENT, parameter.domain.width())),
            }
        }
        Some(point)
    }

    /// The places of the values next to those of a point along a coordinate: one and two away,
    /// and where there are many, a twentieth of the range. None of a coordinate that is even.
    pub(crate) fn next_to(&self, point: &[f64], coordinate: usize) -> Vec<f64> {
        let mut first = 0;
        for parameter in &self.parameters {
            let end = first + parameter.domain.width();
            if coordinate < end {
                return parameter.domain.next_to(point[coordinate]);
            }
            first = end;
        }
        Vec::new()
    }

    /// For each coordinate of a point, whether its parameter is present there.
    pub fn present(&self, point: &[f64]) -> Vec<bool> {
        let params = self.decode(point);
        let each = |p: &Parameter| vec![params.contains_key(&p.name); p.domain.width()];
        self.parameters.iter().flat_map(each).collect()
    }

    /// The point that stands for all that decode to the same values.
    pub fn canonical(&self, point: &[f64]) -> Vec<f64> {
        self.encode(&self.decode(point)).unwrap_or_else(|| point.to_vec())
    }

    /// Whether the values keep every constraint.
    pub fn allows(&self, params: &Params) -> bool {
        self.constraints.iter().all(|constraint| constraint.holds(params))
    }

    /// Says why these values cannot be tried.
    ///
    /// # Errors
    /// When a parameter is missing, unknown, out of its range, or a constraint is broken.
    pub fn check(&self, params: &Params) -> Result<()> {
        if let Some(name) =
            params.keys().find(|name| self.parameters.iter().all(|p| p.name != **name))
        {
            return Err(SearchError::space(name, "the space has no such parameter"));
        }
        for parameter in &self.parameters {
            let name = &parameter.name;
            let wanted = parameter.when.as_ref().is_none_or(|when| when.holds(params));
            match params.get(name) {
                None if wanted => return Err(SearchError::space(name, "it has no value")),
                Some(_) if !wanted => {
                    return Err(SearchError::space(
                        name,
                        "it has a value where its condition does not hold",
                    ));
                }
                Some(value) if parameter.domain.encode(value).is_none() => {
                    return Err(SearchError::space(name, format!("{value} is out of its range")));
                }
                _ => {}
            }
        }
        match self.allows(params) {
            true => Ok(()),
            false => Err(SearchError::space("constraints", "these values break one")),
        }
    }

    /// A canonical point that keeps the constraints, drawn evenly.
    ///
    /// # Errors
    /// When none was found.
    pub fn draw(&self, random: &mut Random) -> Result<Vec<f64>> {
        self.first_allowed(
            (0..MOST_DRAWS).map(|_| (0..self.dimensions()).map(|_| random.uniform()).collect()),
        )
    }

    /// The first of these points that keeps the constraints, made canonical.
    ///
    /// # Errors
    /// When none does.
    pub fn first_allowed(&self, points: impl Iterator<Item = Vec<f64>>) -> Result<Vec<f64>> {
        for point in points {
            let params = self.decode(&point);
            if self.allows(&params) {
                return Ok(self.encode(&params).unwrap_or(point));
            }
        }
        Err(SearchError::space("constraints", "no point was found that keeps them all"))
    }
}

/// Puts parameters after those that their conditions name.
fn in_order(mut waiting: Vec<Parameter>) -> Result<Vec<Parameter>> {
    let mut placed: Vec<Parameter> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let is_ready = |parameter: &Parameter| {
            let mut names = parameter.when.iter().flat_map(Condition::names);
            names.all(|name| placed.iter().any(|p| p.name == name))
        };
        let Some(index) = waiting.iter().position(is_ready) else {
            let place = format!("parameters.{}.when", waiting[0].name);
            let reason = "it names a parameter that does not exist or that waits for this one";
            return Err(SearchError::space(place, reason));
        };
        placed.push(waiting.remove(index));
    }
    Ok(placed)
}

/// Whether a name may begin with this.
fn starts_a_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

/// Whether a name may go on with this.
fn continues_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

#[cfg(test)]
mod tests;
