//! Reading a request's body within its limits.

use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::error::Refusal;
use crate::options::ServeOptions;

/// Reads a body of JSON.
///
/// # Errors
/// When it is too large, comes too slowly, is no JSON, or says something else than `T`.
pub async fn json<T: DeserializeOwned>(
    request: Request<Body>,
    options: &ServeOptions,
) -> Result<T, Refusal> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or("").split(';').next().unwrap_or("").trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::media_type());
    }
    let most = options.max_body_bytes;
    let too_large =
        || Refusal::too_large(format!("the body has more than the {most} bytes that are allowed"));
    // A length that is announced is refused before a byte of it is read.
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|l| l.to_str().ok());
    if length.and_then(|length| length.parse::<u64>().ok()).is_some_and(|l| l > most as u64) {
        return Err(too_large());
    }
    let body = Limited::new(request.into_body(), most).collect();
    let body = tokio::time::timeout(options.read_timeout, body)
        .await
        .map_err(|_| Refusal::slow_body(options.read_timeout))?
        .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => too_large(),
            None => Refusal::malformed("the body broke off"),
        })?
        .to_bytes();
    serde_json::from_slice(&body).map_err(|error| match error.classify() {
        Category::Data => Refusal::invalid(error.to_string()),
        _ => Refusal::malformed(format!("the body is not JSON: {error}")),
    })
}
