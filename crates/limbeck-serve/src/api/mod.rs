//! What clients can ask: one file an endpoint.
//!
//! # Layout
//! - [`answer`]: questions about texts; [`classify`]: labels of texts; [`cost`]: what both tell
//!   beside that
//! - [`about`]: health, metrics, what is served
//! - [`body`]: reading a body within its limits
//! - [`lengths`]: how many tokens go on from layer to layer
//! - [`docs`]: the OpenAPI description, and the same to read
//! - [`page`]: the page for people

pub mod about;
pub mod answer;
pub mod body;
pub mod classify;
pub mod cost;
pub mod docs;
pub mod lengths;
pub mod page;

use std::sync::Arc;

use axum::Router;
use axum::http::Uri;
use axum::middleware;
use axum::routing::{get, post};

use crate::error::Refusal;
use crate::http::{auth, cors, observe, prefix};
use crate::state::State;

/// All endpoints.
pub fn router(state: Arc<State>) -> Router {
    let asking = Router::new()
        .route("/v1/answer", post(answer::answer))
        .route("/v1/classify", post(classify::classify))
        .route_layer(middleware::from_fn_with_state(state.clone(), auth::require_key));
    let all = Router::new()
        .merge(asking)
        .route("/health", get(about::health))
        .route("/info", get(about::info))
        .route("/metrics", get(about::metrics))
        .route("/openapi.json", get(docs::openapi))
        .route("/docs", get(docs::docs))
        .merge(page::routes())
        .fallback(|uri: Uri| async move { Refusal::unknown_path(uri.path()) })
        .method_not_allowed_fallback(|| async { Refusal::method() })
        .layer(middleware::from_fn_with_state(state.clone(), cors::allow))
        .layer(middleware::from_fn_with_state(state.clone(), observe::observe))
        .with_state(state.clone());
    // Around all routes, so that it comes before one is chosen.
    Router::new().fallback_service(all).layer(middleware::from_fn_with_state(state, prefix::strip))
}
