//! `limbeck bench features`: from text to features, and the second start.

use std::time::Instant;

use anyhow::{Result, bail};
use limbeck_data::features::{CacheUse, FeatureOptions};
use limbeck_data::{BuildReport, Cache, Features, Gold, Purpose, SquadData, Tokenizer};
use limbeck_model::ModelConfig;
use limbeck_runtime::folder::fit;
use serde::Serialize;

use super::{memory, peak_rss_bytes};
use crate::cli::measuring::BenchFeaturesArgs;
use crate::commands::models::resolve;
use crate::console::{Console, columns};
use crate::exit::Ending;

#[derive(Debug, Serialize)]
struct Figures {
    questions: usize,
    features: usize,
    tokens: usize,
    /// Reading the file.
    read_seconds: f64,
    /// From its questions to features, in memory.
    build_seconds: f64,
    features_per_second: f64,
    tokens_per_second: f64,
    /// From the file's name to the features of an earlier start: reading it and mapping
    /// them.
    second_start_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_rss_bytes: Option<u64>,
    threads: usize,
}

/// Runs the command.
pub fn run(args: &BenchFeaturesArgs, console: Console) -> Result<Ending> {
    let dir = resolve(&args.model)?;
    let tokenizer = Tokenizer::from_folder(&dir)?;
    let mut options = FeatureOptions::default();
    fit(&mut options, ModelConfig::open(&dir)?.max_position_embeddings);
    let begun = Instant::now();
    let (data, _) = SquadData::read(&args.data, Gold::Read)?;
    let read_seconds = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let (features, report) = Features::build(&data, &tokenizer, &options, Purpose::Train)?;
    let build_seconds = begun.elapsed().as_secs_f64();
    drop((features, data));

    let folder = tempfile::tempdir()?;
    let start = || -> Result<BuildReport> {
        let (data, _) = SquadData::read(&args.data, Gold::Read)?;
        let cache = Cache::folder(folder.path());
        Ok(Features::open_or_build(Some(&cache), &data, &tokenizer, &options, Purpose::Train)?.1)
    };
    start()?;
    let begun = Instant::now();
    let opened = start()?;
    let second_start_seconds = begun.elapsed().as_secs_f64();
    match opened.cache {
        CacheUse::Opened(_) => {}
        CacheUse::Failed(reason) => bail!("features cannot be kept: {reason}"),
        _ => bail!("the features of the first start were not found"),
    }

    let figures = Figures {
        questions: report.questions,
        features: report.features,
        tokens: report.rows,
        read_seconds,
        build_seconds,
        features_per_second: report.features as f64 / build_seconds,
        tokens_per_second: report.rows as f64 / build_seconds,
        second_start_seconds,
        peak_rss_bytes: peak_rss_bytes(),
        threads: limbeck_kernels::threads::count(),
    };
    console.result(&figures, || {
        columns(&[
            ("features", figures.features.to_string()),
            ("reading", format!("{:.2} s", figures.read_seconds)),
            ("building", format!("{:.2} s", figures.build_seconds)),
            ("features a second", format!("{:.0}", figures.features_per_second)),
            ("second start", format!("{:.0} ms", 1e3 * figures.second_start_seconds)),
            ("peak memory", memory(figures.peak_rss_bytes)),
        ])
    })?;
    Ok(Ending::Done)
}
