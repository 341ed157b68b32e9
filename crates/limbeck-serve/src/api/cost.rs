//! What both kinds of requests are told beside their answers.

use std::time::{Duration, Instant};

use axum::Json;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ask::{Cost, Usage};
use crate::options::ServeOptions;

/// What a request cost.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Told {
    /// The model that answered.
    model: String,
    usage: Usage,
    timing: Timing,
}

/// Where the time went, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Timing {
    /// Cutting the texts into tokens.
    tokenize_ms: f64,
    /// Waiting for the model.
    queue_ms: f64,
    /// In batches that held some of this request.
    compute_ms: f64,
    /// From the request's last byte to its answer.
    total_ms: f64,
}

impl Told {
    /// What `cost` comes to for a request that arrived at `begun`.
    pub fn new(model: &str, cost: Cost, begun: Instant) -> Told {
        let milliseconds = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let timing = Timing {
            tokenize_ms: milliseconds(cost.tokenize),
            queue_ms: milliseconds(cost.queue),
            compute_ms: milliseconds(cost.compute),
            total_ms: milliseconds(begun.elapsed()),
        };
        Told { model: model.to_owned(), usage: cost.usage, timing }
    }

    /// The answer as JSON, with the times in `Server-Timing` too.
    pub fn respond(&self, body: impl Serialize) -> Response {
        let Timing { tokenize_ms, queue_ms, compute_ms, total_ms } = self.timing;
        let header = format!(
            "tokenize;dur={tokenize_ms}, queue;dur={queue_ms}, compute;dur={compute_ms}, \
             total;dur={total_ms}"
        );
        let mut response = Json(body).into_response();
        if let Ok(header) = HeaderValue::from_str(&header) {
            response.headers_mut().insert("server-timing", header);
        }
        response
    }
}

/// How long a request may take that asks for so many milliseconds.
pub fn limit(asked: Option<u64>, options: &ServeOptions) -> Duration {
    asked.map_or(options.timeout, |ms| Duration::from_millis(ms).min(options.timeout))
}
