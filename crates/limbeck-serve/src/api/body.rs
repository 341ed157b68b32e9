//! Reading a request's body within its limits.

use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use crate::error::Refusal;
use crate::state::State;

/// Reads a body that is a JSON object.
///
/// # Errors
/// When it is too large, comes too slowly, is no JSON, or says something else than `T`.
pub async fn json<T: DeserializeOwned>(
    request: Request<Body>,
    state: &State,
) -> Result<T, Refusal> {
    let options = &state.options;
    let (head, body) = request.into_parts();
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text(header::CONTENT_TYPE).unwrap_or("").split(';').next().unwrap_or("").trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::media_type());
    }
    let most = options.max_body_bytes;
    let too_large =
        || Refusal::too_large(format!("the body has more than the {most} bytes that are allowed"));
    // A length that is announced is refused before a byte of it is read.
    let announced = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let _room = state.admit_body(announced.map_or(most, |length| length as usize))?;
    let body = Limited::new(body, most).collect();
    let body = tokio::time::timeout(options.read_timeout, body)
        .await
        .map_err(|_| Refusal::slow_body(options.read_timeout))?
        .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => too_large(),
            None => Refusal::malformed("the body broke off"),
        })?
        .to_bytes();
    parse(&body)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let malformed =
        |error: serde_json::Error| Refusal::malformed(format!("the body is not JSON: {error}"));
    // Lists would be taken for the fields in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        serde_json::from_slice::<IgnoredAny>(body).map_err(malformed)?;
        return Err(Refusal::invalid("the body must be a JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => Refusal::invalid(error.to_string()),
        _ => malformed(error),
    })
}
