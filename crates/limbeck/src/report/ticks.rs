//! Round numbers for axes, and how they are written.

/// Whether sums and differences with a number stay finite.
pub(super) fn can_be_drawn(value: f64) -> bool {
    value.abs() < f64::MAX / 4.0
}

/// An axis from `low` to `high` with a tick at every multiple of `step`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    step: f64,
}

impl Axis {
    /// The smallest axis that holds all finite `values` between two ticks, with about
    /// `ticks` of them at distances of 1, 2 or 5 times a power of ten.
    pub(super) fn holding(values: impl Iterator<Item = f64>, ticks: usize) -> Self {
        let (mut low, mut high) = values
            .filter(|value| can_be_drawn(*value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if high - low <= low.abs().max(high.abs()) * 1e-9 {
            // All alike: a band around the value.
            let margin = if low == 0.0 { 1.0 } else { low.abs() / 2.0 };
            (low, high) = (low - margin, high + margin);
        }
        let rough = ((high - low) / ticks.max(1) as f64).max(f64::MIN_POSITIVE);
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|factor| factor * power)
            .into_iter()
            .find(|&step| step >= rough * 0.999)
            .unwrap_or(10.0 * power);
        Self { low: (low / step).floor() * step, high: (high / step).ceil() * step, step }
    }

    /// The ticks and their labels.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let count = ((self.high - self.low) / self.step).round() as usize;
        (0..=count)
            .map(|index| self.low + index as f64 * self.step)
            // Rounding must not make a tiny number of zero.
            .map(|value| if value.abs() < self.step / 1e6 { 0.0 } else { value })
            .map(|value| (value, number(value, self.step)))
            .collect()
    }

    /// Where `value` lies: 0 at the low end, 1 at the high end.
    pub(super) fn position(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// A value with two more digits than the ticks show.
    pub(super) fn precise(&self, value: f64) -> String {
        if value.fract() == 0.0 { number(value, 1.0) } else { number(value, self.step / 100.0) }
    }
}

/// `value` with the decimals that a grid of `step` needs; powers of ten for very small
/// and very large steps, groups of three digits in between, and millions as M.
fn number(value: f64, step: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if value.abs() >= 1e15 || step >= 1e8 || (value.abs() < 1e-2 && step < 1e-3) {
        let digits = (value.abs().log10().floor() - step.abs().log10().floor()).clamp(0.0, 3.0);
        let text = format!("{value:.*e}", digits as usize);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let mantissa = match mantissa.split_once('.') {
            Some(_) => mantissa.trim_end_matches('0').trim_end_matches('.'),
            None => mantissa,
        };
        return format!("{mantissa}e{exponent}").replace('-', "−");
    }
    if step >= 1e5 {
        return number(value / 1e6, step / 1e6) + " M";
    }
    // The small addition keeps a step of 0.1 from asking for two decimals.
    let decimals = (-(step.log10() + 1e-9).floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        // Four digits read well without a comma.
        if index > 0 && whole.len() > 4 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if value < 0.0 { "−" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{grouped}{point}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[f64]) -> Vec<String> {
        Axis::holding(values.iter().copied(), 5).ticks().into_iter().map(|tick| tick.1).collect()
    }

    #[test]
    fn ticks_are_round_and_hold_every_value() {
        assert_eq!(labels(&[0.0, 100.0]), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(labels(&[0.13, 0.58]), ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]);
        assert_eq!(labels(&[0.0, 20_000.0]), ["0", "5000", "10,000", "15,000", "20,000"]);
        assert_eq!(labels(&[10.0, 1_250.0]), ["0", "500", "1000", "1500"]);
        assert_eq!(labels(&[1.4e7, 6e7]), ["10 M", "20 M", "30 M", "40 M", "50 M", "60 M"]);
        assert_eq!(labels(&[0.0, 2e6]), ["0", "0.5 M", "1.0 M", "1.5 M", "2.0 M"]);
        assert_eq!(labels(&[0.0, 2.9e10]), ["0", "1e10", "2e10", "3e10"]);
        assert_eq!(labels(&[-1.0, 1.0]), ["−1.0", "−0.5", "0", "0.5", "1.0"]);
    }

    #[test]
    fn learning_rates_are_written_as_powers_of_ten() {
        assert_eq!(labels(&[0.0, 5e-5]), ["0", "1e−5", "2e−5", "3e−5", "4e−5", "5e−5"]);
        assert_eq!(labels(&[0.0, 1e-3]), ["0", "2e−4", "4e−4", "6e−4", "8e−4", "1e−3"]);
    }

    #[test]
    fn empty_constant_and_endless_values_still_make_an_axis() {
        assert_eq!(
            labels(&[]),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
                .map(|label| { if label == "0.0" { "0" } else { label } })
        );
        assert_eq!(labels(&[3.0]).first().unwrap(), "1");
        assert!(labels(&[f64::NAN, f64::INFINITY, 2.0]).len() > 2);
        assert!(labels(&[f64::MAX, f64::MIN, 0.0]).len() > 2);
        assert!(labels(&[1e300, -1e300]).len() < 20);
        assert!(labels(&[5e-324, 1e-323]).len() < 20);
    }
}
