//! `limbeck bench answer`: one question at a time or several, from text to text.

use std::time::Instant;

use anyhow::Result;
use limbeck_data::Gold;
use limbeck_runtime::Asked;
use serde::Serialize;

use super::{memory, peak_rss_bytes, percentile};
use crate::cli::measuring::BenchAnswerArgs;
use crate::commands::answer;
use crate::commands::questions;
use crate::config::Layer;
use crate::console::{Console, columns};
use crate::exit::{Ending, InputError};

#[derive(Debug, Serialize)]
struct Figures {
    p50_ms: f64,
    p95_ms: f64,
    questions_per_second: f64,
    questions: usize,
    batch_size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_rss_bytes: Option<u64>,
    threads: usize,
}

/// Runs the command.
pub fn run(args: &BenchAnswerArgs, console: Console) -> Result<Ending> {
    let data = questions::read(&args.data, Gold::Ignored, args.limit, console)?;
    let mut answerer = answer::open(&args.model, &Layer::default(), &args.length, console)?;
    let Some(first) = data.questions.first() else {
        let place = args.data.display().to_string();
        return Err(InputError::new("there is no question", place, "").into());
    };
    answerer.answer(&first.text, data.context(first))?;
    let mut seconds = Vec::with_capacity(data.questions.len());
    let mut total = 0.0;
    for together in data.questions.chunks(args.batch_size) {
        let asked = together
            .iter()
            .map(|question| Asked { question: &question.text, context: data.context(question) });
        let asked: Vec<_> = asked.collect();
        let begun = Instant::now();
        answerer.answer_all(&asked)?;
        let time = begun.elapsed().as_secs_f64();
        total += time;
        // Whoever asked one of them has waited for all.
        seconds.extend(together.iter().map(|_| time));
    }
    seconds.sort_by(f64::total_cmp);
    let figures = Figures {
        p50_ms: 1e3 * percentile(&seconds, 0.50),
        p95_ms: 1e3 * percentile(&seconds, 0.95),
        questions_per_second: seconds.len() as f64 / total,
        questions: seconds.len(),
        batch_size: args.batch_size,
        peak_rss_bytes: peak_rss_bytes(),
        threads: limbeck_kernels::threads::count(),
    };
    console.result(&figures, || {
        columns(&[
            ("median", format!("{:.1} ms", figures.p50_ms)),
            ("95th percentile", format!("{:.1} ms", figures.p95_ms)),
            ("questions a second", format!("{:.1}", figures.questions_per_second)),
            ("peak memory", memory(figures.peak_rss_bytes)),
        ])
    })?;
    Ok(Ending::Done)
}
