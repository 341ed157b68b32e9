//! What a server tells of itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ErrorBody, Refusal};
use crate::state::State;
use crate::student::StudentInfo;

/// That the server can answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the server can answer.
#[utoipa::path(get, path = "/health", tag = "About", responses(
    (status = 200, description = "It can answer", body = Health),
    (status = 503, description = "It is stopping, or its engine has failed", body = ErrorBody),
))]
pub async fn health(Extract(state): Extract<Arc<State>>) -> Result<Json<Health>, Refusal> {
    if state.is_stopping() {
        return Err(Refusal::stopping());
    }
    if !state.engine.is_alive() {
        return Err(Refusal::fault());
    }
    Ok(Json(Health { status: "ok" }))
}

/// What a server serves, and its limits.
#[derive(Debug, Serialize, ToSchema)]
pub struct Info {
    /// The version of Limbeck.
    version: &'static str,
    /// The models, the default first.
    models: Vec<StudentInfo>,
    /// Whether `/v1` wants a key.
    needs_key: bool,
    limits: Limits,
}

/// What a request may not exceed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Limits {
    /// Bytes of a body.
    max_body_bytes: usize,
    /// Questions times documents of a request.
    max_questions: usize,
    /// Tokens of all windows of a request.
    max_input_tokens: usize,
    /// Questions under way at a time.
    max_queue: usize,
    /// Milliseconds from a request's last byte to its answer.
    timeout_ms: u64,
}

/// The models and the limits.
#[utoipa::path(get, path = "/info", tag = "About", responses(
    (status = 200, description = "The models and the limits", body = Info),
))]
pub async fn info(Extract(state): Extract<Arc<State>>) -> Json<Info> {
    let options = &state.options;
    Json(Info {
        version: env!("CARGO_PKG_VERSION"),
        models: state.students.infos(),
        needs_key: options.api_key.is_some(),
        limits: Limits {
            max_body_bytes: options.max_body_bytes,
            max_questions: options.max_questions.min(options.max_queue),
            max_input_tokens: options.max_input_tokens,
            max_queue: options.max_queue,
            timeout_ms: options.timeout.as_millis() as u64,
        },
    })
}

/// Counters and histograms for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "About", responses(
    (status = 200, description = "In the text form of OpenMetrics", body = String,
        content_type = "application/openmetrics-text"),
))]
pub async fn metrics(Extract(state): Extract<Arc<State>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], state.metrics.render())
}
