//! Known problems, for tests.

use std::f64::consts::PI;

use crate::metric::{Metric, Metrics};
use crate::space::{Params, Space, Value};

/// A problem with its space, its metrics and its function of the values.
pub(super) struct Problem {
    pub(super) space: Space,
    pub(super) metrics: Vec<Metric>,
    pub(super) function: fn(&Params) -> Option<Metrics>,
}

impl Problem {
    fn new(text: &str, function: fn(&Params) -> Option<Metrics>) -> Self {
        let table = text.parse().unwrap();
        let space = Space::from_toml(&table).unwrap();
        Self { space, metrics: Metric::all_from_toml(&table).unwrap(), function }
    }
}

fn reals(count: usize) -> String {
    (0..count).map(|i| format!("[parameters.x{i}]\ntype='real'\nlow=0\nhigh=1\n")).collect()
}

fn numbers(params: &Params) -> Vec<f64> {
    params.values().filter_map(Value::as_number).collect()
}

fn named(values: &[f64]) -> Metrics {
    values.iter().enumerate().map(|(i, value)| (format!("f{i}"), *value)).collect()
}

/// ZDT1 of six coordinates (Zitzler et al., 2000), measured from (11, 11).
pub(super) fn zdt1() -> Problem {
    let metrics = "[metrics.f0]\ngoal='minimize'\nthreshold=11\n[metrics.f1]\ngoal='minimize'\nthreshold=11\n";
    Problem::new(&(reals(6) + metrics), |params| {
        let x = numbers(params);
        let g = 1.0 + 9.0 * x[1..].iter().sum::<f64>() / 5.0;
        Some(named(&[x[0], g * (1.0 - (x[0] / g).sqrt())]))
    })
}

/// Branin and Currin (as in BoTorch), both to be small, measured from (18, 6).
pub(super) fn branin_currin() -> Problem {
    let metrics =
        "[metrics.f0]\ngoal='minimize'\nthreshold=18\n[metrics.f1]\ngoal='minimize'\nthreshold=6\n";
    Problem::new(&(reals(2) + metrics), |params| {
        let x = numbers(params);
        let (a, b) = (15.0 * x[0] - 5.0, 15.0 * x[1]);
        let branin = (b - 5.1 / (4.0 * PI * PI) * a * a + 5.0 / PI * a - 6.0).powi(2)
            + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * a.cos()
            + 10.0;
        let factor = if x[1] > 0.0 { 1.0 - (-0.5 / x[1]).exp() } else { 1.0 };
        let top = 2300.0 * x[0].powi(3) + 1900.0 * x[0].powi(2) + 2092.0 * x[0] + 60.0;
        let bottom = 100.0 * x[0].powi(3) + 500.0 * x[0].powi(2) + 4.0 * x[0] + 20.0;
        Some(named(&[branin, factor * top / bottom]))
    })
}

/// Every kind of parameter, a constraint among them, one among the metrics, and a region that
/// fails. Measured from (2, 2).
pub(super) fn mixed() -> Problem {
    let text = "
constraints = ['b <= a']
[parameters.a]
type = 'real'
low = 0.01
high = 1
scale = 'log'
[parameters.b]
type = 'real'
low = 0
high = 1
[parameters.n]
type = 'integer'
low = 0
high = 8
[parameters.kind]
type = 'categorical'
choices = ['x', 'y', 'z']
[parameters.extra]
type = 'real'
low = 0
high = 1
when = 'kind == y'
[parameters.lengths]
type = 'falling_reals'
size = 2
low = 0
high = 1
[metrics.f0]
goal = 'minimize'
threshold = 2
[metrics.f1]
goal = 'maximize'
threshold = -2
[metrics.f2]
goal = 'minimize'
role = 'constrain'
threshold = 0.9
";
    Problem::new(text, |params| {
        let number = |name: &str| params.get(name).and_then(Value::as_number).unwrap_or(0.5);
        let (a, b, n) = (number("a"), number("b"), number("n"));
        if n > 7.0 {
            return None;
        }
        let penalty = match params["kind"] == Value::Text("y".into()) {
            true => (number("extra") - 0.3).powi(2),
            false => 0.4,
        };
        let Value::List(lengths) = &params["lengths"] else { return None };
        let first = lengths[0].as_number()?;
        let losses = [
            a * a + penalty + 0.02 * (n - 5.0).powi(2),
            -((1.0 - b).powi(2) + penalty + 0.02 * (n - 5.0).powi(2)),
        ];
        Some(named(&[losses[0], losses[1], first]))
    })
}
