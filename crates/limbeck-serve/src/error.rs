//! What a request can be refused with.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// A request that gets no answer: a status, a word for programs, a line for people.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// One word that stays the same between versions.
    pub code: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
    /// When to come back.
    pub retry_after: Option<Duration>,
}

/// The body of every refusal.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What is wrong, and what to do.
    #[schema(example = "`context` is missing: give the text that holds the answer")]
    error: String,
    /// One word that stays the same between versions.
    #[schema(example = "invalid_request")]
    code: &'static str,
}

/// The word for a body that is packed in another way than is read.
const UNSUPPORTED_ENCODING: &str = "unsupported_encoding";

/// Characters of a message.
const LONGEST_MESSAGE: usize = 300;

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        // What clients sent may be in it, at any length.
        let message: String = message.into();
        let plain = message.chars().map(|c| if c.is_control() { ' ' } else { c });
        let mut short: String = plain.take(LONGEST_MESSAGE).collect();
        if short.len() < message.len() {
            short.push('…');
        }
        Refusal { status, code, message: short, retry_after: None }
    }

    /// The body is no JSON.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_json", message)
    }

    /// The JSON does not say what is needed.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", message)
    }

    /// The key is missing or wrong.
    pub fn unauthorized() -> Self {
        let advice = "send the key of this server as `Authorization: Bearer KEY`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", advice)
    }

    /// There is no such page.
    pub fn unknown_path(path: &str) -> Self {
        let message = format!("there is no {path}; /docs lists what there is");
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// The page is there, but not for this method.
    pub fn method() -> Self {
        let message = "this path takes another method; /docs lists what there is";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    /// There is no such model.
    pub fn unknown_model(name: &str, known: &str) -> Self {
        let message = format!("there is no model `{name}`; there is {known}");
        Self::new(StatusCode::NOT_FOUND, "model_not_found", message)
    }

    /// The model cannot do what is asked.
    pub fn unskilled_model(name: &str) -> Self {
        let message = format!("the model `{name}` has another task; /info tells which");
        Self::new(StatusCode::NOT_FOUND, "model_not_found", message)
    }

    /// No model can do what is asked.
    pub fn no_skilled_model() -> Self {
        let message = "no model of this server has this task; /info lists what there is";
        Self::new(StatusCode::NOT_FOUND, "model_not_found", message)
    }

    /// The body is not declared to be JSON. Browsers send other types across sites without
    /// asking; so no foreign page can make a browser ask this server.
    pub fn media_type() -> Self {
        let message = "send `Content-Type: application/json`";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    /// The body is packed in a way that is not read.
    pub fn encoding(name: &str) -> Self {
        let message =
            format!("`Content-Encoding: {name}` is not read here; send gzip, or the body as it is");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_ENCODING, message)
    }

    /// The body is no gzip, though it says so.
    pub fn malformed_gzip() -> Self {
        let message = "the body is not whole gzip, as `Content-Encoding` says it is";
        Self::new(StatusCode::BAD_REQUEST, "malformed_gzip", message)
    }

    /// Pages of this origin may not ask.
    pub fn origin() -> Self {
        let message = "pages of this origin may not ask; --cors-allow-origin of the server names \
                       those that may";
        Self::new(StatusCode::FORBIDDEN, "origin_not_allowed", message)
    }

    /// The body did not come in time.
    pub fn slow_body(limit: Duration) -> Self {
        let message = format!("the body did not arrive within {} s", limit.as_secs_f64());
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow_body", message)
    }

    /// The request is larger than is allowed.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// The queue is full.
    pub fn busy(retry_after: Duration) -> Self {
        let message = "too many questions are under way; come back after Retry-After seconds";
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", message);
        Refusal { retry_after: Some(retry_after), ..refusal }
    }

    /// There are too many connections.
    pub fn connections() -> Self {
        let message = "too many open connections; come back after Retry-After seconds";
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", message);
        Refusal { retry_after: Some(Duration::from_secs(1)), ..refusal }
    }

    /// The answer would come too late.
    pub fn deadline(limit: Duration) -> Self {
        let message = format!("no answer within {} s", limit.as_secs_f64());
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message)
    }

    /// The server is about to end.
    pub fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server is stopping")
    }

    /// A fault of the server.
    pub fn fault() -> Self {
        let message = "the server failed on this request; its log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "fault", message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(ErrorBody { error: self.message, code: self.code });
        let mut response = (self.status, body).into_response();
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs_f64().ceil().clamp(1.0, 3600.0) as u64;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == UNSUPPORTED_ENCODING {
            let accepted = HeaderValue::from_static("gzip");
            response.headers_mut().insert(header::ACCEPT_ENCODING, accepted);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
