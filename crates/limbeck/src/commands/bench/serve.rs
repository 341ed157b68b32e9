//! `limbeck bench serve`: load on a running server.
//!
//! Clients are threads that each keep one connection. Without a rate, each sends its next
//! request when it has its answer; with one, requests are due at times that do not wait for
//! answers, and latency counts from when a request was due.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use limbeck_data::Gold;
use limbeck_data::random::SplitMix64;
use serde::Serialize;
use serde_json::json;

use super::percentile;
use crate::cli::measuring::{Arrivals, BenchServeArgs};
use crate::commands::questions;
use crate::console::{Console, columns};
use crate::exit::{Ending, InputError};

#[derive(Debug, Serialize)]
struct Figures {
    requests: usize,
    /// How many requests ended with each status; `broken` without one.
    statuses: BTreeMap<String, usize>,
    seconds: f64,
    questions_per_second: f64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    clients: usize,
    /// Requests a second that were due.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
}

/// What became of one request.
struct Seen {
    status: String,
    seconds: f64,
}

/// Runs the command.
pub fn run(args: &BenchServeArgs, console: Console) -> Result<Ending> {
    let data = questions::read(&args.data, Gold::Ignored, args.limit, console)?;
    let mut bodies: Vec<String> = data
        .questions
        .iter()
        .map(|question| {
            let (question, context) = (&question.text, data.context(question));
            json!({ "question": question, "context": context, "model": args.model }).to_string()
        })
        .collect();
    // Files keep questions about one text together; clients do not.
    SplitMix64::new(1, 1).shuffle(&mut bodies);
    let url = format!("{}/v1/answer", args.url.trim_end_matches('/'));
    let health = format!("{}/health", args.url.trim_end_matches('/'));
    agent()
        .get(&health)
        .call()
        .map_err(|error| InputError::new("no server answers", health.clone(), error.to_string()))?;

    let requests = args.requests as usize;
    let due = args.rate.map(|rate| due(args.arrivals, rate, requests));
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Vec::with_capacity(requests));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..args.clients {
            let client = || {
                let seen = send(&url, args.api_key.as_deref(), &bodies, || {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let number = (number < requests).then_some(number)?;
                    Some((number, due.as_ref().map(|due| begun + due[number])))
                });
                if let Ok(mut all) = all.lock() {
                    all.extend(seen);
                }
            };
            std::thread::Builder::new()
                .spawn_scoped(scope, client)
                .context("cannot start a thread for each client; give fewer --clients")?;
        }
        anyhow::Ok(())
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let seen = all.into_inner().map_err(|_| anyhow!("a client panicked"))?;
    let figures = figures(&seen, seconds, args);
    console.result(&figures, || as_text(&figures))?;
    Ok(Ending::Done)
}

/// Sends requests until there are none left.
fn send(
    url: &str,
    key: Option<&str>,
    bodies: &[String],
    mut take: impl FnMut() -> Option<(usize, Option<Instant>)>,
) -> Vec<Seen> {
    let agent = agent();
    let mut seen = Vec::new();
    while let Some((number, due)) = take() {
        if let Some(due) = due {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let begun = due.unwrap_or_else(Instant::now);
        let mut request = agent.post(url).header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let response = request.send(&bodies[number % bodies.len()]);
        // The answer counts when all of it is there.
        let status = match response.map(|mut r| (r.status(), r.body_mut().read_to_vec())) {
            Ok((status, Ok(_))) => status.as_u16().to_string(),
            _ => "broken".to_owned(),
        };
        seen.push(Seen { status, seconds: begun.elapsed().as_secs_f64() });
    }
    seen
}

/// A client that takes every status as an answer.
fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(120)));
    config.build().into()
}

/// When requests are due, so many a second.
fn due(arrivals: Arrivals, rate: f64, count: usize) -> Vec<Duration> {
    let mut random = SplitMix64::new(1, 0);
    let mut time = 0.0;
    let arrival = |_| {
        time += match arrivals {
            Arrivals::Constant => 1.0 / rate,
            Arrivals::Poisson => {
                // Above 0 and at most 1.
                let unit = ((random.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
                -unit.ln() / rate
            }
        };
        Duration::from_secs_f64(time)
    };
    (0..count).map(arrival).collect()
}

fn figures(seen: &[Seen], seconds: f64, args: &BenchServeArgs) -> Figures {
    let mut statuses = BTreeMap::new();
    for seen in seen {
        *statuses.entry(seen.status.clone()).or_insert(0) += 1;
    }
    let answered = seen.iter().filter(|seen| seen.status == "200");
    let mut times: Vec<f64> = answered.map(|seen| seen.seconds).collect();
    times.sort_by(f64::total_cmp);
    Figures {
        requests: seen.len(),
        statuses,
        seconds,
        questions_per_second: times.len() as f64 / seconds,
        p50_ms: 1e3 * percentile(&times, 0.50),
        p95_ms: 1e3 * percentile(&times, 0.95),
        p99_ms: 1e3 * percentile(&times, 0.99),
        clients: args.clients.into(),
        rate: args.rate,
    }
}

fn as_text(figures: &Figures) -> String {
    let statuses = figures.statuses.iter().map(|(status, count)| format!("{count} × {status}"));
    columns(&[
        ("answered", statuses.collect::<Vec<_>>().join(", ")),
        ("questions a second", format!("{:.1}", figures.questions_per_second)),
        ("median", format!("{:.1} ms", figures.p50_ms)),
        ("95th percentile", format!("{:.1} ms", figures.p95_ms)),
        ("99th percentile", format!("{:.1} ms", figures.p99_ms)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_the_rate_that_was_asked() {
        for (arrivals, tolerance) in [(Arrivals::Poisson, 6.0), (Arrivals::Constant, 1e-3)] {
            let due = due(arrivals, 200.0, 20_000);
            assert!(due.is_sorted());
            let rate = 20_000.0 / due[19_999].as_secs_f64();
            assert!((rate - 200.0).abs() < tolerance, "{rate}");
        }
    }
}
