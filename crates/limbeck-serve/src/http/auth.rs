//! The key.

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;

use crate::error::Refusal;
use crate::state::State;

/// Lets a request through that shows the key, if there is one.
pub async fn require_key(
    Extract(state): Extract<Arc<State>>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    if let Some(key) = state.options.api_key {
        let shown = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
        let shown = shown.and_then(|shown| {
            let (scheme, key) = shown.split_at_checked("Bearer ".len())?;
            scheme.eq_ignore_ascii_case(b"Bearer ").then_some(key)
        });
        if !shown.is_some_and(|shown| key.is(shown)) {
            return Err(Refusal::unauthorized());
        }
    }
    Ok(next.run(request).await)
}
