//! `limbeck bench`: how fast a model trains and answers.

mod answer;
mod features;
mod pretrain;
mod profile;
mod serve;
mod sweep;
mod train;

use anyhow::Result;

use crate::cli::measuring::BenchCommand;
use crate::console::Console;
use crate::exit::Ending;

/// Runs the command.
pub fn run(command: &BenchCommand, console: Console) -> Result<Ending> {
    match command {
        BenchCommand::Train(args) => train::run(args, console),
        BenchCommand::Sweep(args) => sweep::run(args, console),
        BenchCommand::Pretrain(args) => pretrain::run(args, console),
        BenchCommand::Features(args) => features::run(args, console),
        BenchCommand::Answer(args) => answer::run(args, console),
        BenchCommand::Serve(args) => serve::run(args, console),
    }
}

/// The value below which a share of the sorted values lies (nearest rank).
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// The middle of some values, in any order.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    percentile(&sorted, 0.5)
}

/// The most memory that this process has held, where the system tells (Linux).
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn memory(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "unknown".to_owned(), |bytes| format!("{:.0} MB", bytes as f64 / 1e6))
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.50), 50.0);
        assert_eq!(percentile(&values, 0.95), 95.0);
        assert_eq!(percentile(&values[..1], 0.95), 1.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
