//! Pages of other origins that may ask this server from a browser (CORS, as the Fetch standard has
//! it).
//!
//! The key is not sent by browsers on their own, so what is allowed here needs no credentials; a page
//! sends the key itself, in `Authorization`.

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::Refusal;
use crate::state::State;

/// Headers of answers that a page may read beside the plain ones.
const EXPOSED: &str = "x-request-id, retry-after";
/// Headers that a page may send beside the plain ones. Named one by one: `*` does not hold for
/// `Authorization`.
const ALLOWED_HEADERS: &str = "authorization, content-type, content-encoding, x-request-id";
/// Methods that a page may use.
const ALLOWED_METHODS: &str = "GET, HEAD, POST";
/// Seconds for which a browser need not ask again; browsers take two hours at most.
const MAX_AGE: &str = "7200";

/// The origins of pages that may ask from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cors {
    /// All.
    Any,
    /// These, as browsers write them.
    Origins(Vec<HeaderValue>),
}

impl Cors {
    /// Of the origins that were given; none where none was.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn of<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Option<Self>, String> {
        let mut known = Vec::new();
        let mut any = false;
        for text in origins {
            match text.trim() {
                "*" => any = true,
                text => known.push(origin(text)?),
            }
        }
        Ok(match (any, known.is_empty()) {
            (true, _) => Some(Self::Any),
            (false, true) => None,
            (false, false) => Some(Self::Origins(known)),
        })
    }

    /// What the answer to a page of this origin says that it allows.
    fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match self {
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::Origins(known) => known.contains(origin).then(|| origin.clone()),
        }
    }
}

/// An origin as browsers write it: in small letters, without the usual port, `null` for files.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let wrong = || {
        format!(
            "`{text}` is no origin: write https://HOST or http://HOST:PORT, without a path; or *"
        )
    };
    let small = text.to_ascii_lowercase();
    if small == "null" {
        return Ok(HeaderValue::from_static("null"));
    }
    let (scheme, host) = small.split_once("://").ok_or_else(wrong)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    let of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if scheme.is_empty() || !scheme.chars().all(of_scheme) {
        return Err(wrong());
    }
    if host.is_empty() || host.starts_with(':') || !host.chars().all(plain) {
        return Err(wrong());
    }
    let usual = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let host = host.strip_suffix(usual).filter(|_| !usual.is_empty()).unwrap_or(host);
    HeaderValue::from_str(&format!("{scheme}://{host}")).map_err(|_| wrong())
}

/// Answers browsers that ask beforehand, and says in every answer which pages may read it.
pub async fn allow(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    let Some(cors) = &state.options.cors else { return next.run(request).await };
    let origin = request.headers().get(header::ORIGIN).cloned();
    let allowed = origin.as_ref().and_then(|origin| cors.allowed(origin));
    let asks_beforehand = request.method() == Method::OPTIONS
        && origin.is_some()
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (asks_beforehand, &allowed) {
        (false, _) => next.run(request).await,
        (true, None) => Refusal::origin().into_response(),
        (true, Some(_)) => StatusCode::NO_CONTENT.into_response(),
    };
    let headers = response.headers_mut();
    if *cors != Cors::Any {
        vary(headers, "origin");
    }
    if asks_beforehand {
        vary(headers, "access-control-request-method, access-control-request-headers");
    }
    let Some(allowed) = allowed else { return response };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    let told: &[_] = match asks_beforehand {
        true => &[
            (header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ],
        false => &[(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED)],
    };
    for (name, value) in told {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Says that the answer depends on these headers too.
fn vary(headers: &mut HeaderMap, names: &'static str) {
    headers.append(header::VARY, HeaderValue::from_static(names));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_kept_as_browsers_write_them() {
        let of = |text: &str| origin(text).unwrap().to_str().unwrap().to_owned();
        assert_eq!(of("https://Example.org:443"), "https://example.org");
        assert_eq!(of("http://localhost:8000"), "http://localhost:8000");
        assert_eq!(of("http://a:80"), "http://a");
        assert_eq!(of("http://[::1]:9"), "http://[::1]:9");
        assert_eq!(of("NULL"), "null");
        for wrong in [
            "example.org",
            "https://",
            "https://a/",
            "https://a/b",
            "https://a b",
            "a*",
            "://a",
            "",
        ] {
            assert!(origin(wrong).unwrap_err().contains("without a path"), "{wrong}");
        }
    }

    #[test]
    fn a_star_is_everybody_and_nothing_is_nobody() {
        assert_eq!(Cors::of([]), Ok(None));
        assert_eq!(Cors::of(["https://a", "*"]), Ok(Some(Cors::Any)));
        let two = Cors::of(["https://a", "https://b"]).unwrap().unwrap();
        let allowed = |origin| two.allowed(&HeaderValue::from_static(origin));
        assert_eq!(allowed("https://b"), Some(HeaderValue::from_static("https://b")));
        assert_eq!(allowed("https://b.evil"), None);
    }
}
