//! What `/metrics` tells, in the text form of Prometheus.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The labels of a finished request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    endpoint: &'static str,
    status: u16,
}

/// The label of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Endpoint {
    endpoint: &'static str,
}

/// All metrics of a server.
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    request: Family<Endpoint, Histogram>,
    tokenize: Histogram,
    queue: Histogram,
    compute: Histogram,
    batch: Histogram,
    batch_windows: Histogram,
    batch_tokens: Histogram,
    tokens: Counter,
    /// Questions under way.
    pub questions_in_flight: Gauge,
    /// Open connections.
    pub connections: Gauge,
    speed: Mutex<Speed>,
}

/// Tokens a second of the last batches.
struct Speed {
    tokens_per_second: f64,
    seen: Option<Instant>,
}

/// From 0.25 ms to 33 s, each twice the one before.
fn seconds() -> Histogram {
    Histogram::new((0..18).map(|power| 0.000_25 * f64::from(1 << power)))
}

fn powers_of_two(count: i32) -> Histogram {
    Histogram::new((0..count).map(|power| f64::from(1 << power)))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("limbeck"),
            requests: Family::default(),
            request: Family::new_with_constructor(seconds),
            tokenize: seconds(),
            queue: seconds(),
            compute: seconds(),
            batch: seconds(),
            batch_windows: powers_of_two(10),
            batch_tokens: powers_of_two(15),
            tokens: Counter::default(),
            questions_in_flight: Gauge::default(),
            connections: Gauge::default(),
            speed: Mutex::new(Speed { tokens_per_second: 0.0, seen: None }),
        };
        let registry = &mut metrics.registry;
        registry.register("requests", "Requests by endpoint and status", metrics.requests.clone());
        for (name, help, histogram) in [
            ("tokenize", "Cutting the texts of a request into windows", &metrics.tokenize),
            ("queue", "Waiting for the model", &metrics.queue),
            ("compute", "In batches that held windows of the request", &metrics.compute),
            ("batch", "One pass through a model", &metrics.batch),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
        registry.register_with_unit(
            "request",
            "From a request's head to its answer, by endpoint",
            Unit::Seconds,
            metrics.request.clone(),
        );
        let (windows, rows) = (&metrics.batch_windows, &metrics.batch_tokens);
        registry.register("batch_windows", "Windows in a pass through a model", windows.clone());
        registry.register("batch_tokens", "Tokens in a pass through a model", rows.clone());
        registry.register("tokens", "Tokens that went through models", metrics.tokens.clone());
        let (questions, connections) = (&metrics.questions_in_flight, &metrics.connections);
        registry.register("questions_in_flight", "Questions under way", questions.clone());
        registry.register("connections", "Open connections", connections.clone());
        metrics
    }
}

impl Metrics {
    /// Counts a request that got its answer, whatever it was.
    pub fn request(&self, endpoint: &'static str, status: u16, time: Duration) {
        self.requests.get_or_create(&Request { endpoint, status }).inc();
        self.request.get_or_create(&Endpoint { endpoint }).observe(time.as_secs_f64());
    }

    /// Counts the stages of a request that was answered.
    pub fn stages(&self, tokenize: Duration, queue: Duration, compute: Duration) {
        self.tokenize.observe(tokenize.as_secs_f64());
        self.queue.observe(queue.as_secs_f64());
        self.compute.observe(compute.as_secs_f64());
    }

    /// Counts a pass through a model.
    pub fn batch(&self, windows: usize, tokens: usize, time: Duration) {
        self.batch.observe(time.as_secs_f64());
        self.batch_windows.observe(windows as f64);
        self.batch_tokens.observe(tokens as f64);
        self.tokens.inc_by(tokens as u64);
        let now = tokens as f64 / time.as_secs_f64().max(1e-9);
        let mut speed = self.speed.lock().unwrap_or_else(PoisonError::into_inner);
        let old = speed.seen.map_or(now, |_| speed.tokens_per_second);
        speed.tokens_per_second = 0.9 * old + 0.1 * now;
        speed.seen = Some(Instant::now());
    }

    /// How long so many tokens will take, by the speed of the last batches; `None` before the
    /// first.
    pub fn time_for(&self, tokens: usize) -> Option<Duration> {
        let speed = self.speed.lock().unwrap_or_else(PoisonError::into_inner);
        speed.seen?;
        Some(Duration::from_secs_f64((tokens as f64 / speed.tokens_per_second).min(3600.0)))
    }

    /// All metrics as text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_told_in_the_form_of_prometheus() {
        let metrics = Metrics::default();
        metrics.request("answer", 200, Duration::from_millis(3));
        metrics.batch(4, 600, Duration::from_millis(12));
        let text = metrics.render();
        for line in [
            "limbeck_requests_total{endpoint=\"answer\",status=\"200\"} 1",
            "limbeck_request_seconds_count{endpoint=\"answer\"} 1",
            "limbeck_batch_tokens_sum 600.0",
            "limbeck_tokens_total 600",
            "limbeck_questions_in_flight 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_time_for_tokens_follows_the_speed() {
        let metrics = Metrics::default();
        assert_eq!(metrics.time_for(100), None);
        metrics.batch(1, 1000, Duration::from_millis(100));
        let time = metrics.time_for(20_000).unwrap().as_secs_f64();
        assert!((time - 2.0).abs() < 1e-6, "{time}");
    }
}
