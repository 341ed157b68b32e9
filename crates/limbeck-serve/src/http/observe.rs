//! Request ids, the log, metrics, and the headers of every answer.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::api::page::INLINE_SCRIPT;
use crate::state::State;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the page may load: nothing but its own parts.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; script-src 'self' {INLINE_SCRIPT}; style-src 'self'; \
         connect-src 'self'; img-src data:; form-action 'none'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Names a request in the log and in its answer.
#[derive(Debug, Clone)]
pub struct RequestId(String);

impl RequestId {
    /// That of the client, if it is short and plain; else a new one.
    fn of(request: &Request) -> Self {
        let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let plain = |id: &&str| {
            let allowed = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
            (1..=64).contains(&id.len()) && id.bytes().all(allowed)
        };
        match given.filter(plain) {
            Some(id) => RequestId(id.to_owned()),
            // Every `RandomState` has keys of its own.
            None => RequestId(format!("{:016x}", RandomState::new().hash_one(0))),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How metrics call a path.
fn endpoint(path: &str) -> &'static str {
    match path {
        "/v1/answer" => "answer",
        "/v1/classify" => "classify",
        "/health" => "health",
        "/info" => "info",
        "/metrics" => "metrics",
        "/openapi.json" | "/docs" => "docs",
        "/" => "page",
        _ => "other",
    }
}

/// Names the request, counts it, and writes a line into the log.
pub async fn observe(
    Extract(state): Extract<Arc<State>>,
    mut request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let id = RequestId::of(&request);
    let endpoint = endpoint(request.uri().path());
    let method = request.method().clone();
    request.extensions_mut().insert(id.clone());

    let mut response = next.run(request).await;

    let (status, time) = (response.status().as_u16(), begun.elapsed());
    state.metrics.request(endpoint, status, time);
    let ms = (time.as_secs_f64() * 1e4).round() / 1e1;
    match endpoint {
        // Asked for every few seconds by other programs.
        "health" | "metrics" => {
            tracing::debug!(request_id = %id, %method, endpoint, status, ms, "request");
        }
        _ => tracing::info!(request_id = %id, %method, endpoint, status, ms, "request"),
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    response
}
