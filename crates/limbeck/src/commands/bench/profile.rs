//! Where the time of training steps goes.

use std::fmt::Write;
use std::time::Instant;

use anyhow::Result;
use limbeck_kernels::matmul;
use limbeck_kernels::profile::{self, Cost};
use serde::Serialize;

use super::median;

/// What the steps cost, kernel by kernel, and the floor below which no step can go: its
/// matrix products at the rate of the micro-kernel on data in the first cache, measured
/// right before and after each step.
#[derive(Debug, Default, Serialize)]
pub struct Profile {
    kernels: Vec<Kernel>,
    /// Floating-point operations of the matrix products of one step.
    operations_per_step: f64,
    /// The floor's share of a step's time, one of each step.
    share_of_floor: Vec<f64>,
    /// Operations a second of the micro-kernel, one of each step.
    tile_rate: Vec<f64>,
    #[serde(skip)]
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Kernel {
    kernel: &'static str,
    calls_per_step: f64,
    seconds_per_step: f64,
    /// Of the matrix products inside; nothing for kernels without.
    #[serde(skip_serializing_if = "Option::is_none")]
    operations_per_second: Option<f64>,
    #[serde(skip)]
    operations: f64,
}

/// What a step does outside of kernels: batches, loss, bookkeeping.
const REST: &str = "all else";

/// Runs a step and tells how many seconds it took; adds it to the profile, if there is one.
pub fn timed(profile: &mut Option<Profile>, step: impl FnOnce() -> Result<()>) -> Result<f64> {
    let rate_before = profile.is_some().then(matmul::tile_rate);
    let begun = Instant::now();
    let (done, costs) = match profile {
        None => (step(), Vec::new()),
        Some(_) => profile::record(step),
    };
    done?;
    let elapsed = begun.elapsed().as_secs_f64();
    if let (Some(profile), Some(rate)) = (profile, rate_before) {
        profile.add_step(elapsed, (rate + matmul::tile_rate()) / 2.0, &costs);
    }
    Ok(elapsed)
}

impl Profile {
    /// Adds a step that took `seconds` while the micro-kernel ran at `tile_rate`.
    pub fn add_step(&mut self, seconds: f64, tile_rate: f64, costs: &[Cost]) {
        let steps = self.share_of_floor.len() as f64;
        let in_kernels: f64 = costs.iter().map(|cost| cost.seconds).sum();
        let rest = Cost { kernel: REST, calls: 1, seconds: seconds - in_kernels, operations: 0.0 };
        for kernel in &mut self.kernels {
            kernel.scale(steps / (steps + 1.0));
        }
        for cost in costs.iter().chain([&rest]) {
            self.kernel(cost.kernel).add(cost, 1.0 / (steps + 1.0));
        }
        let operations: f64 = costs.iter().map(|cost| cost.operations).sum();
        self.operations_per_step += (operations - self.operations_per_step) / (steps + 1.0);
        self.seconds += (seconds - self.seconds) / (steps + 1.0);
        self.share_of_floor.push(operations / tile_rate / seconds);
        self.tile_rate.push(tile_rate);
        self.kernels.sort_by(|a, b| b.seconds_per_step.total_cmp(&a.seconds_per_step));
    }

    fn kernel(&mut self, name: &'static str) -> &mut Kernel {
        let index = self.kernels.iter().position(|kernel| kernel.kernel == name);
        let index = index.unwrap_or_else(|| {
            self.kernels.push(Kernel::new(name));
            self.kernels.len() - 1
        });
        &mut self.kernels[index]
    }

    /// The table of the kernels, as `docs/performance.md` shows it.
    pub fn as_markdown(&self) -> String {
        let mut text = String::from("| kernel | calls | ms a step | share | GFLOP/s |\n");
        text.push_str("|---|---|---|---|---|\n");
        for kernel in &self.kernels {
            let rate = kernel.operations_per_second.map(|rate| format!("{:.0}", rate / 1e9));
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {} | {:.0} | {:.1} | {:.1} % | {} |",
                kernel.kernel,
                kernel.calls_per_step,
                1e3 * kernel.seconds_per_step,
                100.0 * kernel.seconds_per_step / self.seconds,
                rate.unwrap_or_default()
            );
        }
        let _ = writeln!(
            text,
            "\n{:.1} GFLOP a step; {:.0} % of the micro-kernel's rate ({:.0} GFLOP/s), medians",
            self.operations_per_step / 1e9,
            100.0 * median(&self.share_of_floor),
            median(&self.tile_rate) / 1e9
        );
        text
    }
}

impl Kernel {
    fn new(kernel: &'static str) -> Kernel {
        Kernel {
            kernel,
            calls_per_step: 0.0,
            seconds_per_step: 0.0,
            operations_per_second: None,
            operations: 0.0,
        }
    }

    fn scale(&mut self, factor: f64) {
        self.calls_per_step *= factor;
        self.seconds_per_step *= factor;
        self.operations *= factor;
    }

    fn add(&mut self, cost: &Cost, weight: f64) {
        self.calls_per_step += weight * cost.calls as f64;
        self.seconds_per_step += weight * cost.seconds;
        self.operations += weight * cost.operations;
        let has_products = self.operations > 0.0;
        self.operations_per_second = has_products.then(|| self.operations / self.seconds_per_step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_averaged_and_the_rest_is_named() {
        let cost = |seconds| Cost { kernel: "product", calls: 2, seconds, operations: 4e9 };
        let mut profile = Profile::default();
        profile.add_step(0.10, 100e9, &[cost(0.06)]);
        profile.add_step(0.20, 100e9, &[cost(0.10)]);
        let [product, rest] = profile.kernels.as_slice() else { panic!("{profile:?}") };
        assert_eq!((product.kernel, rest.kernel), ("product", REST));
        assert!((product.seconds_per_step - 0.08).abs() < 1e-12);
        assert!((rest.seconds_per_step - 0.07).abs() < 1e-12);
        assert!((product.operations_per_second.unwrap() - 50e9).abs() < 1.0);
        assert!((profile.share_of_floor[0] - 0.4).abs() < 1e-12);
        let table = profile.as_markdown();
        assert!(table.contains("| product | 2 | 80.0 | 53.3 % | 50 |"), "{table}");
        assert!(table.contains("4.0 GFLOP a step; 20 %"), "{table}");
    }
}
