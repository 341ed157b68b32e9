//! Numbers and parameters for people to read.

use limbeck_search::space::Value;

/// A number in about six digits; whole ones in all of theirs, up to nine.
pub fn short(x: f64) -> String {
    if x.abs() >= 1e9 {
        return format!("{x:.5e}");
    }
    if x.fract() == 0.0 {
        return format!("{x}");
    }
    let digits = (5.0 - x.abs().max(1e-300).log10().floor()).clamp(0.0, 9.0) as usize;
    if x.abs() < 1e-4 { format!("{x:.3e}") } else { format!("{x:.digits$}") }
}

/// A parameter's value with numbers in about six digits.
pub fn short_value(value: &Value) -> String {
    match value {
        Value::Real(x) => short(*x),
        Value::List(all) => all.iter().map(short_value).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_six_digits() {
        let all = [28_698_971_240.3, 52_188_674.0, 61.234_567_8, 0.123_456_78, 1.5e-7, 0.0];
        let expected = ["2.86990e10", "52188674", "61.2346", "0.123457", "1.500e-7", "0"];
        assert_eq!(all.map(short), expected);
    }

    #[test]
    fn so_have_those_in_a_tuple() {
        let plan = Value::List(vec![Value::Real(0.964_470_064), Value::Integer(4)]);
        assert_eq!(short_value(&plan), "0.964470,4");
    }
}
